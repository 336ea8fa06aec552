"""The loss of a model on the answers of rows, by forward passes alone.

It is the cheapest value function for experts: it generates nothing, scores one continuation per row, and reacts to small changes
that leave every answer as it is.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cme.analysis.load import Array
from cme.analysis.rows import batched
from cme.errors import AdapterError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["AnswerLoss", "AnswerRow"]

_BUDGET = {"cpu": 512}
_BUDGET_ELSEWHERE = 4096


class AnswerRow(Protocol):
    """A row as the model reads it."""

    @property
    def ids(self) -> tuple[int, ...]:
        """Token ids of the prompt and the answer."""

    @property
    def context(self) -> int:
        """Number of tokens of the prompt."""


@dataclass(frozen=True)
class _Batch:
    rows: tuple[int, ...]
    inputs: "dict[str, Tensor]"
    labels: "Tensor"
    kept: int


class AnswerLoss:
    """Measures the loss on the answers of some rows. The batches are made once and serve all measurements.

    Batches hold rows of similar length and are padded on the right. Logits are computed from the position before the first
    answer token of a batch on.

    Args:
        rows: the rows.
        pad: token id of the padding.
        device: the device of the model.
    """

    def __init__(self, rows: Sequence[AnswerRow], pad: int, device: Any) -> None:
        self._rows, self._device = len(rows), device
        budget = _BUDGET.get(device.type, _BUDGET_ELSEWHERE)
        self._batches = [_batch([rows[row] for row in chosen], chosen, pad, device) for chosen in batched(rows, budget)]

    def measure(self, model: Any, each: "Callable[[Tensor], None] | None" = None) -> Array:
        """Compute the sum of the losses of each row's answer tokens in nats, [n], in float64.

        Args:
            model: a causal language model or a `PeftModel` in evaluation mode, also inside of
                `cme.adapters.routed.masks.masked_experts`.
            each: is called with the attention mask of each batch, [batch, length], before its forward pass.

        Raises:
            AdapterError: a loss is not finite.
        """
        import torch

        from cme.models.output_layer import adjacent_positions

        losses = np.zeros(self._rows)
        shortens = _shortens(model)
        with torch.inference_mode(), adjacent_positions(model):
            for batch in self._batches:
                if each is not None:
                    each(batch.inputs["attention_mask"])
                options = {"logits_to_keep": batch.kept} if shortens else {}
                logits = model(**batch.inputs, use_cache=False, **options).logits[:, -batch.kept :]
                # The last position predicts nothing.
                tokens = torch.nn.functional.cross_entropy(
                    logits[:, :-1].float().flatten(0, 1), batch.labels.flatten(), reduction="none"
                )
                losses[list(batch.rows)] = tokens.double().view(batch.labels.shape).sum(dim=1).cpu().numpy()
        if not np.isfinite(losses).all():
            raise AdapterError(
                "the loss of a row is not finite, so the adapter or the base is broken. Train the adapter again."
            )
        return losses


def _batch(rows: Sequence[AnswerRow], numbers: Sequence[int], pad: int, device: Any) -> _Batch:
    import torch

    longest = max(len(row.ids) for row in rows)
    ids, mask = torch.full((len(rows), longest), pad), torch.zeros((len(rows), longest), dtype=torch.long)
    labels = torch.full((len(rows), longest), -100)
    for line, row in enumerate(rows):
        ids[line, : len(row.ids)] = torch.tensor(row.ids)
        mask[line, : len(row.ids)] = 1
        labels[line, row.context : len(row.ids)] = ids[line, row.context : len(row.ids)]
    first = min(row.context for row in rows)
    inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device)}
    # A label belongs to the position before it.
    return _Batch(tuple(numbers), inputs, labels[:, first:].to(device), longest - first + 1)


def _shortens(model: Any) -> bool:
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(base.forward).parameters
