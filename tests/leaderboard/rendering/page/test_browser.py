"""The page in a real browser: headless Chromium, from a file, without any server."""

import json
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

import cme
from cme.leaderboard import load_paper
from cme.leaderboard.rendering.page import render_page
from cme.leaderboard.rendering.page.render import LIMIT
from tests.leaderboard.pages import standing_of
from tests.leaderboard.rendering.page.boards import many_rows, six_rows
from tests.leaderboard.rendering.page.chromium import Page

pytestmark = pytest.mark.long

TRICK = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'>"


def test_rows_are_ranked_and_references_stand_at_the_foot(shown, board):
    standing, _ = board
    assert shown.names("ranking-table")[0] == "teamlora"
    assert set(shown.names("ranking-table")) == {entry.name for entry in standing.rows}
    assert set(shown.names("ranking-table", "tbody.rest")[1:]) == {"base-3-shots", "majority"}
    header = shown.find("#ranking-table thead th:nth-child(3)")
    assert header.get_attribute("aria-sort") == "descending"


def test_a_table_sorts_by_a_column_both_ways(shown):
    header = "#ranking-table thead th:nth-child(2)"
    shown.click(f"{header} button")
    assert shown.names("ranking-table") == sorted(shown.names("ranking-table"))
    assert shown.find(header).get_attribute("aria-sort") == "ascending"
    shown.click(f"{header} button")
    assert shown.names("ranking-table") == sorted(shown.names("ranking-table"), reverse=True)
    assert shown.find("#ranking-table thead th:nth-child(3)").get_attribute("aria-sort") == "none"


def test_a_table_sorts_by_the_keyboard(shown):
    shown.find("#families-table thead th:nth-child(3) button").send_keys(Keys.ENTER)
    assert shown.find("#families-table thead th:nth-child(3)").get_attribute("aria-sort") == "descending"
    scores = [float(line[2]) for line in shown.cells("families-table")]
    assert scores == sorted(scores, reverse=True)


def test_what_is_absent_comes_last_in_both_directions(shown):
    for _ in range(2):
        shown.click("#ranking-table thead th:nth-child(9) button")
        assert shown.names("ranking-table")[-3:] == ["moslora", "lora", "base"]


def test_soft_averages_and_the_families_that_carry_information(shown, board):
    standing, _ = board
    header = shown.run(
        "return [...document.querySelectorAll('#ranking-table thead th')].map((th) => th.textContent.trim())"
    )
    at = next(k for k, label in enumerate(header) if label.startswith("Soft average"))
    soft = {line[1]: line[at] for line in shown.cells("ranking-table")}
    assert soft["teamlora"].startswith(f"{standing.soft.averages['teamlora'].value:.2f} ")
    cells = {line[0]: line[1:] for line in shown.cells("information-table", "tbody")}
    average = standing.information.average
    assert len(cells) == 1 + len(standing.families)
    assert cells["all families (the average)"][:6] == [
        f"{value:.2f}"
        for signal in (average.score, average.soft)
        for value in (signal.ratio, signal.rows, signal.seeds)
    ]
    marks = shown.run("return [...document.querySelectorAll('#families-table thead th')].map((th) => th.textContent)")
    assert sum("*" in label for label in marks) == len(standing.information.uninformative)
    assert shown.find("#families-limits").is_displayed() == bool(standing.information.uninformative)


def test_a_filter_changes_every_table_and_plot(shown):
    shown.draw("forest-plot")
    shown.find("#filter").send_keys("hydra")
    for table in ("ranking-table", "families-table", "datasets-table", "dataset-table"):
        assert shown.names(table) == ["hydralora"]
    assert shown.find("#shown").text == "1 of 8 rows"
    shown.wait("return !document.querySelector('#forest-plot svg').textContent.includes('moelora')")
    assert "hydralora" in shown.find("#forest-plot svg").get_attribute("textContent")
    shown.find("#filter").send_keys(" nothing")
    assert "No row matches the filter." in shown.find("#ranking-table").text


def test_methods_and_references_can_be_left_out(shown):
    shown.click("#references")
    assert shown.names("ranking-table", "tbody.rest") == []
    shown.choose("method", "moelora")
    assert shown.names("ranking-table") == ["moelora"]


def test_differences_are_to_the_chosen_row(shown, board):
    standing, _ = board
    shown.draw("forest-plot")
    shown.choose("baseline", "moelora")
    assert shown.find("#baseline-name").text == "moelora"
    shown.click("#differences summary")
    lines = shown.cells("forest-table")
    expected = {item.first: item for item in standing.comparison.against("moelora")}
    assert {line[0] for line in lines} == set(expected)
    for name, value, interval, p, significant in lines:
        item = expected[name]
        assert value == f"{item.value:+.2f}".replace("-", "−")
        assert interval == f"{item.low:+.2f} to {item.high:+.2f}".replace("-", "−")
        assert significant == ("yes" if item.significant else "no")
        assert p == ("≤ 0.0001" if item.p_adjusted < 1e-4 else f"{item.p_adjusted:.4f}")
    assert {line[4] for line in lines} == {"yes", "no"}


def test_cells_show_differences_to_the_chosen_row(shown):
    scores = {line[0]: float(line[2]) for line in shown.cells("families-table")}
    Select(shown.find("#families select.shade")).select_by_value("difference")
    row = shown.names("families-table").index("teamlora")
    cell = shown.find(f"#families-table tbody:not(.rest) tr:nth-child({row + 1}) > :nth-child(3)")
    assert float(cell.text) == pytest.approx(scores["teamlora"] - scores["lora"], abs=0.011)
    assert "more" in cell.get_attribute("class")


@pytest.mark.parametrize("axis", ["trainable parameters", "training time", "a training step", "a generated token"])
def test_costs_can_be_chosen(shown, axis):
    shown.draw("cost-plot")
    options = shown.run("return [...document.querySelectorAll('#cost-axis option')].map((o) => o.textContent)")
    (label,) = [option for option in options if axis in option]
    shown.choose("cost-axis", label)
    shown.wait(f"return document.querySelector('#cost-plot svg')?.textContent.includes({json.dumps(label[:30])})")
    assert shown.plotted("cost-plot")
    text = shown.find("#cost-plot svg").get_attribute("textContent")
    assert "teamlora" in text


@pytest.mark.parametrize("width", [1280, 360])
def test_names_in_the_plot_cover_no_other_name(browser, width):
    """On the committed demo board, whose rows lie close together."""
    page = Page(browser, Path(cme.__file__).parents[1] / "leaderboards" / "demo" / "index.html")
    metrics = {"width": width, "height": 740, "deviceScaleFactor": 1, "mobile": width < 500}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    page.driver.refresh()
    page.draw("cost-plot")
    names = {"lora", "adalora", "moslora", "moelora", "hydralora", "teamlora"}
    boxes = page.run(
        "return [...document.querySelectorAll('#cost-plot .mark-text text')].filter((text) => !text.closest('.role-legend'))"
        ".map((text) => [text.textContent, text.getBoundingClientRect().toJSON()])"
    )
    assert {name for name, _ in boxes} & names == names
    for (_, one), (_, other) in combinations([box for box in boxes if box[0] in names], 2):
        assert (
            one["right"] <= other["left"]
            or other["right"] <= one["left"]
            or one["bottom"] <= other["top"] + 2
            or other["bottom"] <= one["top"] + 2
        )
    assert page.console() == []


def test_a_dataset_opens_with_its_samples_and_the_command_that_shows_one(shown):
    shown.click("#datasets-table thead tr.open td:nth-child(5) button")
    assert shown.find("#dataset option:checked").get_attribute("textContent") == "anli"
    assert shown.find("#dataset-facts").text.startswith("anli: ")
    assert shown.names("dataset-table")[0] == "teamlora"
    shown.choose("sample-filter", "B better than A")
    shown.choose("row-a", "base")
    shown.choose("row-b", "teamlora")
    number = {"✓": 1.0, "✗": 0.0}
    scores = [
        [number[text] if text in number else float(text) for text in line[1:3]] for line in shown.cells("samples-table")
    ]
    assert scores
    assert all(a < b for a, b in scores)
    sample = shown.find("#samples-table tbody th").text
    shown.click("#samples-table tbody button")
    commands = [item.text for item in shown.driver.find_elements("css selector", "#samples-table .command code")]
    assert commands == [
        f"cme show --dataset anli --source mini --id {sample}",
        f"cme show results/base --dataset anli --id {sample}",
    ]
    assert "teamlora" in shown.find("#samples-table .sample").text
    folder = shown.find("#folder")
    folder.clear()
    folder.send_keys("my results")
    (_, answers) = shown.driver.find_elements("css selector", "#samples-table .command code")
    assert answers.text.startswith("cme show 'my results' --dataset anli")


def test_a_sample_of_the_mini_corpus_shows_its_text(browser, mini_page, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(mini_page, encoding="utf-8")
    page = Page(browser, path)
    data = json.loads(page.run("return document.getElementById('data').textContent"))
    for name, kind in (("qqp", "li"), ("squad_v2", "p")):
        page.choose("dataset", name)
        sample = page.find("#samples-table tbody th").text
        page.click("#samples-table tbody button")
        place = data["samples"]["datasets"][name]["ids"].index(sample)
        prompt, options, gold, accepted = data["samples"]["texts"][name][place]
        assert page.find("#samples-table pre").get_attribute("textContent") == prompt
        right = options[gold] if options else accepted[0] or "(no answer)"
        texts = [item.text for item in page.driver.find_elements("css selector", f"#samples-table .sample {kind}")]
        assert any(right.strip() in text and ("right" in text or "Accepted" in text) for text in texts)
        assert (
            page.find("#samples-table .command code").text
            == f"cme show results/majority --dataset {name} --id {sample}"
        )
    assert page.console() == []


def test_a_plot_without_points_leaves_no_gap(browser, mini_page, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(mini_page, encoding="utf-8")
    page = Page(browser, path)
    for plot in ("cost-plot", "forest-plot"):
        page.run("document.getElementById(arguments[0]).scrollIntoView({behavior: 'instant'})", plot)
        page.wait(f"return document.getElementById('{plot}').offsetHeight === 0")
    assert "needs two rows and a tier above smoke" in page.find("#forest-caption").text
    assert page.console() == []


def test_a_row_opens_with_its_runs_and_settings_and_closes_by_the_keyboard(shown):
    shown.click("#ranking-table tbody th button")
    assert shown.find("#details-title").text == "teamlora"
    assert len(shown.run("return [...document.querySelectorAll('#details tbody tr')]")) == 3
    assert '"experts": 4' in shown.find("#details-body").text
    shown.find("#details-close").send_keys(Keys.ESCAPE)
    assert shown.run("return !document.getElementById('details').open")


def test_partial_baselines_stand_where_they_have_scores(browser, partial_board, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(render_page(standing_of(partial_board), partial_board.entries, load_paper()), encoding="utf-8")
    shown = Page(browser, path)
    assert "lead-1" not in shown.names("ranking-table", "tbody")
    assert shown.names("families-table", "tbody.rest")[-1:] == ["lead-1"]
    assert shown.names("datasets-table", "tbody.rest")[-2:] == ["lead-1", "unanswerable"]
    for dataset, partial in (("cnn_dailymail", ["lead-1"]), ("squad_v2", ["unanswerable"]), ("qqp", [])):
        shown.choose("dataset", dataset)
        found = shown.names("dataset-table", "tbody.rest")
        assert [name for name in found if name in ("lead-1", "unanswerable")] == partial
    Select(shown.find("#datasets select.shade")).select_by_value("difference")
    shown.draw("cost-plot")
    shown.click("#datasets-table tbody:last-child tr:last-child th button")
    assert shown.find("#details-title").text == "unanswerable"
    shown.click("#details-close")
    shown.click("#references")
    assert shown.names("datasets-table", "tbody.rest") == []
    assert shown.console() == []


def test_tricks_of_an_entry_are_shown_as_text(browser, tmp_path):
    settings = {"rank": 8, "target_modules": TRICK, "options": {TRICK: TRICK}}
    tricks = {"method": TRICK, "settings": settings, "recipe": {"schedule": TRICK}, "base": TRICK}
    standing, entries_dir = six_rows(tmp_path, seeds=(0,), names=("imdb", "anli"))
    rows = (standing.rows[0].replace(**tricks), *standing.rows[1:])
    path = tmp_path / "index.html"
    path.write_text(render_page(replace(standing, rows=rows), entries_dir, load_paper()), encoding="utf-8")
    page = Page(browser, path)
    page.draw("cost-plot")
    page.draw("forest-plot")
    assert TRICK in page.find("#ranking-table").get_attribute("textContent")
    assert TRICK in page.find(".facts").get_attribute("textContent")
    page.click("#ranking-table tbody th button")
    assert TRICK in page.find("#details-body").get_attribute("textContent")
    assert page.run("return window.hacked === undefined && document.images.length === 0")
    assert page.run("return document.scripts.length") == 3
    assert page.console() == []


def test_two_hundred_rows(browser, tmp_path):
    board = many_rows(tmp_path)
    text = render_page(*board, load_paper())
    assert len(text.encode()) < LIMIT
    path = tmp_path / "index.html"
    path.write_text(text, encoding="utf-8")
    page = Page(browser, path)
    ready = page.run("return performance.getEntriesByName('cme-interactive')[0].startTime")
    print(f"\n200 rows: {len(text.encode()):,} bytes, {ready:.0f} ms to interactive")
    assert len(page.names("ranking-table")) == 200
    page.draw("cost-plot")
    page.draw("forest-plot")
    page.choose("baseline", page.names("ranking-table")[0])
    page.find("#filter").send_keys("variant-01")
    assert len(page.names("ranking-table")) == 10
    page.click("#samples-table tbody button")
    commands = page.driver.find_elements("css selector", "#samples-table .command code")
    assert [item.text.partition(" --dataset")[0] for item in commands] == [
        "cme show",
        "cme show results/" + page.run("return document.querySelector('#row-a option:checked').textContent"),
    ]
    assert page.console() == []
    assert page.requests() <= {path.as_uri(), "data:,"}
