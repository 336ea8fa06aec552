"""The generated mirror: numbers of rows, columns, planted rows, and completion after an interruption."""

import hashlib
from collections import Counter

import pyarrow.parquet as pq
import pytest

from benchmarks.mix import mirror as mirror_module
from benchmarks.mix.mirror import mirror_files, planted, write_mirror
from benchmarks.mix.plain_decontamination import PlainDetector, with_keys
from benchmarks.mix.plant import leaks, plants
from cme import mini_corpus
from cme.data.match import match_digest
from cme.errors import UsageError
from cme.suite import dataset, datasets
from tests.benchmarks.mix.conftest import SHARE


def hashes(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


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
        assert set(table.schema.names) == set(mini_corpus.rows(file.folder, file.split, 1)[0]), file.name


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


@pytest.mark.long
def test_the_detected_rows_are_exactly_the_planted_leaks_with_their_rules(outcomes):
    detector = PlainDetector()
    for name, spec in datasets(beside=True).items():
        detector.add(spec, with_keys(spec, outcomes[name, "eval"].examples))
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
    detected = {}
    for name, spec in datasets().items():
        for row, item in enumerate(with_keys(spec, outcomes[name, "train"].examples)):
            for other, rules in detector.find(spec, item).items():
                detected[name, row] = (other, rules[0])
    assert detected == wanted
    counts = Counter((name, other, rule) for (name, _), (other, rule) in wanted.items())
    assert counts == planted(SHARE).leaks
    assert {rule for _, _, rule in counts} == {"exact", "passage", "13-gram", "token-set"}
    assert near_misses == planted(SHARE).near_misses
    assert {"cnn_dailymail", "nq_open"} <= set(near_misses)


@pytest.mark.long
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
    with pytest.raises(UsageError, match=r"with the settings .* instead of"):
        write_mirror(tmp_path / "mirror", 0.006)
    for share in (0.004, 1.1):
        with pytest.raises(UsageError, match=r"must be from 0\.005 to 1"):
            mirror_files(share)
