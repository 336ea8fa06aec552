"""Measures the costs of recording load and of masked evaluations in one process."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cme.adapters.settings import AdapterSettings
from cme.evaluation.settings import EvalSettings
from cme.progress import bar

__all__ = ["ExpertBenchSettings", "ExpertCosts", "measure_experts"]


@dataclass(frozen=True)
class ExpertBenchSettings:
    """Settings of the benchmark.

    Attributes:
        evaluation: Settings of the evaluations. Without an adapter, a random one is made.
        made: The random adapter.
        rounds: Number of rounds.
    """

    evaluation: EvalSettings
    made: AdapterSettings
    rounds: int = 1


@dataclass(frozen=True)
class ExpertCosts:
    """What was measured.

    Attributes:
        plain: Seconds of one plain evaluation of the adapter, with loading, in each round.
        masked: Seconds of all masked evaluations together, with loading, in each round.
        masks: Number of masked evaluations.
        by_mask: Seconds of the datasets of each evaluation in each round, without loading. ``all`` is the plain one.
        passes: Seconds of plain forward passes over the rows of the load, in each round.
        recorded: Seconds of the same passes while load is recorded, in each round.
        tokens: Number of tokens of a pass.
        plain_peak: Peak memory in bytes after the plain evaluation.
        masked_peak: Peak memory in bytes after the masked ones.
        recorded_peak: Peak memory in bytes after recording.
    """

    plain: tuple[float, ...]
    masked: tuple[float, ...]
    masks: int
    by_mask: dict[str, tuple[float, ...]]
    passes: tuple[float, ...]
    recorded: tuple[float, ...]
    tokens: int
    plain_peak: int
    masked_peak: int
    recorded_peak: int

    @property
    def masked_ratio(self) -> float:
        """Time of a masked evaluation relative to a plain one, as the median over the rounds."""
        return statistics.median(
            masked / self.masks / plain for masked, plain in zip(self.masked, self.plain, strict=True)
        )

    @property
    def mask_ratios(self) -> dict[str, float]:
        """Time of each masked evaluation relative to that with all experts, as the median over the rounds."""
        whole = self.by_mask["all"]
        return {
            name: statistics.median(own / of for own, of in zip(seconds, whole, strict=True))
            for name, seconds in self.by_mask.items()
        }

    @property
    def recording_cost(self) -> float:
        """Additional time of recording relative to plain passes over the same rows, as the median over the rounds."""
        return statistics.median(
            recorded / plain - 1 for recorded, plain in zip(self.recorded, self.passes, strict=True)
        )

    @property
    def masked_memory(self) -> float:
        """Peak memory of masked evaluations relative to a plain one. It is at least 1, because peaks only rise."""
        return self.masked_peak / self.plain_peak

    @property
    def recorded_memory(self) -> float:
        """Peak memory with recording relative to a plain evaluation. It is at least 1."""
        return self.recorded_peak / self.plain_peak


def measure_experts(settings: ExpertBenchSettings, folder: Path) -> ExpertCosts:
    """Measure the costs. The peak memory is that of the first round.

    Args:
        settings: The settings.
        folder: An empty folder for results and the random adapter.

    Raises:
        CMEError: The base or the rows do not exist, or the adapter has no experts.
    """
    import torch

    from cme.analysis.checks import check_experts
    from cme.evaluation.run import evaluate, evaluate_masked
    from cme.models.load import pick_device
    from cme.suite.experts.masks import Masks

    evaluation = replace(settings.evaluation, device=pick_device(settings.evaluation.device))
    if evaluation.threads:
        torch.set_num_threads(evaluation.threads)
    if evaluation.adapter is None:
        evaluation = replace(evaluation, adapter=str(_random_adapter(settings, folder / "adapter")))
    experts = check_experts(Path(evaluation.adapter or ""))
    choices = Masks(experts.count, redundancy=True, shapley=False).choices
    plain, masked, peaks = [], [], []
    by_mask: dict[str, tuple[float, ...]] = dict.fromkeys(choices, ())
    # The first evaluation of a process imports lm-eval, which is no part of the comparison.
    evaluate(replace(evaluation, tier="smoke", datasets=("qqp",)), folder / "first")
    for turn in range(settings.rounds):
        plain.append(_seconds(lambda turn=turn: evaluate(evaluation, folder / f"plain-{turn}")))  # type: ignore[misc]
        peaks.append(_peak(evaluation.device or "cpu"))
        started = time.perf_counter()
        results = evaluate_masked(evaluation, choices, folder / f"masked-{turn}")
        masked.append(time.perf_counter() - started)
        for name, result in zip(choices, results, strict=True):
            by_mask[name] += (sum(result.seconds.values()),)
        peaks.append(_peak(evaluation.device or "cpu"))
    passes, recorded, tokens = _recording(evaluation, settings.rounds)
    return ExpertCosts(
        plain=tuple(plain),
        masked=tuple(masked),
        masks=len(choices),
        by_mask=by_mask,
        passes=tuple(passes),
        recorded=tuple(recorded),
        tokens=tokens,
        plain_peak=peaks[0],
        masked_peak=peaks[1],
        recorded_peak=_peak(evaluation.device or "cpu"),
    )


def _recording(evaluation: EvalSettings, rounds: int) -> tuple[list[float], list[float], int]:
    """Time plain and recording passes over the same rows in alternating order, after one pass that does not count."""
    import torch

    from cme.adapters.load import load_adapter
    from cme.analysis.measure_load import load_batches, measure_load, no_logits
    from cme.analysis.rows import load_rows
    from cme.data.sources import open_source
    from cme.models.load import load_model, load_tokenizer, resolve_base
    from cme.suite import select

    base = resolve_base(evaluation.base)
    model = load_adapter(
        load_model(base, dtype=evaluation.dtype, device=evaluation.device), Path(evaluation.adapter or "")
    )
    tokenizer, source = load_tokenizer(base), open_source(evaluation.source)
    longest = getattr(model.config, "max_position_embeddings", None) or 2048
    chosen = [
        (
            spec,
            load_rows(
                spec, source, tokenizer, tier=evaluation.tier, prompt_format=evaluation.prompt_format, max_length=longest,
                subject_rows=1,
            ),
        )
        for spec in select(evaluation.datasets)
    ]  # fmt: skip
    device = next(model.parameters()).device

    times: dict[bool, list[float]] = {False: [], True: []}
    with bar("recording") as progress:

        def passes(records: bool) -> None:
            for spec, rows in chosen:
                if records:
                    measure_load(model, spec, rows, tokenizer.pad_token_id, progress)
                    continue
                with torch.inference_mode():
                    for batch in load_batches(rows, tokenizer.pad_token_id, device):
                        model(**batch.inputs, use_cache=False, **no_logits(model))

        for turn in range(rounds + 1):
            for records in (False, True) if turn % 2 else (True, False):
                seconds = _seconds(lambda records=records: passes(records))  # type: ignore[misc]
                if turn:
                    times[records].append(seconds)
    return times[False], times[True], sum(len(row.ids) for _, rows in chosen for row in rows)


def _random_adapter(settings: ExpertBenchSettings, out: Path) -> Path:
    """Save an adapter with random weights. Their values do not affect the costs, except for the length of generated texts."""
    import torch

    from cme.models.load import resolve_base
    from cme.training.model import adapted_model

    model, _ = adapted_model(
        resolve_base(settings.evaluation.base), settings.made, dtype="float32", device="cpu", seed=0, steps=1
    )
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(torch.randn_like(weight), alpha=1e-3)
    model.save_pretrained(out)
    return out


def _seconds(work: Callable[[], Any]) -> float:
    import torch

    started = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _peak(device: str) -> int:
    import torch

    from cme.machine import peak_memory

    return int(torch.cuda.max_memory_allocated()) if device.startswith("cuda") else peak_memory()
