"""Which families carry information: signal-to-noise of a board's rows, and marks of scores at a limit."""

import hashlib

import pytest
from scipy.stats import f_oneway

import cme
from cme.leaderboard import make_entry
from cme.leaderboard.rendering.page.data import page_data
from tests.leaderboard.pages import page_of, standing_of, tables
from tests.leaderboard.workshop import make_samples

NAMES = ("imdb", "qqp", "paws", "rte", "nq_open")


def add(workshop, name, rights, seeds=(0, 1, 2)):
    """Submit a row whose runs answer this many of 24 questions of each choice dataset right, changing with the seed."""
    results, runs = [], []
    for seed in seeds:
        label = f"{name}-{seed}"
        adapter = hashlib.sha256(label.encode()).hexdigest()
        samples = make_samples(0.5, label, names=NAMES)
        for row in samples:
            if row["options"]:
                count = rights[row["dataset"]] + (seed if rights[row["dataset"]] not in (12, 24) else 0)
                right = int(row["id"].rsplit("-", 1)[1]) < count
                row["predicted"] = row["gold"] if right else (row["gold"] + 1) % row["options"]
                row |= {"score": float(right), "scores": dict.fromkeys(row["scores"], float(right))}
                row["gold_probability"] = 0.6 + 0.01 * seed if right else 0.3
        results.append(workshop.result(label, samples, adapter=adapter))
        runs.append(workshop.run(label, "lora", adapter=adapter, seed=seed, settings={"rank": len(name)}))
    return make_entry(results, runs, workshop.entries, name=name)


@pytest.fixture
def board(workshop):
    workshop.reference("base", 0.1, names=NAMES)
    add(workshop, "good", {"imdb": 24, "qqp": 24, "paws": 12, "rte": 18})
    add(workshop, "better", {"imdb": 24, "qqp": 24, "paws": 12, "rte": 20})
    return workshop


def test_limits_are_those_of_the_trained_rows(board):
    """The base is far below the ceiling and below chance, and does not count. One family has a dataset at each limit."""
    information = standing_of(board).information
    assert {name: measure.limit for name, measure in information.datasets.items()} == {
        "imdb": "ceiling",
        "paws": "chance",
        "qqp": "ceiling",
        "rte": None,
        "nq_open": None,
    }
    limits = {name: measure.limit for name, measure in information.families.items()}
    # The mean of 50 and 100 is at no limit, but neither dataset tells the rows apart.
    assert limits["sentiment_analysis"] == "ceiling" and limits["paraphrase_detection"] == "chance"
    assert information.uninformative == ["sentiment_analysis", "paraphrase_detection"]


def test_signal_to_noise_is_the_analysis_of_variance_of_the_runs(board):
    standing = standing_of(board)
    trained = [entry for entry in standing.rows if entry.method != "base"]
    expected = f_oneway(*([run.scores.average for run in entry.runs] for entry in trained))
    measure = standing.information.average
    assert measure.score.ratio == pytest.approx(expected.statistic) and measure.score.freedom == (1, 4)
    soft = f_oneway(*([run.scores.soft.average for run in entry.runs] for entry in trained))
    assert measure.soft.ratio == pytest.approx(soft.statistic)
    # Right answers 18, 19, 20 and 20, 21, 22 of 24: the means differ by 2, the seeds of a row by 1.
    assert standing.information.datasets["rte"].score.ratio == pytest.approx(3 * 2 / 1)
    assert standing.information.datasets["imdb"].score.ratio is None


def test_the_tables_and_the_page_mark_them(board):
    page = page_of(board)
    blocks = tables(page)
    families = next(block for block in blocks if "Sentiment analysis\\*" in block[0])
    assert {label for label in families[0] if label.endswith("\\*")} == {
        "Sentiment analysis\\*",
        "Paraphrase detection\\*",
    }
    table = {row[0]: row for row in next(block for block in blocks if block[0][:2] == ["family", "F"])[1:]}
    assert (
        table["Sentiment analysis"][1] == "–" and table["Sentiment analysis"][-1] == "all trained rows score 95 or more"
    )
    assert table["Textual entailment"][1] == "6.00" and table["Textual entailment"][-1] == ""
    by_dataset = {row[0]: row for row in next(block for block in blocks if block[0][:2] == ["dataset", "F"])[1:]}
    assert set(by_dataset) == set(NAMES) and by_dataset["paws"][-1] == "all trained rows are within 3 points of chance"
    start = (
        "The scores of Sentiment analysis carry no information about the trained rows, because all trained rows score"
    )
    assert f"{start} 95 or more there." in page
    assert "The scores of Paraphrase detection carry no information" in page
    assert "1 and 4 degrees of freedom" in page and "for the CME average and" in page
    items = {(item["kind"], item["name"]): item for item in page_data(standing_of(board))["information"]}
    assert items["family", "sentiment_analysis"]["limit"] == "all trained rows score 95 or more"
    assert items["dataset", "rte"]["score"][0] == pytest.approx(6)
    frame = cme.load_board(board.entries).information().set_index(["kind", "name"])
    assert frame.loc[("dataset", "rte"), "f"] == pytest.approx(6)
    assert frame.loc[("family", "paraphrase_detection"), "limit"] == "chance"


def test_without_several_seeds_there_are_marks_and_no_table(workshop):
    for name, right in (("good", 18), ("better", 20)):
        add(workshop, name, {"imdb": 24, "qqp": 24, "paws": 12, "rte": right}, seeds=(0,))
    page = page_of(workshop)
    assert "Which families carry information" not in page and "Sentiment analysis\\*" in page
    assert standing_of(workshop).information.average.score is None


def test_one_trained_row_tells_nothing(workshop):
    workshop.reference("base", 0.4, names=NAMES)
    add(workshop, "good", {"imdb": 24, "qqp": 24, "paws": 12, "rte": 18})
    assert standing_of(workshop).information is None and "carry no information" not in page_of(workshop)
    assert cme.load_board(workshop.entries).information().empty
