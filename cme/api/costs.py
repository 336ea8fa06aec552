"""The cost of adapters, measured side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cme.api.call import StrPath, names, numbers, path, public
from cme.errors import UsageError
from cme.files import cannot_write
from cme.locks import locked, locks_released
from cme.processes import threads_set

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
    """Measure the cost of adapters, in turns on one base in one process: ``cme bench adapters``.

    Args:
        base: hub id, folder, or ``smollm2-135m``; with random weights: ``chinese-llama-2-7b``, or a ``config.json``.
        methods: such as ``base,lora,teamlora``; None: all. Settings follow a colon: ``teamlora:gate_sum=1`` is also compared
            with ``teamlora``.
        experts: numbers of experts.
        total_rank: total rank of every adapter. Each of k experts has rank ``total_rank / k``.
        forms: implementations of methods with experts: ``fused`` (CME's) and ``loop`` (expert by expert).
        modes: what to time: ``train``, ``prefill``, ``decode``.
        rounds: number of measured rounds. Every case runs once per round.
        warmup: number of unmeasured rounds before the measured ones.
        batch: rows per batch.
        train_length: tokens per row of a training step.
        answer_tokens: tokens at the end of each training row that count in the loss.
        infer_length: tokens per prompt in prefill and decode.
        decode_tokens: tokens to generate per measurement of decode.
        target_modules: layers to adapt. None means the feed-forward projections.
        seed: seed of the order of cases, the tokens and the adapter weights.
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        device: device, such as ``cpu`` or ``cuda:1``. None means the first GPU, or the CPU if there is none.
        threads: CPU threads.
        out: folder for ``report.json``, ``table.md``, ``ratios.csv`` and, with matplotlib,
            ``ratios.svg`` and ``ratios.png``. None means no files.

    Returns:
        All figures with the measured times, ratios to LoRA and to the base, and a description of the machine.

    Raises:
        CMEError: if a name is unknown, numbers do not fit together, or another command works in ``out``.

    Example:
        >>> report = cme.bench_adapters(methods="lora,teamlora", rounds=20)  # doctest: +SKIP
    """
    from cme.bench.adapters import BenchSettings, Reported, measure_adapters
    from cme.bench.adapters.write import write_report
    from cme.leaderboard.rendering.paper import load_paper

    settings = BenchSettings(
        methods=names(methods) or (),
        experts=numbers("experts", experts),
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

    from cme.bench.adapters.base import open_base
    from cme.bench.adapters.memory import out_of_memory_reported

    with threads_set(threads), locks_released():
        if out is not None:
            _lock(path(out))
        with out_of_memory_reported("Give a smaller --batch, shorter rows, or fewer methods or modes at a time."):
            model, weights = open_base(base, dtype=dtype, device=device, seed=seed)
            report = measure_adapters(model, settings, reported=figures, weights=weights, command=_command())
        if out is not None:
            write_report(report, path(out))
    return report


def _lock(out: Path) -> None:
    """Create the output folder, and lock it for this measurement."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file. Choose a folder for --out.")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    locked(out, "bench adapters")


def _command() -> tuple[str, ...]:
    """Return the command line, or the name of this function if a Python program called it."""
    program = Path(sys.argv[0])
    if program.stem == "cme" or program.parts[-2:] == ("cme", "__main__.py"):
        return ("cme", *sys.argv[1:])
    return ("cme.bench_adapters",)
