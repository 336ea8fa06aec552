"""The rendered tables: their format, their sentences, and numbers that follow from the per-sample scores."""

import csv
import io
import json
import math
import re

import pytest

from cme.leaderboard import load_entries, load_paper, make_entry, render, write_leaderboard
from cme.leaderboard.ranking.comparison import make_standing
from cme.leaderboard.ranking.numbers import duration, p_value
from cme.leaderboard.rendering.render import FORMATS
from cme.records.samples import read_samples
from cme.suite import datasets
from tests.leaderboard.pages import close, page_of, standing_of, tables
from tests.leaderboard.workshop import make_samples


@pytest.fixture
def page(board) -> str:
    return page_of(board)


def test_tables_are_proper_and_aligned(page):
    assert len(tables(page)) == 20
    for block in re.findall(r"(?:^\|.*\|\n)+", page, flags=re.M):
        lines = block.splitlines()
        assert len({len(line) for line in lines}) == 1
        assert len({line.count("|") for line in lines}) == 1
    assert page.endswith("|\n") and "\n\n\n" not in page and not re.search(r" $", page, flags=re.M)


def _by_cluster(rows):
    groups: dict[str, list[float]] = {}
    for row in rows:
        groups.setdefault(row["cluster"], []).append(row["score"])
    return groups


def _mean(values):
    return sum(values) / len(values)


def _stderr(rows):
    """Cluster-robust standard error, written out: √(C/(C − 1) · Σ_c (Σ_{i in c} (s_i − mean))²) / n."""
    mean = _mean([row["score"] for row in rows])
    groups = _by_cluster(rows)
    total = sum(sum(score - mean for score in scores) ** 2 for scores in groups.values())
    return math.sqrt(len(groups) / (len(groups) - 1) * total) / len(rows)


def _interval(cell: str) -> tuple[float, float]:
    low, high = re.fullmatch(r"-?[\d.]+ \[(-?[\d.]+), (-?[\d.]+)\]", cell).groups()
    return float(low), float(high)


def test_printed_numbers_follow_from_the_samples(board, page):
    main, families, soft, facts, *parts = tables(page)[:16]
    names = [row[0] for row in main[1:]]
    by_dataset = {name: column for part in parts[:11] for column, name in enumerate(part[0]) if column}
    tables_of = {name: part for part in parts[:11] for name in part[0][1:]}
    assert names == [row[0] for row in families[1:]] and list(by_dataset) == [row[0] for row in facts[1:]]
    averages = []
    for place, name in enumerate(names):
        samples = read_samples(board.entries.parent / "samples" / f"{name}.0.parquet")
        per_family: dict[str, list[tuple[float, float, float]]] = {}
        for line in facts[1:]:
            rows = [row for row in samples if row["dataset"] == line[0]]
            value, stderr = _mean([row["score"] for row in rows]), _stderr(rows)
            chance = _mean([1 / row["options"] if row["options"] else 0.0 for row in rows])
            assert line[3:5] == [str(len(rows)), str(len(_by_cluster(rows)))] and close(line[5], 100 * chance)
            cell = tables_of[line[0]][place + 1][by_dataset[line[0]]]
            low, high = _interval(cell)
            assert close(cell, 100 * value) and low < 100 * value < high
            per_family.setdefault(rows[0]["family"], []).append((value, stderr, chance))
        probabilities: dict[str, dict[str, list[float]]] = {}
        for row in samples:
            own = row["gold_probability"] if row["options"] else row["score"]
            probabilities.setdefault(row["family"], {}).setdefault(row["dataset"], []).append(own)
        softly = [100 * _mean([_mean(of) for of in members.values()]) for members in probabilities.values()]
        assert all(close(cell, value) for cell, value in zip(soft[place + 1][1:], softly, strict=True))
        values, errors, normalised = [], [], []
        for cell, members in zip(families[place + 1][1:], per_family.values(), strict=True):
            values.append(100 * _mean([value for value, _, _ in members]))
            errors.append(100 * math.sqrt(sum(stderr**2 for _, stderr, _ in members)) / len(members))
            normalised.append(100 * _mean([(value - chance) / (1 - chance) for value, _, chance in members]))
            assert close(cell, values[-1])
        average, stderr = _mean(values), math.sqrt(sum(error**2 for error in errors)) / len(errors)
        plain = [value for family, value in zip(per_family, values, strict=True) if family != "text_summarization"]
        shown = dict(zip(main[0], main[place + 1], strict=True))
        low, high = _interval(shown["CME average"])
        # Student's t with the clusters of 22 datasets behind it: between the normal's 1.96 and 2.1.
        assert close(shown["CME average"], average) and 1.9 < (high - low) / 2 / stderr < 2.15
        assert close(shown["soft average"], _mean(softly)) and _interval(shown["soft average"])[0] < _mean(softly)
        assert close(shown["chance-normalised"], _mean(normalised)) and close(shown["without ROUGE"], _mean(plain))
        averages.append(average)
    assert averages == sorted(averages, reverse=True)


def test_a_tiny_case_by_hand(workshop):
    """Four rows in two clusters, scores 1 1 | 1 0: mean 3/4. Two options: chance 1/2, so (3/4 - 1/2) / (1/2) = 1/2."""
    rows = make_samples(1.0, "tiny", rows=4, names=("qqp",))
    for row, cluster, right in zip(rows, "aabb", (True, True, True, False), strict=True):
        value = float(right)
        row |= {"cluster": cluster, "score": value, "scores": dict.fromkeys(row["scores"], value)}
        row["predicted"] = row["gold"] if right else 1 - row["gold"]
        row["gold_probability"] = 0.8 if right else 0.2
    make_entry([workshop.result("tiny", rows)], [], workshop.entries)
    main, families, soft, facts, part = tables(page_of(workshop))[:5]
    # (0.8 + 0.8 + 0.8 + 0.2) / 4
    assert soft[1][1].startswith("65.00 [") and main[1][main[0].index("soft average")] == soft[1][1]
    assert facts[1:] == [["qqp", "Paraphrase detection", "acc", "4", "2", "50.00"]]
    assert families[0] == ["name", "Paraphrase detection"] and families[1][1].startswith("75.00 [")
    assert part[0] == ["name", "qqp"] and part[1] == families[1]
    row = dict(zip(main[0], main[1], strict=True))
    # Rescaled, x becomes 2 x - 100, the ends of the interval too.
    assert row["CME average"] == families[1][1] == "75.00 [1.03, 99.88]"
    assert row["chance-normalised"] == "50.00 [-97.95, 99.77]"
    assert row["without ROUGE"] == row["CME average"] and row["rank range"] == "–"


def test_rows_show_method_and_cost(page):
    main = tables(page)[0]
    rows = {row[0]: row for row in main[1:]}
    assert main[0][6] == "run time × LoRA"
    assert rows["teamlora-r8"][1:7] == ["teamlora", "8", "4", "3.68", "1:02 h", "15.06"]
    assert rows["lora-r8"][1:7] == ["lora", "8", "–", "0.91", "4:07 min", "1.00"]
    assert rows["base"][1:7] == ["base", *"–––––"] and rows["base"][-2:] == ["–", "base model"]


def test_output_depends_on_the_entries_alone(board, tmp_path):
    entries = load_entries(board.entries)
    first = render(make_standing(entries, board.entries), load_paper())
    assert render(make_standing(list(reversed(entries)), board.entries), load_paper()) == first
    write_leaderboard(board.entries, tmp_path / "a")
    write_leaderboard(board.entries, tmp_path / "b")
    assert set(first) == {"leaderboard.md", "leaderboard.json", "leaderboard.csv"}
    for name, text in first.items():
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() == text.encode()
    assert (tmp_path / "a" / "index.html").read_bytes() == (tmp_path / "b" / "index.html").read_bytes()


def test_the_page_states_the_detectable_difference_and_the_ties(board):
    standing = standing_of(board)
    page = render(standing, load_paper())["leaderboard.md"]
    between = {frozenset((item.first, item.second)): item for item in standing.comparison.differences}
    pair = between[frozenset(("teamlora-r8", "lora-r8"))]
    detected = (pair.high - pair.low) / 2 + 0.8416212 * pair.stderr
    assert standing.detectable == pytest.approx(detected)
    assert (
        f"comparison of two trained rows would detect a difference of {detected:.2f} points with a power of 80 %"
        in page
    )
    assert f"Summarization (ROUGE) contributes {100 * standing.rouge_share:.0f} %" in page
    significant = sum(item.significant for item in standing.comparison.differences)
    assert f"{significant} of 3 pairs of rows differ significantly" in page and "400 resamples" in page
    assert "Every method was trained with one seed. The intervals and differences are about these adapters" in page


def test_the_detectable_difference_leaves_pairs_with_the_base_out(seeds_board):
    standing = standing_of(seeds_board)
    trained = [row.name for row in standing.rows if row.runs[0].seed is not None]
    among, of_all = standing.comparison.detectable(among=trained), standing.comparison.detectable()
    assert 1 < len(trained) < len(standing.rows) and among != pytest.approx(of_all, rel=1e-3)
    assert standing.detectable == among


def test_rank_ranges_and_differences_are_the_comparisons(seeds_board):
    standing = standing_of(seeds_board)
    blocks = tables(render(standing, load_paper())["leaderboard.md"])
    main = blocks[0]
    best = standing.rows[0].name
    for row in main[1:]:
        shown = dict(zip(main[0], row, strict=True))
        if row[0] in standing.ranks:
            ends = [int(end) for end in shown["rank range"].split("–")]
            assert (ends[0], ends[-1]) == (standing.ranks[row[0]].best, standing.ranks[row[0]].worst)
        else:
            assert shown["rank range"] == "–" and "reference" in shown["remark"]
    pairs = next(block for block in blocks if block[0][1] == f"minus {best}")
    for item, row in zip(standing.comparison.against(best), pairs[1:], strict=True):
        assert row[0] == item.first and close(row[1], item.value)
        assert row[3:] == [p_value(item.p), p_value(item.p_adjusted), "yes" if item.significant else "no"]


def test_seeds_have_a_table_and_references_stand_at_the_foot(seeds_board):
    standing = standing_of(seeds_board)
    page = render(standing, load_paper())["leaderboard.md"]
    seeds = next(block for block in tables(page) if block[0][1] == "average of each run")
    lora = next(row for row in seeds if row[0] == "lora-r32")
    entry = next(row for row in standing.rows if row.name == "lora-r32")
    assert lora[1] == ", ".join(f"{run.scores.average:.2f} ({run.seed})" for run in entry.runs)
    average = standing.averages["lora-r32"]
    assert close(lora[5], average.stderr) and close(lora[4], average.seed_stderr)
    assert average.seed_stderr >= entry.seed_stderr
    assert "The seed variance of a method is its own, raised towards the mean" in page
    assert "trained with one seed" not in page
    assert [row[0] for row in tables(page)[0][-2:]] == ["base-4-shot", "majority"]


def test_partial_baselines_stand_at_the_foot_of_the_tables_of_their_datasets(partial_board):
    standing = standing_of(partial_board)
    page = render(standing, load_paper())["leaderboard.md"]
    main, families, _, *parts = tables(page)[:14]
    names = {tuple(block[0][1:]): [row[0] for row in block[1:]] for block in parts}
    assert not {"lead-1", "unanswerable"} & {row[0] for row in main[1:]}
    assert [row[0] for row in families[-2:]] == ["majority", "lead-1"]
    assert families[-1].count("–") == len(families[0]) - 2
    for answered, found in names.items():
        partial = [name for name in found if name in ("lead-1", "unanswerable")]
        assert partial == (
            ["unanswerable"] if "squad_v2" in answered else ["lead-1"] if "cnn_dailymail" in answered else []
        )
        assert found[len(found) - len(partial) :] == partial
    assert "unanswerable (squad_v2). They have no average and no rank." in page
    content = json.loads(render(standing, load_paper())["leaderboard.json"])
    row = content["rows"][-1]
    assert (row["name"], row["kind"], row["average"], row["rank_best"]) == ("unanswerable", "partial", None, None)
    assert set(row["datasets"]) == {"squad_v2"} and row["families"] == {} and row["runs"][0]["average"] is None
    last = list(csv.DictReader(io.StringIO(FORMATS["csv"](standing, load_paper()))))[-1]
    assert (last["kind"], last["average"], last["chance_normalised"]) == ("partial", "", "")


def test_smoke_shows_no_error_bars(workshop):
    workshop.reference("base", 0.5, rows=8, tier="smoke")
    workshop.row("lora", "lora", 0.6, rows=8, seeds=(0, 1), settings={"rank": 8}, result={"tier": "smoke"})
    page = page_of(workshop)
    assert "too few for a standard error" in page and "this order is not a ranking" in page
    assert not any("[" in cell or "±" in cell for block in tables(page) for row in block for cell in row)
    assert "Differences from" not in page and "detect" not in page.split("## Datasets")[0].replace(
        "Paraphrase detection", ""
    )


def test_an_incomplete_suite_says_so(workshop):
    workshop.reference("part", 0.5, names=("qqp", "anli"))
    page = page_of(workshop)
    assert (
        f"Only 2 of the suite's {len(datasets())} datasets were evaluated. The CME average covers 2 of 11 families"
        in page
    )


def test_real_rows_and_dead_adapters_are_marked(workshop, page):
    assert "It was not checked" not in page
    workshop.entries = workshop.entries.parent.parent / "real" / "entries"
    workshop.row("dead", "moelora", 0.5, result={"changes": False, "source": "mirror"})
    real = page_of(workshop)
    assert "It was not checked whether smollm2-135m saw them" in real
    assert (
        "These adapters do not change the base model's output: dead." in real
        and tables(real)[0][1][-1] == "does not change the base's output"
    )


def test_conditions_that_differ_are_listed(board):
    board.row("odd", "lora", 0.1, settings={"rank": 8, "alpha": 4.0}, result={"batch_size": 16})
    different = next(block for block in tables(page_of(board)) if block[0][0] == "condition")
    assert different == [
        ["condition", "value", "rows"],
        ["evaluation: batch size", "4", "teamlora-r8, lora-r8, base"],
        ["evaluation: batch size", "16", "odd"],
        ["training: alpha / rank", "–", "teamlora-r8, lora-r8"],
        ["training: alpha / rank", "0.5", "odd"],
    ]


def test_the_papers_rows_stand_apart(page):
    ours, theirs = page.split("## The paper's rows")
    marked = "8 × A800, Chinese-LLaMA-2-7B, the authors' data"
    assert (
        "These rows are reported for the paper" in theirs
        and "third party's note" in theirs
        and theirs.count(marked) == 3
    )
    assert "not comparable with the rows above" in theirs and "60.29" not in ours
    main, ablation, costs = tables(theirs)
    assert ["teamlora", "4", "16", "28 h", "1.35", "59.95"] in main and len(main) == 7
    assert ablation[1:] == [
        ["off", "off", "32", "59.69"],
        ["on", "off", "32", "59.77"],
        ["off", "on", "32", "60.24"],
        ["on", "on", "32", "60.29"],
    ]
    assert ["training time", "moelora / lora", "8", "2.38", "note, motivation"] in costs
    assert "differ by 0.05 to 0.60 points" in theirs
    assert all(row.reported for row in (*load_paper().rows, *load_paper().ablation))


def test_no_entries_is_a_page_too(tmp_path):
    (tmp_path / "entries").mkdir()
    standing = make_standing([], tmp_path / "entries")
    page = render(standing, load_paper())["leaderboard.md"]
    assert "There are no entries yet." in page and len(tables(page)) == 3
    assert all(FORMATS[form](standing, load_paper()) for form in FORMATS)


def test_the_json_holds_unrounded_numbers(board):
    entries = load_entries(board.entries)
    content = json.loads(render(standing_of(board), load_paper())["leaderboard.json"])
    assert [row["name"] for row in content["rows"]] == ["teamlora-r8", "lora-r8", "base"]
    averages = {row["name"]: row["average"] for row in content["rows"]}
    assert averages == {entry.name: pytest.approx(entry.scores.average, abs=1e-6) for entry in entries}
    assert not any(row["reported"] for row in content["rows"]) and content["paper"]["reported"]
    assert content["shared"]["tier"] == "quick" and len(content["differences"]["values"]) == 3


def test_the_csv_is_the_main_table(seeds_board):
    standing = standing_of(seeds_board)
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](standing, load_paper()))))
    assert [row["kind"] for row in rows] == ["row"] * 4 + ["reference"] * 2
    for row in rows:
        found = standing.averages[row["name"]]
        assert [float(row[key]) for key in ("average", "average_low", "average_high")] == [
            pytest.approx(value, abs=1e-6) for value in (found.value, found.low, found.high)
        ]
        assert (row["rank_best"] == "") == (row["kind"] == "reference")
    assert rows[-1]["trainable_parameters"] == "" and rows[0]["seeds"] == "3"


def test_the_latex_has_every_table(board):
    text, page = FORMATS["latex"](standing_of(board), load_paper()), page_of(board)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{table}") == len(tables(page))
    body = re.findall(r"\\midrule\n(.*?)\\bottomrule", text, flags=re.S)
    for shown, block in zip(body, tables(page), strict=True):
        assert [line.count(" & ") for line in shown.splitlines()] == [len(block[0]) - 1] * (len(block) - 1)
    assert re.search(r"0\.91 & 4:07 min & 1\.00 & [\d.]+ \{\[\}[\d.]+, [\d.]+\{\]\}", text)


def test_a_board_of_many_rows_stays_readable(workshop):
    for place in range(12):
        workshop.row(f"row-{place:02d}", "lora", 0.4 + place / 50, rows=6, settings={"rank": 2 + place})
    blocks = tables(page_of(workshop))
    # Rows of the board are rows of every table of scores; columns do not grow with them.
    assert max(len(block[0]) for block in blocks) <= 15
    assert sum(len(block) == 13 for block in blocks) >= 13


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.4, "0:00 min"), (59.6, "1:00 min"), (3599.7, "1:00 h"), (3725, "1:02 h"), (104_700, "29:05 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
