"""What adapters cost, measured side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cme.api.call import StrPath, names, numbers, path, public

if TYPE_CHECKING:
    from cme.bench.adapters import AdapterReport

__all__ = ["bench_adapters"]


@public
def bench_adapters(
    *,
    base: str = "smollm2-135m",
    methods: str | Sequence[str] | None = None,
    experts: str | int | Sequence[int] = "4",
    total_rank: int = 32,
    forms: str | Sequence[str] = "fused,loop",
    modes: str | Sequence[str] = "train,prefill,decode",
    rounds: int = 20,
    warmup: int = 3,
    batch: int = 4,
    train_length: int = 128,
    answer_tokens: int = 8,
    infer_length: int = 256,
    decode_tokens: int = 8,
    target_modules: str | Sequence[str] | None = None,
    seed: int = 0,
    dtype: str = "float32",
    device: str | None = None,
    threads: int | None = None,
    out: StrPath | None = None,
) -> "AdapterReport":
    """Measure what adapters cost, in turns on one base in one process: ``cme bench adapters``.

    Args:
        base: hub id, folder, or ``smollm2-135m``; with random weights: ``chinese-llama-2-7b``, or a ``config.json``.
        methods: such as ``base,lora,teamlora``; None: all. Settings follow a colon: ``teamlora:gate_sum=1`` is also compared
            with ``teamlora``.
        experts: numbers of experts.
        total_rank: rank of every whole adapter; one of k experts has 1/k of it.
        forms: methods with experts as CME runs them (``fused``), or expert by expert (``loop``).
        modes: ``train``, ``prefill``, ``decode``.
        rounds: measured rounds; in each, every case runs once.
        warmup: rounds before them that are not counted.
        batch: rows per step.
        train_length: tokens per row of a training step.
        answer_tokens: how many of them are the answer that is learned.
        infer_length: tokens of the prompt.
        decode_tokens: tokens per timing of decode.
        target_modules: layers to adapt; None: the feed-forward projections.
        seed: of the order, the tokens and the adapters' weights.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        device: where to run.
        threads: CPU threads.
        out: also write ``report.json``, ``table.md``, ``ratios.csv`` and, with matplotlib,
            ``ratios.svg`` and ``ratios.png`` here.

    Returns:
        Every figure, the times behind it, ratios to LoRA and to the base, and what it ran on.

    Raises:
        CMEError: an unknown name, or numbers that do not go together.

    Example:
        >>> report = cme.bench_adapters(methods="lora,teamlora", rounds=20)  # doctest: +SKIP
    """
    from cme.bench.adapters import BenchSettings, Reported, measure_adapters
    from cme.bench.adapters.write import write_report
    from cme.leaderboard.rendering.paper import load_paper

    settings = BenchSettings(
        methods=names(methods) or (),
        experts=numbers("--experts", experts),
        total_rank=total_rank,
        forms=names(forms) or (),
        modes=names(modes) or (),
        rounds=rounds,
        warmup=warmup,
        batch=batch,
        train_length=train_length,
        answer_tokens=answer_tokens,
        infer_length=infer_length,
        decode_tokens=decode_tokens,
        target_modules=names(target_modules),
        seed=seed,
    )
    figures = [
        Reported(**{key: value for key, value in cost.plain().items() if key != "reported"})
        for cost in load_paper().costs
    ]

    import torch

    from cme.bench.adapters.base import open_base

    if threads:
        torch.set_num_threads(threads)
    model, weights = open_base(base, dtype=dtype, device=device, seed=seed)
    report = measure_adapters(model, settings, reported=figures, weights=weights, command=_command())
    if out is not None:
        write_report(report, path(out))
    return report


def _command() -> tuple[str, ...]:
    """What was called: the command line, or this function from somebody's program."""
    program = Path(sys.argv[0])
    if program.stem == "cme" or program.parts[-2:] == ("cme", "__main__.py"):
        return ("cme", *sys.argv[1:])
    return ("cme.bench_adapters",)
