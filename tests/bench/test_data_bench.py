"""The generated mirror, the plain pipelines and the arithmetic of the comparison. Speed itself is not asserted here."""

import hashlib
import json
import os
import sys
from collections import Counter
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from cme import world
from cme.bench.data import mirror as mirror_module
from cme.bench.data import run as run_module
from cme.bench.data.mirror import mirror_files, planted, write_mirror
from cme.bench.data.plain_gate import PlainGate, with_keys
from cme.bench.data.plain_mix import capped
from cme.bench.data.plant import leaks, plants
from cme.bench.data.run import measure_data
from cme.bench.data.usage import Usage, measure
from cme.data.load import load_examples, normalise_all
from cme.data.match import match_digest
from cme.data.sources import open_source
from cme.errors import CMEError, UsageError
from cme.mix import BuildSettings, build
from cme.suite import dataset, datasets

SHARE = 0.01


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    return write_mirror(tmp_path_factory.mktemp("mirrors") / "mirror", SHARE)


@pytest.fixture(scope="module")
def outcomes(mirror):
    """(dataset, kind) → what the normalisers make of the mirror's rows."""
    source = open_source(str(mirror))
    loaded = {(name, "eval"): load_examples(spec, "eval", source) for name, spec in datasets(beside=True).items()}
    return loaded | {(name, "train"): load_examples(spec, "train", source) for name, spec in datasets().items()}


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run_alone(name, *arguments):
    """Run a plain pipeline as the benchmark does, in a process of its own."""
    command = [sys.executable, "-m", f"cme.bench.data.{name}", *map(str, arguments)]
    return measure(command, {"HF_DATASETS_OFFLINE": "1"}).output


def test_the_full_mirror_has_the_published_numbers_of_rows():
    files = mirror_files(1.0).values()
    train, evaluation = Counter(), Counter()
    for file in files:
        (train if file.own else evaluation)[file.dataset] += file.rows
    assert train == {name: spec.rows["train"] for name, spec in datasets().items()}
    assert evaluation == {name: spec.rows["eval"] for name, spec in datasets(beside=True).items()}
    assert sum(train.values()) == 2_825_723
    rows = {file.name: file.rows for file in files}
    assert [rows[f"anli/train_r{k}"] for k in (1, 2, 3)] == [16_946, 45_460, 100_459]
    assert (rows["arc_challenge/train"], rows["arc_easy/train"]) == (1_119, 2_251)
    paths = [path for path, _ in mirror_files(1.0)["cnn_dailymail/train"].shards]
    assert paths == [f"cnn_dailymail/train-{k:05}-of-00003.parquet" for k in range(3)]
    assert max(len(part) for file in files for _, part in file.shards) <= 100_000


def test_a_share_has_its_share_of_the_rows_in_the_hub_columns(mirror):
    for file in mirror_files(SHARE).values():
        table = pq.read_table(mirror / f"{file.name}-00000-of-00001.parquet")
        assert table.num_rows == file.rows
        assert set(table.schema.names) == set(world.rows(file.folder, file.split, 1)[0]), file.name


def test_every_row_is_read_and_none_dropped(outcomes):
    wanted = Counter()
    for file in mirror_files(SHARE).values():
        wanted[file.dataset, "train" if file.own else "eval"] += file.rows
    assert {key: (outcome.read, dict(outcome.dropped)) for key, outcome in outcomes.items()} == {
        key: (rows, {}) for key, rows in wanted.items()
    }


def test_labels_and_options_are_fit(outcomes):
    for (name, _), outcome in outcomes.items():
        spec, examples = dataset(name), outcome.examples
        if spec.kind == "choice" and len(examples) > 100:
            golds = Counter(example.gold for example in examples)
            assert set(golds) == set(range(spec.options)), name
            assert max(golds.values()) < 2 * min(golds.values()), name
        if spec.choices is None and spec.kind == "choice":
            for example in examples:
                options = example.match[-len(example.choices) :]
                assert len(set(options)) == len(options), name
    unanswerable = [example.answers == ("",) for example in outcomes["squad_v2", "train"].examples]
    assert 0.25 < sum(unanswerable) / len(unanswerable) < 0.45
    for example in outcomes["squad_v2", "train"].examples:
        assert example.answers[0] in example.input


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cnn_dailymail", 620),
        ("imdb", 230),
        ("yelp_polarity", 130),
        ("race", 300),
        ("tldr", 260),
        ("squad_v2", 120),
        ("sciq", 80),
        ("anli", 55),
        ("mnli", 20),
    ],
)
def test_texts_have_realistic_lengths(outcomes, name, words):
    examples = outcomes[name, "train"].examples
    lengths = [len(example.input[slice(*example.long)].split()) for example in examples]
    assert abs(sum(lengths) / len(lengths) / words - 1) < 0.15
    assert max(lengths) > 1.5 * min(lengths)


def test_rows_are_distinct_but_for_the_planted_duplicates(outcomes):
    seen, repeated = set(), Counter(dict.fromkeys(datasets(), 0))
    for name, spec in datasets().items():
        for example in outcomes[name, "train"].examples:
            digest = match_digest(example, spec)
            repeated[name] += digest in seen
            seen.add(digest)
    assert repeated == planted(SHARE).duplicates
    assert sum(planted(1.0).duplicates.values()) == pytest.approx(0.005 * 2_825_723, rel=0.001)


def test_every_planted_leak_is_found_by_its_rule_and_nothing_else(outcomes):
    gate = PlainGate()
    for name, spec in datasets(beside=True).items():
        gate.add(spec, with_keys(spec, outcomes[name, "eval"].examples))
    files = mirror_files(SHARE)
    wanted, near_misses, before = {}, Counter(), Counter()
    for file in files.values():
        if file.own is None:
            continue
        for number, plant in enumerate(plants(file.name)):
            source = files[plant.source or file.own]
            for row, _ in leaks(file.name, number, range(file.rows), source.rows):
                if plant.rule:
                    wanted[file.dataset, before[file.dataset] + row] = (source.dataset, plant.rule)
                else:
                    near_misses[file.dataset] += 1
        before[file.dataset] += file.rows
    found = {}
    for name, spec in datasets().items():
        for row, item in enumerate(with_keys(spec, outcomes[name, "train"].examples)):
            for other, rules in gate.find(spec, item).items():
                found[name, row] = (other, rules[0])
    assert found == wanted
    counts = Counter((name, other, rule) for (name, _), (other, rule) in wanted.items())
    assert counts == planted(SHARE).leaks
    assert {rule for _, _, rule in counts} == {"exact", "passage", "13-gram", "token-set"}
    assert near_misses == planted(SHARE).near_misses
    assert {"cnn_dailymail", "nq_open"} <= set(near_misses)


def test_cme_and_the_plain_gate_find_the_same(mirror, tmp_path):
    build(BuildSettings(source=str(mirror), out=tmp_path / "mix", size=20_000, workers=1))
    assert run_module._found(tmp_path / "mix", SHARE) == (True, 0)
    plain = json.loads(run_alone("plain_gate", mirror, 2))
    assert run_module._same_found(tmp_path / "mix", json.dumps(plain))
    assert sum(plain["removed"].values()) == sum(planted(SHARE).leaks.values())
    plain["overlap"][0][-1] += 1
    assert not run_module._same_found(tmp_path / "mix", json.dumps(plain))


def test_same_settings_same_bytes_for_any_number_of_processes(tmp_path):
    one, two, other = (tmp_path / name for name in ("one", "two", "other"))
    write_mirror(one, 0.005)
    write_mirror(two, 0.005, workers=2)
    write_mirror(other, 0.005, seed=1)
    assert hashes(one) == hashes(two)
    changed = hashes(other)
    assert set(changed) == set(hashes(one))
    assert not {changed[name] for name in changed} & set(hashes(one).values())


def test_an_interrupted_mirror_goes_on_and_a_finished_one_stays(tmp_path, monkeypatch):
    whole, cut = write_mirror(tmp_path / "whole", 0.005), tmp_path / "cut"
    real, calls = mirror_module._write_shard, []

    def interrupted(*task):
        calls.append(task)
        if len(calls) == 9:
            raise KeyboardInterrupt
        real(*task)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(mirror_module, "_write_shard", interrupted)
        write_mirror(cut, 0.005)
    done = hashes(cut)
    assert len(done) == 9  # eight tables and what the mirror says about itself
    (cut / "imdb").mkdir(exist_ok=True)
    (cut / "imdb" / ".train-00000-of-00001.parquet.x.tmp").write_bytes(b"half")
    write_mirror(cut, 0.005)
    assert hashes(cut) == hashes(whole)
    monkeypatch.setattr(mirror_module, "_write_shard", pytest.fail)
    assert write_mirror(cut, 0.005) == cut


def test_a_folder_with_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(UsageError, match="holds no mirror"):
        write_mirror(tmp_path, 0.005)
    write_mirror(tmp_path / "mirror", 0.005)
    with pytest.raises(UsageError, match="other settings"):
        write_mirror(tmp_path / "mirror", 0.006)
    for share in (0.004, 1.1):
        with pytest.raises(UsageError, match=r"must lie in \[0.005, 1\]"):
            mirror_files(share)


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
    """Items of imdb (one text), nq_open (question) or mnli (premise, hypothesis)."""
    rows = {
        "imdb": lambda text: {"text": text, "label": 0},
        "nq_open": lambda text: {"question": text, "answer": ["x"]},
        "mnli": lambda pair: {"premise": pair[0], "hypothesis": pair[1], "label": 0, "idx": 0},
    }
    return with_keys(dataset(name), normalise_all([rows[name](text) for text in texts], dataset(name)).examples)


def gate_of(**evaluation):
    gate = PlainGate()
    for name, texts in evaluation.items():
        gate.add(dataset(name), items(name, *texts))
    return gate


def found(gate, name, text):
    return gate.find(dataset(name), items(name, text)[0])


def test_a_passage_counts_across_datasets_but_not_for_premises_of_the_own_one():
    premise = "Eight words make a passage, seven do not."
    gate = gate_of(mnli=[(premise, "A hypothesis."), ("Seven words are no passage at all.", "Another.")])
    assert found(gate, "imdb", premise.upper()) == {"mnli": ("passage",)}
    assert found(gate, "imdb", "Seven words are no passage at all.") == {}
    assert found(gate, "mnli", (premise, "Something else.")) == {}
    assert found(gate, "mnli", (premise, "a hypothesis")) == {"mnli": ("exact",)}


def test_half_of_the_shorter_one_s_runs_are_an_overlap():
    gate = gate_of(imdb=[words(0, 32)])  # 20 runs of 13 words
    assert found(gate, "imdb", words(0, 22) + " x " + words(100, 140)) == {"imdb": ("13-gram",)}  # 10 of 20
    assert found(gate, "imdb", words(0, 21) + " x " + words(100, 140)) == {}  # 9 of 20
    assert found(gate, "imdb", words(5, 18)) == {"imdb": ("13-gram",)}  # 1 of 1
    assert found(gate, "imdb", words(5, 17)) == {}  # twelve words have no run


def test_boilerplate_does_not_count():
    often = words(0, 20)
    assert found(gate_of(imdb=[f"{often} e{k}" for k in range(50)]), "imdb", f"{often} own") == {"imdb": ("13-gram",)}
    assert found(gate_of(imdb=[f"{often} e{k}" for k in range(51)]), "imdb", f"{often} own") == {}


def test_questions_of_almost_the_same_words():
    gate = gate_of(nq_open=[words(0, 10), words(20, 24), words(40, 58), words(60, 69)])
    hit = {"nq_open": ("token-set",)}
    assert found(gate, "nq_open", " ".join(reversed(words(0, 10).split()))) == hit
    assert found(gate, "nq_open", words(0, 5) + " x " + words(5, 10)) == hit  # 10 of 11
    assert found(gate, "nq_open", "x " + words(1, 10)) == {}  # 9 of 11
    assert found(gate, "nq_open", "w9 " + words(1, 9)) == hit  # 9 of 10
    assert found(gate, "nq_open", "w23 w22 w21 w20") == {}  # four words
    assert found(gate, "nq_open", "w68 w68 " + words(60, 68) + " x") == hit  # 9 of 10
    assert found(gate, "imdb", " ".join(reversed(words(0, 10).split()))) == {}  # a review is no question
    # 18 words and one more: the longer one has too many.
    assert found(gate, "nq_open", words(49, 58) + " x " + words(40, 49)) == {}


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
    """Runs that take known times: 10 and 16 s for build-data, 40 s and 30 s for the plain ones; the second round twice that."""
    known, turns, commands = planted(0.005), Counter(), []
    shown = [["imdb", "imdb", "exact", 2], ["mmlu", "race", "13-gram", 1]]

    def run(command, env=None):
        commands.append(command)
        kind = command[-1] if command[-1] in ("--gate", "--no-gate") else command[2].rsplit(".", 1)[1]
        turns[kind] += 1
        usage = Usage(10.0, 3_000_000_000, 2_000_000_000, "")
        if kind == "--gate":
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
        output = json.dumps({"seconds": 30.0 * turns[kind], "overlap": shown}) if kind == "plain_gate" else ""
        seconds = {"--no-gate": 10.0, "plain_mix": 40.0, "--gate": 16.0, "plain_gate": 99.0}[kind]
        return replace(usage, seconds=seconds * turns[kind], output=output)

    monkeypatch.setattr(run_module, "measure", run)
    return commands


def test_a_comparison_runs_all_kinds_in_turns(fake_runs, tmp_path):
    report = measure_data([0.005], tmp_path / "mirrors", tmp_path / "out", rounds=2, compare=True)
    kinds = [command[-1] if command[-1].startswith("--") else command[2] for command in fake_runs]
    assert kinds[:4] == kinds[4:] and len(set(kinds)) == 4 and len(kinds) == 8
    assert {timing.kind: timing.seconds for timing in report.timings} == {
        "build-data --no-gate": 15.0,
        "datasets pipeline": 60.0,
        "build-data": 24.0,
        "gate over Python sets": 45.0,
    }
    assert report.mix_ratios == {"share-0.005": 4.0} and report.gate_ratios == {"share-0.005": 5.0}
    assert report.planted_found == report.same_found == {"share-0.005": True}
    assert sum(file.rows for file in mirror_files(0.005).values() if file.own) == report.timings[0].rows
    build = fake_runs[0]
    assert build[build.index("--size") + 1] == "12500" and build[build.index("--workers") + 1] == "2"
    assert (tmp_path / "out" / "share-0.005" / "mix" / "manifest.json").is_file()
    with pytest.raises(UsageError, match="is there already"):
        measure_data([0.005], tmp_path / "mirrors", tmp_path / "out")


def test_without_a_comparison_only_cme_is_run(fake_runs, tmp_path):
    report = measure_data([0.005, 0.006], tmp_path / "mirrors", tmp_path / "out")
    assert [command[-1] for command in fake_runs] == ["--no-gate", "--gate"] * 2
    assert (report.mix_ratios, report.gate_ratios, report.same_found) == ({}, {}, {})
    # The pretended mix has the counts of the first share.
    assert report.planted_found == {"share-0.005": True, "share-0.006": False}


def test_the_verb(fake_runs, tmp_path):
    from typer.testing import CliRunner

    from cme.cli.main import app

    def cme(*more):
        arguments = ["bench", "data", "--share", "0.005", "--mirror", str(tmp_path / "m"), *more]
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.stderr
        return result

    shown = cme("--compare", "--out", str(tmp_path / "out"))
    assert [line.split()[0] for line in shown.stdout.splitlines()[2:]] == ["0.5%"] * 4
    assert "3.00" in shown.stdout and "4.0 x as fast" in shown.stderr and "5.0 x as fast" in shown.stderr
    assert json.loads((tmp_path / "out" / "report.json").read_text())["gate_ratios"] == {"share-0.005": 5.0}
    report = json.loads(cme("--json").stdout)
    assert [timing["kind"] for timing in report["timings"]] == ["build-data --no-gate", "build-data"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["share-0.005"]
