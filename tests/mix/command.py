"""The command line in this process."""

from typing import Any

from click.testing import Result
from typer.testing import CliRunner

from cme.cli.main import app


def cme(*arguments: Any) -> Result:
    """Run a command: ``cme("verify", mix)`` → exit_code, stdout, stderr."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
