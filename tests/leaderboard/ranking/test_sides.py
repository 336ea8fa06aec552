"""What is compared: results and entries are read, put in one order, and refused if they do not fit."""

import shutil

import pytest

import cme
from cme.errors import CMEError, UsageError
from cme.leaderboard.ranking.sides import read_sides
from cme.records import Result, read_record, write_record
from cme.suite.prices import row_tokens
from cme.suite.scorer import SCORER_VERSION
from cme.suite.tiers import is_tier_order
from tests.leaderboard.workshop import BASE_FINGERPRINT, make_samples

NAMES = ("qqp", "rte")


def samples(skill, seed, rows=24, names=NAMES):
    return make_samples(skill, seed, rows, names)


def unnamed(*paths):
    return {f"={path}": [path] for path in paths}


@pytest.fixture
def pair(workshop):
    """Two results of adapters."""
    return [
        workshop.result(name, samples(skill, name), adapter=letter * 64)
        for name, skill, letter in (("one", 0.5, "1"), ("two", 0.8, "2"))
    ]


def test_results_and_entries_stand_side_by_side(workshop, pair):
    workshop.row("lora", "lora", 0.6, seeds=(0, 1), names=NAMES)
    workshop.reference("base", 0.4, names=NAMES)
    entries = [workshop.entries / "lora.json", workshop.entries / "base.json"]
    sides = read_sides(unnamed(pair[0], pair[1] / "result.json", *entries))
    assert [(side.name, len(side.runs), side.trained) for side in sides] == [
        ("one", 1, True),
        ("two", 1, True),
        ("lora", 2, True),
        ("base", 1, False),
    ]
    assert [run.seed for run in sides[2].runs] == [0, 1]
    assert {side.tier for side in sides} == {"quick"}


def test_results_of_one_method_make_one_side(workshop, pair):
    other = workshop.result("other", samples(0.3, "other"))
    sides = read_sides({"mine": pair, **unnamed(other)})
    assert [(side.name, len(side.runs), side.trained) for side in sides] == [("mine", 2, True), ("other", 1, False)]


def test_all_samples_are_in_the_tier_order_of_the_first(workshop, pair):
    mixed = workshop.result("mixed", list(reversed(samples(0.7, "mixed"))), adapter="3" * 64)
    for first, second in ((pair[0], mixed), (mixed, pair[0])):
        one, two = read_sides(unnamed(first, second))
        for name in NAMES:
            ids, clusters, _ = one.runs[0].columns[name]
            assert (two.runs[0].columns[name][0], two.runs[0].columns[name][1]) == (ids, clusters)
            rows = {row["id"]: row for row in samples(0.5, "one") if row["dataset"] == name}
            assert is_tier_order([Row(key, rows[key]["part"]) for key in ids])
            assert clusters == [rows[key]["cluster"] for key in ids]
        for side, skill, seed in ((one, 0, ""), (two, 0, "")):
            seed, skill = ("one", 0.5) if side.name == "one" else ("mixed", 0.7)
            scores = {row["id"]: row["score"] for row in samples(skill, seed)}
            ids, _, values = side.runs[0].columns["qqp"]
            assert list(values) == [scores[key] for key in ids]


class Row:
    def __init__(self, key, subset):
        self.id, self.subset = key, subset


def test_samples_in_tier_order_stay_as_they_are(workshop):
    rows = samples(0.5, "x")
    # Half of the samples of a subset, in their order, are a prefix that no rule could interleave again.
    from cme.suite.tiers import tier_order

    ordered = {name: [Row(row["id"], row["part"]) for row in rows if row["dataset"] == name] for name in NAMES}
    keys = [row.id for name in NAMES for row in tier_order(ordered[name])]
    by_id = {row["id"]: row for row in rows}
    made = [
        workshop.result(name, [{**by_id[key], "gold_probability": p} for key in keys], adapter=letter * 64)
        for name, letter, p in (("a", "1", 0.4), ("b", "2", 0.45))
    ]
    sides = read_sides(unnamed(*made))
    assert sides[0].runs[0].columns["qqp"][0] == keys[:24]


def test_tokens_are_recorded_or_from_the_table(workshop):
    made = workshop.result("a", samples(0.5, "a"), adapter="1" * 64, tokens={"qqp": 2400})
    other = workshop.result("b", samples(0.6, "b"), adapter="2" * 64)
    side, without = read_sides(unnamed(made, other))
    assert side.tokens_per_sample() == {"qqp": 100.0, "rte": row_tokens("rte")}
    assert without.tokens_per_sample() == {name: row_tokens(name) for name in NAMES}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tier": "standard"}, r"tier: quick \(.*one\), standard \(.*other\)"),
        ({"source": "hub"}, "source: hub .*, mini"),
        ({"prompt_format": "chat"}, "prompt format: chat"),
        ({"prompt_variant": 2}, "prompt variant: 0 .*, 2"),
        ({"shots": 4}, "shots: 0 .*, 4"),
        ({"scorer_version": 7}, f"scorer version: {SCORER_VERSION} .*, 7"),
        ({"task_fingerprints": {"qqp": "f" * 64}}, "task file of qqp"),
        ({"provenance": {"qqp": {"world": "other"}}}, "world of qqp: mini .*, other"),
    ],
)
def test_results_that_were_evaluated_differently_are_refused(workshop, pair, changed, message):
    other = workshop.result("other", samples(0.6, "other"), adapter="3" * 64, **changed)
    with pytest.raises(UsageError, match=rf"cannot be compared, because they differ in .*{message}"):
        read_sides(unnamed(pair[0], other))


def test_every_difference_is_in_one_message(workshop, pair):
    other = workshop.result("o", samples(0.6, "o"), adapter="3" * 64, tier="standard", prompt_format="chat")
    with pytest.raises(UsageError, match=r"tier: .*; in prompt format: "):
        read_sides(unnamed(pair[0], other))


def test_results_of_other_samples_are_refused(workshop, pair):
    fewer = workshop.result("fewer", samples(0.6, "fewer", rows=12), adapter="3" * 64)
    with pytest.raises(UsageError, match=r"samples of qqp: 12 samples \(.*fewer\), 24 \(.*one\)"):
        read_sides(unnamed(pair[0], fewer))
    rows = [{**row, "id": f"new-{row['id']}"} for row in samples(0.6, "renamed")]
    renamed = workshop.result("renamed", rows, adapter="3" * 64)
    with pytest.raises(UsageError, match=r"samples of qqp: 24 \(.*one\), 24 others \(.*renamed\)"):
        read_sides(unnamed(pair[0], renamed))
    one = workshop.result("one-dataset", samples(0.6, "x", names=("qqp",)), adapter="3" * 64)
    with pytest.raises(UsageError, match=r"datasets: all .*, without rte"):
        read_sides(unnamed(pair[0], one))


def test_other_clusters_are_refused(workshop, pair):
    rows = [{**row, "cluster": "all"} for row in samples(0.6, "x")]
    with pytest.raises(CMEError, match="clusters of its samples of qqp differ"):
        read_sides(unnamed(pair[0], workshop.result("x", rows, adapter="3" * 64)))


def test_identical_results_are_refused(workshop, pair):
    copy = workshop.root / "copy"
    shutil.copytree(pair[0], copy)
    with pytest.raises(UsageError, match=r"one and .*copy are identical"):
        read_sides(unnamed(pair[0], copy))
    with pytest.raises(UsageError, match="identical"):
        read_sides({"mine": [pair[0], copy], **unnamed(pair[1])})


def test_two_results_of_one_name_have_the_names_of_their_folders(workshop, pair):
    twin = workshop.root / "twin"
    made = workshop.result("one", samples(0.9, "twin"), adapter="4" * 64)
    made.rename(twin)
    first = workshop.result("one", samples(0.5, "one"), adapter="1" * 64)
    sides = read_sides(unnamed(first, twin))
    assert [side.name for side in sides] == [str(first), str(twin)]
    sides = read_sides({"two": [first], **unnamed(pair[1])})
    assert [side.name for side in sides] == ["two", str(pair[1])]
    with pytest.raises(UsageError, match="two sides have the name 'two'"):
        read_sides({"two": [first], "=two": [pair[1]]})


def test_groups_must_be_runs_of_one_kind(workshop, pair):
    base = workshop.reference("base", 0.4, names=NAMES)
    assert base.method == "base"
    entry = workshop.entries / "base.json"
    with pytest.raises(UsageError, match="mine consists of trained and untrained models"):
        read_sides({"mine": [pair[0], entry], **unnamed(pair[1])})
    workshop.row("lora", "lora", 0.6, seeds=(0, 1), names=NAMES)
    workshop.row("other", "lora", 0.7, seeds=(1, 2), names=NAMES)
    with pytest.raises(UsageError, match="mine has two runs with seed 1"):
        read_sides({"mine": [workshop.entries / f"{name}.json" for name in ("lora", "other")]})


def change(folder, **values):
    """Change a result's record; ``adapter`` holds fields of the adapter."""
    record = read_record(folder / "result.json", Result)
    if adapter := values.pop("adapter", None):
        values["adapter"] = record.adapter.replace(**adapter)
    write_record(folder / "result.json", record.replace(**values))
    return folder


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"base_fingerprint": "e" * 64}, r"base: bbbbbbbbbbbb \(.*one\), eeeeeeeeeeee \(.*two\)"),
        ({"adapter": {"method": "ia3"}}, r"type of the adapter: ia3 \(.*two\), lora \(.*one\)"),
        ({"experts": "top1"}, r"experts: all \(.*one\), top1 \(.*two\)"),
        ({"dtype": "bfloat16"}, r"data type: bfloat16 \(.*two\), float32 \(.*one\)"),
    ],
)
def test_results_of_one_name_are_seeds_of_one_method(workshop, pair, changed, message):
    other = workshop.result("other", samples(0.3, "other"), adapter="3" * 64)
    assert len(read_sides({"mine": pair, "other": [other]})[0].runs) == 2
    change(pair[1], **changed)
    with pytest.raises(UsageError, match=f"the results of mine are not seeds of one method, .* {message}"):
        read_sides({"mine": pair, "other": [other]})
    assert len(read_sides(unnamed(*pair))) == 2, "as two sides they are compared"


def test_one_adapter_in_two_data_types_is_no_second_seed(workshop, pair):
    """It would look like two seeds that hardly differ, which makes small differences significant."""
    again = workshop.result("again", samples(0.5, "again"), adapter="1" * 64, dtype="bfloat16")
    with pytest.raises(UsageError, match=r"mine has the model 111111111111 twice \(.*one, .*again\)"):
        read_sides({"mine": [pair[0], again], **unnamed(pair[1])})
    with pytest.raises(UsageError, match="mine has the model 111111111111 twice"):
        cme.plan({"mine": [pair[0], again], "two": pair[1]}, difference=10)
    entry = workshop.row("lora", "lora", 0.6, seeds=(0, 1), names=NAMES)
    fingerprint = entry.runs[1].provenance.adapter.fingerprint
    copy = workshop.result("copy", samples(0.4, "copy"), adapter=fingerprint)
    with pytest.raises(UsageError, match=rf"lora has the model {fingerprint[:12]} twice \(lora, seed 1, .*copy\)"):
        read_sides({"lora": [workshop.entries / "lora.json", copy], **unnamed(pair[1])})
    assert len(read_sides({"lora": [workshop.entries / "lora.json", pair[0]], **unnamed(pair[1])})[0].runs) == 3


def test_run_records_and_entries_of_one_name_have_one_recipe(workshop, pair):
    runs = [
        workshop.run(name, "lora", adapter=letter * 64, settings={"rank": rank})
        for name, letter, rank in (("one", "1", 8), ("two", "2", 64))
    ]
    for folder, run in zip(pair, runs, strict=True):
        change(folder, adapter={"path": str(run)})
    other = workshop.result("other", samples(0.3, "other"), adapter="3" * 64)
    with pytest.raises(UsageError, match=r"adapter: rank: 64 \(.*two\), 8 \(.*one\)"):
        read_sides({"mine": pair, **unnamed(other)})
    workshop.run("two", "lora", adapter="9" * 64, settings={"rank": 64})  # the record of other weights
    assert read_sides({"mine": pair, **unnamed(other)})[0].trained
    workshop.row("a", "lora", 0.6, seeds=(0, 1), names=NAMES)
    workshop.row("b", "moelora", 0.7, seeds=(2, 3), names=NAMES, run={"mix_fingerprint": "e" * 64})
    with pytest.raises(UsageError, match=r"method: lora .*, moelora .*; in mix: cccccccccccc .*, eeeeeeeeeeee"):
        read_sides({"mine": [workshop.entries / f"{name}.json" for name in "ab"], **unnamed(other)})


def test_a_whole_model_and_an_adapter_are_two_methods(workshop, pair):
    whole = workshop.result("whole", samples(0.7, "whole"), base="runs/whole", base_fingerprint="f" * 64)
    with pytest.raises(UsageError, match=r"kind: adapter \(.*one\), model \(.*whole\)"):
        read_sides({"mine": [pair[0], whole], **unnamed(pair[1])})


def whole_model(workshop, fingerprint, **other):
    """A result of a model without an adapter, and the folder of the model."""
    folder = workshop.root / "runs" / "full"
    made = workshop.result(
        "full", samples(0.7, "full"), **{"base": str(folder), "base_fingerprint": fingerprint} | other
    )
    return made, folder


def test_a_fully_trained_model_with_a_record_is_trained(workshop, pair):
    made, folder = whole_model(workshop, "f" * 64)
    base = workshop.result("plain", samples(0.4, "plain"), base="somewhere")
    assert [(side.trained, side.assumed) for side in read_sides(unnamed(made, base))] == [(False, False)] * 2
    assert workshop.run("full", "full", adapter="f" * 64, settings={"rank": None}) == folder
    sides = read_sides(unnamed(made, base, pair[0]))
    assert [(side.trained, side.assumed) for side in sides] == [(True, False), (False, False), (True, False)]
    # The record alone names the base of the other side.
    assert [side.trained for side in read_sides(unnamed(base, made))] == [False, True]
    workshop.run("full", "full", adapter="9" * 64, settings={"rank": None})
    side = read_sides(unnamed(made, pair[0]))[0]
    assert (side.trained, side.assumed) == (True, True), "the record of other weights says nothing"


def test_a_model_that_is_not_the_base_counts_as_trained(workshop, pair):
    made, _ = whole_model(workshop, "f" * 64)
    workshop.row("lora", "lora", 0.6, seeds=(0, 1, 2), names=NAMES)
    for given in (unnamed(made, pair[0]), unnamed(made, workshop.entries / "lora.json")):
        assert [(side.trained, side.assumed) for side in read_sides(given)] == [(True, True), (True, False)]
    for plain in ({"base_fingerprint": BASE_FINGERPRINT}, {"base": "smollm2-135m"}):
        base, _ = whole_model(workshop, "f" * 64, **plain)
        assert [side.trained for side in read_sides(unnamed(base, pair[0]))] == [False, True]


def test_a_base_and_its_trained_copy_are_not_two_seeds(workshop, pair):
    made, _ = whole_model(workshop, "f" * 64)
    base = workshop.result("plain", samples(0.4, "plain"), base="somewhere")
    with pytest.raises(
        UsageError, match=r"mine consists of trained and untrained models: .*plain is the base of other"
    ):
        read_sides({"mine": [made, base], **unnamed(pair[0])})
    copies = [
        workshop.result(f"full-{k}", samples(0.7, f"full-{k}"), base=f"runs/{k}", base_fingerprint=f"{k}" * 64)
        for k in (4, 5)
    ]
    side = read_sides({"mine": copies, **unnamed(pair[0])})[0]
    assert (len(side.runs), side.trained, side.assumed) == (2, True, False)


def test_smoke_is_too_small(workshop):
    made = [
        workshop.result(name, samples(0.5, name, rows=8), adapter=letter * 64, tier="smoke")
        for name, letter in (("a", "1"), ("b", "2"))
    ]
    with pytest.raises(UsageError, match="tier smoke has too few samples"):
        read_sides(unnamed(*made))


def test_a_changed_file_is_refused(workshop, pair):
    shutil.copyfile(pair[1] / "samples.parquet", pair[0] / "samples.parquet")
    with pytest.raises(CMEError, match="has changed since it was recorded"):
        read_sides(unnamed(*pair))


def test_scores_out_of_range_are_refused(workshop, pair):
    import pyarrow as pa
    import pyarrow.parquet as pq

    from cme.files import sha256_file

    file = pair[0] / "samples.parquet"
    table = pq.read_table(file)
    changed = table.set_column(table.schema.get_field_index("score"), "score", pa.array([2.0] * len(table)))
    pq.write_table(changed, file)
    record = read_record(pair[0] / "result.json", Result)
    write_record(pair[0] / "result.json", record.replace(samples_sha256=sha256_file(file)))
    with pytest.raises(CMEError, match="a score of qqp is not a number from 0 to 1"):
        read_sides(unnamed(*pair))
