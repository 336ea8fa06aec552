"""The worked examples of docs/comparing.md are what the commands print."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cme
from cme.cli.main import app

ROOT = Path(cme.__file__).parents[1]
PAGE = ROOT / "docs" / "comparing.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="not in a checkout")


def test_the_examples_are_what_the_commands_print(monkeypatch):
    monkeypatch.chdir(ROOT)
    examples = re.findall(
        r"```bash\ncme ([^\n]*)\n```\n\n```text\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
    )
    assert [command.split()[0] for command, _ in examples] == ["compare", "plan"]
    for command, shown in examples:
        done = CliRunner().invoke(app, command.split())
        assert done.exit_code == 0, done.stderr
        # The demo board may have changed: run the command, and put its output into the page.
        assert done.stdout.rstrip() == shown, f"docs/comparing.md shows another output of: cme {command}"
