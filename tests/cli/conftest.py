import pytest
from typer.testing import CliRunner

from cme.cli.main import app


@pytest.fixture
def cme():
    """Run a command in this process: ``cme("ls", "datasets")`` → result with exit_code, stdout, stderr."""
    runner = CliRunner()

    def run(*arguments):
        return runner.invoke(app, [str(argument) for argument in arguments])

    return run
