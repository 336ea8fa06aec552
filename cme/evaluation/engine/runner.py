"""Runs and counts forward passes of a model, and manages their caches."""

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicCache, DynamicLayer

from cme.errors import NotFiniteError
from cme.evaluation.engine.support import window_length
from cme.models.output_layer import adjacent_positions

__all__ = ["Past", "Reserved", "Runner", "Work", "check_finite", "keep_rows", "put", "reserve", "select"]


@dataclass
class Work:
    """Counters of the computation.

    Attributes:
        forwards: number of forward passes.
        positions: number of positions in them, including padding.
        tokens: number of positions in them, without padding.
    """

    forwards: int = 0
    positions: int = 0
    tokens: int = 0

    def add(self, positions: int, tokens: int, forwards: int = 1) -> None:
        """Add forward passes to the counters."""
        self.forwards += forwards
        self.positions += positions
        self.tokens += tokens


def check_finite(values: Tensor) -> None:
    """Check that values computed from logits are finite. Otherwise, token or option 0 would be chosen without an error.

    Raises:
        NotFiniteError: if a value is NaN or infinite.
    """
    if not bool(values.isfinite().all()):
        raise NotFiniteError(
            "the model computes a log-probability that is not a finite number. Check the weights of the model and the adapter "
            "for NaN and infinity, or set --dtype float32 in case the dtype overflows."
        )


@dataclass
class Past:
    """Rows of tokens that the model has processed.

    Attributes:
        cache: keys and values, [rows, heads, length, size] per layer. None if they were not requested.
        mask: 1 for tokens and 0 for padding, [rows, length].
        lengths: number of tokens in each row, [rows].
        logits: logits at the last token of each row, [rows, vocabulary].
    """

    cache: Any
    mask: Tensor
    lengths: Tensor
    logits: Tensor


class Runner:
    """Runs forward passes of a model on rows of tokens.

    Args:
        model: a causal language model or a `PeftModel`, in evaluation mode.
        device: device of the model.
        work: counters of the computation.
    """

    def __init__(self, model: Any, device: torch.device, work: Work) -> None:
        self.device = device
        self._model, self._work = model, work
        self._limited = window_length(model) is not None

    def read(
        self, rows: Sequence[Sequence[int]], prefix: Past | None = None, taken: Tensor | None = None, *, keep: bool
    ) -> Past:
        """Process prompts, padded on the left.

        Args:
            rows: tokens of each prompt after the prefix. No row may be empty.
            prefix: rows, read with ``keep``, that precede the prompts. They are not changed.
            taken: index of the row of ``prefix`` that precedes each prompt, [prompts]. None means the first row.
            keep: whether to return the keys and values.
        """
        length = max(map(len, rows))
        ids = torch.tensor([[0] * (length - len(row)) + list(row) for row in rows])
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])
        ids, mask = ids.to(self.device), mask.to(self.device)
        self._work.add(mask.numel(), sum(map(len, rows)))
        cache, positions = None, mask.cumsum(-1) - 1
        if prefix is not None:
            taken = torch.zeros(len(rows), dtype=torch.long, device=self.device) if taken is None else taken
            cache = select(prefix.cache, taken)
            positions = prefix.lengths[taken, None] + positions
            mask = torch.cat([prefix.mask[taken], mask], dim=1)
        positions = positions.clamp(min=0)
        output = self.forward(ids, mask, positions, cache, keep_cache=keep, logits=1)
        cache = output.past_key_values if keep else None
        return Past(cache, mask, mask.sum(-1), output.logits[:, -1])

    def go_on(self, past: Past, taken: Tensor, rows: Sequence[Sequence[int]]) -> Tensor:
        """Process continuations of processed rows, padded on the right.

        Args:
            past: rows that were read with ``keep``. They are not changed.
            taken: index of the row that each new row continues, [new rows].
            rows: tokens of each new row. No row may be empty.

        Returns:
            Logits [new rows, longest, vocabulary].
        """
        length = max(map(len, rows))
        ids = torch.tensor([[*row, *[0] * (length - len(row))] for row in rows], device=self.device)
        mask = torch.tensor([[1] * len(row) + [0] * (length - len(row)) for row in rows], device=self.device)
        positions = past.lengths[taken, None] + torch.arange(length, device=self.device)
        self._work.add(ids.numel(), sum(map(len, rows)))
        mask = torch.cat([past.mask[taken], mask], dim=1)
        logits: Tensor = self.forward(ids, mask, positions, select(past.cache, taken), keep_cache=True).logits
        return logits

    def step(self, past: Past, tokens: Tensor, alive: int) -> None:
        """Process one more token in every row and update ``past``.

        Args:
            past: rows with a cache from `reserve`. The mask has the same width, with 1 for future tokens.
            tokens: the new tokens, [rows].
            alive: number of unfinished rows, for the counters. Finished rows are computed, but not used.
        """
        length = past.cache.get_seq_length() + 1
        self._work.add(len(tokens), alive)
        output = self.forward(
            tokens[:, None], past.mask[:, :length], past.lengths[:, None], past.cache, keep_cache=True
        )
        past.lengths = past.lengths + 1
        past.logits = output.logits[:, -1]

    def forward(
        self, ids: Tensor, mask: Tensor, positions: Tensor, cache: Any, *, keep_cache: bool, logits: int = 0
    ) -> Any:
        """Run one forward pass. ``logits`` is the number of positions at the end that get logits; 0 means all."""
        if cache is None and keep_cache and self._limited:
            # A model's own cache for layers with a window drops positions, which batches of other rows may need. `PrefixLM`
            # ensures that no row exceeds the window.
            cache = DynamicCache()
        with torch.inference_mode(), adjacent_positions(self._model) if logits else nullcontext():
            return self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=keep_cache,
                logits_to_keep=logits,
            )


def select(cache: Any, rows: Tensor) -> Any:
    """Return a new cache with the given rows of a cache. A row can occur several times."""
    taken = copy.copy(cache)
    taken.layers = [copy.copy(layer) for layer in cache.layers]
    taken.batch_select_indices(rows)
    return taken


class Reserved(DynamicLayer):  # type: ignore[misc]
    """A cache layer with preallocated memory. `DynamicLayer` would copy all keys and values for every token.

    A layer without room grows like a `DynamicLayer`.
    """

    def __init__(self, like: DynamicLayer, rows: int, length: int, room: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = like.keys.dtype, like.keys.device, True
        # Keys and values can differ in the number and size of heads, as in DeepSeek-V2.
        self.keys, self.values = (
            old.new_zeros((rows, old.shape[1], length + room, old.shape[3])) for old in (like.keys, like.values)
        )
        self.used = length

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Add keys and values of new tokens, [rows, heads, tokens, size], and return all keys and values so far."""
        start, self.used = self.used, self.used + key_states.shape[2]
        if start == self.keys.shape[2]:
            grown: tuple[Tensor, Tensor] = super().update(key_states, value_states)
            return grown
        self.keys[:, :, start : self.used], self.values[:, :, start : self.used] = key_states, value_states
        return self.keys[:, :, : self.used], self.values[:, :, : self.used]

    def get_seq_length(self) -> int:
        """Return the number of positions in use."""
        return self.used


def reserve(like: Past, rows: int, length: int, room: int) -> Past:
    """Allocate memory for rows that are processed in several passes. `put` fills it.

    Args:
        like: rows of one pass, read with ``keep``, which determine dtype, device and sizes.
        rows: number of rows of all passes.
        length: number of positions of the widest pass, padding included.
        room: number of tokens by which each row can grow. The mask is 1 for them.
    """
    mask = like.mask.new_zeros((rows, length + room))
    mask[:, length:] = 1
    layers = [Reserved(layer, rows, length, room) for layer in like.cache.layers]
    logits = like.logits.new_zeros((rows, like.logits.shape[1]))
    return Past(Cache(layers=layers), mask, like.lengths.new_zeros(rows), logits)


def put(past: Past, rows: Tensor, read: Past) -> None:
    """Copy processed rows into the given rows of ``past``, padded on the left."""
    end = past.cache.get_seq_length()
    columns = slice(end - read.mask.shape[1], end)
    past.mask[rows, columns] = read.mask
    past.lengths[rows], past.logits[rows] = read.lengths, read.logits
    for layer, source in zip(past.cache.layers, read.cache.layers, strict=True):
        layer.keys[rows, :, columns], layer.values[rows, :, columns] = source.keys, source.values


def keep_rows(past: Past, rows: Tensor) -> Past:
    """Keep only the given rows of a ``past``."""
    past.cache.batch_select_indices(rows)
    return Past(past.cache, past.mask[rows], past.lengths[rows], past.logits[rows])
