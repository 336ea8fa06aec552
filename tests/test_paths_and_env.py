from pathlib import Path

import pytest

from cme import paths
from cme.env import cache_dir, data_source
from cme.errors import CMEError


def test_tasks_lie_beside_the_package_in_a_checkout():
    assert (paths.tasks_dir() / "cme.yaml").is_file()


def test_tasks_inside_the_package_win(tmp_path, monkeypatch):
    package = tmp_path / "cme"
    for folder in (package / "_share" / "tasks", tmp_path / "tasks"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(paths, "_PACKAGE", package)
    assert paths.tasks_dir() == package / "_share" / "tasks"


def test_an_installation_without_tasks_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "_PACKAGE", tmp_path / "cme")
    with pytest.raises(CMEError, match=r"'tasks' is missing .* pip install --force-reinstall cme-bench"):
        paths.tasks_dir()


@pytest.mark.parametrize(("value", "source"), [(None, "hub"), ("", "hub"), ("mini", "mini")])
def test_the_data_source(monkeypatch, value, source):
    monkeypatch.delenv("CME_DATA_SOURCE", raising=False)
    if value is not None:
        monkeypatch.setenv("CME_DATA_SOURCE", value)
    assert data_source() == source


def test_the_cache_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/x")
    monkeypatch.delenv("CME_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_dir() == Path("/home/x/.cache/cme")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert cache_dir() == Path("/cache/cme")
    monkeypatch.setenv("CME_CACHE", "~/own")
    assert cache_dir() == Path("/home/x/own")
