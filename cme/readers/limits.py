"""Limits of all readers. `limits_table` makes the table in ``docs/limits.md``."""

from dataclasses import dataclass, replace
from pathlib import Path

__all__ = [
    "COALITION_FILES",
    "CONFIG_EXPERTS",
    "CONFIG_LAYERS",
    "CONFIG_WIDTH",
    "DATA_FILES",
    "ENTRY_BYTES",
    "ENTRY_DEPTH",
    "ENTRY_EXPERTS",
    "ENTRY_RUNS",
    "ENTRY_TEXT",
    "EXPERT_FILES",
    "ID_FILES",
    "IMAGE_BYTES",
    "IMAGE_PIXELS",
    "IMAGE_RATIO",
    "JSON_BYTES",
    "JSON_DEPTH",
    "JSON_DIGITS",
    "PATTERN_CHARACTERS",
    "PATTERN_MEMORY",
    "PATTERN_NAMES",
    "PATTERN_SECONDS",
    "SAMPLE_FILES",
    "TENSORS",
    "TENSORS_HEADER_BYTES",
    "TEXT_BYTES",
    "YAML_BYTES",
    "YAML_DEPTH",
    "YAML_DIGITS",
    "YAML_NODES",
    "ParquetLimits",
    "limits_table",
]

_KIB, _MIB, _GIB = 2**10, 2**20, 2**30

JSON_BYTES = 16 * _MIB
JSON_DEPTH = 64
JSON_DIGITS = 40
"""Maximum number of digits of an integer. An integer with 40 digits still converts to a finite float."""

YAML_BYTES = 256 * _KIB
"""Maximum size. PyYAML reads about 100 KiB per second."""
YAML_DEPTH = 32
YAML_NODES = 20_000
"""Maximum number of values in a document after its aliases are expanded."""
YAML_DIGITS = 40

TENSORS_HEADER_BYTES = 32 * _MIB
TENSORS = 200_000

IMAGE_BYTES = 32 * _MIB
IMAGE_PIXELS = 2**25
"""Maximum width times height. Pillow warns above 89 million pixels and refuses above twice as many."""
IMAGE_RATIO = 200
"""Maximum ratio of the two sides. Processors enlarge the shorter side to some hundred pixels and keep the ratio."""

PATTERN_SECONDS = 5
PATTERN_MEMORY = 512 * _MIB
PATTERN_CHARACTERS = 10_000
PATTERN_NAMES = 1_000_000

CONFIG_LAYERS = 4_096
CONFIG_EXPERTS = 65_536
CONFIG_WIDTH = 2**24

TEXT_BYTES = 16 * _MIB

ENTRY_BYTES = 4 * _MIB
ENTRY_TEXT = 4_096
ENTRY_DEPTH = 20
ENTRY_RUNS = 100
ENTRY_EXPERTS = 64
"""Maximum number of experts of a row with an analysis, because its page shows each of them."""


@dataclass(frozen=True)
class ParquetLimits:
    """Maximum sizes of a Parquet file. Sizes are taken from the headers of the pages, not from the file's footer.

    Attributes:
        name: kind of file, for the documentation.
        size: bytes of the file. None means no limit.
        footer: bytes of the footer.
        metadata: bytes of the key-value metadata.
        columns: number of columns. Columns in structs and lists count individually.
        groups: number of row groups.
        rows: number of rows.
        values: number of values in all columns.
        page: bytes of a page after decompression.
        unpacked: bytes of all pages after decompression. None means no limit.
        batch: bytes of a batch of rows in memory.
        text: characters of a text. None means no limit.
        dictionary: bytes of the dictionary of a text column. Columns with a larger dictionary are read as dictionaries until
            the size of their rows was checked.
    """

    name: str
    size: int | None
    footer: int
    metadata: int
    columns: int
    groups: int
    rows: int
    values: int
    page: int
    unpacked: int | None
    batch: int
    text: int | None
    dictionary: int


SAMPLE_FILES = ParquetLimits(
    name="per-sample scores",
    size=200 * _MIB,
    footer=4 * _MIB,
    metadata=64 * _KIB,
    columns=64,
    groups=10_000,
    rows=1_000_000,
    values=64_000_000,
    page=256 * _MIB,
    unpacked=_GIB,
    batch=_GIB,
    text=256,
    dictionary=16 * _KIB,
)

ID_FILES = ParquetLimits(
    name="row ids",
    size=_GIB,
    footer=16 * _MIB,
    metadata=4 * _MIB,
    columns=64,
    groups=10_000,
    rows=20_000_000,
    values=80_000_000,
    page=256 * _MIB,
    unpacked=4 * _GIB,
    batch=_GIB,
    text=256,
    dictionary=16 * _KIB,
)

COALITION_FILES = replace(
    SAMPLE_FILES,
    name="analyses (`coalitions.parquet`)",
    size=4 * _GIB,
    rows=20_000_000,
    values=200_000_000,
    unpacked=4 * _GIB,
)

EXPERT_FILES = replace(SAMPLE_FILES, name="scores of masked experts, beside entries", size=20 * _MIB, columns=512)

DATA_FILES = ParquetLimits(
    name="dataset rows and mixes",
    size=None,
    footer=64 * _MIB,
    metadata=4 * _MIB,
    columns=10_000,
    groups=1_000_000,
    rows=2**40,
    values=2**40,
    page=_GIB,
    unpacked=None,
    batch=2 * _GIB,
    text=None,
    dictionary=2 * _MIB,
)


def _main() -> None:
    """Update the table in ``docs/limits.md``."""
    path = Path("docs/limits.md")
    before, rest = path.read_text(encoding="utf-8").split("<!-- limits -->")
    after = rest.split("<!-- /limits -->")[1]
    text = f"{before}<!-- limits -->\n{limits_table()}\n<!-- /limits -->{after}"
    path.write_text(text, encoding="utf-8")


def limits_table() -> str:
    """Return the table of ``docs/limits.md`` in Markdown."""
    rows = [
        ("JSON (records, configurations, locks, markers)", "size", _size(JSON_BYTES)),
        ("", "depth of nesting", f"{JSON_DEPTH}"),
        ("", "digits of a whole number", f"{JSON_DIGITS}"),
        ("", "memory", "about 40 times the file's size at most"),
        ("YAML (recipes, options, task files, card metadata)", "size", _size(YAML_BYTES)),
        ("", "depth of nesting", f"{YAML_DEPTH}"),
        ("", "values with aliases written out", f"{YAML_NODES:,}"),
        ("", "digits of a whole number", f"{YAML_DIGITS}"),
        ("", "time", "about 3 s for a file of the largest size"),
        *_parquet_rows(SAMPLE_FILES),
        *_parquet_rows(ID_FILES),
        *_parquet_rows(COALITION_FILES),
        *_parquet_rows(EXPERT_FILES),
        *_parquet_rows(DATA_FILES),
        ("safetensors header", "size", _size(TENSORS_HEADER_BYTES)),
        ("", "tensors", f"{TENSORS:,}"),
        ("Base model's `config.json`", "layers", f"{CONFIG_LAYERS:,}"),
        ("", "experts", f"{CONFIG_EXPERTS:,}"),
        ("", "width (hidden size, heads, vocabulary)", f"{CONFIG_WIDTH:,}"),
        ("Regular expression (`target_modules`)", "length", f"{PATTERN_CHARACTERS:,} characters"),
        ("", "names to match", f"{PATTERN_NAMES:,}"),
        ("", "time for all names", f"{PATTERN_SECONDS} s"),
        ("", "memory", _size(PATTERN_MEMORY)),
        ("Image (`cme eval-images`)", "size", _size(IMAGE_BYTES)),
        ("", "pixels (width times height)", f"{IMAGE_PIXELS:,}"),
        ("", "ratio of the two sides", str(IMAGE_RATIO)),
        ("Text (`--retention-text`)", "size", _size(TEXT_BYTES)),
        ("Leaderboard entry", "size", _size(ENTRY_BYTES)),
        ("", "depth of nesting", f"{ENTRY_DEPTH}"),
        ("", "length of a text", f"{ENTRY_TEXT:,} characters"),
        ("", "runs", f"{ENTRY_RUNS}"),
        ("", "experts of a row with an analysis", f"{ENTRY_EXPERTS}"),
        ("Download", "size", "the size that the hub states, to the byte"),
    ]
    return "\n".join(
        ["| What is read | Limit on | Value |", "| --- | --- | --- |", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]
    )


def _parquet_rows(limits: ParquetLimits) -> list[tuple[str, str, str]]:
    rows = [
        ("file", None if limits.size is None else _size(limits.size)),
        ("footer", _size(limits.footer)),
        ("key-value metadata", _size(limits.metadata)),
        ("columns", f"{limits.columns:,}"),
        ("row groups", f"{limits.groups:,}"),
        ("rows", f"{limits.rows:,}"),
        ("values", f"{limits.values:,}"),
        ("a page, decompressed", _size(limits.page)),
        ("all pages, decompressed", None if limits.unpacked is None else _size(limits.unpacked)),
        ("a batch of rows in memory", _size(limits.batch)),
        ("a text", None if limits.text is None else f"{limits.text:,} characters"),
    ]
    kept = [(what, value) for what, value in rows if value is not None]
    return [(f"Parquet: {limits.name}" if k == 0 else "", what, value) for k, (what, value) in enumerate(kept)]


def _size(size: int) -> str:
    for unit, name in ((_GIB, "GiB"), (_MIB, "MiB"), (_KIB, "KiB")):
        if size >= unit and size % unit == 0:
            return f"{size // unit:,} {name}"
    return f"{size:,} bytes"


if __name__ == "__main__":
    _main()
