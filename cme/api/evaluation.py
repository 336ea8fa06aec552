"""Evaluation: a base, adapters on it, a model in memory, or a baseline."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cme.api.call import StrPath, names, path, public
from cme.api.results import EvalResult, TemporaryFolder, opened
from cme.env import processes
from cme.errors import UsageError
from cme.evaluation.settings import EvalSettings

__all__ = ["evaluate", "evaluate_each", "from_lm_eval"]

_BASE = "smollm2-135m"


@public
def evaluate(
    adapter: StrPath | None = None,
    *,
    model: Any = None,
    tokenizer: Any = None,
    base: str = _BASE,
    baseline: str | None = None,
    out: StrPath | None = None,
    tier: str = "quick",
    source: str = "hub",
    datasets: str | Sequence[str] | None = None,
    prompt_format: str = "plain",
    shots: int = 0,
    prompt_variant: int = 0,
    dtype: str = "float32",
    engine: str = "prefix",
    batch_size: int | None = None,
    token_budget: int | None = None,
    device: str | None = None,
    threads: int | None = None,
    allow_missing: bool = False,
    name: str | None = None,
) -> EvalResult:
    """Evaluate a base model, an adapter, a model in memory, or a baseline: ``cme eval``.

    After an interruption the same call with the same ``out`` continues after the last finished batch. A model in memory
    is left exactly as it was; in a distributed program, evaluate it in one process only.

    Args:
        adapter: adapter folder or hub id, or what `train` returned; None, or ``"base"``: the base itself.
        model: in place of base and adapter: a `PeftModel` or a causal language model of transformers that is in memory (the
            active adapter is evaluated), or the folder or hub id of a merged or fully tuned model.
        tokenizer: the tokenizer of a model in memory.
        base: base model: hub id, folder, or ``smollm2-135m`` (the embedded default).
        baseline: no model: ``majority``, ``first-option``, ``unanswerable`` or ``lead-1``.
        out: output folder: new, or this call's own unfinished work. None: a temporary folder that lives as long as the result.
        tier: rows per dataset: ``smoke`` (8), ``quick`` (64), ``standard`` (500) or ``full``.
        source: ``hub``, a mirror folder, or ``mini`` (a synthetic corpus; ``mini:hard,long,seed=3``).
        datasets: dataset or family names, as a list or separated by commas; None: the whole suite.
        prompt_format: ``plain``, ``chat`` or ``teamlora``.
        shots: examples before each question, from the training split.
        prompt_variant: index of the instruction: 0 is the canonical one, 1 to 6 are its variants.
        dtype: ``float32`` (the reference), ``bfloat16``, ``float16`` or ``auto``. A model in memory has its own.
        engine: ``prefix`` (what requests share is computed once) or ``hf`` (lm-eval's own code).
        batch_size: requests per batch where ``hf`` answers; None: 8 on a CPU, 32 on a GPU.
        token_budget: positions per pass of ``prefix``; None: 512 on a CPU, 8192 on a GPU.
        device: where to run, such as ``cpu`` or ``cuda:1``. A model in memory stays where it is.
        threads: CPU threads.
        allow_missing: go on without splits that the source lacks; they are listed.
        name: name in tables; None: the adapter's folder name, or the base's.

    Returns:
        The result.

    Raises:
        CMEError: an unknown name, an impossible value, a model or adapter that cannot be evaluated, missing rows, or a folder
            that holds something else.

    Example:
        >>> result = cme.evaluate(base=BASE, source="mini", tier="smoke", datasets="rte,qqp", threads=1)
        >>> result.to_frame()["dataset"].tolist()
        ['qqp', 'rte']
    """
    loaded = isinstance(model, str | os.PathLike)
    if loaded and (adapter is not None or base != _BASE or baseline):
        raise UsageError("--model is evaluated by itself: give it without --base, --adapter and --baseline.")
    settings = _settings(
        str(path(model)) if isinstance(model, os.PathLike) else model if loaded else base,
        adapter if adapter is None or isinstance(adapter, str) else os.fspath(adapter),
        baseline=baseline, tier=tier, source=source, datasets=datasets, prompt_format=prompt_format, shots=shots,
        prompt_variant=prompt_variant, dtype=dtype, engine=engine, batch_size=batch_size, token_budget=token_budget,
        device=device, threads=threads, allow_missing=allow_missing, name=name,
    )  # fmt: skip
    in_memory = model is not None and not loaded
    if in_memory:
        _check_in_memory(
            adapter=adapter, base=base != _BASE, baseline=baseline, dtype=dtype != "float32", device=device
        )
    elif tokenizer is not None:
        raise UsageError("tokenizer= goes with a model in memory (model=); a folder's own tokenizer is used otherwise.")
    if out is None and not in_memory and processes() > 1:
        raise UsageError(
            "several processes evaluate together (torchrun), and need an output folder that they share: give out=."
        )
    with _folder(out) as (folder, temporary), _threads_kept(threads):
        from cme.evaluation.run import evaluate as run
        from cme.evaluation.run import evaluate_model

        record = evaluate_model(model, tokenizer, settings, folder) if in_memory else run(settings, folder)
        return EvalResult(folder, record, temporary)


@public
def evaluate_each(
    adapter: Sequence[StrPath],
    out: StrPath,
    *,
    base: str = _BASE,
    tier: str = "quick",
    source: str = "hub",
    datasets: str | Sequence[str] | None = None,
    prompt_format: str = "plain",
    shots: int = 0,
    prompt_variant: int = 0,
    dtype: str = "float32",
    engine: str = "prefix",
    batch_size: int | None = None,
    token_budget: int | None = None,
    device: str | None = None,
    devices: str | Sequence[str] | None = None,
    threads: int | None = None,
    allow_missing: bool = False,
) -> list[EvalResult]:
    """Evaluate several adapters on a base that is loaded once: ``cme eval`` with several ``--adapter``.

    Args:
        adapter: folders or hub ids; ``"base"`` stands for the base itself.
        out: output folder; each adapter gets a folder below it, named for it. Those that are finished are read.
        base: see `evaluate`, as all others.
        tier: see there.
        source: see there.
        datasets: see there.
        prompt_format: see there.
        shots: see there.
        prompt_variant: see there.
        dtype: see there.
        engine: see there.
        batch_size: see there.
        token_budget: see there.
        device: see there.
        devices: a process on each of these, such as ``"0,1"``; not together with ``device``.
        threads: see there.
        allow_missing: see there.

    Returns:
        The results, in the order of the adapters.

    Raises:
        CMEError: as `evaluate`, or two adapters have the same name.

    Example:
        >>> results = cme.evaluate_each(["runs/a", "runs/b", "base"], "results", tier="quick")  # doctest: +SKIP
        >>> {result.name: result.average for result in results}  # doctest: +SKIP
    """
    from cme.evaluation.adapters import distinct_names
    from cme.evaluation.devices import device_names, evaluate_on
    from cme.evaluation.run import evaluate_each as run

    if not adapter and not devices:
        raise UsageError("cme.evaluate_each: adapter is an empty list. Name at least one adapter, or 'base'.")
    if device and devices:
        raise UsageError("--device and --devices are both given; give one of them.")
    adapters, folder = [os.fspath(item) for item in adapter], path(out)
    settings = _settings(
        base, None, tier=tier, source=source, datasets=datasets, prompt_format=prompt_format, shots=shots,
        prompt_variant=prompt_variant, dtype=dtype, engine=engine, batch_size=batch_size, token_budget=token_budget,
        device=device, threads=threads, allow_missing=allow_missing,
    )  # fmt: skip
    if devices:
        several = device_names(devices if isinstance(devices, str) else ",".join(devices))
        records = evaluate_on(several, settings, adapters, folder)
    else:
        records = run(settings, adapters, folder)
    return [EvalResult(folder / name, record) for name, record in zip(distinct_names(adapters), records, strict=True)]


@public
def from_lm_eval(
    folder: StrPath, *, out: StrPath | None = None, source: str | None = None, name: str | None = None
) -> EvalResult:
    """Make a result of what lm-eval wrote itself, with any of its backends: ``cme import-lm-eval``.

    It takes the logs of ``cme_*`` tasks that lm-eval wrote with ``--log_samples --output_path``. Every row is compared
    with the row of the source, and every score is computed again from the logged answers. The base is then known by its
    name and lm-eval's own hash, and the result says so (``record.origin``).

    Args:
        folder: what ``--output_path`` named, or a folder of one model below it. Of several runs, each task's newest counts.
        out: output folder, new. None: a temporary folder that lives as long as the result.
        source: where the rows came from; None: as the logs say, else ``CME_DATA_SOURCE``, else ``hub``.
        name: name in tables; None: as lm-eval calls the model.

    Returns:
        The result.

    Raises:
        CMEError: the logs lack samples, ids or answers, are of other rows or settings than CME's, or hold several models.

    Example:
        >>> cme.from_lm_eval("lm-eval-output/", out="results/x", source="mini")  # doctest: +SKIP
    """
    from cme.evaluation.lm_eval_import import import_logs

    with _folder(out) as (target, temporary):
        import_logs(path(folder), target, source=source, name=name)
        return opened(target, temporary)


def _settings(
    base: str, adapter: str | None, *, datasets: str | Sequence[str] | None, prompt_variant: int, **values: Any
) -> EvalSettings:
    return EvalSettings(base=base, adapter=adapter, datasets=names(datasets), wording=prompt_variant, **values)


def _check_in_memory(**values: Any) -> None:
    """What belongs to a model that CME loads itself."""
    if wrong := [key for key, value in values.items() if value]:
        raise UsageError(
            f"model= is in memory and is evaluated as it is: leave {', '.join(f'{key}=' for key in wrong)} out. Its active "
            "adapter, dtype and device are its own."
        )


@contextmanager
def _folder(out: StrPath | None) -> Iterator[tuple[Path, TemporaryFolder | None]]:
    """The output folder, or a temporary one, which goes at once where something fails."""
    if out is not None:
        yield path(out), None
        return
    temporary = TemporaryFolder()
    try:
        yield temporary.path / "result", temporary
    except BaseException:
        temporary.remove()
        raise


@contextmanager
def _threads_kept(threads: int | None) -> Iterator[None]:
    """Torch's number of threads as it was, after an evaluation with another one inside of somebody's program."""
    if threads is None:
        yield
        return
    import torch

    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
