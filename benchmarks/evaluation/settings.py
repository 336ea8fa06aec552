"""What a measurement of evaluations is to measure."""

from dataclasses import dataclass

from cme.errors import UsageError, unknown
from cme.models.load import DTYPES
from cme.suite import select

__all__ = ["EvalBenchSettings"]

_ON_CPU, _ON_GPU = (1, 4, 8, 16), (8, 16, 32, 64)


@dataclass(frozen=True)
class EvalBenchSettings:
    """What is measured, and how often.

    Attributes:
        base: base model: hub id, folder or the embedded one.
        adapter: adapter folder; None measures the base itself.
        source: hub, mini or a mirror folder.
        rows: of each dataset, the first in tier order; datasets that have fewer give all.
        datasets: dataset or family names; None is the whole suite.
        dtype: of the base's weights.
        rounds: times that every dataset is answered by both.
        batch_sizes: that lm-eval tries; empty: `candidates` of the device.
        device: where to run; None: the first GPU, else the CPU.
        threads: CPU threads; None: PyTorch's own choice.
    """

    base: str = "smollm2-135m"
    adapter: str | None = None
    source: str = "hub"
    rows: int = 32
    datasets: tuple[str, ...] | None = None
    dtype: str = "float32"
    rounds: int = 1
    batch_sizes: tuple[int, ...] = ()
    device: str | None = None
    threads: int | None = None

    def __post_init__(self) -> None:
        """Check everything that needs no model.

        Raises:
            UsageError: an unknown name, or a number out of range.
        """
        select(self.datasets)
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        for name in ("rows", "rounds"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, found {getattr(self, name)}.")
        sizes = self.batch_sizes
        if any(size < 1 for size in sizes) or len(set(sizes)) < len(sizes):
            raise UsageError(
                f"batch sizes must be different numbers of at least 1, found {', '.join(map(str, sizes))}."
            )

    def candidates(self, device: str) -> tuple[int, ...]:
        """The batch sizes that lm-eval tries on a device (``cpu`` or ``cuda``)."""
        return self.batch_sizes or (_ON_CPU if device == "cpu" else _ON_GPU)
