"""Collation of examples into padded batches with labels on the answer."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cme.training.tokens import Tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["IGNORED", "Collator", "Ordered", "takes_sparse_logits"]

IGNORED = -100
"""Label of tokens without a loss, as in PyTorch and transformers."""

Item = tuple["NDArray[np.int32]", int]


class Ordered(Dataset[Item]):
    """Examples in training order. An item consists of the token ids and the length of the context."""

    def __init__(self, tokens: Tokens, order: "NDArray[np.int64]") -> None:
        self._tokens, self._order = tokens, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> Item:
        example = int(self._order[index])
        return self._tokens.ids(example), int(self._tokens.contexts[example])


class Collator:
    """Make batches that are padded on the right. The labels are the answer and the end-of-text token.

    Args:
        pad: Id of the padding token.
        train_on_prompt: Whether the tokens of the context are labels, too.
        sparse_logits: Whether to add ``logits_to_keep`` and ``shift_labels``, so that the model computes logits only where
            a label is predicted. The loss does not change. The output layer's matrix product, often the largest of the model,
            is then computed for the tokens of the answer only.
    """

    def __init__(self, pad: int, *, train_on_prompt: bool = False, sparse_logits: bool = False) -> None:
        self._pad, self._train_on_prompt, self._sparse_logits = pad, train_on_prompt, sparse_logits

    def __call__(self, items: Sequence[Item]) -> dict[str, Tensor]:
        """Make a batch.

        Returns:
            ``input_ids``, ``attention_mask`` and ``labels``, each [examples, longest]. With sparse logits also
            ``logits_to_keep``, which is true where the next token has a label, and ``shift_labels``, the flat list of these
            next tokens.
        """
        longest = max(len(ids) for ids, _ in items)
        input_ids = torch.full((len(items), longest), self._pad)
        attention_mask = torch.zeros_like(input_ids)
        labels = torch.full_like(input_ids, IGNORED)
        for row, (ids, context) in enumerate(items):
            input_ids[row, : len(ids)] = torch.tensor(ids, dtype=torch.long)
            attention_mask[row, : len(ids)] = 1
            first = 0 if self._train_on_prompt else context
            labels[row, first : len(ids)] = input_ids[row, first : len(ids)]
        batch = {"input_ids": input_ids, "attention_mask": attention_mask, "labels": labels}
        if self._sparse_logits:
            following = torch.nn.functional.pad(labels[:, 1:], (0, 1), value=IGNORED)
            keep = following != IGNORED
            batch |= {"logits_to_keep": keep, "shift_labels": following[keep]}
        return batch


def takes_sparse_logits(model: Any) -> bool:
    """Return whether the model's class takes a mask as ``logits_to_keep`` and computes its loss from ``shift_labels``.

    This is so if the class uses the common helpers of transformers. A class with its own loss reads ``labels`` only.
    """
    import inspect
    import sys

    module = sys.modules[type(model).__module__]
    forward = inspect.unwrap(type(model).forward)
    common = hasattr(module, "slice_logits_to_keep") and "loss_function" in forward.__code__.co_names
    return common and "logits_to_keep" in inspect.signature(model.forward).parameters
