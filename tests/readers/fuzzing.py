"""Generates nearly valid files: valid files with a few changed bytes, and documents drawn from a grammar."""

import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from cme.paths import leaderboards_dir, tasks_dir

__all__ = ["LONG", "SHORT", "SLOW", "documents", "mutated", "seeds"]

_HEALTH = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
SHORT = settings(max_examples=60, deadline=None, database=None, suppress_health_check=_HEALTH)
LONG = settings(max_examples=6000, deadline=None, database=None, suppress_health_check=_HEALTH)
SLOW = settings(LONG, max_examples=600)
"""Settings for examples that take a tenth of a second or more."""

_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "set", "insert", "delete", "repeat", "cut", "number"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 2**32),
        st.binary(max_size=8),
    ),
    min_size=1,
    max_size=6,
)
_NUMBERS = [b"\x00" * 4, b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\xff" * 8, b"\x80" * 9 + b"\x01"]


@st.composite
def mutated(draw, contents):
    """One of the contents with one to six edits, which are more frequent near the end, where Parquet has its footer."""
    data = bytearray(draw(st.sampled_from(contents)))
    for kind, place, number, some in draw(_EDITS):
        at = int(len(data) * (place if number % 2 else 1 - place * place))
        if kind == "flip" and at < len(data):
            data[at] ^= 1 << number % 8
        elif kind == "set" and at < len(data):
            data[at] = number % 256
        elif kind == "insert":
            data[at:at] = some
        elif kind == "delete":
            del data[at : at + number % 16]
        elif kind == "repeat":
            data[at:at] = data[at : at + number % 64] * (number % 200)
        elif kind == "cut" and number % 8 == 0:
            del data[at:]
        elif kind == "number":
            data[at : at + 4] = _NUMBERS[number % len(_NUMBERS)]
    return bytes(data)


_SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(10**60), 10**60),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["1e999", "2001-99-99", "../x", "/etc/passwd", "\x1b[2J", "a" * 5000, "0" * 70]),
)


def documents(keys):
    """JSON-like values whose mappings have the given keys more often than others."""
    key = st.one_of(st.sampled_from(keys), st.text(max_size=8))
    return st.recursive(
        _SCALARS,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(key, inner, max_size=6)),
        max_leaves=20,
    )


def seeds(kind):
    """Contents of valid files of a kind."""
    if kind == "json":
        entry = json.loads((leaderboards_dir() / "demo" / "entries" / "lora.json").read_text())
        return [
            json.dumps(entry).encode(),
            b'{"a": [1, -2.5e3, null, true, "\\u00e9\\n"], "b": {}}',
            b"[[[[1]]]]",
            b'"x"',
        ]
    if kind == "yaml":
        return [
            *(path.read_bytes() for path in sorted((leaderboards_dir() / "recipes").glob("*.yaml"))[:6]),
            *(path.read_bytes() for path in sorted(tasks_dir().glob("*/*.yaml"))[:6]),
            b"a: &a [1, 2.5, 2001-01-01, ~, !!int 3]\nb: {<<: {c: *a}, ? [x] : y}\nd: |\n  text\n",
        ]
    if kind == "safetensors":
        tensors = {"lora_A": np.zeros((2, 3), np.float32), "lora_B": np.zeros((3, 0), np.float16)}
        return [save(tensors), save(tensors, {"format": "pt"})]
    table = pa.table(
        {
            "id": [f"row {k}" for k in range(50)],
            "n": list(range(50)),
            "x": [k / 7 for k in range(50)],
            "texts": [["a", None, "b" * k] for k in range(50)],
            "struct": [{"a": k, "b": "c"} for k in range(50)],
            "flag": [k % 3 == 0 for k in range(50)],
        }
    )
    samples = (Path(leaderboards_dir()) / "demo" / "samples" / "majority.0.parquet").read_bytes()
    made = [samples]
    for options in (
        {"compression": "none"},
        {"compression": "zstd", "data_page_version": "2.0"},
        {"use_dictionary": False},
    ):
        sink = io.BytesIO()
        pq.write_table(table, sink, row_group_size=20, **options)
        made.append(sink.getvalue())
    return made
