"""Passes through the model, counted, and the caches that they leave behind."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from cme.errors import NotFiniteError

__all__ = ["Past", "Reserved", "Runner", "Work", "check_finite", "keep_rows", "put", "reserve", "select"]


@dataclass
class Work:
    """What was computed.

    Attributes:
        forwards: passes through the model.
        positions: positions in them, padding included.
        tokens: positions in them without padding.
    """

    forwards: int = 0
    positions: int = 0
    tokens: int = 0

    def add(self, positions: int, tokens: int, forwards: int = 1) -> None:
        """Count passes."""
        self.forwards += forwards
        self.positions += positions
        self.tokens += tokens


def check_finite(values: Tensor) -> None:
    """Check what was computed of a model's logits: a NaN would choose token or option 0 without a word.

    Raises:
        NotFiniteError: NaN or infinity.
    """
    if not bool(values.isfinite().all()):
        raise NotFiniteError(
            "the model gives a log-probability that is not a finite number. Its weights or the adapter's hold NaN or infinity, "
            "or the dtype overflows: try --dtype float32."
        )


@dataclass
class Past:
    """Rows that the model has read.

    Attributes:
        cache: keys and values, [rows, heads, length, size] per layer; None if they were not asked for.
        mask: 1 for tokens, 0 for padding, [rows, length].
        lengths: tokens of each row, [rows].
        logits: at each row's last token, [rows, vocabulary].
    """

    cache: Any
    mask: Tensor
    lengths: Tensor
    logits: Tensor


class Runner:
    """A model that reads rows of tokens.

    Args:
        model: a causal language model or a `PeftModel`, in evaluation mode.
        device: where it is.
        work: counts what it computes.
    """

    def __init__(self, model: Any, device: torch.device, work: Work) -> None:
        self.device = device
        self._model, self._work = model, work

    def read(self, rows: Sequence[Sequence[int]], prefix: Past | None = None, *, keep: bool) -> Past:
        """Read prompts, padded on the left.

        Args:
            rows: the tokens (after the prefix), none empty.
            prefix: one row, read with ``keep``, that stands before every row.
            keep: whether the keys and values are needed later.
        """
        length = max(map(len, rows))
        ids = torch.tensor([[0] * (length - len(row)) + list(row) for row in rows])
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])
        ids, mask = ids.to(self.device), mask.to(self.device)
        cache, before = None, 0
        if prefix is not None:
            before = int(prefix.lengths[0])
            cache = select(prefix.cache, torch.zeros(len(rows), dtype=torch.long, device=self.device))
        positions = (before - 1 + mask.cumsum(-1)).clamp(min=0)
        self._work.add(mask.numel(), sum(map(len, rows)))
        if prefix is not None:
            mask = torch.cat([prefix.mask.expand(len(rows), -1), mask], dim=1)
        output = self.forward(ids, mask, positions, cache, keep_cache=keep, logits=1)
        cache = output.past_key_values if keep else None
        return Past(cache, mask, mask.sum(-1), output.logits[:, -1])

    def go_on(self, past: Past, taken: Tensor, rows: Sequence[Sequence[int]]) -> Tensor:
        """Read on after rows that were read, padded on the right.

        Args:
            past: read with ``keep``; it stays as it is.
            taken: which of its rows each new row continues, [new rows].
            rows: the new tokens, none empty.

        Returns:
            Logits, [new rows, longest, vocabulary].
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
        """Read one more token in every row; ``past`` moves on.

        Args:
            past: with a cache of `reserve`, and a mask as wide as that: 1 also for what is still to come.
            tokens: [rows].
            alive: rows that count; the others go along unused.
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
        """One pass; ``logits``: at how many positions from the end, 0 for all."""
        with torch.inference_mode():
            return self._model(
                input_ids=ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                use_cache=keep_cache,
                logits_to_keep=logits,
            )


def select(cache: Any, rows: Tensor) -> Any:
    """A cache of some of a cache's rows, also of one row several times; the given one stays as it is."""
    taken = copy.copy(cache)
    taken.layers = [copy.copy(layer) for layer in cache.layers]
    taken.batch_select_indices(rows)
    return taken


class Reserved(DynamicLayer):  # type: ignore[misc]
    """A layer of a cache whose room is reserved at once: `DynamicLayer` copies everything at every token."""

    def __init__(self, like: DynamicLayer, rows: int, length: int, room: int) -> None:
        super().__init__()
        self.dtype, self.device, self.is_initialized = like.keys.dtype, like.keys.device, True
        # Keys and values may differ in heads and size, as in DeepSeek-V2.
        self.keys, self.values = (
            old.new_zeros((rows, old.shape[1], length + room, old.shape[3])) for old in (like.keys, like.values)
        )
        self.used = length

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Add tokens, [rows, heads, tokens, size]; returns all keys and values so far."""
        start, self.used = self.used, self.used + key_states.shape[2]
        self.keys[:, :, start : self.used], self.values[:, :, start : self.used] = key_states, value_states
        return self.keys[:, :, : self.used], self.values[:, :, : self.used]

    def get_seq_length(self) -> int:
        """Columns in use."""
        return self.used


def reserve(like: Past, rows: int, length: int, room: int) -> Past:
    """Room for rows that are read in several passes; `put` fills it.

    Args:
        like: one of the passes, read with ``keep``.
        rows: of all passes together.
        length: of the longest row.
        room: how many more tokens each row can get; the mask is 1 for them.
    """
    mask = like.mask.new_zeros((rows, length + room))
    mask[:, length:] = 1
    layers = [Reserved(layer, rows, length, room) for layer in like.cache.layers]
    logits = like.logits.new_zeros((rows, like.logits.shape[1]))
    return Past(Cache(layers=layers), mask, like.lengths.new_zeros(rows), logits)


def put(past: Past, start: int, read: Past) -> None:
    """Put rows that were read into the rows of ``past`` from ``start`` on, padded on the left."""
    rows, end = slice(start, start + len(read.mask)), past.cache.get_seq_length()
    columns = slice(end - read.mask.shape[1], end)
    past.mask[rows, columns] = read.mask
    past.lengths[rows], past.logits[rows] = read.lengths, read.logits
    for layer, source in zip(past.cache.layers, read.cache.layers, strict=True):
        layer.keys[rows, :, columns], layer.values[rows, :, columns] = source.keys, source.values


def keep_rows(past: Past, rows: Tensor) -> Past:
    """Only some of the rows of a ``past``."""
    past.cache.batch_select_indices(rows)
    return Past(past.cache, past.mask[rows], past.lengths[rows], past.logits[rows])
