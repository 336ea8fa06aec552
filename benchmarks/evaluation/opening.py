"""The model and the requests that both sides share."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.evaluation.rows import Part, load_parts
from benchmarks.evaluation.settings import EvalBenchSettings
from benchmarks.evaluation.timing import ENGINE, STOCK
from cme.bench.adapters.report import Surroundings
from cme.errors import UsageError

__all__ = ["Opened", "open_all"]


@dataclass(frozen=True)
class Opened:
    """A model and its requests.

    Attributes:
        model: The base, or a `PeftModel`, in evaluation mode.
        tokenizer: The base's tokenizer.
        parts: The requests of each dataset.
        surroundings: The environment of the measurement. Its number of parameters is that of the base.
    """

    model: Any
    tokenizer: Any
    parts: tuple[Part, ...]
    surroundings: Surroundings

    def side(self, name: str) -> Any:
        """Create a side: `STOCK`, or `ENGINE`, which checks itself on its first batches as in ``cme eval``."""
        from benchmarks.evaluation.stock import StockLM
        from cme.evaluation.engine.lm import PrefixLM
        from cme.evaluation.lm_eval_runner import quiet

        with quiet():
            return {STOCK: StockLM, ENGINE: PrefixLM}[name](self.model, self.tokenizer, batch_size=1)


def open_all(settings: EvalBenchSettings, command: Sequence[str] = ()) -> Opened:
    """Load the model and the rows.

    Args:
        settings: The settings of the measurement.
        command: The command line, for the record.

    Raises:
        CMEError: The base, the adapter, the device or the rows do not exist.
    """
    import torch

    from cme.adapters.load import load_adapter
    from cme.bench.adapters.base import has_random_weights, open_base
    from cme.bench.adapters.report import surroundings
    from cme.data.sources import check_source, open_source
    from cme.models.load import load_tokenizer, resolve_base
    from cme.models.vocabulary import check_vocabulary
    from cme.suite import select

    specs = select(settings.datasets)
    check_source(open_source(settings.source), specs, ("eval",))
    if settings.tokenizer is None and has_random_weights(settings.base):
        raise UsageError(
            f"the base {settings.base!r} has random weights and no tokenizer. Give --tokenizer, such as smollm2-135m."
        )
    tokenizer = load_tokenizer(resolve_base(settings.tokenizer or settings.base))
    if settings.threads:
        torch.set_num_threads(settings.threads)
    model, weights = open_base(settings.base, dtype=settings.dtype, device=settings.device)
    check_vocabulary(model, tokenizer)
    place = surroundings(model, weights=weights, command=command)
    if settings.adapter:
        model = load_adapter(model, Path(settings.adapter).expanduser()).eval()
    parts = load_parts(model, tokenizer, specs, source=settings.source, rows=settings.rows)
    return Opened(model, tokenizer, tuple(parts), place)
