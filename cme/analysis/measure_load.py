"""Measures the load of experts on forward passes over prompts and right answers."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from cme.analysis.load import PER_EXPERT, PER_TOKEN, Array, Group, Load
from cme.analysis.rows import LoadRow, batched
from cme.files import atomic_path
from cme.progress import Bar
from cme.suite import DatasetSpec

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LoadBatch", "MeasuredLoad", "load_batches", "measure_load", "no_logits", "read_load", "write_load"]

_BUDGET = {"cpu": 512}
"""Most tokens of a pass, as in an evaluation, whose memory load should not exceed."""

_BUDGET_ELSEWHERE = 16384


@dataclass(frozen=True, eq=False)
class MeasuredLoad:
    """The load of the experts on the rows of one dataset.

    Attributes:
        load: the load, by subject if the dataset has subjects.
        rows: number of rows.
        phi: sums of φ over the tokens of each row's prompt, [n, L, k]. Without rows if the dataset has no subjects.
        tokens: number of tokens of each row's prompt, [n].
        subjects: subject of each row, [n].
        clusters: cluster of each row, [n].
    """

    load: Load
    rows: int
    phi: Array
    tokens: Array
    subjects: tuple[str, ...]
    clusters: tuple[str, ...]


def measure_load(model: Any, spec: DatasetSpec, rows: Sequence[LoadRow], pad: int, progress: Bar) -> MeasuredLoad:
    """Measure the load of the experts of the adapter ``default`` on the rows of one dataset.

    Batches are padded on the right, and padding does not count.

    Args:
        model: a `PeftModel` in evaluation mode.
        spec: the dataset.
        rows: its rows.
        pad: token id of the padding.
        progress: progress bar, which advances by the number of rows.
    """
    import torch

    from cme.adapters.routed.gate_sums import gate_sums
    from cme.models.output_layer import adjacent_positions

    subjects = sorted({row.subject for row in rows})
    # With subjects, each row is a group of its own, because the permutation test needs the values of single rows.
    single = len(subjects) > 1
    place_of = {subject: place for place, subject in enumerate(subjects)}
    group_of_row = [part + 2 * (row if single else 0) for row in range(len(rows)) for part in (0, 1)]
    device = next(model.parameters()).device
    progress.expect(len(rows))
    with gate_sums(model, group_of_row) as sums, torch.inference_mode(), adjacent_positions(model):
        for batch in load_batches(rows, pad, device):
            model(**batch.inputs, use_cache=False, **no_logits(model))
            sums.update(batch.owners)
            progress.advance(batch.rows)
        by_layer = sums.by_layer()
    layers = tuple(by_layer)

    def stacked(name: str) -> Array:
        """Return a sum as [groups or rows, 2, L, ...]."""
        whole = np.stack([getattr(totals, name) for totals in by_layer.values()], axis=1)
        return whole.reshape(-1, 2, *whole.shape[1:])

    tables = {name: stacked(name) for name in (*PER_TOKEN, *PER_EXPERT)}
    phi = tables["phi"][:, 0] if single else np.zeros((0, *tables["phi"].shape[2:]))
    tokens = tables["tokens"][:, 0, 0] if single else np.zeros(0)
    if single:
        index = np.array([place_of[row.subject] for row in rows])
        tables = {
            name: np.stack([values[index == place].sum(axis=0) for place in range(len(subjects))])
            for name, values in tables.items()
        }
    groups = tuple(Group(spec.name, spec.family, subject) for subject in subjects)
    named = rows if single else ()
    return MeasuredLoad(
        Load(layers, groups, tables),
        len(rows),
        phi,
        tokens,
        tuple(row.subject for row in named),
        tuple(row.cluster for row in named),
    )


@dataclass(frozen=True)
class LoadBatch:
    """A batch of rows, padded on the right.

    Attributes:
        inputs: ``input_ids`` and ``attention_mask``, each [rows, longest].
        owners: for each token, twice the number of its row for the prompt, one more for the answer, and -1 for padding.
        rows: number of rows.
    """

    inputs: "dict[str, Tensor]"
    owners: "Tensor"
    rows: int


def load_batches(rows: Sequence[LoadRow], pad: int, device: Any) -> Iterator[LoadBatch]:
    """Yield the rows in batches of similar length.

    Args:
        rows: the rows.
        pad: token id of the padding.
        device: the device of the model.
    """
    import torch

    for batch in batched(rows, _BUDGET.get(device.type, _BUDGET_ELSEWHERE)):
        longest = max(len(rows[row].ids) for row in batch)
        ids = torch.full((len(batch), longest), pad)
        owners = torch.full((len(batch), longest), -1)
        for line, row in enumerate(batch):
            item = rows[row]
            ids[line, : len(item.ids)] = torch.tensor(item.ids)
            owners[line, : len(item.ids)] = 2 * row
            owners[line, item.context : len(item.ids)] = 2 * row + 1
        mask = (owners >= 0).long()
        yield LoadBatch({"input_ids": ids.to(device), "attention_mask": mask.to(device)}, owners, len(batch))


def write_load(path: Path, measured: MeasuredLoad, key: str) -> None:
    """Write a measured load to a file, so that an interrupted analysis can continue.

    Args:
        path: the file, ``.npz``.
        measured: the load.
        key: digest of everything that determines the load.
    """
    texts = {
        "key": [key],
        "layers": measured.load.layers,
        "groups": [[group.dataset, group.family, group.subject] for group in measured.load.groups],
        "subjects": measured.subjects,
        "clusters": measured.clusters,
    }
    arrays: dict[str, Any] = {name: np.array(values, dtype=np.str_) for name, values in texts.items()}
    arrays |= {f"sum_{name}": values for name, values in measured.load.sums.items()}
    arrays |= {"phi": measured.phi, "tokens": measured.tokens, "rows": np.array(measured.rows)}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_load(path: Path, key: str) -> MeasuredLoad | None:
    """Read a measured load, or return None if the file does not exist, is damaged or has another key."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"][0]) != key:
                return None
            groups = tuple(Group(*map(str, group)) for group in file["groups"])
            sums = {name: file[f"sum_{name}"] for name in (*PER_TOKEN, *PER_EXPERT)}
            return MeasuredLoad(
                Load(tuple(map(str, file["layers"])), groups, sums),
                int(file["rows"]),
                file["phi"],
                file["tokens"],
                tuple(map(str, file["subjects"])),
                tuple(map(str, file["clusters"])),
            )
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None


def no_logits(model: Any) -> dict[str, int]:
    """Return the argument that lets a model compute the logits of the last token only, or none if that is not possible.

    Args:
        model: a `PeftModel`, or its base. An adapted output layer must see every token.
    """
    from cme.adapters.routed.layer import RoutedLinear

    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    adapted = isinstance(base.get_output_embeddings(), RoutedLinear)
    takes = "logits_to_keep" in inspect.signature(base.forward).parameters
    return {"logits_to_keep": 1} if takes and not adapted else {}
