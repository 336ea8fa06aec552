"""``--suite`` on the command line."""

import json

import pytest

RUN = ("--source", "mini:graded", "--tier", "smoke", "--threads", "1")


def test_ls_lists_a_suite(cme):
    rows = json.loads(cme("ls", "datasets", "--suite", "cme-r", "--json").stdout)
    assert {"aqua_rat", "gsm8k"} <= {row["dataset"] for row in rows} and "qqp" not in {row["dataset"] for row in rows}
    assert len(json.loads(cme("ls", "datasets", "--json").stdout)) == 22
    assert [row["suite"] for row in json.loads(cme("ls", "suites", "--json").stdout)] == ["cme-22", "cme-r"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ls", "datasets", "--suite", "cme-rr"), "unknown suite 'cme-rr'. Did you mean 'cme-r'?"),
        (("ls", "methods", "--suite", "cme-r"), "the methods do not depend on the suite"),
        (("build-data", "--suite", "cme22", "--out", "x"), "unknown suite 'cme22'. Did you mean 'cme-22'?"),
        (
            ("build-data", "--suite", "cme-r", "--datasets", "qqp", "--out", "x"),
            "qqp is a dataset of cme-22, not of cme-r",
        ),
        (("eval", "--suite", "mathematics", "--out", "x"), "unknown suite 'mathematics'"),
        (("eval", "--datasets", "qqp,gsm8k", "--out", "x"), "whose averages are never mixed"),
        (
            ("eval", "--suite", "all", "--baseline", "majority", "--out", "x"),
            "--baseline cannot be combined with --suite all",
        ),
        (("eval", "--suite", "all", "--until", "1", "--out", "x"), "--until cannot be combined with --suite all"),
    ],
)
def test_what_is_wrong_is_said_in_one_message(cme, arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = cme(*arguments)
    assert made.exit_code != 0 and says in made.stderr.replace("\n", " ")
    assert not (tmp_path / "x").exists()


def test_eval_of_all_suites_keeps_them_apart(cme, tiny_base, tmp_path):
    out = tmp_path / "out"
    made = cme("eval", "--base", tiny_base, "--suite", "all", "--datasets", "gsm8k,rte", *RUN, "--out", out, "--json")
    assert made.exit_code == 0, made.stderr
    results = json.loads(made.stdout)
    assert [[item["dataset"] for item in one["scores"]["datasets"]] for one in results] == [["rte"], ["gsm8k"]]
    assert (out / "cme-22" / "base" / "result.json").is_file() and (out / "cme-r" / "base" / "result.json").is_file()
    # Only a result with worked solutions counts the tokens of its texts.
    assert "generated" not in results[0] and results[1]["generated"]["gsm8k"] > 0


def test_eval_shows_both_readings(cme, tmp_path):
    made = cme("eval", "--baseline", "majority", "--datasets", "gsm8k", *RUN[:4], "--out", tmp_path / "out")
    assert made.exit_code == 0, made.stderr
    line = next(line for line in made.stdout.splitlines() if line.startswith("gsm8k"))
    assert "flexible_match" in line and "strict " in line
    assert "CME-R average over the evaluated family" in made.stdout and "CME average" not in made.stdout
