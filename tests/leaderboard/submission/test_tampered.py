"""Entries that were manipulated consistently: every number follows from the samples, and another check detects the change."""

import shutil

import pytest

from cme.errors import CMEError, DataError, UsageError
from cme.files import sha256_file
from cme.leaderboard import audit, load_entries, make_entry
from cme.leaderboard.entries.samples import check_answers
from cme.leaderboard.entries.scores import items_digest
from cme.leaderboard.ranking.seeds import mean_scores
from cme.leaderboard.submission.audit import check_row
from cme.records import Entry, read_record, write_record
from cme.records.samples import read_samples, write_samples
from cme.suite.score import SCORER_VERSION, aggregate
from tests.leaderboard.pages import standing_of
from tests.leaderboard.tampering import NAMES, edit, refusal, samples_of
from tests.leaderboard.workshop import make_samples


def forge(board, rows, *, run=0, name="lora"):
    """Put other samples into a row, and make hash and every number of the entry follow from them."""
    path = board.entries / f"{name}.json"
    entry = read_record(path, Entry)
    write_samples(samples_of(board, name, run), rows)
    runs = list(entry.runs)
    digest = sha256_file(samples_of(board, name, run))
    runs[run] = runs[run].replace(samples_sha256=digest, scores=aggregate(rows, tier=entry.tier))
    samples = [read_samples(samples_of(board, name, k)) for k in range(len(runs))]
    scores, seed_stderr = mean_scores([item.scores for item in runs], samples, tier=entry.tier)
    changes = {"scores": scores, "seed_stderr": seed_stderr, "runs": tuple(runs), "items": items_digest(rows)}
    write_record(path, entry.replace(**changes))


def every(**values):
    return lambda row: row | values


def right(row):
    return row | {"score": 1.0, "scores": dict.fromkeys(row["scores"], 1.0)}


def gold_is_what_was_chosen(row):
    return right(row) | {"gold": row["predicted"], "gold_probability": 0.8} if row["options"] else row


def more_options(row):
    return row | {"options": row["options"] + 5} if row["options"] else row


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (right, "score is 1, but option"),
        (every(score=1.0), "score is 1, but its acc is 0"),
        (lambda row: row | {"scores": row["scores"] | {"other": 0.5}}, "it has the scores"),
        (every(family="x<b>"), "family 'x<b>'"),
        (gold_is_what_was_chosen, "differ in parts, clusters, options or right answers of anli"),
        (more_options, "it has 8 options, but the dataset has 3"),
    ],
)
def test_samples_that_give_the_numbers_and_cannot_be(small, change, message):
    forge(small, [change(row) for row in read_samples(samples_of(small, "lora", 0))])
    assert message in refusal(small)


def test_a_part_that_the_dataset_has_not_is_refused(small):
    rows = read_samples(samples_of(small, "base", 0))
    forge(small, [every(part="\x1b[2Jtext")(row) for row in rows], name="base")
    assert r"the dataset has no family 'natural_language_inference' with subset '\x1b[2Jtext'" in refusal(small)


def test_a_part_may_be_any_subject_of_a_dataset_that_has_them():
    rows = [row | {"part": "econometrics"} for row in make_samples(0.5, "b", names=("mmlu",))]
    check_answers(rows, "here")
    with pytest.raises(DataError, match=r"subset 'econo\\x1bmetrics'"):
        check_answers([row | {"part": "econo\x1bmetrics"} for row in rows], "here")


def test_other_clusters_are_refused_before_a_table_is_made(small):
    rows = [row | {"cluster": row["id"]} for row in read_samples(samples_of(small, "lora", 0))]
    small.row("alone", "lora", 0.6, seeds=(4,), settings={"rank": 8}, names=NAMES)
    forge(small, rows, name="alone")
    assert "differ in parts, clusters, options or right answers of anli" in refusal(small)


def test_one_run_counts_once(small):
    """The bytes differ and the seeds, too."""
    forge(small, read_samples(samples_of(small, "lora", 0))[::-1], run=1)
    assert "lora, seed 0 and lora, seed 1 have the same answers to every question" in refusal(small)


def test_nobody_takes_another_rows_samples(small):
    forge(small, read_samples(samples_of(small, "team", 1)))
    assert "lora, seed 0 and team, seed 1 have the same answers" in refusal(small)


def test_an_adapter_that_changes_nothing_may_answer_as_the_base(small):
    rows = read_samples(samples_of(small, "base", 0))
    folder = small.result("dead", rows, adapter="d" * 64, changes=False)
    make_entry([folder], [small.run("dead", "lora", adapter="d" * 64, settings={"rank": 4})], small.entries)
    assert all(verdict.ok for verdict in audit(small.entries))


def test_one_adapter_is_one_row(small):
    fingerprint = load_entries(small.entries)[2].runs[0].provenance.adapter.fingerprint
    edit(small, lambda values: values["runs"][0]["provenance"]["adapter"].update(fingerprint=fingerprint))
    assert "lora, seed 0 and team, seed 0 have the same adapter" in refusal(small)
    edit(small, lambda values: values["runs"][1]["provenance"]["adapter"].update(fingerprint=fingerprint))
    assert "two of its runs have the same adapter" in refusal(small)


def test_rows_of_other_revisions_are_refused(small, workshop):
    for name, revision in (("lora", "aaa"), ("team", "bbb")):
        for k in (0, 1):
            edit(
                small,
                lambda v, k=k, r=revision: v["runs"][k]["provenance"]["data"].update(qqp={"revision": r}),
                name,
            )
    assert "revision of qqp: aaa (lora), bbb (team)" in refusal(small)
    pins = [{"qqp": {"revision": "aaa"}}, {"qqp": {"revision": "bbb"}}]
    folders = [
        workshop.result(f"r{k}", make_samples(0.5, f"r{k}"), adapter=f"{k}" * 64, provenance=pins[k]) for k in (0, 1)
    ]
    runs = [workshop.run(f"r{k}", "lora", adapter=f"{k}" * 64, seed=k) for k in (0, 1)]
    with pytest.raises(UsageError, match="revision of qqp"):
        make_entry(folders, runs, workshop.entries, name="r")


def test_names_that_differ_in_case_alone_are_refused(small):
    small.row("LoRA", "lora", 0.5, seeds=(7,), settings={"rank": 8}, names=NAMES)
    assert "The names LoRA and lora differ in upper and lower case only." in refusal(small)


def costs(**values):
    def change(entry):
        for run in entry["runs"]:
            run["cost"].update(values)

    return change


def without(name):
    return lambda entry: [run["cost"].pop(name) for run in entry["runs"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(method="teamlora"), "the method is 'teamlora', but its settings are of the method 'lora'"),
        (lambda v: v.update(settings={}), "its settings are of the method 'None'"),
        (lambda v: v.update(recipe={}), "it was trained, but has no recipe"),
        (lambda v: v["settings"].update(rank=["<b>"]), "settings: rank: expected int or nothing, found ['<b>']"),
        (lambda v: v["settings"].update(rank=-8), "settings: rank: must be above 0, found -8"),
        (lambda v: v["settings"].update(options={f"k{k}": "x" * 4000 for k in range(9)}), "32,768 are allowed"),
        (lambda v: v.update(task_fingerprints={}), "task_fingerprints lacks"),
        (lambda v: v.update(scorer_version=0), "the first is 1"),
        (lambda v: v.update(source="mini\u200b"), r"the control character '\u200b'"),
        (
            lambda v: v["settings"].update({"experts\u2028": 4}),
            r"unknown key 'experts\u2028' (did you mean 'experts'?)",
        ),
        (without("trainable_parameters"), "seed 1: its cost lacks trainable_parameters"),
        (costs(steps=None), "seed 0: its cost lacks steps"),
        (costs(note="x"), "cost: unknown key 'note'"),
        (costs(device=["x"]), "cost: device: expected str or nothing, found ['x']"),
        (lambda v: v["runs"][0]["cost"].update(steps=5), "steps is not the same in all runs"),
        (costs(base_parameters=10**9, trainable_share=0.1234567), "differ in parameters of the base"),
        (lambda v: v.update(cost_ratios={"x": 1}), "cost_ratios: unknown key 'x'"),
        (
            lambda v: v.update(cost_ratios={"command": ["a"]}),
            "cost_ratios: command: expected str or nothing, found ['a']",
        ),
        (
            lambda v: v["runs"][0].update(provenance={"training": []}),
            "provenance: training: expected a mapping, found []",
        ),
        (
            lambda v: v["runs"][0]["provenance"].update(missing=[1]),
            "provenance: missing: item 1: expected str, found 1",
        ),
        (lambda v: v["runs"][0]["provenance"]["adapter"].pop("fingerprint"), "fingerprint is not a SHA-256 digest"),
        (lambda v: v["scores"]["datasets"][0].update(n=65), "65 samples in 8 clusters, but the tier has 64"),
        (lambda v: v["scores"]["datasets"][0].update(value=1.5), "a score is not a number from 0 to 1"),
    ],
)
def test_what_an_entry_claims_beside_its_samples_must_be_possible(small, change, message):
    edit(small, change)
    assert message in refusal(small)


def test_a_base_has_no_recipe_and_no_costs(small):
    edit(small, lambda v: v.update(cost_ratios={"train": {"value": 0.5, "low": 0.5, "high": 0.5}}), "base")
    assert "it is not trained, so it cannot have cost_ratios" in refusal(small)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda v: v["scores"].update(average=99.9),
            "the average is 99.9, which is not between the scores of its families",
        ),
        (
            lambda v: v["scores"]["families"][0].update(value=99.9),
            "is 99.9, which is not between the scores of its datasets",
        ),
        (lambda v: v["runs"][0]["scores"]["datasets"][0].update(value=0.99), "which is not between the scores"),
    ],
)
def test_a_stale_entry_cannot_claim_just_anything(small, change, message, monkeypatch):
    for module in ("board", "metadata"):
        monkeypatch.setattr(f"cme.leaderboard.entries.{module}.SCORER_VERSION", SCORER_VERSION + 1)
    assert "stale" in check_row(load_entries(small.entries)[1], small.entries)
    edit(small, change)
    assert message in refusal(small)


def test_the_scores_of_a_stale_entry_are_the_means_of_its_samples(small, monkeypatch):
    for module in ("board", "metadata"):
        monkeypatch.setattr(f"cme.leaderboard.entries.{module}.SCORER_VERSION", SCORER_VERSION + 1)

    def change(values):
        for item in values["runs"][0]["scores"]["datasets"]:
            item["value"] += 1e-6
        for item in values["runs"][0]["scores"]["families"]:
            item["value"] += 1e-4

    edit(small, change)
    assert "datasets.anli is" in refusal(small)


def test_a_key_that_stands_twice_is_refused(small):
    path = small.entries / "lora.json"
    path.write_text(path.read_text().replace('"name"', '"tier": "quick", "name"', 1))
    assert "the key 'tier' occurs twice" in refusal(small)


def test_a_folder_of_samples_that_lies_elsewhere_is_refused(small, tmp_path):
    folder = small.entries.parent / "samples"
    shutil.move(folder, tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert "samples is a link" in refusal(small)


@pytest.mark.parametrize("name", ["entries/page.html", "entries/a.JSON", "samples/.hidden.parquet"])
def test_files_that_belong_to_no_entry_are_refused(small, name):
    (small.entries / ".gitkeep").touch()
    assert all(verdict.ok for verdict in audit(small.entries))
    (small.entries.parent / name).write_text("x")
    assert "belongs to no entry" in refusal(small)


def test_a_row_is_checked_alone_before_it_is_trained_again(small):
    entry = load_entries(small.entries)[1]
    assert "recomputed" in check_row(entry, small.entries)
    scores = entry.scores.replace(average=entry.scores.average + 1)
    with pytest.raises(CMEError, match=r"scores\.average is"):
        check_row(entry.replace(scores=scores), small.entries)


def test_a_copied_row_cannot_say_that_it_changes_nothing(small):
    rows = read_samples(samples_of(small, "team", 0))
    folder = small.result("thief", rows, adapter="d" * 64, changes=False)
    make_entry([folder], [small.run("thief", "lora", adapter="d" * 64, settings={"rank": 4})], small.entries)
    assert "team, seed 0 and thief have the same answers to every question, although thief states" in refusal(small)


def test_a_soft_score_that_does_not_follow_is_refused(small):
    def change(values):
        values["runs"][0]["scores"]["soft"]["average"] += 0.01

    edit(small, change)
    assert "soft.average" in refusal(small)


def test_an_entry_of_a_version_without_soft_scores_verifies_and_its_table_shows_them(small):
    before = {name: item.value for name, item in standing_of(small).soft.averages.items()}

    def change(values):
        for scores in (values["scores"], *(run["scores"] for run in values["runs"])):
            del scores["soft"]

    for name in ("base", "lora", "team"):
        edit(small, change, name)
    assert all(verdict.ok for verdict in audit(small.entries))
    assert {name: item.value for name, item in standing_of(small).soft.averages.items()} == before
