"""Settings of a measurement of trainings, and the sides that are compared."""

from dataclasses import dataclass

from cme.errors import UsageError, unknown

__all__ = ["CME", "SIDES", "STOCK", "TrainBenchSettings"]

CME, STOCK = "cme", "trl"
SIDES = {
    CME: "cme train",
    STOCK: "SFTTrainer with its defaults, among them gradient checkpointing",
    "trl-padded": "SFTTrainer without gradient checkpointing",
    "trl-grouped": "SFTTrainer without gradient checkpointing, with batches of similar length",
    "trl-packed": "SFTTrainer without gradient checkpointing, with packing",
}
"""The sides, with what they are."""


@dataclass(frozen=True)
class TrainBenchSettings:
    """The settings of a measurement. All sides share them.

    Attributes:
        base: base model.
        source: source of the mix.
        steps: optimiser steps. The mix has ``steps · batch_size`` rows, and every side trains on each of them once.
        batch_size: rows per step. With packing, a step has about as many tokens as these rows have on average.
        max_length: most tokens of a row, and the length of a packed row.
        rank: rank of LoRA on the feed-forward projections.
        dtype: ``bfloat16`` or ``float32``.
        rounds: number of rounds. Every side trains once per round, in a process of its own.
        threads: CPU threads; None for torch's default.
        sides: the compared sides.
    """

    base: str = "smollm2-135m"
    source: str = "mini"
    steps: int = 50
    batch_size: int = 8
    max_length: int = 512
    rank: int = 32
    dtype: str = "bfloat16"
    rounds: int = 3
    threads: int | None = None
    sides: tuple[str, ...] = tuple(SIDES)

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UsageError: a side or a dtype is unknown, or a number is out of range.
        """
        for side in self.sides:
            if side not in SIDES:
                raise unknown("side", side, SIDES)
        if CME not in self.sides or len(set(self.sides)) < max(2, len(self.sides)):
            raise UsageError(f"sides are {', '.join(self.sides)}. Give cme and at least one other side, each once.")
        if self.dtype not in ("bfloat16", "float32"):
            raise unknown("dtype", self.dtype, ("bfloat16", "float32"))
        for name in ("steps", "batch_size", "max_length", "rank", "rounds"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, found {getattr(self, name)}.")
