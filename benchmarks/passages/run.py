"""Answers the same requests with and without shared passages, in turns."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.evaluation import EvalBenchSettings
from benchmarks.evaluation.agreement import Agreement, compare, joined
from benchmarks.evaluation.opening import Opened, open_all
from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.timing import ENGINE, Answered, Counts, answer
from benchmarks.passages.rows import write_rows
from cme.progress import bar

__all__ = ["Saving", "measure_passages"]

_ALL = 10**9


@dataclass(frozen=True)
class Saving:
    """The costs of one dataset without and with shared passages.

    Attributes:
        dataset: Name of the dataset.
        rows: Number of rows.
        passages: Number of different passages or premises.
        without: Amount of computation if only the common prefix is shared.
        shared: Amount of computation if passages are shared, too.
        seconds: Times of both in each round, in seconds.
        agreement: Agreement of the answers of both over all rounds.
    """

    dataset: str
    rows: int
    passages: int
    without: Counts
    shared: Counts
    seconds: tuple[tuple[float, float], ...]
    agreement: Agreement

    @property
    def tokens(self) -> float:
        """Ratio of the computed tokens."""
        return self.without.tokens / self.shared.tokens

    @property
    def time(self) -> float:
        """Ratio of the times, as the median over the rounds."""
        return statistics.median(one / other for one, other in self.seconds)


def measure_passages(
    settings: EvalBenchSettings, names: Sequence[str], *, share: float | None, folder: Path, tiny: bool = False
) -> list[Saving]:
    """Measure each dataset without and with shared passages. The order alternates between rounds.

    Args:
        settings: The settings. ``source`` and ``rows`` apply if ``share`` is None.
        names: Names of the datasets.
        share: Share of the generated rows. None measures rows of ``source``.
        folder: An empty folder for generated rows.
        tiny: Whether to replace the base by a tiny random model with the same tokenizer. The counts of choices are those of the
            base, and the times are not.

    Raises:
        CMEError: The base or the rows do not exist.
    """
    if share is not None:
        for name in names:
            write_rows(folder, name, share)
        settings = replace(settings, source=str(folder), rows=_ALL)
    opened = open_all(replace(settings, datasets=tuple(names)))
    if tiny:
        opened = replace(opened, model=_tiny_model(len(opened.tokenizer), str(opened.model.device)))
    costs = []
    with bar("passages", len(opened.parts) * settings.rounds) as progress:
        for part in opened.parts:
            progress.describe(f"passages: {part.dataset}")
            rounds = []
            for turn in range(settings.rounds):
                rounds.append(_both(opened, part, turn))
                progress.advance()
            costs.append(_saving(part, rounds))
    return costs


def _both(opened: Opened, part: Part, turn: int) -> tuple[Answered, Answered]:
    """Answer the requests of a dataset without and with shared passages. Each side checks itself as in ``cme eval``."""
    answered = {}
    for shares in (False, True) if turn % 2 == 0 else (True, False):
        lm = opened.side(ENGINE)
        lm.share_passages = shares
        answered[shares] = answer(lm, part, 1)
    return answered[False], answered[True]


def _saving(part: Part, rounds: Sequence[tuple[Answered, Answered]]) -> Saving:
    without, shared = rounds[0]
    return Saving(
        dataset=part.dataset,
        rows=len(part.ids),
        passages=len({request.doc["cluster"] for request in part.requests}),
        without=without.counts,
        shared=shared.counts,
        seconds=tuple((one.seconds, other.seconds) for one, other in rounds),
        agreement=joined([compare(part, one.answers, other.answers) for one, other in rounds]),
    )


def _tiny_model(vocabulary: int, device: str) -> Any:
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        initializer_range=0.3,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval().to(device)
