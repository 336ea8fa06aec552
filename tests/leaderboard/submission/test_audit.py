"""Verification refuses every edited board, and untrusted content does no harm."""

import dataclasses
import importlib
import json
import os
import re

import pytest

from cme.errors import CMEError
from cme.files import sha256_file
from cme.leaderboard import audit, load_entries, verify
from cme.leaderboard.entries import files
from cme.records import Entry, read_record, write_record
from cme.records.samples import read_samples, write_samples

NAMES = ("qqp", "anli", "nq_open")


@pytest.fixture
def small(workshop):
    """A base, and a method with two seeds; three datasets."""
    workshop.reference("base", 0.4, names=NAMES)
    workshop.row("lora", "lora", 0.6, seeds=(0, 1), settings={"rank": 8}, names=NAMES)
    return workshop


def edit(board, change, name="lora"):
    """Change an entry's JSON as an editor would."""
    path = board.entries / f"{name}.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def put(path, value):
    """A change of one value, by its keys."""

    def change(values):
        for key in path[:-1]:
            values = values[key]
        values[path[-1]] = value

    return change


def add(path, value):
    """A change of one number."""

    def change(values):
        for key in path[:-1]:
            values = values[key]
        values[path[-1]] += value

    return change


def refusal(board):
    """Return the message about the one refused entry."""
    (wrong,) = [verdict for verdict in audit(board.entries) if not verdict.ok]
    with pytest.raises(CMEError):
        verify(board.entries)
    return wrong.message


def test_an_honest_board_is_fine(small):
    assert [(verdict.name, verdict.ok) for verdict in audit(small.entries)] == [("base", True), ("lora", True)]
    edit(small, add(["scores", "average"], 5e-10))
    assert all(verdict.ok for verdict in audit(small.entries)), "rounding of sums"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add(["scores", "average"], 2e-9), "scores.average is"),
        (add(["scores", "average_stderr"], -0.1), "scores.average_stderr is"),
        (add(["scores", "datasets", 0, "value"], 0.01), r".*value is"),
        (add(["scores", "families", 1, "value"], 1e-6), r"scores\.families\..*\.value is"),
        (add(["scores", "chance_normalised"], 1), "chance_normalised is"),
        (put(["scores", "without_rouge"], None), "without_rouge is None"),
        (add(["seed_stderr"], -1), "seed_stderr is"),
        (put(["seed_stderr"], None), "seed_stderr is None"),
        (add(["runs", 1, "scores", "average"], 1e-6), r"seed 1: 1 of its numbers do not follow"),
        (put(["items"], "0" * 64), "not the items of the entry"),
        (put(["runs", 0, "samples_sha256"], "0" * 64), "has changed since it was recorded"),
        (put(["scorer_version"], 99), "scorer version 99.*Upgrade CME"),
    ],
)
def test_an_edited_number_is_refused(small, change, message):
    edit(small, change)
    assert re.search(message, refusal(small))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            put(["runs", 0, "cost", "wall_seconds"], -1.0),
            "runs: item 1: cost: wall_seconds: must be at least 0, found -1.0",
        ),
        (put(["runs", 0, "cost", "steps"], "many"), "steps: expected int or nothing, found 'many'"),
        (put(["runs", 0, "cost", "steps"], 2.5), "steps: expected int or nothing, found 2.5"),
        (
            put(["runs", 0, "cost", "trainable_share"], 0.5),
            "trainable_share is 0.5, but trainable_parameters and base_",
        ),
        (put(["runs", 0, "cost", "tokens_per_second"], 9999.0), "tokens_per_second is 9999"),
        (put(["runs", 0, "cost"], {}), "a trained run must have costs"),
        (put(["cost_ratios"], {"train": {"value": 1.0, "low": 1.5, "high": 2.0}}), "expected low ≤ value ≤ high"),
        (put(["cost_ratios"], {"train": 0.5}), "cost_ratios: train: expected a mapping or nothing, found 0.5"),
        (put(["lr_grid"], {"rates": []}), "lr_grid: unknown key 'rates'"),
    ],
)
def test_impossible_costs_are_refused(small, change, message):
    edit(small, change)
    assert message in refusal(small)


def test_the_rate_of_a_grid_is_the_one_with_the_lowest_loss(small):
    rest = {"folder": "x", "last_loss": None, "problem": None}
    runs = [{"learning_rate": rate, "validation_loss": loss} | rest for rate, loss in ((1e-4, 2.0), (2e-4, 3.0))]
    grid = {"method": "lora", "steps": 1, "runs": runs, "best": "x", "learning_rate": 2e-4, "at_edge": True}
    edit(small, put(["lr_grid"], grid))
    assert "the lowest loss is at 0.0001" in refusal(small)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"base_fingerprint": "e" * 64}, "base eeeeeeeeeeee there"),
        ({"mix_fingerprint": "e" * 64}, "mix eeeeeeeeeeee there"),
        ({"adapter": {"method": "lora", "rank": 999}}, "rank 999 there"),
    ],
)
def test_a_grid_of_another_base_mix_or_adapter_is_refused(small, changes, says):
    run = {"folder": "x", "last_loss": None, "problem": None, "learning_rate": 2e-4, "validation_loss": 2.0}
    grid = {"method": "lora", "steps": 1, "runs": [run], "best": "x", "learning_rate": 2e-4, "at_edge": True}
    edit(small, put(["lr_grid"], grid | changes))
    assert f"lr_grid has other runs than the row ('{says}" in refusal(small)


def test_swapped_missing_and_surplus_samples_are_refused(small):
    samples = small.entries.parent / "samples"
    first, second = samples / "lora.0.parquet", samples / "lora.1.parquet"
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    assert "has changed since it was recorded" in refusal(small)
    first.unlink()
    assert "does not exist" in refusal(small)
    first.write_bytes(kept)
    (samples / "texts.parquet").write_bytes(kept)
    assert "texts.parquet belongs to no entry" in refusal(small)


def test_better_samples_under_a_new_hash_are_still_not_the_scores(small):
    path = small.entries.parent / "samples" / "lora.0.parquet"
    rows = read_samples(path)
    place = next(k for k, row in enumerate(rows) if row["options"] == 0)
    rows[place] |= {"score": 1.0}
    write_samples(path, rows)
    edit(small, put(["runs", 0, "samples_sha256"], sha256_file(path)))
    assert "do not follow from its per-sample scores" in refusal(small)


def test_entries_that_do_not_belong_together_are_refused(small):
    small.row("other", "lora", 0.6, names=("qqp",))
    assert "cannot be compared on one board" in refusal(small)


def test_seeds_come_once_and_in_order(small):
    edit(small, put(["runs", 1, "seed"], 0))
    assert "the seeds of its runs are [0, 0]" in refusal(small)
    edit(small, put(["runs", 1, "seed"], None))
    assert "the seeds of its runs are [0, None]" in refusal(small)


TRICKS = (
    "<script>alert(1)</script>",
    "</script><!--",
    "[x](javascript:alert(1))",
    "| a | b |",
    "`$(rm -rf /)`",
    "../../etc/passwd",
    "=HYPERLINK(1)",
    "{{ 7 * 7 }}",
    "\\input{/etc/passwd}",
)


@pytest.mark.parametrize("trick", TRICKS)
def test_no_name_can_be_a_trick(small, trick):
    edit(small, put(["method"], trick))
    assert "is not a valid name of a method" in refusal(small)
    edit(small, put(["name"], trick))
    assert "holds the entry" in refusal(small)


@pytest.mark.parametrize("trick", TRICKS)
def test_tricks_in_free_texts_are_kept_as_texts(small, trick):
    """What may be any text is shown escaped; nothing here opens, follows or runs it."""
    edit(small, put(["settings", "target_modules"], trick))
    edit(small, put(["runs", 0, "cost", "device"], trick))
    assert all(verdict.ok for verdict in audit(small.entries))
    assert load_entries(small.entries)[1].settings.target_modules == trick


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(["base"], "a\0b"), r"the control character '\x00'"),
        (put(["base"], "a\x1b[2Jb"), r"the control character '\x1b'"),
        (put(["base"], "a\u202eb"), r"the control character '\u202e'"),
        (put(["base"], "x" * 4097), "the text has 4,097 characters, but at most 4,096"),
        (put(["settings", "options"], {"x" * 5000: 1}), "a key of settings.options: the text has 5,000 characters"),
        (put(["recipe", "steps"], 10**30), "recipe.steps is a number that is too large"),
        (put(["items"], "../../x"), "is not a SHA-256 digest"),
        (put(["tier"], "huge"), "the tier 'huge' is not one of"),
        (put(["shots"], -1), "shots is -1"),
        (put(["schema_version"], 1), "has schema version 1, but this version of CME reads version 2"),
        (put(["schema_version"], 3), "has schema version 3, but this version of CME reads version 2"),
        (put(["exec"], "print(1)"), "unknown key 'exec'"),
        (put(["runs", 0, "extra"], 1), "unknown key 'extra'"),
        (put(["runs"], []), "it has 0 runs"),
        (put(["scores", "average"], "best"), "average: expected float, found 'best'"),
    ],
)
def test_what_no_entry_may_hold_is_refused(small, change, message):
    edit(small, change)
    assert message in refusal(small)


@pytest.mark.parametrize("depth", [30, 400, 5_000])
def test_what_is_nested_too_deeply_is_refused(small, depth):
    path = small.entries / "lora.json"
    values = json.loads(path.read_text())
    values["settings"]["options"] = {"a": "here"}
    path.write_text(json.dumps(values).replace('"here"', "[" * depth + "]" * depth))
    assert re.search("nested too deeply|nested more than 64 deep", refusal(small))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(small, number):
    path = small.entries / "lora.json"
    values = json.loads(path.read_text())
    values["recipe"]["warmup"] = "here"
    path.write_text(json.dumps(values).replace('"here"', number))
    assert (
        "recipe: warmup: must be a finite number, found inf" in (said := refusal(small)) or "is not valid JSON" in said
    )


@pytest.mark.parametrize("text", ["[" * 100_000, '{"kind": "entry"', "", "\x00\x01", '{"a": ' * 50_000])
def test_a_file_that_is_no_entry_is_refused(small, text):
    (small.entries / "evil.json").write_text(text)
    refusal(small)


def test_a_file_too_large_is_not_even_read(small):
    (small.entries / "big.json").write_text(" " * (4 * 2**20 + 1))
    assert "4,194,304 are allowed" in refusal(small)


@pytest.mark.parametrize("name", ["a b", "-rf", "<b>", "a\x1b[2J", "ä", "x" * 101])
def test_a_file_name_that_is_none_is_refused(small, name):
    entry = read_record(small.entries / "lora.json", Entry)
    (small.entries / "lora.json").rename(small.entries / f"{name}.json")
    write_record(small.entries / f"{name}.json", entry.replace(name=name))
    said = refusal(small)
    assert "is not a valid name of an entry" in said and "\x1b" not in said


def test_links_are_refused(small, tmp_path):
    outside = tmp_path / "outside.json"
    (small.entries / "lora.json").rename(outside)
    (small.entries / "lora.json").symlink_to(outside)
    assert "is a link or not a regular file" in refusal(small)
    (small.entries / "lora.json").unlink()
    outside.rename(small.entries / "lora.json")
    samples = small.entries.parent / "samples" / "lora.0.parquet"
    samples.rename(tmp_path / "outside.parquet")
    samples.symlink_to(tmp_path / "outside.parquet")
    assert "is a link or not a regular file" in refusal(small)


def test_what_is_no_plain_file_is_never_opened(small):
    os.mkfifo(small.entries / "pipe.json")
    assert "is a link or not a regular file" in refusal(small)
    (small.entries / "pipe.json").unlink()
    (small.entries / "folder.json").mkdir()
    assert "is a link or not a regular file" in refusal(small)


def rewrite(board, change):
    """Samples changed with their hash: what only the file's own limits see."""
    path = board.entries.parent / "samples" / "lora.0.parquet"
    change(path)
    edit(board, put(["runs", 0, "samples_sha256"], sha256_file(path)))


def changed(**values):
    def change(path):
        write_samples(path, [row | values for row in read_samples(path)])

    return change


def without_part(path):
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table(path).drop_columns(["part"]), path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed(part="a whole passage " * 100), "column 'part' has a text of 1,600 characters; 256 are allowed"),
        (changed(scores={"a whole passage " * 100: 0.5}), "column 'scores' has a text of 1,600 characters"),
        (changed(scores={"other": 0.5}), "its samples lack fields that scoring needs"),
        (
            changed(gold=None, predicted=None, gold_probability=None, options=0),
            "its samples lack fields that scoring needs",
        ),
        (changed(dataset="<b>"), "unknown datasets: <b>"),
        (without_part, "missing column 'part'"),
        (lambda path: path.write_bytes(b"PAR1" + b"\0" * 100 + b"PAR1"), "cannot be read as Parquet"),
        (lambda path: path.write_bytes(b""), "cannot be read as Parquet"),
    ],
    ids=["text", "text as a key", "other scores", "no options", "other dataset", "column", "garbage", "nothing"],
)
def test_samples_that_are_none_are_refused(small, change, message):
    rewrite(small, change)
    assert message in refusal(small)


def test_too_many_samples_are_not_read(small, monkeypatch):
    monkeypatch.setattr(files, "SAMPLE_FILES", dataclasses.replace(files.SAMPLE_FILES, rows=50))
    assert all("72 rows" in verdict.message and not verdict.ok for verdict in audit(small.entries))


def test_one_bad_entry_hides_no_other_verdict(small, monkeypatch):
    """Neither a number of 400 digits nor a fault of CME itself."""
    edit(small, lambda values: values["runs"][0]["cost"].update(steps=int("9" * 400)))
    assert [verdict.ok for verdict in audit(small.entries)] == [True, False]
    assert "an integer with 400 digits" in refusal(small)

    def broken(entry, *_):
        raise TypeError(f"what {entry.name}\x1b[2J")

    monkeypatch.setattr(importlib.import_module("cme.leaderboard.submission.audit"), "_checked", broken)
    verdicts = audit(small.entries)
    assert [verdict.name for verdict in verdicts] == ["base", "lora"]
    assert "could not be checked (TypeError: what base" in verdicts[0].message and "\x1b" not in verdicts[0].message


def test_an_entry_that_is_nested_ten_thousand_deep(small):
    (small.entries / "lora.json").write_text("[" * 10_000 + "]" * 10_000)
    assert "nested more than 64 deep" in refusal(small)
