"""Notes about runs that choose one option for all samples of a dataset, or leave most samples without an answer."""

import hashlib

from cme.leaderboard import make_entry
from cme.leaderboard.rendering.answer_notes import answer_notes
from tests.leaderboard.pages import page_of, standing_of
from tests.leaderboard.workshop import make_samples

SAME = "Some runs choose the same option for all samples of a dataset."
EMPTY = "Some runs leave at least half of a dataset's samples without an answer"


def always_first(samples: list[dict], *names: str) -> list[dict]:
    """The samples, with option 0 chosen everywhere in some datasets."""
    for row in samples:
        if row["dataset"] in names:
            value = float(row["gold"] == 0)
            row |= {"predicted": 0, "score": value, "gold_probability": 0.2 + 0.6 * value}
            row["scores"] = dict.fromkeys(row["scores"], value)
    return samples


def unanswered(samples: list[dict], name: str, count: int) -> list[dict]:
    """The samples, without an answer to the first ones of a dataset."""
    for row in [row for row in samples if row["dataset"] == name][:count]:
        row |= {"empty": True, "score": 0.0, "scores": dict.fromkeys(row["scores"], 0.0)}
    return samples


def trained(workshop, name: str, runs: list[list[dict]]) -> None:
    results, folders = [], []
    for seed, samples in enumerate(runs):
        adapter = hashlib.sha256(f"{name} {seed}".encode()).hexdigest()
        results.append(workshop.result(f"{name}-{seed}", samples, adapter=adapter))
        folders.append(workshop.run(f"{name}-{seed}", "lora", adapter=adapter, seed=seed))
    make_entry(results, folders, workshop.entries, name=name)


def test_rows_with_answers_of_all_kinds_have_no_note(board):
    assert answer_notes(standing_of(board)) == []
    assert SAME not in page_of(board) and EMPTY not in page_of(board)


def test_datasets_with_one_chosen_option_are_counted_in_each_run(workshop):
    trained(
        workshop,
        "lora",
        [
            always_first(make_samples(0.6, "a"), "imdb", "arc"),
            make_samples(0.6, "b"),
            always_first(make_samples(0.6, "c"), "imdb"),
        ],
    )
    trained(workshop, "other", [make_samples(0.5, text) for text in "def"])
    folder = workshop.result("base", always_first(make_samples(0.4, "base"), "imdb", "arc", "mmlu"))
    make_entry([folder], [], workshop.entries, name="base")
    workshop.reference("majority", 0.4, baseline="majority")
    notes = answer_notes(standing_of(workshop))
    assert len(notes) == 1 and notes[0].startswith(SAME)
    counts = "Of the 17 datasets with options, this happens for each run of the trained rows in 0 to 2 and base in 3."
    assert notes[0].endswith(f" {counts}")
    assert f"- {notes[0]}\n" in page_of(workshop)


def test_datasets_without_answers_are_named(workshop):
    runs = [unanswered(make_samples(0.6, text), "tldr", count) for text, count in (("a", 24), ("b", 0))]
    trained(workshop, "lora", [unanswered(samples, "cnn_dailymail", 11) for samples in runs])
    notes = answer_notes(standing_of(workshop))
    assert len(notes) == 1 and notes[0].startswith(EMPTY)
    assert notes[0].endswith(": lora (tldr 24 and 0 of 24).")


def test_baselines_are_not_listed(workshop):
    samples = always_first(make_samples(0.4, "majority"), "imdb")
    kept = {"base": "", "base_fingerprint": "", "prompt_format": "", "dtype": ""}
    folder = workshop.result("majority", samples, baseline="majority", **kept)
    make_entry([folder], [], workshop.entries, name="majority")
    trained(workshop, "lora", [make_samples(0.6, "a")])
    assert answer_notes(standing_of(workshop)) == []
