"""The comparison of two checkouts: its commands and its output. The tests do not assert speeds."""

import json

import pytest
from typer.testing import CliRunner

from benchmarks.versions import HERE, Case, app, measure_versions
from cme.errors import CMEError


@pytest.fixture
def older(tmp_path):
    """Create a checkout whose ``cme`` takes long to import."""
    package = tmp_path / "older" / "cme"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import time\ntime.sleep(0.5)\n")
    return package.parent


def test_each_side_runs_its_own_sources(older, tmp_path):
    (ratio,) = measure_versions(older, [Case("import", ("-c", "import cme"))], tmp_path / "work", rounds=6)
    assert (ratio.mode, ratio.case, ratio.reference, ratio.rounds) == ("import", "now", "before", 6)
    assert ratio.interval is not None and ratio.quartiles.median < 1


def test_a_command_that_fails_is_shown(older, tmp_path):
    with pytest.raises(CMEError, match="ZeroDivisionError") as caught:
        measure_versions(older, [Case("broken", ("-c", "import cme; 1 / 0"))], tmp_path / "work", rounds=2)
    assert str(HERE) in str(caught.value)


def test_the_command(older, tmp_path):
    done = CliRunner().invoke(app, ["--before", str(older), "--cases", "import", "--rounds", "2", "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["ratios"][0]["mode"] == "import"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["--cases", "trian"], "Did you mean 'train'"), (["--before", "/nowhere"], "is not a checkout of CME")],
)
def test_what_it_refuses(older, arguments, message):
    done = CliRunner().invoke(app, ["--before", str(older), *arguments])
    assert done.exit_code == 2 and message in done.output
