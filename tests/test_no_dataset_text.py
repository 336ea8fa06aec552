"""No committed file may hold text of a public dataset."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).resolve().parents[1]
WORDS = 12
"""Length of the shortest sequence of words that counts as copied text."""

_WORD = re.compile(r"\w+")


def runs_of_words(text: str) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return zip(*(words[start:] for start in range(WORDS)), strict=False)


def committed_files() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a clone, so git cannot list the committed files")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts(item)


def texts_of_table(file: Path) -> Iterator[str]:
    for column in pq.read_table(file).columns:
        if not _may_hold_text(column.type):
            continue
        for value in column.unique().to_pylist() if pa.types.is_string(column.type) else column.to_pylist():
            yield from texts(value)


def _may_hold_text(kind: pa.DataType) -> bool:
    return not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def committed_text(file: Path) -> Iterator[str]:
    if file.suffix == ".parquet":
        yield from texts_of_table(file)
        return
    try:
        yield file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return


def copied(files: list[Path], data: Path) -> dict[str, str]:
    """Return the committed files that share a sequence of words with a row, and the sequence."""
    known: dict[tuple[str, ...], Path] = {}
    for file in files:
        for text in committed_text(file):
            known.update(dict.fromkeys(runs_of_words(text), file))
    shared: dict[str, str] = {}
    for table in sorted(data.rglob("*.parquet")):
        for text in texts_of_table(table):
            for run in runs_of_words(text):
                if run in known:
                    shared.setdefault(str(known[run]), f"{table.parent.name}: {' '.join(run)}")
    return shared


def test_no_committed_file_holds_text_of_a_dataset(real_data: Path) -> None:
    files = committed_files()
    assert ROOT / "README.md" in files
    assert copied(files, real_data) == {}


def test_the_search_sees_copied_text_in_pages_and_tables(tmp_path: Path) -> None:
    row = "Twelve short words of an invented row stand here so that copies show."
    (tmp_path / "data/invented").mkdir(parents=True)
    pq.write_table(pa.table({"text": [row]}), tmp_path / "data/invented/train.parquet")
    page, table, other = tmp_path / "page.html", tmp_path / "samples.parquet", tmp_path / "other.md"
    page.write_text(f"<p>{row.upper()}</p>")
    pq.write_table(pa.table({"scores": [[{"response": f"{row} More."}]]}), table)
    other.write_text("Twelve short words of an invented row stand here.")
    assert list(copied([page, other], tmp_path / "data")) == [str(page)]
    assert list(copied([table, other], tmp_path / "data")) == [str(table)]
    assert copied([other], tmp_path / "data") == {}
