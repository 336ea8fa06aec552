"""Settings of an export."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cme.errors import UsageError, unknown
from cme.evaluation.settings import EvalSettings
from cme.records.export import DEFAULTS, HOWS

__all__ = ["HOWS", "ExportSettings", "ways"]

_EACH = (
    "mean (constant gate weights), family (one adapter per family), fit (nearest in mean square) or distil (fit, then trained). "
    "Several are separated by commas"
)

_OF_FIT = ("rank", "ridge")
_OF_DISTIL = ("steps", "learning_rate", "batch_size", "seed")


@dataclass(frozen=True)
class ExportSettings:
    """Settings of an export. None means the default.

    Attributes:
        adapter: folder or hub id of the routed adapter.
        how: ways of exporting, of `HOWS`, in their order.
        data: folder of the mix. None means the one that the run's record names.
        base: base of the adapter. None means the one that the run's record or the adapter's configuration names.
        dtype: data type of the base's weights.
        device: device.
        rank: rank of ``fit`` and ``distil``. None means all ranks, k·r.
        ridge: penalty of the fit towards ``mean`` (`cme.export.fit`).
        steps: optimiser steps of ``distil``.
        learning_rate: its peak learning rate.
        batch_size: its examples per step.
        seed: seed of the order of its examples.
        prompt_format: prompt format of the rows. None means that of the training.
        measure: settings of the evaluations without base, adapter, dtype, device and format; None to evaluate nothing.
    """

    adapter: str
    how: tuple[str, ...]
    data: str | None = None
    base: str | None = None
    dtype: str = "float32"
    device: str = "cpu"
    rank: int | None = None
    ridge: float | None = None
    steps: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    seed: int | None = None
    prompt_format: str | None = None
    measure: EvalSettings | None = None

    def check(self) -> None:
        """Check the settings that need no file.

        Raises:
            UsageError: a way of exporting is unknown, or a number is out of range or belongs to another way.
        """
        for name in self.how:
            if name not in HOWS:
                raise unknown("way of exporting", name, HOWS)
        fits = {"fit", "distil"} & set(self.how)
        for names, applies, to in ((_OF_FIT, fits, "fit and distil"), (_OF_DISTIL, "distil" in self.how, "distil")):
            for name in names:
                if getattr(self, name) is not None and not applies:
                    raise UsageError(f"{_spoken(name)} applies to {to} only. Leave it out, or choose one of these.")
        for name, least in (("rank", 1), ("steps", 1), ("batch_size", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{_spoken(name)} is {value}. Give a whole number of at least {least}.")
        if self.ridge is not None and not 0 <= self.ridge < float("inf"):
            raise UsageError(f"ridge is {self.ridge}. Give a number of at least 0.")
        if self.learning_rate is not None and not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"lr is {self.learning_rate}. Give a number above 0.")
        if "distil" in self.how and self.dtype not in ("float32", "bfloat16"):
            raise UsageError(f"distil trains with float32 or bfloat16, but dtype is {self.dtype}. Give one of them.")

    def value(self, name: str) -> Any:
        """Return a setting, or its default if it is None.

        Args:
            name: name of a setting of ``fit`` or ``distil``.
        """
        given = getattr(self, name)
        return DEFAULTS[name] if given is None else given


def ways(how: Sequence[str] | None, method: str) -> tuple[str, ...]:
    """Return the chosen ways of exporting in their order.

    Args:
        how: names as the user gave them; None if none was chosen.
        method: method of the adapter, for the message.

    Raises:
        UsageError: none was chosen, or one is unknown.
    """
    if not how:
        raise UsageError(
            f"{method} weights its experts for every token, so no plain LoRA has exactly the outputs of this adapter. Choose how "
            f"it is approximated with --how: {_EACH}."
        )
    for name in how:
        if name not in HOWS:
            raise unknown("way of exporting", name, HOWS)
    return tuple(name for name in HOWS if name in how)


def _spoken(name: str) -> str:
    return {"learning_rate": "lr", "batch_size": "batch size"}.get(name, name)
