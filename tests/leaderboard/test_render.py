"""The page: proper tables, honest sentences, and numbers that follow from the per-sample scores."""

import dataclasses
import json
import math
import re

import pytest

from cme.leaderboard import load_entries, load_paper, make_entry, render, write_leaderboard
from cme.leaderboard.markdown import duration, table

from .workshop import make_samples


def tables(page: str) -> list[list[list[str]]]:
    """Every Markdown table of a page as rows of cells, the rule under the header left out."""
    found = []
    for block in re.findall(r"(?:^\|.*\|\n)+", page, flags=re.M):
        rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in block.splitlines()]
        assert all(re.fullmatch(r"-{2,}[-:]", cell) for cell in rows[1])
        found.append([rows[0], *rows[2:]])
    return found


@pytest.fixture
def page(board) -> str:
    return render(load_entries(board.entries), load_paper())["leaderboard.md"]


def test_tables_are_proper_and_aligned(page):
    assert len(tables(page)) == 5
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


def _prints(cell, *values):
    """Whether a cell shows these values, rounded to two decimals."""
    shown = [float(part) for part in cell.split(" ± ")]
    return all(abs(a - b) < 0.005 + 1e-6 for a, b in zip(shown, values, strict=True))


def test_printed_numbers_follow_from_the_samples(board, page):
    import pyarrow.parquet as pq

    main, families, datasets = tables(page)[:3]
    names = [row[0] for row in main[1:]]
    assert names == [row[0] for row in families[1:]] == datasets[0][4:]
    averages = []
    for place, name in enumerate(names):
        samples = pq.read_table(board.entries.parent / "samples" / f"{name}.parquet").to_pylist()
        per_family: dict[str, list[tuple[float, float, float]]] = {}
        for line in datasets[1:]:
            rows = [row for row in samples if row["dataset"] == line[0]]
            value, stderr = _mean([row["score"] for row in rows]), _stderr(rows)
            chance = _mean([1 / row["options"] if row["options"] else 0.0 for row in rows])
            assert line[2] == str(len(rows)) and _prints(line[3], 100 * chance)
            assert _prints(line[4 + place], 100 * value, 100 * stderr)
            per_family.setdefault(rows[0]["family"], []).append((value, stderr, chance))
        assert sum(len(members) for members in per_family.values()) == len({row["dataset"] for row in samples})
        printed, values, errors, normalised = families[place + 1][1:], [], [], []
        for cell, members in zip(printed, per_family.values(), strict=True):
            values.append(100 * _mean([value for value, _, _ in members]))
            errors.append(100 * math.sqrt(sum(stderr**2 for _, stderr, _ in members)) / len(members))
            normalised.append(100 * _mean([(value - chance) / (1 - chance) for value, _, chance in members]))
            assert _prints(cell, values[-1], errors[-1])
        average, stderr = _mean(values), math.sqrt(sum(error**2 for error in errors)) / len(errors)
        plain = [value for family, value in zip(per_family, values, strict=True) if family != "text_summarization"]
        assert _prints(main[place + 1][8], average, stderr)
        assert _prints(main[place + 1][9], _mean(normalised)) and _prints(main[place + 1][10], _mean(plain))
        averages.append(average)
    assert averages == sorted(averages, reverse=True)


def test_a_tiny_case_by_hand(workshop):
    """Four rows in two clusters, scores 1 1 | 1 0: mean 3/4; cluster sums of deviations 1/2 and −1/2; C/(C − 1) = 2;
    standard error √(2 · (1/4 + 1/4)) / 4 = 1/4. Two options: chance 1/2, so (3/4 − 1/2) / (1/2) = 1/2."""
    rows = make_samples(1.0, "tiny", rows=4, names=("qqp",))
    for row, cluster, right in zip(rows, "aabb", (True, True, True, False), strict=True):
        value = float(right)
        row |= {"cluster": cluster, "score": value, "scores": dict.fromkeys(row["scores"], value)}
        row["predicted"] = row["gold"] if right else 1 - row["gold"]
    make_entry(workshop.result("tiny", rows), None, workshop.entries)
    main, families, datasets = tables(render(load_entries(workshop.entries), load_paper())["leaderboard.md"])[:3]
    assert datasets == [["dataset", "metric", "n", "chance", "tiny"], ["qqp", "acc", "4", "50.00", "75.00 ± 25.00"]]
    assert families == [["name", "Paraphrase detection"], ["tiny", "75.00 ± 25.00"]]
    assert main[1][8:10] == ["75.00 ± 25.00", "50.00"]


def test_rows_show_method_and_cost(page):
    rows = {row[0]: row for row in tables(page)[0][1:]}
    assert rows["teamlora-r8"][1:7] == ["teamlora", "8", "4", "5.00", "0.91", "1:02 h"]
    assert rows["lora-r8"][1:7] == ["lora", "8", "–", "1.23", "0.91", "4:07 min"]
    assert rows["base"][1:7] == ["base", *"–––––"] and rows["base"][-1] == "the base"


def test_output_depends_on_the_entries_alone(board, tmp_path):
    entries = load_entries(board.entries)
    first = render(entries, load_paper())
    assert render(list(reversed(entries)), load_paper()) == first
    write_leaderboard(board.entries, tmp_path / "a")
    write_leaderboard(board.entries, tmp_path / "b")
    for name, text in first.items():
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() == text.encode()


def test_sentences_of_the_tiers(board):
    entries = load_entries(board.entries)

    def page_of(tier):
        return render([dataclasses.replace(entry, tier=tier) for entry in entries], load_paper())["leaderboard.md"]

    assert "below about 2.8 points are not detectable" in page_of("quick") and "planning figure" in page_of("quick")
    assert "below about 1.0 points are not detectable" in page_of("standard")
    assert "every evaluation row" in page_of("full")


def test_smoke_shows_no_error_bars(workshop):
    make_entry(workshop.result("base", make_samples(0.5, "b", rows=8), tier="smoke"), None, workshop.entries)
    page = render(load_entries(workshop.entries), load_paper())["leaderboard.md"]
    assert "too few for a standard error" in page and "no row can be called better" in page
    assert not any("±" in cell for block in tables(page) for row in block for cell in row)


def test_ties_are_called_ties(board, workshop):
    entries = load_entries(board.entries)

    def page_with(stderr):
        rows = [dataclasses.replace(e, scores=dataclasses.replace(e.scores, average_stderr=stderr)) for e in entries]
        return render(rows, load_paper())["leaderboard.md"]

    assert "Within two combined standard errors of teamlora-r8: lora-r8, base." in page_with(50.0)
    assert "No other row is within two combined standard errors of teamlora-r8." in page_with(1e-6)


def test_an_incomplete_suite_says_so(workshop):
    from cme.suite import datasets

    make_entry(workshop.result("part", make_samples(0.5, "p", names=("qqp", "anli"))), None, workshop.entries)
    page = render(load_entries(workshop.entries), load_paper())["leaderboard.md"]
    assert f"incomplete, 2 of {len(datasets())} datasets: the CME average is that of the 2 families run (of 11)" in page


def test_real_rows_and_dead_adapters_are_marked(workshop, page):
    assert "nobody has checked" not in page
    folder = workshop.result("dead", make_samples(0.5, "d"), adapter="7" * 64, changes=False, source="mirror")
    make_entry(folder, workshop.run("dead", "moelora", adapter="7" * 64), workshop.entries.parent / "real")
    real = render(load_entries(workshop.entries.parent / "real"), load_paper())["leaderboard.md"]
    assert "nobody has checked whether smollm2-135m saw them" in real
    assert "The output of dead equals the base's" in real and tables(real)[0][1][-1] == "output equals the base's"


def test_conditions_that_differ_are_listed(board):
    assert "What the rows do not share" not in render(load_entries(board.entries), load_paper())["leaderboard.md"]
    training = {"learning_rate": 1e-4, "seed": 0, "train_on_prompt": True, "mix": "elsewhere"}
    run = board.run("odd", "lora", adapter="5" * 64, training=training)
    make_entry(board.result("odd", make_samples(0.1, "o"), adapter="5" * 64, batch_size=16), run, board.entries)
    different = tables(render(load_entries(board.entries), load_paper())["leaderboard.md"])[3]
    assert different[0] == ["condition", "teamlora-r8", "lora-r8", "base", "odd"]
    assert different[1:] == [
        ["evaluation: batch size", "4", "4", "4", "16"],
        ["training: learning rate", "0.0002", "0.0002", "–", "0.0001"],
        ["training: train on prompt", "False", "False", "–", "True"],
    ]


def test_the_papers_rows_stand_apart(page):
    ours, theirs = page.split("## The paper's rows")
    assert "Reported by the authors" in theirs and "8 × A800, Chinese-LLaMA-2-7B, their own data" in theirs
    assert "not comparable with the rows above" in theirs and "60.29" not in ours
    main, ablation = tables(theirs)
    assert ["teamlora", "4", "16", "28 h", "1.35", "59.95"] in main and len(main) == 7
    assert ablation[1:] == [
        ["off", "off", "32", "59.69"],
        ["on", "off", "32", "59.77"],
        ["off", "on", "32", "60.24"],
        ["on", "on", "32", "60.29"],
    ]
    assert "differ by 0.05 to 0.60 points" in theirs
    assert all(row.reported for row in (*load_paper().rows, *load_paper().ablation))


def test_no_entries_is_a_page_too(tmp_path):
    (tmp_path / "entries").mkdir()
    page = render(load_entries(tmp_path / "entries"), load_paper())["leaderboard.md"]
    assert "There are no entries yet." in page and len(tables(page)) == 2


def test_the_json_holds_unrounded_numbers(board):
    entries = load_entries(board.entries)
    content = json.loads(render(entries, load_paper())["leaderboard.json"])
    assert [row["name"] for row in content["rows"]] == ["teamlora-r8", "lora-r8", "base"]
    averages = {row["name"]: row["scores"]["average"] for row in content["rows"]}
    assert averages == {entry.name: entry.scores.average for entry in entries}
    assert not any(row["reported"] for row in content["rows"]) and content["paper"]["reported"]
    assert content["shared"]["tier"] == "quick"


def test_cells_cannot_break_a_table():
    assert table(["a", "b"], [["x|y\nz", "1"]]).splitlines()[2] == "| x\\|y z |   1 |"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.4, "0:00 min"), (59.6, "1:00 min"), (3599.7, "1:00 h"), (3725, "1:02 h"), (104_700, "29:05 h")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
