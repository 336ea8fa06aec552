"""The line of tuned LoRA in the plots of the page, in headless Chromium."""

import pytest

from cme.leaderboard import load_entries, load_paper, make_standing
from cme.leaderboard.rendering.page import render_page
from tests.leaderboard.rendering.page.chromium import Page
from tests.leaderboard.tuned import ROW, tuned_rows
from tests.leaderboard.workshop import Workshop

pytestmark = pytest.mark.long

LABEL = "lora (best of 6 runs)"


@pytest.fixture
def tuned(browser, tmp_path):
    entries = tuned_rows(Workshop(tmp_path)).entries
    path = tmp_path / "index.html"
    standing = make_standing(load_entries(entries), entries, resamples=200)
    path.write_text(render_page(standing, entries, load_paper()), encoding="utf-8")
    page = Page(browser, path)
    yield page
    assert page.console() == []


@pytest.mark.parametrize("plot", ["cost-plot", "forest-plot"])
def test_the_line_has_a_label_and_a_legend_in_both_themes(tuned, plot):
    colours = []
    for theme in ("light", "dark"):
        if tuned.run("return document.documentElement.dataset.theme") != theme:
            tuned.click("#theme")
        tuned.draw(plot)
        tuned.wait(
            f"return [...document.querySelectorAll('#{plot} svg text')].some((text) => text.textContent === '{LABEL}')"
        )
        texts = tuned.run(f"return [...document.querySelectorAll('#{plot} svg text')].map((text) => text.textContent)")
        assert texts.count(LABEL) == 2, "once beside the line and once in the legend"
        lines = tuned.run(
            f"return [...document.querySelectorAll('#{plot} svg .mark-rule line')].filter((line) => "
            "line.getAttribute('stroke-dasharray') === '9,4').map((line) => line.getAttribute('stroke'))"
        )
        assert len(lines) == 1
        colours += lines
        caption = tuned.find(f"#{plot.replace('plot', 'caption')}").text
        assert "The long-dashed line shows LoRA with the learning rate and settings that a grid chose." in caption
    assert len(set(colours)) == 2, "each theme has its own colour"


def test_its_label_is_at_the_other_end_than_that_of_the_base(browser, tmp_path):
    """The two lines can have the same height."""
    workshop = tuned_rows(Workshop(tmp_path))
    workshop.reference("base", 0.6, names=ROW["names"])
    path = tmp_path / "index.html"
    standing = make_standing(load_entries(workshop.entries), workshop.entries, resamples=200)
    path.write_text(render_page(standing, workshop.entries, load_paper()), encoding="utf-8")
    page = Page(browser, path)
    page.draw("cost-plot")
    left, right = (
        page.run(
            "const of = (text) => text.getBoundingClientRect();"
            "const plot = of(document.querySelector('#cost-plot svg'));"
            "const texts = [...document.querySelectorAll('#cost-plot svg .mark-text text')];"
            "const box = of(texts.find((text) => text.textContent === arguments[0]));"
            "return (box.left + box.right) / 2 < (plot.left + plot.right) / 2",
            label,
        )
        for label in ("base", LABEL)
    )
    assert left and not right
