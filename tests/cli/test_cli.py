import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cme.cli.main import VERBS, app
from cme.suite import datasets


def commands():
    return [info.name for info in app.registered_commands]


def test_every_verb_has_help_with_an_example(cme):
    assert len(commands()) >= len(VERBS) - len(app.registered_groups)
    for name in commands():
        if name == "lm-eval":
            continue
        result = cme(name, "--help")
        assert result.exit_code == 0
        assert f"cme {name}" in result.stdout.split("Example:")[-1], name


def test_the_help_lists_the_commands_in_the_order_of_the_workflow_with_whole_sentences(cme):
    lines = cme("--help").stdout.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    names, summaries = zip(*(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in lines), strict=True)
    order = [names.index(name) for name in ("doctor", "build-data", "train", "eval", "submit", "leaderboard")]
    assert order == sorted(order)
    assert all(summary.endswith(".") and not summary.endswith("...") for summary in summaries), summaries


def test_an_example_only_uses_options_that_exist(cme):
    for name in commands():
        if name == "lm-eval":
            continue
        text = cme(name, "--help").stdout
        options, example = re.split(r"Examples?:", text, maxsplit=1)
        own = " ".join(line for line in example.splitlines() if not re.match(r"\s*cme ", line) or f"cme {name}" in line)
        for option in re.findall(r"(?<=\s)--[a-z-]+", own):
            assert option in options or name == "tasks-path", f"cme {name}: {option}"


def test_lists_can_be_read_by_scripts(cme):
    rows = json.loads(cme("ls", "datasets", "--json").stdout)
    assert [row["dataset"] for row in rows] == list(datasets())
    for what in ("families", "baselines", "tiers", "methods", "recipes"):
        assert json.loads(cme("ls", what, "--json").stdout), what


def test_tables_are_aligned(cme):
    lines = cme("ls", "tiers").stdout.splitlines()
    assert lines[0].split() == ["tier", "rows", "per", "dataset", "for"]
    assert len(lines) == 2 + 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("ls", "dataset"), "Did you mean 'datasets'"),
        (("eval", "--out", "x", "--tier", "quik"), "Did you mean 'quick'"),
        (("eval", "--out", "x", "--source", "mini", "--datasets", "qpp"), "Did you mean 'qqp'"),
        (("eval", "--out", "x", "--source", "nowhere"), "Use 'hub', 'mini', an existing folder, or NAME=DIR"),
        (("eval", "--out", "x", "--format", "plane"), "Did you mean 'plain'"),
        (("eval", "--out", "x", "--source", "mini", "--base", "nobody"), "neither a folder nor a hub id"),
        (("build-data", "--out", "x", "--source", "mini", "--datasets", "anly"), "Did you mean 'anli'"),
        (("params", "--method", "teamlor"), "Did you mean 'teamlora'"),
        (("eval", "--out", "x", "--source", "mini", "--baseline", "lead"), "Did you mean 'lead-1'"),
        (("eval", "--out", "x", "--source", "mini:hart"), "Did you mean 'hard'"),
        (
            ("eval", "--out", "x", "--source", "mini", "--datasets", "mnli_mismatched"),
            "does not count in the CME average",
        ),
        (("build-data", "--out", "x", "--source", "mini", "--datasets", "mnli_mismatched,mnli"), "for evaluation only"),
        (("show", "--dataset", "qpp"), "Did you mean 'qqp'"),
        (("show", "--dataset", "qqp", "--source", "mini", "--prompt-variant", "99"), "has the variants 0 to"),
        (("show", "--dataset", "qqp", "--source", "mini", "--format", "plane"), "Did you mean 'plain'"),
        (("show", "--dataset", "qqp", "--source", "mini", "--split", "tset"), "eval, train"),
    ],
)
def test_unknown_names_offer_the_nearest_and_exit_2(cme, tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    result = cme(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == [], "something was written"


@pytest.mark.parametrize(("page", "options"), [("suite", ""), ("reasoning", "--suite cme-r ")])
def test_the_tables_in_the_docs_are_the_suites(cme, page, options):
    # After a change: paste what the command prints between the two comments.
    text = (Path(__file__).parents[2] / "docs" / f"{page}.md").read_text(encoding="utf-8")
    pasted = text.split(f"<!-- cme ls datasets {options}--markdown -->\n")[1].split("<!-- end -->")[0]
    assert pasted == cme("ls", "datasets", *options.split(), "--markdown").stdout


def test_examples_are_shown_as_the_model_sees_them(cme):
    from cme.evaluation.task import load

    shown = json.loads(cme("show", "--dataset", "squad_v2", "--source", "mini", "--n", "4", "--json").stdout)
    rows = load(cme_dataset="squad_v2", cme_source="mini", cme_tier="smoke")["eval"].to_list()[:4]
    assert [item["context"] for item in shown] == [row["prompt"] for row in rows]
    assert [item["target"] for item in shown] == [row["target"] for row in rows]
    assert [item["accepted"] for item in shown] == [row["answers"] for row in rows]


def test_a_shown_example_stands_there_byte_for_byte(cme):
    (item,) = json.loads(cme("show", "--dataset", "qqp", "--source", "mini", "--n", "1", "--json").stdout)
    text = cme("show", "--dataset", "qqp", "--source", "mini", "--n", "1").stdout
    assert f"\n{item['context']}\n── answer: {item['target']!r}\n── options: ' not duplicate'  ' duplicate'\n" in text


def test_an_example_can_be_named(cme):
    command = ("show", "--dataset", "qqp", "--source", "mini", "--json")
    items = json.loads(cme(*command, "--n", "5").stdout)
    ids = ",".join(items[k]["id"][:12] for k in (4, 1))
    assert json.loads(cme(*command, "--id", ids).stdout) == [items[4], items[1]]
    nobody = cme(*command, "--id", "zz")
    assert nobody.exit_code == 2 and "no sample has an id that begins with 'zz'" in nobody.stderr


def test_paraphrases_and_training_rows_can_be_shown(cme):
    from cme.suite import dataset

    command = ("show", "--dataset", "qqp", "--source", "mini", "--n", "1", "--json")
    (item,) = json.loads(cme(*command, "--prompt-variant", "3", "--split", "train").stdout)
    assert item["context"].startswith(dataset("qqp").instructions[3] + "\n")
    assert item["split"] == "training" and item["id"] != json.loads(cme(*command).stdout)[0]["id"]


def test_a_baseline_is_evaluated_without_a_model(cme, tmp_path, monkeypatch):
    command = ("eval", "--baseline", "majority", "--source", "mini", "--tier", "smoke", "--datasets", "qqp,nq_open")
    monkeypatch.setattr("cme.models.load.resolve_base", None)
    result = cme(*command, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.stderr
    values = json.loads(result.stdout)
    assert values["baseline"] == "majority" and len(values["scores"]["datasets"]) == 2


def test_unknown_options_exit_2(cme):
    assert cme("eval", "--no-such-option").exit_code == 2


def test_a_folder_with_other_things_is_refused(cme, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    result = cme("build-data", "--source", "mini", "--size", "50", "--out", tmp_path)
    assert result.exit_code == 2
    assert "not empty" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_doctor_names_what_is_missing(cme, tmp_path):
    result = cme("doctor", "--source", tmp_path, "--json")
    assert result.exit_code == 1
    rows = {row["what"]: row for row in json.loads(result.stdout)}
    assert rows["torch"]["state"] == "ok"
    assert "validation.parquet" in rows[f"{tmp_path}: qqp"]["detail"]
    assert cme("doctor").exit_code == 0


def test_doctor_says_whether_programs_can_run(cme, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    result = cme("doctor", "--json")
    rows = {row["what"]: row for row in json.loads(result.stdout)}
    # The sandbox is needed for one family only, so its absence is no failure.
    assert result.exit_code == 0 and rows["sandbox"]["state"] == "optional"
    assert "apt install bubblewrap" in rows["sandbox"]["detail"]


def test_no_hub_is_one_sentence_and_the_offline_ways(tmp_path):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    command = [
        sys.executable,
        "-m",
        "cme",
        "build-data",
        "--source",
        "hub",
        "--datasets",
        "qqp",
        "--out",
        str(tmp_path / "mix"),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "--source mini" in done.stderr and "--source DIR" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_score_can_be_read_line_by_line(cme, tmp_path):
    from tests.leaderboard.workshop import Workshop, make_samples

    Workshop(tmp_path).result("base", make_samples(0.4, "base"))
    (folder,) = (path.parent for path in tmp_path.rglob("result.json"))
    lines = cme("score", folder, "--explain").stdout.splitlines()
    assert any(line.startswith("CME average = (") for line in lines)
    assert json.loads(cme("score", folder, "--json").stdout)["average"] > 0


def test_ctrl_c_exits_130_and_the_same_command_continues(tmp_path):
    out = tmp_path / "mix"
    command = [sys.executable, "-m", "cme", "build-data", "--source", "mini", "--size", "40000", "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (out / ".cme.json").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    # CPython ends by the signal itself, which a shell shows as 130 too, if the interrupt came while it ran code made from a
    # text, as dataclasses do when they are made.
    assert process.returncode in (130, -signal.SIGINT), said
    assert "Run the same command again" in said
    assert not (out / "manifest.json").exists()
    subprocess.run(command, check=True, capture_output=True)
    assert json.loads((out / "manifest.json").read_text())["rows"] == 40000


def test_nothing_is_drawn_in_a_pipe(tmp_path):
    command = [
        sys.executable,
        "-m",
        "cme",
        "build-data",
        "--source",
        "mini",
        "--size",
        "200",
        "--out",
        str(tmp_path / "mix"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "\x1b" not in done.stdout + done.stderr and "\r" not in done.stdout + done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_readme_names_the_two_commands():
    text = (Path(__file__).parents[2] / "README.md").read_text()
    assert "make demo" in text and "make test" in text


def test_the_libraries_bars_are_silent_in_a_pipe():
    program = """
import sys
from cme.cli.main import main
sys.argv = ["cme", "tasks-path"]
try:
    main()
except SystemExit:
    pass
from tqdm import tqdm
list(tqdm(range(3)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def test_the_summary_of_a_mix_states_the_largest_number_of_rows_of_a_dataset(cme, tmp_path):
    arguments = ("--source", "mini", "--size", "100", "--datasets", "rte,qqp,imdb", "--workers", "1")
    done = cme("build-data", *arguments, "--out", tmp_path / "mix")
    rows = [item["rows"] for item in json.loads((tmp_path / "mix" / "manifest.json").read_text())["datasets"].values()]
    assert sorted(rows) == [33, 33, 34]
    assert "(at most 34 rows per dataset)" in done.stderr
