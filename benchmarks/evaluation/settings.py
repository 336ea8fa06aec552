"""Settings of a measurement of evaluations."""

from dataclasses import dataclass

from cme.errors import UsageError, unknown
from cme.models.load import DTYPES
from cme.suite import select

__all__ = ["EvalBenchSettings"]

_ON_CPU, _ON_GPU = (1, 4, 8, 16), (8, 16, 32, 64)


@dataclass(frozen=True)
class EvalBenchSettings:
    """The settings of a measurement.

    Attributes:
        base: Base model: a hub id, a folder, or the name of the embedded base.
        adapter: Adapter folder. None measures the base itself.
        source: hub, mini or a mirror folder.
        rows: Number of rows per dataset, from the first in tier order. Smaller datasets are measured completely.
        datasets: Names of datasets or families. None means the whole suite.
        dtype: Dtype of the base's weights.
        rounds: Number of rounds. Each side answers all requests once per round.
        batch_sizes: Batch sizes that are tried for lm-eval. If empty, they are the `candidates` of the device.
        device: Device to run on. None means the first GPU, or the CPU if there is none.
        threads: Number of CPU threads. None means PyTorch's default.
        tokenizer: Base whose tokenizer is used. None means that of ``base``. A base with random weights has none.
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
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        """Check the settings.

        Raises:
            UsageError: A name is unknown, or a number is out of range.
        """
        select(self.datasets)
        if self.dtype not in DTYPES:
            raise unknown("dtype", self.dtype, DTYPES)
        for name in ("rows", "rounds"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, found {getattr(self, name)}.")
        sizes = self.batch_sizes
        if any(size < 1 for size in sizes) or len(set(sizes)) < len(sizes):
            raise UsageError(f"batch_sizes must be distinct numbers above 0, found {', '.join(map(str, sizes))}.")

    def candidates(self, device: str) -> tuple[int, ...]:
        """Return the batch sizes that are tried for lm-eval on a device (``cpu`` or ``cuda``)."""
        return self.batch_sizes or (_ON_CPU if device == "cpu" else _ON_GPU)
