"""The validation rows of the mix on which an export is computed, and their batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.analysis.measure_load import no_logits
from cme.analysis.rows import batched
from cme.errors import UsageError
from cme.progress import Bar
from cme.training.encode import Encoder
from cme.training.mix_rows import MixRow, validation_split

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
    """

    rows: tuple[MixRow, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The families of the rows in alphabetical order."""
        return tuple(sorted({row.family for row in self.rows}))

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
        return ValidationRows(tuple(row for row in self.rows if row.family == family))


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
        mix: folder of a mix with validation rows.
        encoder: the encoder of the training.

    Raises:
        UsageError: no row fits.
        CMEError: a file is damaged.
    """
    rows, dropped = validation_split(mix, encoder)
    if not rows:
        raise UsageError(
            f"none of the {dropped:,} validation rows of {mix} has at most {encoder.max_length} tokens. Give another mix "
            "with --data."
        )
    return ValidationRows(tuple(rows))


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
    from cme.models.output_layer import adjacent_positions

    with adjacent_positions(model):
        model(input_ids=batch.ids, attention_mask=batch.mask, use_cache=False, **no_logits(model))
    progress.advance(len(batch.rows))
