"""What every verb does with errors."""

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
