"""Shards of one split may be stored in different ways; evaluation and mix read the same rows from them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.data.chunks import pieces, rows_of
from cme.data.load import RowStream, load_examples
from cme.data.sources import open_source
from cme.errors import DataError
from cme.suite import dataset

QQP = dataset("qqp")
RACE = dataset("race")


def table(start, rows=3, **changes):
    kinds = {"question1": pa.string(), "question2": pa.string(), "label": pa.int64()} | changes
    values = {
        "question1": [f"What is {k}?" for k in range(start, start + rows)],
        "question2": [f"Who made {k}?" for k in range(start, start + rows)],
        "label": [k % 2 for k in range(start, start + rows)],
    }
    return pa.table({name: pa.array(values[name]).cast(kind) for name, kind in kinds.items()})


def mirror(tmp_path, *tables, **options):
    folder = tmp_path / "mirror"
    for split in ("train", "validation"):
        (folder / "qqp").mkdir(parents=True, exist_ok=True)
        for number, shard in enumerate(tables):
            name = f"{split}-{number:05}-of-{len(tables):05}.parquet"
            pq.write_table(shard, folder / "qqp" / name, **options)
    return open_source(str(folder))


def in_evaluation(source, kind):
    return load_examples(QQP, kind, source).examples


def in_mix(source, kind):
    """The rows as the mix reads them, by pieces."""
    subset = QQP.subsets[0]
    found = []
    for piece in pieces(source, QQP, subset, subset.split(kind)):
        found += RowStream(QQP, subset, "x", "x").examples(rows_of(source, QQP, piece))
    return found


DIFFERENT = {
    "order": lambda start: table(start).select(["label", "question2", "question1"]),
    "width": lambda start: table(start, label=pa.int8()),
    "unsigned": lambda start: table(start, label=pa.uint32()),
    "large strings": lambda start: table(start, question1=pa.large_string(), question2=pa.large_string()),
    "string views": lambda start: table(start, question1=pa.string_view()),
    "dictionaries": lambda start: table(start, question1=pa.dictionary(pa.int32(), pa.string())),
    "large dictionaries": lambda start: table(start, question2=pa.dictionary(pa.int64(), pa.large_string())),
    "more columns": lambda start: table(start).append_column("idx", pa.array(range(3))),
}


@pytest.mark.parametrize("kind", ["train", "eval"])
@pytest.mark.parametrize("how", DIFFERENT)
def test_shards_that_are_stored_differently_are_read_alike(tmp_path, how, kind):
    plain = mirror(tmp_path / "plain", table(0), table(3), table(6))
    mixed = mirror(tmp_path / "mixed", table(0), DIFFERENT[how](3), table(6))
    expected = in_evaluation(plain, kind)
    assert len(expected) == 9
    assert in_evaluation(mixed, kind) == expected
    assert in_mix(mixed, kind) == expected


def as_tables(source):
    return source.table(QQP, QQP.subsets[0], "validation").select(["question1", "question2", "label"]).to_pylist()


@pytest.mark.parametrize("how", [how for how in DIFFERENT if how != "more columns"])
def test_such_shards_are_one_table(tmp_path, how):
    plain = mirror(tmp_path / "plain", table(0), table(3), table(6))
    assert as_tables(mirror(tmp_path / "mixed", table(0), DIFFERENT[how](3), table(6))) == as_tables(plain)


def test_dictionaries_inside_of_lists(tmp_path):
    rows = [
        {
            "article": f"A text {k}.",
            "question": "What?",
            "options": ["a", "b", "c", "d"],
            "answer": "A",
            "example_id": f"{k}.txt",
        }
        for k in range(5)
    ]
    plain = pa.Table.from_pylist(rows)
    coded = plain.set_column(
        plain.column_names.index("options"),
        "options",
        pa.ListArray.from_arrays([0, 4, 8, 12, 16, 20], pa.array(["a", "b", "c", "d"] * 5).dictionary_encode()),
    )
    found = []
    for name, shard in (("plain", plain), ("coded", coded)):
        for subset in RACE.subsets:
            folder = tmp_path / name / subset.folder
            folder.mkdir(parents=True)
            pq.write_table(shard, folder / f"{subset.eval}.parquet")
        found.append(load_examples(RACE, "eval", open_source(str(tmp_path / name))).examples)
    assert found[0] == found[1] != []


READERS = [in_evaluation, in_mix]


@pytest.mark.parametrize("read", READERS)
def test_a_duplicated_column_name_is_named(tmp_path, read):
    twice = pa.Table.from_arrays([*table(3).columns, table(3).column(0)], names=[*table(3).column_names, "question1"])
    with pytest.raises(
        DataError, match=r"validation-00001-of-00002\.parquet cannot be read .*two columns with the name 'question1'"
    ):
        read(mirror(tmp_path, table(0), twice), "eval")


@pytest.mark.parametrize("read", READERS)
def test_invalid_utf8_is_named(tmp_path, read):
    bad = table(3)
    broken = pa.array([b"fine", b"\xff\xfe", b"fine"]).view(pa.string())
    bad = bad.set_column(1, "question2", broken)
    says = r"validation-00001-of-00002\.parquet .*column 'question2' has a text that is not UTF-8 at row 4"
    with pytest.raises(DataError, match=says):
        read(mirror(tmp_path, table(0), bad), "eval")


@pytest.mark.parametrize("read", READERS)
def test_other_types_are_refused(tmp_path, read):
    with pytest.raises(DataError, match="column 'label' is double, expected int"):
        read(mirror(tmp_path, table(0), table(3, label=pa.float64())), "eval")
    with pytest.raises(DataError, match=r"column 'question1' is int64, expected string"):
        read(
            mirror(tmp_path, table(0), table(3).set_column(0, "question1", pa.array([1, 2, 3]).dictionary_encode())),
            "eval",
        )


@pytest.mark.parametrize("read", READERS)
def test_a_large_dictionary_is_read(tmp_path, read):
    long = ["x" * 3_000_000 + str(k) for k in range(3)]
    big = table(3).set_column(0, "question1", pa.array(long).dictionary_encode())
    source = mirror(tmp_path, table(0), big, dictionary_pagesize_limit=1 << 30)
    assert [len(example.input) > 3_000_000 for example in read(source, "eval")] == [False] * 3 + [True] * 3
