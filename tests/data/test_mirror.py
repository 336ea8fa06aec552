"""A folder of Parquet files as a source."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.data.load import load_examples
from cme.data.sources import check_source, open_source
from cme.data.sources.lock import Lock, LockedFile
from cme.errors import DataError, SourceError, UsageError
from cme.files import sha256_file
from cme.suite import dataset, datasets, select
from tests.hub_rows import HAND_ROWS
from tests.hub_rows.paraphrase import qqp_row
from tests.hub_rows.science import arc_row

QQP, ANLI = dataset("qqp"), dataset("anli")


def evaluation(mirror, spec=QQP, **options):
    return load_examples(spec, "eval", open_source(str(mirror)), **options)


def shard(mirror, split, number, total, rows, suffix=""):
    pq.write_table(pa.Table.from_pylist(rows), mirror / "qqp" / f"{split}-{number:05}-of-{total:05}{suffix}.parquet")


@pytest.fixture
def three_shards(make_mirror):
    """QQP's twelve evaluation rows in three shards."""
    mirror = make_mirror({"qqp/train": [qqp_row(99)]})
    for number in range(3):
        shard(mirror, "validation", number, 3, [qqp_row(k) for k in range(4 * number, 4 * number + 4)])
    return mirror


@pytest.fixture
def one_file(make_mirror):
    return make_mirror({"qqp/validation": [qqp_row(k) for k in range(12)]}, name="one")


def test_a_single_file(one_file):
    outcome = evaluation(one_file)
    assert outcome.read == 12
    assert [example.gold for example in outcome.examples] == [0, 1] * 6


def test_shards_are_read_in_order_as_one(three_shards, one_file):
    assert evaluation(three_shards).examples == evaluation(one_file).examples


def test_shards_with_the_hubs_older_names(make_mirror, one_file):
    mirror = make_mirror({})
    (mirror / "qqp").mkdir()
    for number in range(2):
        rows = [qqp_row(k) for k in range(6 * number, 6 * number + 6)]
        shard(mirror, "validation", number, 2, rows, suffix="-b42a775f407cee45")
    assert evaluation(mirror).examples == evaluation(one_file).examples


def test_one_split_is_not_taken_for_another(make_mirror):
    # ``test_r1`` and ``test_r10`` begin alike; so do ``train`` and ``train_r1``.
    mirror = make_mirror({f"anli/test_r{k}": HAND_ROWS["anli/test_r1"] for k in (2, 3)})
    pq.write_table(
        pa.Table.from_pylist(list(HAND_ROWS["anli/test_r1"])), mirror / "anli" / "test_r10-00000-of-00001.parquet"
    )
    with pytest.raises(SourceError, match=r"anli/test_r1\.parquet"):
        evaluation(mirror, ANLI)


def test_a_missing_shard_is_named(three_shards):
    (three_shards / "qqp" / "validation-00001-of-00003.parquet").unlink()
    with pytest.raises(SourceError, match=r"qqp/validation-00001-of-00003\.parquet is missing"):
        evaluation(three_shards)


@pytest.mark.parametrize("kept", [[0, 1, 2], [0, 2]])
def test_shards_of_two_versions_are_not_mixed(three_shards, kept):
    for number in {0, 1, 2} - set(kept):
        (three_shards / "qqp" / f"validation-{number:05}-of-00003.parquet").unlink()
    shard(three_shards, "validation", 1, 2, [qqp_row(50)])
    with pytest.raises(SourceError, match=r"qqp/validation"):
        evaluation(three_shards)


def test_a_file_beside_shards_of_it_is_refused(three_shards):
    pq.write_table(pa.Table.from_pylist([qqp_row(50)]), three_shards / "qqp" / "validation.parquet")
    says = r"qqp: one version of qqp/validation \(there are validation\.parquet and 3 shards; move either away\) is missing"
    with pytest.raises(SourceError, match=says):
        evaluation(three_shards)
    source = open_source(str(three_shards))
    with pytest.raises(SourceError, match=r"lacks:\n  qqp: one version of qqp/validation \("):
        check_source(source, [QQP], ("eval",))
    assert evaluation(three_shards, allow_missing=True).read == 0
    # The training split has one file only, and a file of another split is no shard of it.
    assert source.missing(QQP, "train") == {}
    (three_shards / "qqp" / "validation.parquet").rename(three_shards / "qqp" / "valid.parquet")
    assert evaluation(three_shards).read == 12


def test_missing_splits_are_named_all_at_once(make_mirror):
    mirror = make_mirror({"qqp/validation": HAND_ROWS["qqp/validation"], "anli/test_r2": HAND_ROWS["anli/test_r2"]})
    shard(mirror, "train", 0, 2, [qqp_row(0)])
    with pytest.raises(SourceError) as caught:
        check_source(open_source(str(mirror)), [QQP, ANLI], ("train", "eval"))
    message = str(caught.value)
    expected = ["qqp: qqp/train-00001-of-00002.parquet", "anli: anli/test_r1.parquet", "anli: anli/test_r3.parquet"]
    expected += [f"anli: anli/train_r{k}.parquet" for k in (1, 2, 3)]
    assert sorted(line.strip() for line in message.splitlines()[1:-1]) == sorted(expected)
    assert str(mirror) in message and "--allow-missing" in message


def test_what_is_missing_may_be_allowed_and_is_listed(make_mirror):
    mirror = make_mirror({name: HAND_ROWS[f"anli/{name[5:]}"] for name in ("anli/test_r1", "anli/test_r3")})
    source = open_source(str(mirror))
    assert check_source(source, [ANLI], ("eval",), allow_missing=True) == ["anli: anli/test_r2.parquet"]
    outcome = evaluation(mirror, ANLI, allow_missing=True)
    assert {example.subset for example in outcome.examples} == {"r1", "r3"}
    with pytest.raises(SourceError, match=r"anli/test_r2\.parquet is missing"):
        evaluation(mirror, ANLI)


def test_a_half_downloaded_split_may_be_left_out_like_a_missing_one(three_shards):
    (three_shards / "qqp" / "validation-00002-of-00003.parquet").unlink()
    source = open_source(str(three_shards))
    assert check_source(source, [QQP], ("eval",), allow_missing=True) == ["qqp: qqp/validation-00002-of-00003.parquet"]
    assert evaluation(three_shards, allow_missing=True).read == 0


def test_a_whole_mirror_lacks_nothing(hand_mirror):
    assert check_source(open_source(str(hand_mirror)), datasets().values(), ("train", "eval")) == []


def test_the_real_rows_lack_what_their_readme_says(real_data):
    specs = select(["anli", "arc", "cnn_dailymail", "nq_open", "qqp", "squad_v2"])
    lacking = check_source(open_source(str(real_data)), specs, ("train", "eval"), allow_missing=True)
    assert lacking == ["anli: anli/train_r2.parquet"]


@pytest.mark.parametrize("content", [b"", b"PAR1 and then nothing of the kind", b"question1,question2,label\na,b,1\n"])
def test_a_damaged_file_is_named(make_mirror, content):
    mirror = make_mirror({})
    file = mirror / "qqp" / "validation.parquet"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(DataError, match=r"qqp/validation: .* cannot be read as Parquet") as caught:
        evaluation(mirror)
    assert str(file) in str(caught.value)


def test_a_cut_off_file_is_named(one_file):
    file = one_file / "qqp" / "validation.parquet"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        evaluation(one_file)


def test_shards_with_other_columns_are_named(three_shards):
    shard(three_shards, "validation", 2, 3, [{"question1": "A?", "text": "B?", "label": 1}])
    says = r"qqp/validation: column 'question2' \(string\) is missing(.|\n)*validation-00002-of-00003"
    with pytest.raises(DataError, match=says):
        evaluation(three_shards)


def test_missing_and_mistyped_columns_are_reported_together(make_mirror):
    mirror = make_mirror({"qqp/validation": [{"question1": 1, "sentence2": "B?", "label": "duplicate"}]})
    with pytest.raises(DataError) as caught:
        evaluation(mirror)
    message = str(caught.value)
    assert message.startswith("qqp/validation: column 'question1' is int64, expected string; ")
    assert "column 'question2' (string) is missing" in message
    assert "column 'label' is string, expected int64" in message
    assert "Found columns: question1, sentence2, label" in message
    assert str(mirror / "qqp" / "validation.parquet") in message and "nyu-mll/glue" in message


@pytest.mark.parametrize(
    ("choices", "says"),
    [
        ({"text": ["a", "b"]}, "expected struct<text: list<string>, label: list<string>>"),
        ({"text": [1, 2], "label": ["A", "B"]}, "expected struct<text: list<string>, label: list<string>>"),
        (["a", "b"], "column 'choices' is list<"),
    ],
)
def test_wrong_types_inside_a_struct(make_mirror, choices, says):
    rows = [arc_row(choices=choices)]
    mirror = make_mirror({"arc_challenge/test": rows, "arc_easy/test": rows})
    with pytest.raises(DataError) as caught:
        evaluation(mirror, dataset("arc"))
    assert says in str(caught.value)


def test_wider_types_and_further_columns_are_fine(make_mirror):
    rows = [qqp_row(k) for k in range(3)]
    plain = evaluation(make_mirror({"qqp/validation": rows}, "plain")).examples
    schema = pa.schema(
        [
            ("extra", pa.float64()),
            ("label", pa.int8()),
            ("question1", pa.large_string()),
            ("question2", pa.string_view()),
        ]
    )
    table = pa.Table.from_pylist([{**row, "extra": 0.5} for row in rows], schema=schema)
    assert evaluation(make_mirror({"qqp/validation": table}, "wide")).examples == plain


def test_a_row_number_counts_through_all_shards(three_shards):
    shard(three_shards, "validation", 2, 3, [qqp_row(8), qqp_row(9, label=5), qqp_row(10), qqp_row(11)])
    with pytest.raises(DataError, match="'label' holds 5 at row 9") as caught:
        evaluation(three_shards)
    assert str(three_shards / "qqp" / "validation-00002-of-00003.parquet") in str(caught.value)


def test_provenance_is_the_hash_of_every_file_read(three_shards):
    source = open_source(str(three_shards))
    assert source.provenance(QQP) == {}
    load_examples(QQP, "eval", source)
    names = [f"qqp/validation-{number:05}-of-00003.parquet" for number in range(3)]
    assert source.provenance(QQP) == {name: sha256_file(three_shards / name) for name in names}


def test_the_files_of_a_split_are_its_shards_in_order(three_shards):
    files = open_source(str(three_shards)).files(QQP, QQP.subsets[0], "validation")
    assert [file.name for file in files] == [f"validation-{number:05}-of-00003.parquet" for number in range(3)]


def test_the_lock_of_cme_download_is_reported_and_checked(one_file):
    file = one_file / "qqp" / "validation.parquet"
    locked = LockedFile("qqp/validation.parquet", file.stat().st_size, f"sha256:{sha256_file(file)}")
    Lock(one_file / "cme.lock").put(QQP.hub_id, "a" * 40, "qqp/validation", (locked,))
    source = open_source(str(one_file))
    assert source.footer(QQP, QQP.subsets[0], "validation").rows == 12
    load_examples(QQP, "eval", source)
    assert source.provenance(QQP) == {"qqp/validation.parquet": sha256_file(file), "revision": "a" * 40}
    pq.write_table(pa.Table.from_pylist([qqp_row(0)]), file)
    with pytest.raises(DataError, match=r"validation\.parquet differs from .*cme\.lock"):
        source.footer(QQP, QQP.subsets[0], "validation")


def test_an_unknown_source_is_reported():
    with pytest.raises(UsageError, match=r"unknown source '/no/such/folder'\. Use 'hub', 'mini', an existing folder"):
        open_source("/no/such/folder")


def test_a_description_that_names_no_normaliser_we_have(one_file):
    import dataclasses

    with pytest.raises(UsageError, match=r"unknown normaliser .* 'qpq'\. Did you mean 'qqp'"):
        evaluation(one_file, dataclasses.replace(QQP, normaliser="qpq"))
