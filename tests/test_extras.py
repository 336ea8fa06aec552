"""What CME does without a package of an extra: one sentence with the pip line, and everything that needs no extra."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from cme.errors import CMEError, MissingExtraError
from cme.extras import EXTRAS, install_line, need, optional

ROOT = Path(__file__).resolve().parents[1]

WITHOUT = """if True:
    import sys

    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == {module!r}:
                raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

    sys.meta_path.insert(0, Missing())
    from cme.cli.main import main

    sys.argv = ["cme", *{arguments!r}]
    main()
"""


def cme_without(module, *arguments):
    """Run a command in a Python that does not have a package."""
    code = WITHOUT.format(module=module, arguments=[str(argument) for argument in arguments])
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_a_mix_without_matplotlib_has_its_counts_as_csv(tmp_path):
    out = tmp_path / "mix"
    done = cme_without(
        "matplotlib", "build-data", "--source", "mini", "--size", 60, "--datasets", "qqp,rte", "--out", out
    )
    assert done.returncode == 0, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if "needs matplotlib" in line]
    assert 'pip install "cme-bench[plots]"' in said and "overlap.csv" in said
    assert not (out / "overlap.svg").exists() and "overlap.svg" not in (out / "README.md").read_text()
    head, *rows = (out / "overlap.csv").read_text().splitlines()
    assert head == "train_dataset,eval_dataset,rule,rows"
    counts = json.loads((out / "overlap.json").read_text())
    flat = [(t, e, rule, n) for t, others in counts.items() for e, rules in others.items() for rule, n in rules.items()]
    assert rows == [f"{t},{e},{rule},{n}" for t, e, rule, n in flat] and rows


def test_a_leaderboard_without_vl_convert_has_all_but_the_page(tmp_path):
    entries, out = ROOT / "leaderboards/demo/entries", tmp_path / "board"
    done = cme_without("vl_convert", "leaderboard", "--entries", entries, "--out", out)
    assert done.returncode == 0, done.stderr
    assert (
        'vl-convert-python, which is not installed. Install it with: pip install "cme-bench[leaderboard]"'
        in done.stderr
    )
    assert "without index.html" in done.stderr and "Traceback" not in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["leaderboard.csv", "leaderboard.json", "leaderboard.md"]
    for path in out.iterdir():
        assert path.read_bytes() == (entries.parent / path.name).read_bytes()
    check = cme_without("vl_convert", "leaderboard", "--check", "--entries", entries, "--out", entries.parent)
    assert check.returncode == 1, "a page that was not looked at is not up to date"
    assert 'pip install "cme-bench[leaderboard]"' in check.stderr and "Traceback" not in check.stderr


def test_doctor_offers_what_is_not_installed(monkeypatch):
    from importlib import metadata

    from typer.testing import CliRunner

    from cme.cli.main import app

    version = metadata.version

    def without(name):
        if name == "matplotlib":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    rows = json.loads(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    states = {row["what"]: row for row in rows}
    assert states["matplotlib"]["state"] == "optional" and install_line("plots") in states["matplotlib"]["detail"]
    assert states["vl-convert-python"]["state"] == "ok"


def test_a_package_that_is_there_but_broken_is_no_missing_extra(monkeypatch, tmp_path):
    (tmp_path / "half_installed.py").write_text("import something_that_nobody_has")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="something_that_nobody_has"):
        need("half_installed", extra="plots", for_="A test")
    with pytest.raises(
        MissingExtraError, match=r"^A test needs nobody_has_it, which is not installed. Install it with: pip install"
    ):
        need("nobody_has_it", extra="plots", for_="A test")


def test_other_errors_are_not_taken_for_a_missing_extra():
    with pytest.raises(CMEError, match="something else"), optional("Nothing."):
        raise CMEError("something else")


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for extra, (package, _, _) in EXTRAS.items():
        assert any(line.startswith(package) for line in extras[extra])
        assert not any(line.startswith(package) for line in project["dependencies"])
    for name, lines in extras.items():
        assert set(lines) <= set(extras["dev"]), f"dev lacks packages of {name}"


def test_constraints_hold_every_package_that_is_installed_by_name():
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = [Requirement(line) for line in (ROOT / "constraints.txt").read_text().splitlines() if line[:1].isalnum()]
    versions = {canonicalize_name(pin.name): next(iter(pin.specifier)).version for pin in pins}
    for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), line
