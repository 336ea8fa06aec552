"""What every verb does with errors."""

import json

import pytest
import typer
from typer.testing import CliRunner

from cme.cli.app import verb
from cme.errors import CMEError, UsageError


@pytest.mark.parametrize(("error", "code"), [(CMEError("wrong"), 1), (UsageError("wrong"), 2)])
@pytest.mark.parametrize(("rank", "said"), [("0", ["cme: wrong"]), ("1", ["waits", "cme: wrong"])])
def test_of_several_processes_the_first_tells_an_error(monkeypatch, error, code, rank, said):
    """The others give torchrun time to end them, and tell it if they are still alive: then they have failed alone."""
    found = []
    monkeypatch.setenv("RANK", rank)
    monkeypatch.setattr("cme.cli.app.time.sleep", lambda seconds: found.append("waits"))
    monkeypatch.setattr("cme.cli.app.note", found.append)
    own = typer.Typer()

    @verb("fail", to=own)
    def fail():
        raise error

    assert CliRunner().invoke(own, []).exit_code == code
    assert found == said


def test_earlier_names_of_options_work_and_are_not_shown(cme, tmp_path):
    from cme.cli.app import EARLIER

    example = ("show", "--dataset", "qqp", "--n", "1", "--source", "mini", "--json")
    now, then = cme(*example, "--prompt-variant", "3"), cme(*example, "--wording=3")
    assert now.exit_code == then.exit_code == 0 and now.stdout == then.stdout
    build = ("build-data", "--source", "mini", "--size", "40", "--datasets", "rte", "--workers", "1")
    assert cme(*build, "--no-gate", "--paraphrase-share", "0", "--out", tmp_path / "mix").exit_code == 0
    assert json.loads((tmp_path / "mix" / "manifest.json").read_text())["paraphrase_share"] == 0
    for name in ("eval", "show", "score", "submit", "build-data"):
        shown = cme(name, "--help").stdout
        assert not [option for option in EARLIER if f" {option} " in shown or f" {option}/" in shown]


def test_an_unknown_option_is_still_unknown(cme):
    assert "--wording" in cme("ls", "--wording", "3").stderr
