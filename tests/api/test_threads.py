"""Functions with the argument threads leave torch's number of threads as it was."""

import pytest
import torch

import cme
from cme.errors import CMEError
from cme.export.settings import HOWS
from cme.processes import threads_set


def test_the_number_is_restored_also_after_an_error():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), threads_set(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before
    with threads_set(None):
        torch.set_num_threads(before + 2)
    assert torch.get_num_threads() == before + 2, "without a number, nothing is restored"
    torch.set_num_threads(before)


def test_an_analysis_restores_it(tmp_path):
    before = torch.get_num_threads()
    for analyse in (
        lambda: cme.analyse(tmp_path / "none", tmp_path / "out", source="mini", threads=before + 1),
        lambda: cme.analyse_each([tmp_path / "none"], tmp_path / "out", source="mini", threads=before + 1),
    ):
        with pytest.raises(CMEError):
            analyse()
        assert torch.get_num_threads() == before


def test_an_export_restores_it(tmp_path, monkeypatch):
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr("cme.export.checks.adapter_kind", lambda adapter: (adapter, "TEAMLORA"))
    monkeypatch.setattr("cme.export.checks.check_routed", lambda folder, kind: None)
    monkeypatch.setattr("cme.export.run.export_adapter", lambda settings, out: seen.append(torch.get_num_threads()))
    cme.export_lora(tmp_path / "adapter", tmp_path / "out", how=HOWS[0], threads=before + 1)
    assert seen == [before + 1] and torch.get_num_threads() == before


def test_questions_about_images_restore_it(tmp_path, monkeypatch):
    before, seen = torch.get_num_threads(), []
    monkeypatch.setattr(
        "cme.evaluation.images.run.evaluate_images", lambda settings, out: seen.append(torch.get_num_threads())
    )
    cme.evaluate_images(tmp_path / "out", base="base", threads=before + 1)
    assert seen == [before + 1] and torch.get_num_threads() == before
