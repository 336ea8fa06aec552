import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cme.errors import SourceError
from cme.mix import BuildSettings
from cme.suite import DatasetSpec, Subset

Rows = dict[str, list[dict[str, Any]]]


class FakeSource:
    """Rows at hand, by ``folder/split``; what is not there is missing."""

    name = "fake"
    place = "the fake source"

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.requested: list[str] = []

    def missing(self, spec: DatasetSpec, kind: str) -> dict[str, str]:
        places = {subset.name: f"{subset.folder}/{subset.split(kind)}" for subset in spec.subsets}
        return {name: f"{place}.parquet" for name, place in places.items() if place not in self.rows}

    def table(self, spec: DatasetSpec, subset: Subset, split: str) -> pa.Table:
        return pa.Table.from_pylist(self.rows[self._asked(subset, split)])

    def _asked(self, subset: Subset, split: str) -> str:
        if (place := f"{subset.folder}/{split}") not in self.rows:
            raise SourceError(f"{place} is missing")
        if place not in self.requested:
            self.requested.append(place)
        return place

    def locate(self, spec: DatasetSpec, subset: Subset, split: str) -> str:
        return f"fake:{subset.folder}/{split}"

    def files(self, spec: DatasetSpec, subset: Subset, split: str) -> list[Path]:
        return []

    def count(self, spec: DatasetSpec, subset: Subset, split: str) -> int:
        return len(self.rows[self._asked(subset, split)])

    def span(self, spec: DatasetSpec, subset: Subset, split: str, start: int, rows: int) -> pa.Table:
        return pa.Table.from_pylist(self.rows[f"{subset.folder}/{split}"][start : start + rows])

    def provenance(self, spec: DatasetSpec) -> dict[str, str]:
        return dict.fromkeys(sorted(place for place in self.requested if place.startswith(spec.name)), "here")


def _pairs(label: str, count: int) -> list[dict[str, Any]]:
    return [
        {"question1": f"What is {label} {k}?", "question2": f"Who made the {label} {k}?", "label": k % 2}
        for k in range(count)
    ]


def _questions(label: str, count: int) -> list[dict[str, Any]]:
    return [{"question": f"who owns the {label} {k}", "answer": [f"Owner {k}"]} for k in range(count)]


@pytest.fixture
def plain_rows() -> Rows:
    """Two datasets without any duplicate, conflict or leak: 400 pairs and 90 questions."""
    return {
        "qqp/train": _pairs("river", 400),
        "qqp/validation": _pairs("lake", 20),
        "nq_open/train": _questions("mill", 90),
        "nq_open/validation": _questions("barn", 20),
    }


@pytest.fixture
def fake_source() -> type[FakeSource]:
    return FakeSource


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., BuildSettings]:
    def make(out: str = "mix", **changes: Any) -> BuildSettings:
        values = {"source": "fake", "datasets": ("nq_open", "qqp")} | changes
        return BuildSettings(out=tmp_path / out, **values)

    return make


@pytest.fixture
def tree() -> Callable[[Path], dict[str, str]]:
    """Every file below a folder → hash of its bytes."""

    def hashes(folder: Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

    return hashes


@pytest.fixture
def real_rows() -> Path:
    folder = os.environ.get("CME_DATA_DIR")
    if not folder:
        pytest.skip("CME_DATA_DIR is not set: it names the folder with real rows")
    return Path(folder)
