"""``cme show`` and how scores look: what a person reads at the end of an evaluation."""

import json

import pytest

from cme.evaluation.run import evaluate
from cme.evaluation.settings import EvalSettings


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A baseline's result: no model is needed."""
    out = tmp_path_factory.mktemp("results") / "majority"
    values = {"tier": "smoke", "source": "mini", "datasets": ("qqp", "nq_open")}
    evaluate(EvalSettings(base="", baseline="majority", **values), out)
    return out


def test_wrong_samples_are_shown_with_prompt_options_answers_and_scores(cme, result):
    command = ("show", result, "--dataset", "qqp", "--wrong", "2")
    items = json.loads(cme(*command, "--json").stdout)
    assert len(items) == 2 and all(item["score"] == 0 and item["gold"] != item["predicted"] for item in items)
    text = cme(*command).stdout
    for item in items:
        assert f"── qqp · subset qqp · {item['id']}\n{item['prompt']}\n" in text
        for index, option in enumerate(item["options"]):
            mark = "correct" if index == item["gold"] else "chosen"
            assert f"── {item['logprobs'][index]:10.4f}  {option!r} ← {mark}\n" in text
        assert f"── acc 0.0000, probability of the correct option {item['gold_probability']:.4f}\n" in text


def test_free_answers_are_shown_with_the_accepted_ones(cme, result):
    items = json.loads(cme("show", result, "--dataset", "nq_open", "--n", "1", "--json").stdout)
    text = cme("show", result, "--dataset", "nq_open", "--n", "1").stdout
    (item,) = items
    assert f"── answer: {item['text']!r}\n── accepted: {'  '.join(map(repr, item['accepted']))}\n" in text


def test_a_sample_can_be_named(cme, result):
    items = json.loads(cme("show", result, "--dataset", "qqp", "--right", "3", "--json").stdout)
    ids = ",".join(item["id"][:10] for item in items)
    assert json.loads(cme("show", result, "--dataset", "qqp", "--id", ids, "--json").stdout) == items


def test_nothing_to_show_is_said(cme, result, tmp_path):
    import shutil

    from cme.records.samples import read_samples, write_samples

    folder = tmp_path / "x"
    shutil.copytree(result, folder)
    rows = read_samples(folder / "samples.parquet")
    perfect = [{**row, "score": 1.0, "scores": dict.fromkeys(row["scores"], 1.0)} for row in rows]
    write_samples(folder / "samples.parquet", perfect)
    done = cme("show", folder, "--dataset", "qqp", "--wrong", "5")
    assert done.exit_code == 0 and done.stdout == "" and "All answers of qqp are correct" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--dataset", "qqp", "--wrong", "1"), "--wrong needs a result"),
        (("RESULT",), "--dataset is missing"),
        (("RESULT", "--dataset", "arc"), "has no samples of arc"),
        (("RESULT", "--dataset", "qqp", "--split", "train"), "--split cannot be combined with a result"),
        (("--dataset", "qqp", "--confusion"), "--confusion needs a result"),
        (("RESULT", "--dataset", "arc", "--confusion"), "has no samples of arc"),
        (("RESULT", "--dataset", "nq_open", "--confusion"), "nq_open has free-text answers"),
        (("RESULT", "--dataset", "qqp", "--confusion", "--wrong", "3"), "cannot be combined with --wrong"),
        (("RESULT", "--dataset", "qqp", "--id", "zz"), "no sample has an id that begins with 'zz'"),
        (("RESULT", "--dataset", "qqp", "--source", "/nowhere"), "/nowhere"),
    ],
)
def test_what_does_not_go_together_is_told(cme, result, arguments, says):
    done = cme("show", *(result if one == "RESULT" else one for one in arguments))
    assert done.exit_code == 2 and says in done.stderr and "Traceback" not in done.stderr


def test_a_folder_without_a_result(cme, tmp_path):
    done = cme("show", tmp_path, "--dataset", "qqp")
    assert done.exit_code == 1
    assert "result.json does not exist. Give a folder that 'cme eval' wrote." in done.stderr


def test_failed_and_unfinished_answers_are_counted_in_the_result_and_shown(cme, tmp_path):
    from tests.leaderboard.workshop import Workshop, make_samples

    rows = make_samples(0.5, "x", rows=12, names=("squad_v2", "trivia_qa", "qqp"))
    for number, row in enumerate(row for row in rows if row["dataset"] == "squad_v2"):
        row |= {"empty": number in (1, 2, 3), "truncated": number in (4, 5)}
    folder = Workshop(tmp_path).result("x", rows)
    kept = json.loads((folder / "result.json").read_text())["scores"]["datasets"]
    assert {item["dataset"]: item["diagnostics"] for item in kept}["squad_v2"] == {"truncated": 2, "cut": 1, "empty": 3}
    lines = {line.split()[0]: line for line in cme("score", folder).stdout.splitlines() if line.strip()}
    assert lines["squad_v2"].endswith("3 empty, 2 truncated, 1 cut")
    assert "empty" not in lines["trivia_qa"] and "truncated" not in lines["trivia_qa"]


def test_the_confusion_table_counts_every_sample_of_the_result(cme, result):
    from cme.records.samples import read_samples

    command = ("show", result, "--dataset", "qqp", "--confusion")
    samples = [row for row in read_samples(result / "samples.parquet") if row["dataset"] == "qqp"]
    pairs = [(row["gold"], row["predicted"]) for row in samples]
    table = json.loads(cme(*command, "--json").stdout)
    assert table["labels"] == ["not duplicate", "duplicate"]
    assert table["counts"] == [[pairs.count((gold, predicted)) for predicted in (0, 1)] for gold in (0, 1)]
    assert table["accuracy"] == sum(row["score"] for row in samples) / len(samples)
    assert table["kappa"] == 0.0, "the majority answer agrees by chance only"
    lines = cme(*command).stdout.splitlines()
    for label, counts in zip(table["labels"], table["counts"], strict=True):
        assert any(line.startswith(label) and line.split()[-2:] == list(map(str, counts)) for line in lines)


def test_subjects_of_mmlu_are_scored_one_by_one(cme, result, tmp_path):
    from tests.leaderboard.workshop import Workshop, make_samples

    rows = make_samples(0.5, "x", rows=12, names=("mmlu", "qqp"))
    for number, row in enumerate(row for row in rows if row["dataset"] == "mmlu"):
        row["part"] = ("astronomy", "virology")[number >= 4]
    folder = Workshop(tmp_path).result("x", rows)
    scores = json.loads(cme("score", folder, "--subsets", "--json").stdout)
    assert [(item["dataset"], item["subset"], item["n"]) for item in scores] == [
        ("mmlu", "astronomy", 4),
        ("mmlu", "virology", 8),
    ]
    mine = [row["score"] for row in rows if row["part"] == "astronomy"]
    assert scores[0]["accuracy"] == sum(mine) / 4
    text = cme("score", folder, "--subsets").stdout
    assert f"{100 * scores[1]['accuracy']:.2f}" in text and "Cohen's kappa" in text
    none = cme("score", result, "--subsets")
    assert none.exit_code == 2 and "no choice dataset with several subsets" in none.stderr


def test_a_missing_split_is_no_reason_to_name_an_option_that_show_lacks(cme, tmp_path):
    for split in ("train", "eval"):
        done = cme("show", "--dataset", "qqp", "--source", tmp_path, "--split", split)
        assert done.exit_code == 1
        assert "lacks:\n  qqp: qqp/" in done.stderr and "set another --source or --split" in done.stderr
        assert "--allow-missing" not in done.stderr


def test_a_program_is_shown_with_its_tests(cme):
    text = cme("show", "--dataset", "mbpp", "--source", "mini", "--n", "1").stdout
    (item,) = json.loads(cme("show", "--dataset", "mbpp", "--source", "mini", "--n", "1", "--json").stdout)
    tests = json.loads(item["accepted"][0])["tests"]
    assert f"── tests:\n{tests}" in text and '"head"' not in text


def test_a_dataset_without_training_rows_is_one_message(cme):
    done = cme("show", "--dataset", "humaneval", "--source", "mini", "--split", "train")
    assert done.exit_code == 2 and "humaneval has no training rows. Leave --split out." in done.stderr
