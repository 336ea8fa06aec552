"""Parquet files with wrong footers, with sizes beyond the limits, or with invalid values are refused."""

import io
import subprocess
import sys
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cme.errors import CMEError, DataError
from cme.leaderboard.entries.files import check_samples
from cme.readers.limits import DATA_FILES, SAMPLE_FILES
from cme.readers.parquet_file import open_parquet, read_rows
from cme.readers.parquet_pages import pages_of


def write(path, table, **options):
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)
    return path


def varint(number, length=0):
    """Encode a number in Thrift's compact protocol, padded with empty digits to a length."""
    number, digits = number << 1, []
    while number or not digits:
        digits.append(number & 127)
        number >>= 7
    digits += [0] * (length - len(digits))
    return bytes(digit | (128 if k < len(digits) - 1 else 0) for k, digit in enumerate(digits))


def lie(path, true, stated):
    """Replace a number in the footer of a file."""
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    old = varint(true)
    assert old in data[start:]
    path.write_bytes(data[:start] + data[start:].replace(old, varint(stated, len(old))))


def all_rows(path, limits=DATA_FILES):
    with open_parquet(path, limits) as file:
        return [row for batch in file.batches() for row in read_rows(batch)]


def test_what_is_written_is_read(tmp_path):
    rows = [{"a": k, "b": f"text {k % 7}", "c": [{"d": "é" * k}]} for k in range(3000)]
    path = write(tmp_path / "x.parquet", pa.Table.from_pylist(rows), row_group_size=700, data_page_size=2000)
    assert all_rows(path) == rows
    with open_parquet(path) as file:
        assert file.table(["b"]).column("b").to_pylist() == [row["b"] for row in rows]
        assert next(iter(file.batches(["a"], groups=[1], size=100))).column(0)[0].as_py() == 700


@pytest.mark.parametrize("compression", ["none", "snappy", "gzip", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_pages_are_counted_as_arrow_reads_them(tmp_path, compression, version):
    values = [f"{k} {k * k}" for k in range(20_000)]
    table = {"a": list(range(20_000)), "b": values, "c": [values[:3]] * 20_000, "d": [None] * 20_000}
    path = write(
        tmp_path / "x.parquet", table, compression=compression, data_page_version=version, data_page_size=9_000
    )
    metadata = pq.read_metadata(path)
    with path.open("rb") as file:
        for k in range(metadata.num_columns):
            chunk = metadata.row_group(0).column(k)
            pages = list(pages_of(file, chunk, path.stat().st_size))
            assert sum(page.values for page in pages) == chunk.num_values
            assert sum(page.unpacked for page in pages) <= chunk.total_uncompressed_size
            if chunk.total_uncompressed_size > 1000:  # in smaller chunks, the headers are most of the size
                assert sum(page.unpacked for page in pages) > 0.5 * chunk.total_uncompressed_size
            assert pages[0].dictionary == chunk.has_dictionary_page
    assert len(pages) >= 1


SAMPLES = """
import sys
from pathlib import Path
from cme.errors import CMEError
from cme.leaderboard.entries.files import check_samples
try:
    check_samples(Path(sys.argv[1]))
    print("read")
except CMEError as error:
    print(error)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def checked(path):
    """Return the output of `check_samples` in a separate process and its memory in MiB."""
    done = subprocess.run([sys.executable, "-c", SAMPLES, path], capture_output=True, text=True, check=True)
    output, memory = done.stdout.rstrip().rsplit("\n", 1)
    return output, int(memory) // 1024


def test_a_footer_with_a_wrong_size(tmp_path):
    """A file of some kilobytes has a page of 300 MB, but its footer states a few bytes."""
    path = write(tmp_path / "x.parquet", {"a": ["a" * 300_000_000]}, compression="zstd", use_dictionary=False)
    lie(path, pq.read_metadata(path).row_group(0).total_byte_size, 1000)
    assert pq.read_metadata(path).row_group(0).total_byte_size == 1000
    assert path.stat().st_size < 100_000
    output, memory = checked(path)
    assert "a page has 300,000,0" in output and "268,435,456 are allowed" in output
    assert memory < 400


def test_many_pages_that_are_small(tmp_path):
    table = pa.table({f"c{k}": ["a" * 5_000_000] * 2 for k in range(8)})
    path = write(tmp_path / "x.parquet", table, compression="zstd", use_dictionary=False, data_page_size=1)
    with pytest.raises(DataError, match="bytes unpacked or more; 50,000,000 are allowed"):
        all_rows(path, replace(SAMPLE_FILES, unpacked=50_000_000))


def test_one_text_in_very_many_rows(tmp_path):
    """Every row refers to a dictionary entry of 8 MB, which takes 800 KB in the file but 8 TB in memory."""
    array = pa.DictionaryArray.from_arrays(pa.array([0] * 1_000_000, pa.int32()), pa.array(["b" * 8_000_000]))
    path = write(tmp_path / "x.parquet", {"a": array}, compression="zstd", dictionary_pagesize_limit=1 << 30)
    assert path.stat().st_size < 100_000
    output, memory = checked(path)
    assert "of its rows take 8,192,000,000 bytes; 1,073,741,824 are allowed" in output
    assert memory < 400
    with pytest.raises(DataError, match="1,024 of its rows take 8,192,0"):
        all_rows(path)


def test_more_rows_than_the_footer_states(tmp_path):
    path = write(tmp_path / "x.parquet", {"a": list(range(5000))})
    with pytest.raises(DataError, match=r"more than the 1,000 rows|has 5,000 rows"):
        all_rows(path, replace(DATA_FILES, rows=1000))
    with pytest.raises(DataError, match="5,000 values or more; 1,000 are allowed"):
        all_rows(path, replace(DATA_FILES, values=1000))


def test_a_list_of_very_many_values_in_one_row(tmp_path):
    array = pa.ListArray.from_arrays([0, 70_000_000], pa.nulls(70_000_000, pa.int8()))
    output, memory = checked(write(tmp_path / "x.parquet", {"a": array}, compression="zstd"))
    assert "values or more; 64,000,000 are allowed" in output
    assert memory < 400


def test_a_large_dictionary_inside_of_a_list(tmp_path):
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 3000, pa.int32()), pa.array(["b" * 3_000_000]))
    array = pa.ListArray.from_arrays(list(range(3001)), texts.slice(0, 3000))
    path = write(tmp_path / "x.parquet", {"a": array}, compression="zstd", dictionary_pagesize_limit=1 << 30)
    with pytest.raises(CMEError, match="a dictionary of 3,000,004 bytes; 16,384 are allowed"):
        check_samples(path)
    with open_parquet(path) as file:
        batches = file.batches()
        assert next(batches).num_rows == (2**31) // (4 * 3_000_004)


def test_a_megabyte_of_metadata(tmp_path):
    table = pa.table({"a": [1]}).replace_schema_metadata({"note": "x" * 1_000_000})
    path = write(tmp_path / "x.parquet", table)
    with pytest.raises(CMEError, match=r"bytes of metadata; 65,536 are allowed"):
        check_samples(path)
    with pytest.raises(CMEError, match=r"its footer has .* bytes; 4,194,304 are allowed"):
        check_samples(write(path, table.replace_schema_metadata({"note": "x" * 5_000_000})))


@pytest.mark.parametrize(
    ("limit", "says"),
    [("columns", "3 columns; 2"), ("groups", "3 row groups; 2"), ("rows", "30 rows; 2"), ("size", "bytes; 2")],
)
def test_limits_of_the_footer(tmp_path, limit, says):
    path = write(tmp_path / "x.parquet", {"a": range(30), "b": range(30), "c": range(30)}, row_group_size=10)
    with pytest.raises(DataError, match=says), open_parquet(path, replace(SAMPLE_FILES, **{limit: 2})):
        pass


def test_a_text_that_is_too_long(tmp_path):
    for k, table in enumerate(
        (
            {"a": ["x" * 257]},
            {"a": [["x" * 257]]},
            {"a": [{"b": "x" * 257}]},
            {"a": pa.array([[("x" * 257, 1.0)]], pa.map_(pa.string(), pa.float64()))},
            {"a": pa.array(["x" * 257], pa.large_string())},
            {"a": [b"x" * 257]},
        )
    ):
        with pytest.raises(CMEError, match="a text of 257 characters; 256 are allowed"):
            check_samples(write(tmp_path / f"{k}.parquet", table))
    check_samples(write(tmp_path / "fine.parquet", {"a": ["é" * 256, None]}))


def test_two_columns_of_one_name(tmp_path):
    path = write(tmp_path / "x.parquet", pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))
    with pytest.raises(DataError, match="two columns with the name 'a'"):
        all_rows(path)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.list_(pa.string())])
def test_a_text_that_is_not_utf8(tmp_path, kind):
    bad = pa.array([b"fine"] * 1500 + [b"\xff\xfe"]).cast(pa.binary())
    texts = bad.view(pa.string())
    if pa.types.is_list(kind):
        array = pa.ListArray.from_arrays(list(range(1502)), texts)
    else:
        array = texts if kind == pa.string() else bad.cast(pa.large_binary()).view(pa.large_string())
    path = write(tmp_path / "x.parquet", {"n": list(range(1501)), "a": array})
    with open_parquet(path) as file:
        first, second = file.batches()
    assert len(read_rows(first)) == 1024
    with pytest.raises(ValueError, match="column 'a' has a text that is not UTF-8 at row 1500"):
        read_rows(second, 1024)


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1PAR1", b"x" * 100, b"PAR1" + b"\xff" * 20 + b"PAR1"])
def test_a_file_that_is_not_parquet(tmp_path, content):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"x\.parquet cannot be read as Parquet .*Get the file again"):
        all_rows(path)


def test_no_file(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(DataError, match="does not exist or is not a regular file"):
            all_rows(path)


def test_an_open_file(tmp_path):
    path = write(tmp_path / "x.parquet", {"a": [1, 2]})
    with open_parquet(io.BytesIO(path.read_bytes()), where="hub:x") as file:
        assert file.metadata.num_rows == 2
    with pytest.raises(DataError, match=r"^hub:x cannot be read"), open_parquet(io.BytesIO(b"x"), where="hub:x"):
        pass


def test_a_file_without_rows(tmp_path):
    path = write(tmp_path / "x.parquet", pa.table({"a": pa.array([], pa.string()), "b": pa.array([], pa.int8())}))
    assert all_rows(path) == []
    with open_parquet(path) as file:
        assert file.table().num_rows == 0
        assert file.table(["b"]).column_names == ["b"]
