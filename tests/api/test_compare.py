"""``cme.compare``: of entries and results, and of models that are evaluated first."""

import json
import shutil
from pathlib import Path

import pytest

import cme
from cme.errors import UsageError
from cme.records import Result, read_record
from tests.leaderboard.workshop import Workshop, make_samples

ENTRIES = Path(__file__).parents[2] / "leaderboards" / "demo" / "entries"
LETTERS = ("arc", "commonsense_qa")


@pytest.fixture
def results(tmp_path):
    shop = Workshop(tmp_path)
    return [
        shop.result(name, make_samples(skill, name, 64, ("qqp", "rte")), adapter=letter * 64)
        for name, skill, letter in (("one", 0.9, "1"), ("two", 0.5, "2"), ("three", 0.45, "3"))
    ]


@pytest.fixture(scope="module")
def models(tiny_base, tmp_path_factory):
    """Two bases whose answers differ, and an adapter on the second: ``{name: folder}``."""
    import torch
    from transformers import AutoModelForCausalLM

    from tests.evaluation.runs import save_adapter

    root = tmp_path_factory.mktemp("models")
    for seed in (1, 3):
        model = AutoModelForCausalLM.from_pretrained(tiny_base)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            for name, parameter in model.named_parameters():
                if "norm" not in name:
                    parameter.normal_(std=0.3)
        shutil.copytree(tiny_base, root / f"base-{seed}")
        model.save_pretrained(root / f"base-{seed}")
    save_adapter(root / "base-3", root / "adapter", 0.4)
    return {path.name: path for path in root.iterdir()}


def test_entries_of_the_demo_board():
    compared = cme.compare([ENTRIES / f"{name}.json" for name in ("lora", "teamlora", "base")])
    frame = compared.to_frame()
    assert frame[["first", "second"]].to_numpy().tolist() == [
        ["lora", "teamlora"],
        ["lora", "base"],
        ["teamlora", "base"],
    ]
    assert (frame["low"] <= frame["difference"]).all() and (frame["difference"] <= frame["high"]).all()
    board = cme.load_board(ENTRIES).to_frame().set_index("name")["average"]
    for pair in frame.itertuples():
        assert pair.difference == pytest.approx(board[pair.first] - board[pair.second])
        assert 0 <= pair.seed_share <= 1
    families = compared.families_frame()
    assert len(families) == 33
    of_pair = families.query("first == 'lora' and second == 'base'")["difference"]
    assert of_pair.mean() == pytest.approx(frame["difference"][1])
    text = repr(compared)
    assert all(verdict in text for verdict in compared.verdicts) and "<table" in compared._repr_html_()


def test_everything_is_in_the_json_values(results, tmp_path):
    compared = cme.compare({"mine": results[:2], "other": results[2]}, until="decided:20", out=tmp_path / "out")
    values = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert values == json.loads(json.dumps(compared.plain()))
    assert [row["name"] for row in values["rows"]] == ["mine", "other"]
    assert values["rows"][0]["runs"] == [str(result) for result in results[:2]]
    (pair,) = values["pairs"]
    assert set(pair["families"]) == {"paraphrase_detection", "textual_entailment"}
    assert set(pair["datasets"]) == {"qqp", "rte"}
    until = values["until"]
    assert (until["until"], until["prices"]) == ("decided:20", {"qqp": 63.0, "rte": 104.0})
    assert until["looks"][0]["rows"] == {"qqp": 64, "rte": 64}
    assert until["looks"][0]["level"] in (0.002, 0.04)
    assert values["samples"] == until["looks"][-1]["rows"]


def test_texts_paths_results_and_mappings_say_the_same(results):
    whole = cme.compare({"a": [results[0], results[1]], "three": results[2]}).plain()
    for sides in (
        [f"a={results[0]},{results[1]}", results[2]],
        [f"a = {results[0]} , {results[1]}", str(results[2] / "result.json")],
        {"a": [cme.load_result(path) for path in results[:2]], "three": cme.load_result(results[2])},
    ):
        assert cme.compare(sides).plain() == whole


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ([], "at least two sides"),
        (["R0"], "at least two sides"),
        (["R0", "R0"], "given twice"),
        (["a=R0", "a=R1"], "'a' is given twice"),
        (["R0,R1", "R2"], "lists several results without a name. Write NAME=R0,R1"),
        (["a=", "R2"], "side 'a' is empty"),
        (["=R0", "R2"], "side '' is empty"),
        ({"a": [], "b": "R2"}, "side 'a' is empty"),
        (["R0", "nothing/here"], "nothing/here is not a result or an entry, so .* --source and --out are not given"),
        (["R0", "majority"], "majority is not a result or an entry"),
    ],
)
def test_sides_that_cannot_be_read(results, sides, message):
    def filled(text):
        for k, result in enumerate(results):
            text = text.replace(f"R{k}", str(result))
        return text

    given = (
        {key: [*map(filled, [value] if isinstance(value, str) else value)] for key, value in sides.items()}
        if isinstance(sides, dict)
        else [*map(filled, sides)]
    )
    with pytest.raises(UsageError, match=filled(message)):
        cme.compare(given)


@pytest.mark.parametrize(
    ("until", "message"),
    [
        (-1, "the half-width is -1"),
        (0, "the half-width is 0"),
        ("certain", "until is 'certain'. Give a half-width"),
        (0.5, "a half-width of ±0.5 points cannot be reached. All 128 samples give"),
    ],
)
def test_rules_that_cannot_be_followed(results, until, message):
    with pytest.raises(UsageError, match=message):
        cme.compare(results[1:], until=until)


def test_models_are_evaluated_first_and_once(models, tmp_path):
    options = {
        "source": "mini",
        "base": str(models["base-3"]),
        "datasets": LETTERS,
        "threads": 1,
        "out": tmp_path / "x",
    }
    compared = cme.compare([models["adapter"], "base", str(models["base-1"]), "majority"], **options)
    assert [side.name for side in compared.paired.sides] == ["adapter", "base", "base-1", "majority"]
    # base-1 is neither the adapter's base nor has a run record, so it may be a trained copy.
    assert [side.trained for side in compared.paired.sides] == [True, False, True, False]
    assert any("not known whether base-1 was trained" in note for note in compared.notes)
    assert compared.paired.samples == dict.fromkeys(LETTERS, 64)
    record = read_record(tmp_path / "x" / "base-1" / "result.json", Result)
    assert record.adapter is None and record.base == str(models["base-1"])
    before = {file: file.stat().st_mtime_ns for file in (tmp_path / "x").glob("*/result.json")}
    again = cme.compare([models["adapter"], "base", str(models["base-1"]), "majority"], **options)
    assert again.plain() == compared.plain() and len(before) == 4
    assert {file: file.stat().st_mtime_ns for file in before} == before


def test_models_are_evaluated_until_a_precision(models, tmp_path):
    options = {"source": "mini", "datasets": LETTERS, "threads": 1, "tier": "standard", "base": str(models["base-3"])}
    sides = {"first": models["adapter"], "second": models["base-1"]}
    compared = cme.compare(sides, until=10, out=tmp_path / "x", **options)
    looks = compared.paired.until
    assert looks.reason == "precise" and looks.last.items[0].half_width <= 10 and len(looks.looks) > 1
    assert compared.paired.samples == looks.last.rows
    assert 128 < sum(looks.last.rows.values()) < 1000
    for name in ("adapter", "base-1"):
        record = read_record(tmp_path / "x" / name / "result.json", Result)
        assert record.rows.counts == looks.last.rows
        assert {item.dataset: item.n for item in record.scores.datasets} == looks.last.rows
    again = cme.compare(sides, until=10, out=tmp_path / "x", **options)
    assert again.plain() == compared.plain()
    # The stored results alone give the same differences.
    stored = cme.compare({"first": tmp_path / "x" / "adapter", "second": tmp_path / "x" / "base-1"})
    assert stored.differences[0].value == compared.differences[0].value


def test_models_and_rules_that_do_not_fit(models, results, tmp_path):
    options = {"source": "mini", "datasets": LETTERS, "threads": 1, "until": 9, "out": tmp_path / "x"}
    with pytest.raises(UsageError, match="majority answers without a model"):
        cme.compare([models["base-1"], "majority"], **options)
    with pytest.raises(UsageError, match=r"is a result and .* is a model"):
        cme.compare([results[0], models["base-1"]], **options)
    with pytest.raises(UsageError, match="two models have the name 'base-1'"):
        cme.compare({"a": models["base-1"], "b": models["base-1"]}, **options)
    with pytest.raises(UsageError, match="but --source is not given"):
        cme.compare([models["base-1"], models["base-3"]], out=tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_several_processes_compare_stored_results_only(models, results, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="evaluates models in one process"):
        cme.compare([models["base-1"], models["base-3"]], source="mini", out=tmp_path / "x")
    assert len(cme.compare(results).differences) == 3


def test_models_that_are_evaluated_together_are_trained_as_their_results_will_say(models, tmp_path):
    from cme.api.sides import _untrained, named_sides
    from cme.models.load import base_fingerprint

    base, other = str(models["base-3"]), models["base-1"]
    beside = {"adapter": models["adapter"], "base": "base", "same": base, "other": other}
    assert _untrained(named_sides(beside), base) == ["base", "same"], "other may be a trained copy of the base"
    assert _untrained(named_sides({"base": "base", "other": other}), base) == ["base", "other"]
    full = shutil.copytree(other, tmp_path / "full")
    run = Workshop(tmp_path).run(
        "x",
        "full",
        adapter=base_fingerprint(full),
        settings={"rank": None},
        base_fingerprint=base_fingerprint(Path(base)),
    )
    shutil.copy(run / "run.json", full)
    assert _untrained(named_sides({"base": "base", "full": full, "same": base}), base) == ["base", "same"]
