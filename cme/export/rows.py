"""The validation rows of the mix on which an export is computed, and their batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.analysis.measure_load import no_logits
from cme.analysis.rows import LoadRow, batched
from cme.data.example import Dropped
from cme.errors import UsageError
from cme.mix.rows import load_mix
from cme.progress import Bar
from cme.training.encode import Encoder

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Batch", "ValidationRows", "batches", "forward", "validation_rows"]

_BUDGET = {"cpu": 2048}
_BUDGET_ELSEWHERE = 16384


@dataclass(frozen=True)
class ValidationRows:
    """Encoded validation rows.

    Attributes:
        rows: the rows: prompt, answer and end of text, as in training.
        families: family of each row.
        names: the families in alphabetical order.
    """

    rows: tuple[LoadRow, ...]
    families: tuple[str, ...]
    names: tuple[str, ...]

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return sum(len(row.ids) for row in self.rows)

    @property
    def answer_tokens(self) -> int:
        """Number of tokens of the answers, with the end of text."""
        return sum(len(row.ids) - row.context for row in self.rows)

    def of_family(self, family: str) -> "ValidationRows":
        """Return the rows of one family."""
        rows = tuple(row for row, name in zip(self.rows, self.families, strict=True) if name == family)
        return ValidationRows(rows, (family,) * len(rows), (family,))


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch that is padded on the right.

    Attributes:
        ids: token ids, [B, L], on the model's device.
        mask: 1 for tokens and 0 for padding, [B, L], on the model's device.
        owners: number of the row of each token, or -1 for padding, [B, L], on the CPU.
        rows: numbers of the rows.
    """

    ids: "Tensor"
    mask: "Tensor"
    owners: "Tensor"
    rows: tuple[int, ...]


def validation_rows(mix: Path, encoder: Encoder) -> ValidationRows:
    """Read and encode the validation rows of a mix.

    Args:
        mix: folder of the mix.
        encoder: the encoder of the training.

    Raises:
        UsageError: the mix has no validation rows, or none of them fits.
        CMEError: a file is damaged.
    """
    table = load_mix(mix, "validation")
    if not len(table):
        raise UsageError(
            f"{mix} has no validation rows, from which an export is computed. Give a mix that has some with --data, or build "
            "one without --validation 0."
        )
    rows, families = [], []
    for row in table.to_pylist():
        encoded = encoder.row(row)
        if not isinstance(encoded, Dropped):
            rows.append(LoadRow(row["id"], row["cluster"], "", tuple(encoded.ids), encoded.context))
            families.append(str(row["family"]))
    if not rows:
        raise UsageError(
            f"none of the {len(table):,} validation rows of {mix} has at most {encoder.max_length} tokens. Give another mix "
            "with --data."
        )
    return ValidationRows(tuple(rows), tuple(families), tuple(sorted(set(families))))


def batches(validation: ValidationRows, pad: int, device: Any) -> Iterator[Batch]:
    """Yield all rows in batches of similar length.

    Args:
        validation: the rows.
        pad: token id of the padding.
        device: the model's device.
    """
    import torch

    for numbers in batched(validation.rows, _BUDGET.get(device.type, _BUDGET_ELSEWHERE)):
        longest = max(len(validation.rows[number].ids) for number in numbers)
        ids = torch.full((len(numbers), longest), pad)
        owners = torch.full((len(numbers), longest), -1)
        for line, number in enumerate(numbers):
            own = validation.rows[number].ids
            ids[line, : len(own)] = torch.tensor(own)
            owners[line, : len(own)] = number
        mask = (owners >= 0).long()
        yield Batch(ids.to(device), mask.to(device), owners, tuple(numbers))


def forward(model: Any, batch: Batch, progress: Bar) -> None:
    """Run a model on a batch for what its layers compute.

    Args:
        model: a model in evaluation mode.
        batch: the batch.
        progress: progress bar, which advances by the number of rows.
    """
    model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False, **no_logits(model))
    progress.advance(len(batch.rows))
