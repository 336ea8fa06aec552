"""``cme eval`` with --until, --rows and --rows-of, and the same arguments in Python."""

import json

import pytest

import cme
from cme.errors import UsageError
from cme.records import Result, read_record

FIXED = ("--source", "mini", "--threads", "1")
NAMES = ("--datasets", "qqp,rte")


@pytest.fixture(scope="module")
def first(tiny_base, tmp_path_factory):
    """A result of two datasets until ±9 points."""
    out = tmp_path_factory.mktemp("first") / "x"
    cme.evaluate(base=str(tiny_base), source="mini", datasets="qqp,rte", tier="standard", until=9, threads=1, out=out)
    return out


BAD = [
    (("--until", "0"), "the half-width is 0. Give a number of points above 0, such as 0.5."),
    (("--until", "-1"), "the half-width is -1. Give a number of points above 0"),
    (("--until", "nan"), "the half-width is nan"),
    (("--until", "much"), "until is 'much'. Give a half-width in points, such as 0.5"),
    (
        ("--until", "decided:1"),
        "until=decided:1 compares several models, but an evaluation has one. Compare them with cme compare",
    ),
    (
        ("--until", "1", "--baseline", "majority"),
        "until cannot be combined with the baseline majority, which costs no tokens",
    ),
    (("--until", "1", "--tier", "smoke"), "until cannot be combined with tier smoke"),
    (("--until", "1", "--rows", "rte=5"), "until and rows cannot be combined, because each of them chooses the rows"),
    (("--until", "1", "--rows-of", "x"), "until and rows_of cannot be combined"),
    (("--until", "1", "--adapter", "a", "--adapter", "b"), "--until applies to one model, but 2 adapters are given"),
    (("--until", "1", "--devices", "0,1"), "--until cannot be combined with --devices"),
    (("--rows", "rte"), "rows holds 'rte'. Give DATASET=NUMBER, separated by commas, such as rte=100,qqp=300."),
    (("--rows", "rte=100,rte=5"), "rows names rte more than once. Give one number of rows for each dataset."),
    (("--rows", "rte=5, rte=5"), "rows names rte more than once"),
    (("--source", "mini:seed=1,seed=2"), "source 'mini:seed=1,seed=2' has several seeds. Give one of them."),
    (("--rows", "rte=0"), "rows has 0 rows of rte. Give a number above 0"),
    (("--rows", "rtee=5"), "dataset in rows: 'rtee'"),
    (
        ("--rows", "rte=5", "--datasets", "rte"),
        "datasets cannot be combined with rows, which names the datasets itself",
    ),
    (("--rows", "rte=5000", "--tier", "quick"), "5000 rows of rte were requested, but tier quick has 64"),
    (("--rows-of", "nowhere"), "does not exist. Give a folder that 'cme eval' wrote."),
    (
        ("--rows", "rte=5", "--adapter", "a", "--adapter", "b", "--devices", "0,1"),
        "devices cannot be combined with rows",
    ),
]


@pytest.mark.parametrize(("arguments", "says"), BAD)
def test_bad_input_has_one_message_and_leaves_nothing(cme, tiny_base, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    outcome = cme("eval", "--base", tiny_base, "--out", "x", *FIXED, *arguments)
    assert outcome.exit_code in (1, 2), outcome.stderr
    assert says in " ".join(outcome.stderr.split()) and "Traceback" not in outcome.stderr
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--source", "mini:hard"), "source mini, not mini:hard (set --source)"),
        (("--format", "teamlora"), "format plain, not teamlora (set --format)"),
        (("--shots", "1"), "0 shots, not 1 (set --shots)"),
        (("--shots", "1", "--format", "plain", "--source", "mini:hard"), "; 0 shots, not 1"),
        (("--tier", "quick"), "are of tier standard, but tier is quick. Leave it out."),
        (("--datasets", "rte"), "datasets cannot be combined with rows_of"),
    ],
)
def test_rows_of_another_evaluation_are_refused(cme, tiny_base, first, tmp_path, arguments, says):
    outcome = cme("eval", "--base", tiny_base, "--rows-of", first, "--out", tmp_path / "x", *FIXED, *arguments)
    assert outcome.exit_code == 2 and says in " ".join(outcome.stderr.split()), outcome.stderr
    assert not (tmp_path / "x").exists()


def test_another_suite_and_another_tokenizer_are_refused(cme, tiny_base, first, tmp_path):
    def changed(**changes):
        folder = tmp_path / "changed"
        folder.mkdir(exist_ok=True)
        values = json.loads((first / "result.json").read_text()) | changes
        (folder / "result.json").write_text(json.dumps(values))
        return folder

    def refused(folder):
        outcome = cme("eval", "--base", tiny_base, "--rows-of", folder, "--out", tmp_path / "x", *FIXED)
        assert outcome.exit_code in (1, 2) and not (tmp_path / "x").exists()
        return " ".join(outcome.stderr.split())

    record = read_record(first / "result.json", Result)
    assert "other task files of qqp" in refused(changed(task_fingerprints=record.task_fingerprints | {"qqp": "0" * 64}))
    assert f"another tokenizer than that of {tiny_base}" in refused(changed(tokenizer_fingerprint="0" * 64))
    assert "other rows of qqp in source mini" in refused(
        changed(provenance=record.provenance | {"qqp": {"world": "older"}})
    )
    damaged = json.loads((first / "result.json").read_text())["rows"]
    damaged["counts"]["qqp"] += 1
    assert "its numbers of rows do not agree" in refused(changed(rows=damaged))


def test_rows_of_a_whole_tier_name_the_tier(cme, tiny_base, tmp_path):
    assert (
        cme(
            "eval", "--base", tiny_base, *FIXED, "--datasets", "rte", "--tier", "smoke", "--out", tmp_path / "x"
        ).exit_code
        == 0
    )
    outcome = cme("eval", "--base", tiny_base, *FIXED, "--rows-of", tmp_path / "x", "--out", tmp_path / "y")
    assert outcome.exit_code == 2 and "Set --tier smoke in place of --rows-of" in " ".join(outcome.stderr.split())


def test_a_second_model_is_evaluated_on_the_rows_of_the_first(cme, tiny_base, first, tmp_path):
    record = read_record(first / "result.json", Result)
    outcome = cme("eval", "--baseline", "majority", "--rows-of", first, "--out", tmp_path / "m", *FIXED)
    assert outcome.exit_code == 0, outcome.stderr
    outcome = cme("eval", "--base", tiny_base, "--rows-of", first, "--out", tmp_path / "b", *FIXED, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    second = json.loads(outcome.stdout)
    assert second["rows"]["counts"] == record.rows.counts and second["tier"] == "standard"
    assert second["rows"]["identity"] == record.rows.identity
    majority = read_record(tmp_path / "m" / "result.json", Result)
    assert majority.rows.identity == record.rows.identity and majority.baseline == "majority"


def test_until_prints_what_it_took(cme, tiny_base, tmp_path):
    words = ("eval", "--base", tiny_base, *FIXED, *NAMES, "--tier", "standard", "--until", "9", "--out", tmp_path / "x")
    outcome = cme(*words)
    assert outcome.exit_code == 0, outcome.stderr
    rows = read_record(tmp_path / "x" / "result.json", Result).rows
    assert (
        f"± {rows.reached:.2f} (95 % interval) after {rows.total:,} rows ({rows.share:.0f} % of tier standard)."
        in outcome.stdout
    )
    assert not outcome.stderr.strip() or "\r" not in outcome.stderr
    again = cme(*words)
    assert again.exit_code == 2 and "finished output of this command" in again.stderr


def test_python_takes_the_same_arguments(cme_module, tiny_base, first, tmp_path):
    result = cme_module.evaluate(
        base=str(tiny_base), source="mini", rows={"rte": 9, "qqp": 5}, threads=1, out=tmp_path / "x"
    )
    assert result.record.rows.counts == {"qqp": 5, "rte": 9} and result.record.tier == "full"
    text = cme_module.evaluate(base=str(tiny_base), source="mini", rows="rte=9, qqp=5", threads=1)
    assert text.to_frame()["score"].tolist() == result.to_frame()["score"].tolist()
    assert "14 rows" in repr(text)
    more = cme_module.evaluate(
        base=str(tiny_base), source="mini", rows={"rte": 9, "qqp": 8}, threads=1, out=tmp_path / "x"
    )
    assert more.to_frame()["n"].tolist() == [8, 9]
    assert len(more.samples(texts=True)) == 17
    (each,) = cme_module.evaluate_each(
        ["base"], tmp_path / "each", base=str(tiny_base), source="mini", rows_of=first, threads=1
    )
    assert each.record.rows.identity == read_record(first / "result.json", Result).rows.identity
    for wrong in ({"until": True}, {"rows": {"rte": 1.5}}, {"rows": {}}, {"until": [1]}):
        with pytest.raises(UsageError):
            cme_module.evaluate(base=str(tiny_base), source="mini", **wrong)


def test_a_model_in_memory_stops_at_a_precision(cme_module, tiny_base, tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base)
    loaded = cme_module.evaluate(
        model=model, tokenizer=tokenizer, source="mini", tier="standard", datasets="qqp,rte", until=9, threads=1
    )
    assert loaded.record.rows.stopped == "precise" and loaded.in_memory
    with pytest.raises(UsageError, match="cannot be reached") as caught:
        cme_module.evaluate(
            model=model, tokenizer=tokenizer, source="mini", tier="standard", datasets="qqp,rte", until=0.1, threads=1
        )
    assert "are kept in" not in str(caught.value), "a temporary folder is removed"


@pytest.fixture
def cme_module():
    return cme


def test_a_board_of_chosen_rows_is_submitted_verified_ranked_and_reproduced(
    cme, cme_module, tiny_base, first, tmp_path
):
    entries = tmp_path / "board" / "entries"
    assert cme("eval", "--baseline", "majority", "--rows-of", first, "--out", tmp_path / "m", *FIXED).exit_code == 0
    for folder in (first, tmp_path / "m"):
        outcome = cme("submit", folder, "--entries", entries)
        assert outcome.exit_code == 0, outcome.stderr
    outcome = cme("leaderboard", "verify", entries)
    assert outcome.exit_code == 0 and outcome.stdout.count("recomputed") == 2, outcome.stdout
    assert cme("leaderboard", "--entries", entries, "--out", tmp_path / "board").exit_code == 0
    page = (tmp_path / "board" / "leaderboard.md").read_text()
    assert "rows chosen for ±9 points" in page and "its scores chose the rows for ±9 points" in page
    again = cme_module.reproduce(tiny_base.name, tmp_path / "again", entries=entries, base=str(tiny_base), threads=1)
    assert again.record.verdict.startswith("bitwise identical"), again.record.verdict
    assert (
        cme("eval", "--baseline", "majority", *NAMES, "--tier", "quick", "--out", tmp_path / "q", *FIXED).exit_code == 0
    )
    assert cme("submit", tmp_path / "q", "--entries", entries, "--name", "majority", "--replace").exit_code == 0
    outcome = cme("leaderboard", "--entries", entries, "--out", tmp_path / "board")
    assert outcome.exit_code == 2 and "rows per dataset" in outcome.stderr, outcome.stderr
