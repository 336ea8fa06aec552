import hashlib
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from cme.data.load import load_examples
from cme.errors import CMEError
from cme.mix import build, example_from_row, load_mix, mix_files, read_manifest
from cme.prompt import cut_words, prompt_text
from cme.suite import dataset

ARTICLE = " ".join(f"word{k}" for k in range(900))


@pytest.fixture
def rows(plain_rows):
    answers = {"text": [], "answer_start": []}
    options = {"text": ["ice", "iron", "wood"], "label": ["A", "B", "C"]}
    return plain_rows | {
        "cnn_dailymail/train": [{"article": f"{ARTICLE} {k}", "highlights": f"One {k} .\nTwo ."} for k in range(30)],
        "cnn_dailymail/test": [{"article": "Other.", "highlights": "None ."}],
        "squad_v2/train": [
            {
                "context": f"Text {k}. {ARTICLE}",
                "question": f"Who {k}?",
                "answers": {"text": [f"He {k}"], "answer_start": [0]},
            }
            for k in range(30)
        ]
        + [{"context": "Bare.", "question": "Why?", "answers": answers}],
        "squad_v2/validation": [
            {"context": "Other.", "question": "Why?", "answers": {"text": ["x"], "answer_start": [0]}}
        ],
        "arc_easy/train": [{"question": f"Which melts {k}?", "choices": options, "answerKey": "A"} for k in range(30)],
        "arc_easy/test": [{"question": "Which floats?", "choices": options, "answerKey": "C"}],
    }


@pytest.fixture
def mix(rows, fake_source, settings):
    made = settings(
        datasets=("arc", "cnn_dailymail", "nq_open", "qqp", "squad_v2"), allow_missing=True, prompt_variant_share=0
    )
    build(made, source=fake_source(rows))
    return made.out


def test_rows_come_back_as_the_examples_they_were(mix, rows, fake_source):
    source = fake_source(rows)
    expected = {}
    for name in read_manifest(mix).datasets:
        spec = dataset(name)
        for example in load_examples(spec, "train", source, allow_missing=True).examples:
            expected[example.id] = cut_words(example, spec.max_input_words)
    found = [row for split in ("train", "validation") for row in load_mix(mix, split).to_pylist()]
    assert len(found) == len(expected)
    for row in found:
        example = example_from_row(row)
        want = expected[example.id]
        assert {key: value for key, value in vars(example).items() if key != "match"} == {
            key: value for key, value in vars(want).items() if key != "match"
        }
        assert row["words"] == len(f"{prompt_text(want)} {want.output}".split())


def test_long_texts_are_cut_at_their_datasets_limit(mix):
    longest = {name: dataset(name).max_input_words for name in ("cnn_dailymail", "squad_v2")}
    cut = [row for row in load_mix(mix, "train").to_pylist() if row["dataset"] in longest and row["long_end"] > 500]
    assert cut
    for row in cut:
        assert len(row["input"][row["long_start"] : row["long_end"]].split()) == longest[row["dataset"]]


def test_paraphrased_words_are_counted(rows, fake_source, settings):
    made = settings(prompt_variant_share=1.0)
    build(made, source=fake_source(rows))
    for row in load_mix(made.out, "train").to_pylist():
        assert row["words"] == len(f"{prompt_text(example_from_row(row))} {row['output']}".split())


def test_the_datasets_library_reads_the_folder(mix, tmp_path):
    import datasets

    loaded = datasets.load_dataset(str(mix), cache_dir=str(tmp_path / "cache"))
    manifest = read_manifest(mix)
    assert {name: split.num_rows for name, split in loaded.items()} == {
        "train": manifest.rows,
        "validation": manifest.validation_rows,
    }
    assert loaded["train"].column_names[:3] == ["instruction", "input", "output"]
    assert loaded["train"][:5]["id"] == load_mix(mix, "train")["id"].to_pylist()[:5]


def test_the_manifest_accounts_for_every_row(mix):
    manifest = read_manifest(mix)
    for item in manifest.datasets.values():
        gone = sum(item.dropped.values()) + item.conflicting + item.duplicates + sum(item.leaks.values())
        assert item.read == gone + item.validation + item.available
        assert item.rows <= item.available
        assert item.provenance
    assert manifest.rows == sum(item.rows for item in manifest.datasets.values()) == load_mix(mix, "train").num_rows
    assert manifest.source == "fake"
    assert manifest.task_fingerprints == {name: dataset(name).fingerprint for name in manifest.datasets}
    for name, value in manifest.files.items():
        assert hashlib.sha256((mix / name).read_bytes()).hexdigest() == value


def test_files_are_zstd_parquet_and_nothing_else_is_left(mix):
    names = {str(path.relative_to(mix)) for path in mix.rglob("*") if path.is_file()}
    assert names == {
        ".cme.json",
        "README.md",
        "manifest.json",
        "overlap.csv",
        "overlap.json",
        "overlap.svg",
        *read_manifest(mix).files,
    }
    for file in mix_files(mix, "train"):
        assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"


def test_the_card_says_what_is_in_it(mix):
    text = (mix / "README.md").read_text(encoding="utf-8")
    head = yaml.safe_load(text.split("---")[1])
    assert head["license"] == ["apache-2.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "other"]
    assert [item["split"] for item in head["configs"][0]["data_files"]] == ["train", "validation"]
    manifest = read_manifest(mix)
    for name, item in manifest.datasets.items():
        line = next(line for line in text.splitlines() if line.startswith(f"| {name} | {item.family} |"))
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert (cells[2], cells[9]) == (f"{item.read:,}", f"{item.rows:,}")
        assert cells[10] == f"{100 * item.rows / manifest.rows:.2f} %"
        assert f"| {dataset(name).licence} |" in text
    assert "cme build-data --source fake --prompt-variant-share 0" in text
    assert "**missing in the source**: arc_challenge/train.parquet, arc_challenge/test.parquet." in text
    assert "**Not compared**" in text and "anli/test_r1.parquet" in text


def test_overlap_names_every_pair_that_was_looked_at(mix):
    overlap = json.loads((mix / "overlap.json").read_text())
    assert set(overlap) == set(read_manifest(mix).datasets)
    for found in overlap.values():
        assert {"arc", "cnn_dailymail", "nq_open", "qqp", "squad_v2"} <= set(found)
        assert "anli" not in found  # the source has no evaluation rows of it
        assert all(rules == {} for rules in found.values()), found


def test_a_mirror_is_named_by_its_folder_not_by_where_it_lies(plain_rows, settings, tmp_path):
    manifests = []
    for place in ("one", "other"):
        mirror = tmp_path / place / "rows"
        for name, rows in plain_rows.items():
            file = mirror / f"{name}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(rows), file)
        manifests.append(build(settings(out=f"mix {place}", source=str(mirror))))
    assert manifests[0] == manifests[1]
    assert manifests[0].source == "rows"
    assert set(manifests[0].datasets["qqp"].provenance) == {"qqp/train.parquet", "qqp/validation.parquet"}


def test_folders_that_are_no_mix_say_what_they_are(mix, tmp_path):
    with pytest.raises(CMEError, match="does not exist"):
        read_manifest(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CMEError, match="is not a mix"):
        load_mix(tmp_path / "empty", "train")
    with pytest.raises(CMEError, match="unknown split of a mix 'test'"):
        load_mix(mix, "test")


def test_an_unfinished_mix_is_not_read(mix):
    marker = json.loads((mix / ".cme.json").read_text())
    (mix / ".cme.json").write_text(json.dumps(marker | {"finished": False}))
    with pytest.raises(CMEError, match="unfinished"):
        load_mix(mix, "train")


def test_a_copy_without_dot_files_is_read(mix):
    (mix / ".cme.json").unlink()
    assert load_mix(mix, "train").num_rows == read_manifest(mix).rows


def test_a_lost_or_damaged_file_is_named(mix):
    file = mix / "train" / "part-00000.parquet"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(CMEError, match=r"part-00000\.parquet cannot be read"):
        load_mix(mix, "train")
    file.unlink()
    with pytest.raises(CMEError, match=r"lacks train/part-00000\.parquet"):
        load_mix(mix, "train")
