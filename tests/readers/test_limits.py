from pathlib import Path

from cme.readers.limits import limits_table

DOCS = Path(__file__).resolve().parents[2] / "docs" / "limits.md"


def test_the_documentation_states_the_limits():
    text = DOCS.read_text(encoding="utf-8")
    table = text.split("<!-- limits -->\n")[1].split("\n<!-- /limits -->")[0]
    assert table == limits_table(), "run: python -m cme.readers.limits"
