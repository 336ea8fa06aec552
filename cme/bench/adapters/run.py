"""The complete measurement: operations, then memory, then times."""

import gc
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from cme.bench.adapters.cases import Case, build, plan, trainable
from cme.bench.adapters.flops import count_flops
from cme.bench.adapters.memory import peak_memory
from cme.bench.adapters.ratios import Ratio, quartiles, ratio_of
from cme.bench.adapters.report import AdapterReport, ModeCost, describe, surroundings
from cme.bench.adapters.reported import Reported, compare_reported
from cme.bench.adapters.settings import BASE, BenchSettings, method_of
from cme.bench.adapters.timing import measure
from cme.bench.adapters.work import make_work, prompt_cache
from cme.progress import Bar, bar

__all__ = ["measure_adapters"]

_REFERENCES = ("lora", BASE)

Key = tuple[str, Case]
Times = dict[str, dict[Case, list[float]]]


def measure_adapters(
    model: Any,
    settings: BenchSettings | None = None,
    *,
    reported: Iterable[Reported] = (),
    weights: str = "loaded",
    command: Sequence[str] = (),
) -> AdapterReport:
    """Measure the costs of adapters on one base.

    Args:
        model: The base (a causal language model of transformers), with the dtype and on the device to measure. All cases share
            its weights, which are unchanged afterwards.
        settings: The benchmark settings. The default is `BenchSettings()`.
        reported: Reported ratios to compare with the measured ones.
        weights: ``loaded`` or ``random``, for the record.
        command: The command line, for the record.

    Raises:
        UsageError: The base has no layers that CME knows, or there is nothing to measure.
    """
    settings = settings or BenchSettings()
    frozen = [weight for weight in model.parameters() if not weight.requires_grad]
    training = model.training
    # Existing objects are excluded from garbage collection, which would take a third of a second each time.
    gc.freeze()
    try:
        cases = plan(model, settings)
        rounds = settings.warmup + settings.rounds
        with bar("Costs of adapters", total=len(cases) * len(settings.modes) * (2 + rounds)) as progress:
            trained, flops = _count(model, cases, settings, progress)
            peaks = _peaks(model, cases, settings, progress)
            times = {mode: _times(model, cases, mode, settings, progress) for mode in settings.modes}
    finally:
        gc.unfreeze()
        model.requires_grad_(True)
        for weight in frozen:
            weight.requires_grad_(False)
        model.train(training)
    place = surroundings(model, weights=weights, command=command)
    return AdapterReport(
        settings=settings,
        surroundings=place,
        cases=tuple(
            describe(
                case,
                trained[case],
                place.base_parameters,
                [_cost(mode, times[mode][case], flops[mode, case], peaks[mode, case], settings) for mode in times],
            )
            for case in cases
        ),
        ratios=tuple(_ratios(times)),
        reported=tuple(compare_reported(reported, times)),
    )


def _count(
    model: Any, cases: list[Case], settings: BenchSettings, progress: Bar
) -> tuple[dict[Case, int], dict[Key, int | None]]:
    """Return the number of trained parameters by case, and the operations by mode and case."""
    trained: dict[Case, int] = {}
    flops: dict[Key, int | None] = {}
    progress.describe("counting operations")
    for case in cases:
        adapted = build(model, case, settings)
        trained[case] = sum(weight.numel() for weight in trainable(adapted))
        for mode in settings.modes:
            flops[mode, case] = count_flops(adapted, mode, settings)
            progress.advance()
    return trained, flops


def _peaks(model: Any, cases: list[Case], settings: BenchSettings, progress: Bar) -> dict[Key, int]:
    progress.describe("peak memory")
    peaks = {}
    for case in cases:
        for mode in settings.modes:
            peaks[mode, case] = peak_memory(model, case, mode, settings)
            progress.advance()
    return peaks


def _times(model: Any, cases: list[Case], mode: str, settings: BenchSettings, progress: Bar) -> dict[Case, list[float]]:
    progress.describe(mode)
    models = {case: build(model, case, settings) for case in cases}
    cache = prompt_cache(models[cases[0]], settings) if mode == "decode" else None
    works = {case: make_work(adapted, mode, settings, cache) for case, adapted in models.items()}
    gc.collect()
    return measure(
        works,
        rounds=settings.rounds,
        warmup=settings.warmup,
        seed=settings.seed,
        advance=progress.advance,
    )


def _cost(mode: str, times: list[float], flops: int | None, peak: int, settings: BenchSettings) -> ModeCost:
    seconds = quartiles(times)
    length = {"train": settings.train_length, "prefill": settings.infer_length, "decode": 1}[mode]
    rate = settings.batch / seconds.median
    return ModeCost(
        mode=mode,
        seconds=seconds,
        rounds=tuple(times),
        tokens_per_second=rate * length,
        samples_per_second=None if mode == "decode" else rate,
        flops=flops,
        peak_bytes=peak,
    )


def _ratios(times: Times) -> Iterable[Ratio]:
    for mode, cases in times.items():
        for reference in (case for name in _REFERENCES for case in cases if case.method == name):
            for case in cases:
                if case != reference:
                    yield ratio_of(mode, case.name, reference.name, cases[case], cases[reference])
        for case in cases:
            plain = replace(case, method=method_of(case.method))
            # The ratios to LoRA and the base are computed above.
            if plain != case and plain in cases and plain.method not in _REFERENCES:
                yield ratio_of(mode, case.name, plain.name, cases[case], cases[plain])
