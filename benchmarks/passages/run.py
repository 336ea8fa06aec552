"""Answers the same requests with and without shared passages, in turns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.evaluation import EvalBenchSettings
from benchmarks.evaluation.agreement import Agreement
from benchmarks.evaluation.opening import open_all
from benchmarks.evaluation.rows import Part
from benchmarks.evaluation.timing import ENGINE, Answered, Counts, answer
from benchmarks.evaluation.turns import InTurns, agreement, in_turns, seconds
from benchmarks.passages.rows import write_rows

__all__ = ["Saving", "measure_passages"]

_ALL = 10**9


@dataclass(frozen=True, kw_only=True)
class Saving(InTurns):
    """The costs of one dataset without and with shared passages.

    Attributes:
        passages: Number of different passages or premises.
        without: Amount of computation if only the common prefix is shared.
        shared: Amount of computation if passages are shared, too.
        agreement: Agreement of the answers of both over all rounds.
    """

    passages: int
    without: Counts
    shared: Counts
    agreement: Agreement

    @property
    def tokens(self) -> float:
        """Ratio of the computed tokens."""
        return self.without.tokens / self.shared.tokens


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

    def measure(part: Part, way: int) -> Answered:
        """Answer without shared passages (0) or with them (1). Each way checks itself as in ``cme eval``."""
        lm = opened.side(ENGINE)
        lm.share_passages = bool(way)
        return answer(lm, part, 1)

    return [_saving(part, rounds) for part, rounds in in_turns("passages", opened.parts, settings.rounds, measure)]


def _saving(part: Part, rounds: Sequence[tuple[Answered, Answered]]) -> Saving:
    without, shared = rounds[0]
    return Saving(
        dataset=part.dataset,
        rows=len(part.ids),
        passages=len({request.doc["cluster"] for request in part.requests}),
        without=without.counts,
        shared=shared.counts,
        seconds=seconds(rounds),
        agreement=agreement(part, rounds),
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
