"""Templates: a name that nobody gives is an error, and text from others stays text."""

from pathlib import Path

import jinja2
import pytest

import cme
from cme.templates import environment, render_markdown

TEMPLATES = sorted(Path(cme.__file__).parent.rglob("*.j2"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_without_its_values_is_an_error(path):
    made = environment(path.parent, autoescape=".html" in path.name)
    template = made.get_template(path.name)
    assert template.filename == str(path)
    if path.name not in ("experts.html.j2", "loading_model.md.j2"):  # they have no names
        with pytest.raises(jinja2.UndefinedError):
            template.render()


def test_html_is_escaped_and_markdown_is_put_between_ticks(tmp_path):
    for name in ("x.html.j2", "x.md.j2"):
        (tmp_path / name).write_text("{{ text }} {{ text|code }}\n")
    page = environment(tmp_path, autoescape=True).get_template("x.html.j2").render(text="<b>`x`")
    assert "<b>" not in page and "&lt;b&gt;" in page
    assert render_markdown(tmp_path / "x.md.j2", {"text": "a`b"}) == "a`b ``a`b``\n"
