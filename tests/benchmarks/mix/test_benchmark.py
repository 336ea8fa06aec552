"""The simple pipelines and the computations of the comparison. The tests do not assert speeds."""

import json
import os
import sys
from collections import Counter
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from benchmarks.mix import run as run_module
from benchmarks.mix.mirror import mirror_files, planted
from benchmarks.mix.plain_decontamination import PlainDetector, with_keys
from benchmarks.mix.plain_mix import capped
from benchmarks.mix.run import measure_data
from benchmarks.mix.usage import Usage, measure
from cme.data.load import normalise_all
from cme.errors import CMEError, UsageError
from cme.mix import BuildSettings, build
from cme.suite import dataset, datasets
from tests.benchmarks.mix.conftest import SHARE


def run_alone(name, *arguments):
    """Run a simple pipeline in its own process, as the benchmark does."""
    command = [sys.executable, "-m", f"benchmarks.mix.{name}", *map(str, arguments)]
    return measure(command, {"HF_DATASETS_OFFLINE": "1"}).output


@pytest.mark.long
def test_cme_and_the_plain_decontamination_find_the_same(mirror, tmp_path):
    build(BuildSettings(source=str(mirror), out=tmp_path / "mix", size=20_000, workers=1))
    assert run_module._detected(tmp_path / "mix", SHARE) == (True, 0)
    plain = json.loads(run_alone("plain_decontamination", mirror, 2))
    assert run_module._same_detected(tmp_path / "mix", json.dumps(plain))
    assert sum(plain["removed"].values()) == sum(planted(SHARE).leaks.values())
    plain["overlap"][0][-1] += 1
    assert not run_module._same_detected(tmp_path / "mix", json.dumps(plain))


@pytest.mark.long
def test_the_plain_pipeline_builds_a_mix(mirror, outcomes, tmp_path):
    done = run_alone("plain_mix", mirror, tmp_path / "mix", 2, 20_000)
    assert json.loads(done) == {"duplicates": sum(planted(SHARE).duplicates.values()), "rows": 20_000}
    assert [path.name for path in (tmp_path / "mix").iterdir()] == ["train"]
    rows = pq.read_table(tmp_path / "mix" / "train").to_pylist()
    assert len({row["id"] for row in rows}) == len(rows) == 20_000
    known = {e.id: e for name in datasets() for e in outcomes[name, "train"].examples}
    # Rows of one dataset do not follow each other.
    assert len({row["dataset"] for row in rows[:50]}) > 5
    for row in rows[::97]:
        example = known[row["id"]]
        assert (row["output"], row["dataset"]) == (example.output, example.dataset)
        assert row["input"].split()[:50] == example.input.split()[:50]


def test_the_plain_cap_is_the_published_one():
    sizes = [spec.rows["train"] for spec in datasets().values()]
    counts = capped(sizes, 2_500_000)
    assert sum(counts) == 2_500_000 and max(counts) == 330_275
    assert capped([10, 3, 9], 15) == [6, 3, 6]
    assert capped([10, 3, 9], 16) == [7, 3, 6]
    assert capped([10, 3, 9], 22) == [10, 3, 9]


def words(first, last):
    return " ".join(f"w{k}" for k in range(first, last))


def items(name, *texts):
    """Create items of imdb (one text), nq_open (question) or mnli (premise, hypothesis)."""
    rows = {
        "imdb": lambda text: {"text": text, "label": 0},
        "nq_open": lambda text: {"question": text, "answer": ["x"]},
        "mnli": lambda pair: {"premise": pair[0], "hypothesis": pair[1], "label": 0, "idx": 0},
    }
    return with_keys(dataset(name), normalise_all([rows[name](text) for text in texts], dataset(name)).examples)


def detector_of(**evaluation):
    detector = PlainDetector()
    for name, texts in evaluation.items():
        detector.add(dataset(name), items(name, *texts))
    return detector


def detected(detector, name, text):
    return detector.find(dataset(name), items(name, text)[0])


def test_a_passage_counts_across_datasets_but_not_for_premises_of_the_own_one():
    premise = "Eight words make a passage, seven do not."
    detector = detector_of(mnli=[(premise, "A hypothesis."), ("Seven words are no passage at all.", "Another.")])
    assert detected(detector, "imdb", premise.upper()) == {"mnli": ("passage",)}
    assert detected(detector, "imdb", "Seven words are no passage at all.") == {}
    assert detected(detector, "mnli", (premise, "Something else.")) == {}
    assert detected(detector, "mnli", (premise, "a hypothesis")) == {"mnli": ("exact",)}


def test_half_of_the_shorter_one_s_runs_are_an_overlap():
    detector = detector_of(imdb=[words(0, 32)])  # 20 runs of 13 words
    assert detected(detector, "imdb", words(0, 22) + " x " + words(100, 140)) == {"imdb": ("13-gram",)}  # 10 of 20
    assert detected(detector, "imdb", words(0, 21) + " x " + words(100, 140)) == {}  # 9 of 20
    assert detected(detector, "imdb", words(5, 18)) == {"imdb": ("13-gram",)}  # 1 of 1
    assert detected(detector, "imdb", words(5, 17)) == {}  # twelve words have no run


def test_boilerplate_does_not_count():
    often = words(0, 20)
    assert detected(detector_of(imdb=[f"{often} e{k}" for k in range(50)]), "imdb", f"{often} own") == {
        "imdb": ("13-gram",)
    }
    assert detected(detector_of(imdb=[f"{often} e{k}" for k in range(51)]), "imdb", f"{often} own") == {}


def test_questions_of_almost_the_same_words():
    detector = detector_of(nq_open=[words(0, 10), words(20, 24), words(40, 58), words(60, 69)])
    hit = {"nq_open": ("token-set",)}
    assert detected(detector, "nq_open", " ".join(reversed(words(0, 10).split()))) == hit
    assert detected(detector, "nq_open", words(0, 5) + " x " + words(5, 10)) == hit  # 10 of 11
    assert detected(detector, "nq_open", "x " + words(1, 10)) == {}  # 9 of 11
    assert detected(detector, "nq_open", "w9 " + words(1, 9)) == hit  # 9 of 10
    assert detected(detector, "nq_open", "w23 w22 w21 w20") == {}  # four words
    assert detected(detector, "nq_open", "w68 w68 " + words(60, 68) + " x") == hit  # 9 of 10
    assert detected(detector, "imdb", " ".join(reversed(words(0, 10).split()))) == {}  # a review is no question
    # 18 words and one more: the longer one has too many.
    assert detected(detector, "nq_open", words(49, 58) + " x " + words(40, 49)) == {}


def test_time_and_memory_of_a_command_with_a_process_of_its_own():
    inner = "import time; held = b'x' * 80_000_000; time.sleep(0.7)"
    outer = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}]); print('done')"
    usage = measure([sys.executable, "-c", outer])
    assert usage.output == "done\n" and usage.seconds > 0.7
    if os.path.exists("/proc/self/smaps_rollup"):  # noqa: PTH110
        assert 80_000_000 < usage.own <= usage.peak < 400_000_000


def test_a_command_that_fails_says_why():
    with pytest.raises(CMEError, match=r"(?s)exit code 3.*no room"):
        measure([sys.executable, "-c", "import sys; sys.stderr.write('no room'); sys.exit(3)"])


@pytest.fixture
def fake_runs(monkeypatch):
    """Replace runs with known times: 10 and 16 s for build-data, 40 and 30 s for the simple ones, twice that in round 2."""
    known, turns, commands = planted(0.005), Counter(), []
    shown = [["imdb", "imdb", "exact", 2], ["mmlu", "race", "13-gram", 1]]

    def run(command, env=None):
        commands.append(command)
        kind = (
            command[-1]
            if command[-1] in ("--decontamination", "--no-decontamination")
            else command[2].rsplit(".", 1)[1]
        )
        turns[kind] += 1
        usage = Usage(10.0, 3_000_000_000, 2_000_000_000, "")
        if kind == "--decontamination":
            mix = run_module.Path(command[command.index("--out") + 1])
            mix.mkdir(parents=True)
            items = {name: {"leaks": Counter(), "duplicates": count} for name, count in known.duplicates.items()}
            for (name, other, _), count in known.leaks.items():
                items[name]["leaks"][other] += count
            (mix / "manifest.json").write_text(json.dumps({"datasets": items}))
            kept = {"mnli": {"mnli": {"passage (kept)": 7}, "rte": {}}}
            (mix / "overlap.json").write_text(
                json.dumps({"imdb": {"imdb": {"exact": 2}}, "mmlu": {"race": {"13-gram": 1}}} | kept)
            )
        output = (
            json.dumps({"seconds": 30.0 * turns[kind], "overlap": shown}) if kind == "plain_decontamination" else ""
        )
        seconds = {
            "--no-decontamination": 10.0,
            "plain_mix": 40.0,
            "--decontamination": 16.0,
            "plain_decontamination": 99.0,
        }[kind]
        return replace(usage, seconds=seconds * turns[kind], output=output)

    monkeypatch.setattr(run_module, "measure", run)
    return commands


@pytest.mark.long
def test_a_comparison_runs_all_kinds_in_turns(fake_runs, tmp_path):
    report = measure_data([0.005], tmp_path / "mirrors", tmp_path / "out", rounds=2, compare=True)
    kinds = [command[-1] if command[-1].startswith("--") else command[2] for command in fake_runs]
    assert kinds[:4] == kinds[4:] and len(set(kinds)) == 4 and len(kinds) == 8
    assert {timing.kind: timing.seconds for timing in report.timings} == {
        "build-data --no-decontamination": 15.0,
        "datasets pipeline": 60.0,
        "build-data": 24.0,
        "decontamination over Python sets": 45.0,
    }
    assert report.mix_ratios == {"share-0.005": 4.0} and report.decontamination_ratios == {"share-0.005": 5.0}
    assert report.planted_found == report.same_found == {"share-0.005": True}
    assert sum(file.rows for file in mirror_files(0.005).values() if file.own) == report.timings[0].rows
    build = fake_runs[0]
    assert build[build.index("--size") + 1] == "12500" and build[build.index("--workers") + 1] == "2"
    assert (tmp_path / "out" / "share-0.005" / "mix" / "manifest.json").is_file()
    with pytest.raises(UsageError, match="already exists"):
        measure_data([0.005], tmp_path / "mirrors", tmp_path / "out")


@pytest.mark.long
def test_without_a_comparison_only_cme_is_run(fake_runs, tmp_path):
    report = measure_data([0.005, 0.006], tmp_path / "mirrors", tmp_path / "out")
    assert [command[-1] for command in fake_runs] == ["--no-decontamination", "--decontamination"] * 2
    assert (report.mix_ratios, report.decontamination_ratios, report.same_found) == ({}, {}, {})
    # The pretended mix has the counts of the first share.
    assert report.planted_found == {"share-0.005": True, "share-0.006": False}


@pytest.mark.long
def test_the_verb(fake_runs, tmp_path):
    from typer.testing import CliRunner

    from benchmarks.mix.__main__ import app

    def cme(*more):
        arguments = ["--share", "0.005", "--mirror", str(tmp_path / "m"), *more]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.stderr
        return result

    shown = cme("--compare", "--out", str(tmp_path / "out"))
    assert [line.split()[0] for line in shown.stdout.splitlines()[2:]] == ["0.5%"] * 4
    assert "3.00" in shown.stdout and "4.0 times as fast" in shown.stderr and "5.0 times as fast" in shown.stderr
    assert json.loads((tmp_path / "out" / "report.json").read_text())["decontamination_ratios"] == {"share-0.005": 5.0}
    report = json.loads(cme("--json").stdout)
    assert [timing["kind"] for timing in report["timings"]] == ["build-data --no-decontamination", "build-data"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["share-0.005"]
