"""The page's section about experts, as data and in headless Chromium."""

from dataclasses import replace

import pytest
from selenium.webdriver.common.keys import Keys

from cme.leaderboard import load_paper
from cme.leaderboard.rendering.page import render_page
from cme.leaderboard.rendering.page.experts import page_experts
from cme.leaderboard.rendering.page.render import LIMIT
from cme.records import Share
from tests.leaderboard.analyses import analysed_row
from tests.leaderboard.pages import standing_of
from tests.leaderboard.rendering.page.chromium import Page
from tests.leaderboard.rendering.page.test_accessibility import CONTRAST
from tests.leaderboard.rendering.page.test_page import Scripts, values
from tests.leaderboard.workshop import Workshop

NAMES = ("qqp", "anli", "nq_open", "mmlu", "imdb", "rte")


@pytest.fixture(scope="module")
def routed(tmp_path_factory):
    """A base, a LoRA, a MoELoRA with one analysis and a TeamLoRA with two."""
    workshop = Workshop(tmp_path_factory.mktemp("routed"))
    workshop.reference("base", 0.4, names=NAMES)
    workshop.row("lora", "lora", 0.6, settings={"rank": 8}, names=NAMES)
    analysed_row(workshop, "moelora", "moelora", 0.6, names=NAMES)
    analysed_row(workshop, "team", "teamlora", 0.7, seeds=(0, 1), names=NAMES)
    return workshop


@pytest.fixture(scope="module")
def text(routed):
    return render_page(standing_of(routed), routed.entries, load_paper())


@pytest.fixture
def lab(browser, text, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(text, encoding="utf-8")
    shown = Page(browser, path)
    yield shown
    assert shown.console() == [] and shown.requests() <= {path.as_uri(), "data:,"}


def test_the_data_are_those_of_the_entries(routed, text):
    standing = standing_of(routed)
    data = values(text)["experts"]
    assert [standing.entries[item["row"]].name for item in data["adapters"]] == ["team", "team", "moelora"]
    assert [item["seed"] for item in data["adapters"]] == [0, 1, 0] and data["left_out"] == 0
    team = next(row for row in standing.rows if row.name == "team").runs[1].experts
    item = data["adapters"][1]
    assert item["shapley"]["values"][2][0] == pytest.approx(team.shapley.average.values[2].value, abs=1e-4)
    assert len(item["load"]["subjects"]) == 57 and len(item["shapley"]["datasets"]) == len(NAMES)
    name, _, points = item["shapley"]["datasets"][0]
    stated = next(of for of in team.shapley.datasets if of.name == name).values[1]
    assert points[1] == pytest.approx([stated.value, stated.low, stated.high], abs=1e-4)
    masks = {(mask["kind"], mask["expert"]): mask for mask in item["masks"]}
    assert len(masks) == 12 and masks["drop", 3]["gain"][0] > masks["keep", 3]["gain"][0]
    assert masks["base", None]["gain"] == [0, 0, 0] and masks["all", None]["gain"][0] == 100


def test_undefined_shares_are_no_numbers_of_the_page(routed):
    standing = standing_of(routed)
    row = next(row for row in standing.rows if row.name == "moelora")
    wild = dict.fromkeys(("average", "chance_normalised", "soft"), Share(value=-10.0, low=None, high=None))
    experts = row.runs[0].experts
    masks = tuple(item.replace(share_of_gain=wild) for item in experts.redundancy)
    row = row.replace(runs=(row.runs[0].replace(experts=experts.replace(redundancy=masks)),))
    data = page_experts(
        replace(standing, rows=tuple(row if other.name == row.name else other for other in standing.rows))
    )
    assert all(mask["gain"] == [None, None, None] for mask in data["adapters"][2]["masks"])
    assert [item["undefined"] for item in data["rows"]] == [False, True]


def test_adapters_that_do_not_fit_are_counted(routed):
    standing = standing_of(routed)
    whole = page_experts(standing)
    one = page_experts(standing, budget=8000)
    assert 0 < len(one["adapters"]) < 3 and len(one["adapters"]) + one["left_out"] == 3
    assert one["rows"] == whole["rows"]


def test_the_page_is_small_and_boards_without_analyses_have_no_section(text, page):
    assert len(text.encode()) <= LIMIT
    assert any(attributes.get("id") == "experts" for _, attributes in Scripts(text).tags)
    assert not any(attributes.get("id") == "experts" for _, attributes in Scripts(page).tags)
    assert "experts" not in values(page) and "masks-plot" not in page


def tint(lab):
    """The strengths of the colours of a line of the heat map."""
    return lab.run(
        "const line = [...document.querySelectorAll('#load-map tbody tr')].find((tr) => tr.cells[0].textContent === 'subject 7');"
        "return [...line.querySelectorAll('td')].map((td) => Number(td.style.getPropertyValue('--t')));"
    )


@pytest.mark.long
def test_tables_show_the_chosen_adapter(lab, routed):
    team = next(row for row in standing_of(routed).rows if row.name == "team").runs[1].experts
    assert sorted(lab.names("use-table")) == ["moelora", "team"]
    lab.choose("adapter", "team, seed 1")
    cells = {line[0]: line[1:] for line in lab.cells("load-map")}
    assert len(cells) == 57
    assert cells["subject 7"] == [f"{100 * share:.1f}" for share in team.load.subjects["subject_7"]]
    legend, tints = lab.find("#load-high").text, tint(lab)
    assert "one scale for all adapters with 4 experts; an even load is 25.0 %" in legend
    loads = [run.experts.load for row in standing_of(routed).rows for run in row.runs if run.experts]
    highest = max(
        phi for load in loads for of in (load.subjects, load.datasets) for line in of.values() for phi in line
    )
    assert tints == [round(42 * share / max(highest, 0.5)) for share in team.load.subjects["subject_7"]]
    lab.choose("load-groups", "datasets")
    assert set(lab.names("load-map")) == {name.replace("_", " ") for name in NAMES}
    worth = {line[0]: line[1:] for line in lab.cells("values-table")}
    assert worth["0"][0].startswith(f"{team.shapley.average.values[0].value:.2f} ")
    lab.choose("adapter", "moelora")
    assert "moelora" in lab.find("#values-table caption").text and lab.find("#load-high").text == legend


@pytest.mark.long
def test_plots_are_drawn_again_for_another_adapter_and_measure(lab):
    for plot in ("masks-plot", "agreement-plot"):
        lab.draw(plot)
    assert len(lab.plotted("agreement-plot")) == 4 * len(NAMES)
    assert "% of the gain over the base" in lab.find("#masks-caption").text
    assert "share of the gain" in lab.find("#masks-plot svg").get_attribute("textContent")
    lab.choose("masks-measure", "CME average (points)")
    lab.wait("return document.querySelector('#masks-plot svg').textContent.includes('CME average')")
    before = lab.find("#agreement-caption").text
    lab.choose("adapter", "moelora")
    assert lab.find("#agreement-caption").text != before
    for table, lines in (("masks-table", 12), ("agreement-table", 4 * len(NAMES))):
        lab.click(f"details:has(#{table}) summary")
        assert len(lab.cells(table)) == lines
    assert all(
        lab.run("return [...document.querySelectorAll('#experts .plot svg')].map((svg) => svg.parentElement.ariaLabel)")
    )


@pytest.mark.long
def test_the_section_is_usable_by_keyboard_and_follows_the_filter(lab):
    header = "#load-map thead th:nth-child(3)"
    lab.find(f"{header} button").send_keys(Keys.ENTER)
    assert lab.find(header).get_attribute("aria-sort") == "descending"
    shares = [float(line[2]) for line in lab.cells("load-map")]
    assert shares == sorted(shares, reverse=True)
    lab.find("#adapter").send_keys(Keys.ARROW_DOWN)
    assert "team, seed 1" in lab.find("#values-table caption").text
    lab.find("#filter").send_keys("moe")
    assert lab.names("use-table") == ["moelora"]
    lab.click("#use-table tbody button")
    assert lab.find("#details-title").text == "moelora"


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_heat_map_has_enough_contrast(lab, scheme):
    lab.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    lab.driver.refresh()
    weak = lab.run(CONTRAST)
    nameless = lab.run(
        "return [...document.querySelectorAll('#experts select')].filter((node) => !node.labels[0].textContent).length"
    )
    captions = lab.run("return [...document.querySelectorAll('#experts table')].filter((t) => !t.caption).length")
    lab.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert (weak, nameless, captions) == ([], 0, 0)


@pytest.mark.long
def test_the_section_fits_a_phone(lab):
    lab.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True}
    )
    lab.driver.refresh()
    for plot in ("masks-plot", "agreement-plot"):
        lab.draw(plot)
    assert lab.run("return document.documentElement.scrollWidth") <= 360
    lab.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
