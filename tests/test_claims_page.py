"""The differences in docs/claims.md are those of the committed boards."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

import cme

ROOT = Path(cme.__file__).parents[1]
PAGE = ROOT / "docs" / "claims.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="not in a checkout")

PAIRS = {
    "TeamLoRA scores higher than MoELoRA of equal size": ("teamlora", "moelora"),
    "The same with gate weights as in the released code": ("teamlora-released", "moelora"),
    "The same with gate weights that sum to 1": ("teamlora-normalised", "moelora"),
    "TeamLoRA scores higher than HydraLoRA": ("teamlora", "hydralora"),
    "TeamLoRA scores higher than LoRA of equal size": ("teamlora", "lora"),
    "MoELoRA scores higher than LoRA of equal size": ("moelora", "lora"),
    "HydraLoRA scores lower than MoELoRA": ("hydralora", "moelora"),
    "MoSLoRA scores about as much as MoELoRA": ("moslora", "moelora"),
    "AdaLoRA scores about as much as LoRA of rank 128": ("adalora", "lora"),
}


def differences(board):
    """The differences of a board by pair, in both directions, as ``-1.23 [-7.28, 4.82]``."""
    found = {}
    for item in cme.load_board(ROOT / "leaderboards" / board).pairs().itertuples():
        found[item.first, item.second] = f"{item.difference:.2f} [{item.low:.2f}, {item.high:.2f}]"
        found[item.second, item.first] = f"{-item.difference:.2f} [{-item.high:.2f}, {-item.low:.2f}]"
    return found


def cells(text, title):
    """The cells of the rows of a section's table by the first cell, with plain signs."""
    section = text.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0].replace("−", "-").replace("+", "")
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return {cell.strip(): [value.strip() for value in rest] for cell, *rest in rows}


@pytest.fixture(scope="module")
def boards():
    return {board: differences(board) for board in ("demo", "sample")}


def test_the_table_of_scores_is_that_of_the_boards(boards):
    found = cells(PAGE.read_text(encoding="utf-8"), "Scores")
    measured = {claim for claim, values in found.items() if re.match(r"-?\d+\.\d+ \[", values[1])}
    assert measured == set(PAIRS)
    for claim, pair in PAIRS.items():
        _, demo, sample, _ = found[claim]
        assert (demo.split(" against ")[0], sample.split(" against ")[0]) == (
            boards["demo"][pair],
            boards["sample"][pair],
        )


def test_the_effect_of_competition_is_that_of_the_boards(boards):
    found = cells(PAGE.read_text(encoding="utf-8"), "Parts of TeamLoRA")["Competition raises the score of MoELoRA"]
    pair = ("teamlora-normalised", "moelora")
    study = "teamlora-ablation-competition-{}-gate-sum-1"
    ablation = differences("studies/studies/ablation")[study.format("on"), study.format("off")]
    measured, of_study = found[1].split("; [study](studies.md#competition): ")
    assert measured == f"demo board: {boards['demo'][pair]}; real rows: {boards['sample'][pair]}"
    assert of_study.startswith(ablation)
    page = " ".join((ROOT / "docs" / "studies.md").read_text("utf-8").split())
    assert f"the difference is {ablation.replace('-', '−')} points" in page


def test_the_effect_of_the_projections_is_that_of_the_study():
    found = differences("studies/studies/targets")
    names = "{}-targets-q-proj-k-proj-v-proj-o-proj", "{}-targets-gate-proj-up-proj-down-proj"
    lora, moelora, teamlora = (
        found[names[0].format(name), names[1].format(name)] for name in ("lora", "moelora", "teamlora")
    )
    page = " ".join((ROOT / "docs" / "studies.md").read_text("utf-8").replace("−", "-").split())
    assert (
        f"Attention minus feed-forward is {lora} points for LoRA, {moelora} for MoELoRA and {teamlora} for TeamLoRA"
        in page
    )
    sizes = sorted({abs(float(text.split()[0])) for text in found.values()})
    assert f"lie between {sizes[0]:.2f} and {sizes[-1]:.2f} points" in page


def test_without_competition_the_runs_are_those_of_moelora():
    """Trained on their own, with the same seeds, on the same machine: the same function and the same scores."""
    studies = ROOT / "leaderboards" / "studies" / "studies"
    off, moelora = (
        {run["seed"]: run["samples_sha256"] for run in json.loads(file.read_text("utf-8"))["runs"]}
        for file in (
            studies / "ablation" / "entries" / "teamlora-ablation-competition-off-gate-sum-1.json",
            studies / "ranks" / "entries" / "moelora-ranks-32.json",
        )
    )
    assert set(off) == {0, 1, 2, 3} and {seed: off[seed] for seed in moelora} == moelora


@pytest.mark.parametrize("study", ["experts-total", "experts-each"])
def test_the_number_of_experts_has_the_differences_of_its_studies(study):
    found = differences(f"studies/studies/{study}")
    expected = [found[f"teamlora-{study}-4", f"teamlora-{study}-{experts}"].replace("-", "−") for experts in (1, 2, 8)]
    row = next(line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| Four experts are better"))
    page = " ".join((ROOT / "docs" / "studies.md").read_text("utf-8").split())
    for difference in expected:
        shown = difference if difference.startswith("−") else f"+{difference}"
        assert shown in row and shown in page
    rises = next(line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| The score rises steadily"))
    assert found[f"teamlora-{study}-2", f"teamlora-{study}-1"].replace("-", "−") in rises


def test_rank_256_has_the_differences_of_its_study():
    found = differences("studies/studies/ranks")
    row = next(
        line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| TeamLoRA and MoELoRA both drop")
    )
    page = " ".join((ROOT / "docs" / "studies.md").read_text("utf-8").split())
    for method in ("teamlora", "moelora"):
        shown = found[f"{method}-ranks-256", f"{method}-ranks-32"].replace("-", "−")
        assert shown in row and shown in page


def test_the_overlap_of_runs_is_that_of_the_analysis():
    with (ROOT / "leaderboards/studies/overlap/run-similarity.csv").open(encoding="utf-8", newline="") as file:
        pairs = list(csv.DictReader(file))
    shown = cells((ROOT / "docs" / "studies.md").read_text("utf-8"), "Overlap of runs on different families")
    kinds = {
        "same family, other seed": (False, True),
        "other family, same seed": (True, False),
        "other family, other seed": (True, True),
    }
    for kind, (family, seed) in kinds.items():
        found = [
            pair for pair in pairs if ("families" in pair["differ in"], "seed" in pair["differ in"]) == (family, seed)
        ]
        assert shown[kind] == [", ".join(pair[f"{matrix}: matched"] for pair in found) for matrix in "AB"]
    assert shown["random spaces"] == [pairs[0]["A: chance"], pairs[0]["B: chance"]]
    page, claims = ((ROOT / "docs" / name).read_text("utf-8").replace("−", "-") for name in ("studies.md", "claims.md"))
    for place in (0, 1):
        same, other = (np.array(shown[kind][place].split(", "), dtype=float) for kind in (*kinds,)[::2])
        half = 12.7062 * np.sqrt((same.var(ddof=1) + other.var(ddof=1)) / 2)  # Student's t with one degree of freedom
        difference = same.mean() - other.mean()
        text = f"{difference:.2f} [{difference - half:.2f}, {difference + half:.2f}]"
        assert text in page and text in claims


def test_the_figures_of_the_studies_are_those_of_their_folders():
    """A copy, because the site has no files outside docs/."""
    figures = [*(ROOT / "docs" / "images").glob("study-*.svg"), *(ROOT / "docs" / "images").glob("rates-*.svg")]
    assert {figure.name for figure in figures} >= {"study-experts-total.svg", "study-ranks.svg", "study-ablation.svg"}
    for figure in figures:
        kind, study = figure.stem.split("-", 1)
        assert figure.read_bytes() == (ROOT / "leaderboards/studies/studies" / study / f"{kind}.svg").read_bytes()


def test_prices_are_those_of_cme_plan():
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(
        r"\| (\d+) seeds of each row for a difference of (\d) points: (\d+) hours .*?--entries ([^`]+)`", text
    )
    assert len(rows) >= 3
    prices = [(entries, float(points), int(seeds), int(hours)) for seeds, points, hours, entries in rows]
    for board, points in (("demo", 0.6), ("sample", 0.6)):
        best = cme.plan(difference=points, entries=ROOT / "leaderboards" / board / "entries").planned.best
        assert f"{best.seeds} seeds of each method with {best.each}" in text.replace("\n", " "), board
        if board == "sample":
            assert f"or {best.hours:.0f} hours on two cores" in text.replace("\n", " ")
    for entries, points, seeds, hours in prices:
        best = cme.plan(difference=points, entries=ROOT / entries).planned.best
        assert (best.seeds, round(best.hours)) == (seeds, hours), entries
