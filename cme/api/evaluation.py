"""Evaluation of a base, adapters, a model in memory, or a baseline."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cme.api.adapter_values import adapter_folder
from cme.api.call import StrPath, chosen_datasets, path, public
from cme.api.results import EvalResult, TemporaryFolder, opened
from cme.api.row_choice import row_choice
from cme.env import processes
from cme.errors import UsageError
from cme.evaluation.settings import EvalSettings
from cme.processes import threads_set
from cme.suite import by_suite, select
from cme.suite.suites import ALL

__all__ = ["evaluate", "evaluate_each", "from_lm_eval"]

_BASE = "smollm2-135m"


@public
def evaluate(
    adapter: StrPath | None = None,
    *,
    model: Any = None,
    tokenizer: Any = None,
    base: str = "smollm2-135m",
    baseline: str | None = None,
    out: StrPath | None = None,
    tier: str | None = None,
    source: str = "hub",
    suite: str | None = None,
    datasets: str | Sequence[str] | None = None,
    until: float | str | None = None,
    rows: Mapping[str, int] | str | None = None,
    rows_of: StrPath | None = None,
    ids: StrPath | None = None,
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
    retention: bool = False,
    retention_text: StrPath | None = None,
    retention_base: str | None = None,
    experts: str | None = None,
    run_code: str | None = None,
) -> EvalResult:
    """Evaluate a base model, an adapter, a model in memory, or a baseline: ``cme eval``.

    After an interruption, the same call with the same ``out`` continues after the last finished batch. A model in memory is
    not changed. In a distributed program, evaluate it in one process only.

    Args:
        adapter: adapter folder or hub id, or the object that `train` returned. A learning-rate grid stands for its best run.
            None or ``"base"`` means the base itself.
        model: a model in place of base and adapter. Either a `PeftModel` or a causal language model of transformers in memory,
            which is evaluated with its active adapter, or the folder or hub id of a merged or fully tuned model.
        tokenizer: tokenizer of the model in memory.
        base: base model: hub id, folder, or ``smollm2-135m`` (embedded).
        baseline: baseline without a model: ``majority``, ``first-option``, ``unanswerable`` or ``lead-1``. Arguments that
            determine the answers of a model, such as ``base``, ``shots`` and ``dtype``, cannot be combined with it.
        out: output folder: new, or this call's unfinished output. None means a temporary folder that exists as long as the
            result.
        tier: rows per dataset: ``smoke`` (8), ``quick`` (64), ``standard`` (500) or ``full``. None means ``quick``, or ``full``
            with ``until`` or ``rows``, which choose rows within the tier. With ``rows_of``, it is that of the other result.
        source: ``hub``, ``mini`` (a synthetic corpus; ``mini:graded,long,seed=3``), a mirror folder, or ``NAME=DIR``: a mirror
            folder with a name for records and tables, such as ``cme-sample-1=../data``.
        suite: ``cme-22`` or ``cme-r``. None means the suite of the named datasets, and ``cme-22`` if none is named.
        datasets: dataset or family names, as a list or separated by commas. None means the whole suite. All are of one suite.
        until: evaluate only as many rows as are needed for this half-width of the average's 95 % interval, in points, such as
            0.5. With the same ``out``, a smaller half-width continues a finished evaluation.
        rows: number of rows of each dataset, as a mapping or as text (``"rte=100,qqp=300"``). It names the datasets too. With
            the same ``out``, larger numbers continue a finished evaluation.
        rows_of: a result with ``until`` or ``rows`` whose rows are evaluated, so that both results can share a board.
        ids: file of row ids (`write_ids`) whose rows are evaluated, from any source that has them. A file of another program has
            the text columns ``dataset`` and ``id``; boards do not take results on its rows.
        prompt_format: ``plain``, ``chat`` or ``teamlora``.
        shots: number of training examples before each question.
        prompt_variant: index of the instruction: 0 is the canonical one, 1 to 6 are its variants.
        dtype: ``float32`` (the reference), ``bfloat16``, ``float16`` or ``auto``. A model in memory has its own.
        engine: ``prefix`` (computes shared prompt prefixes once) or ``hf`` (lm-eval's own code).
        batch_size: requests per batch of engine ``hf``. None means 8 on a CPU, 32 on a GPU.
        token_budget: maximum number of tokens per pass of engine ``prefix``. None means 512 on a CPU, 8192 on a GPU.
        device: device, such as ``cpu`` or ``cuda:1``. A model in memory stays on its own device.
        threads: CPU threads.
        allow_missing: continue without splits that the source lacks. The result lists them. With ``ids``, it is about training
            splits only.
        name: name in tables. None means the adapter's folder name, or the base's name.
        retention: measure what the adapter changed of the base's old skill: the drift on texts that the base writes, and the
            change of the loss on unrelated text. It costs about three times 8,192 tokens, and 32,768 more for the loss.
        retention_text: text file for the change of the loss. None means wikitext-2 with source ``hub``, otherwise no text.
        retention_base: base of a merged or fully trained model, with which retention compares it.
        experts: experts of a routed adapter to use: ``top1`` (the best of each token), ``keep:0,2`` or ``drop:1``, with
            ``:renormalise`` behind it to scale the remaining gate weights. None means all. Boards do not take such results.
        run_code: how the programs that the model writes run, which mbpp and humaneval need: ``sandboxed`` (in bubblewrap) or
            ``unsandboxed`` (with your rights, and limits on time and memory only). None leaves these datasets out.

    Returns:
        The result.

    Raises:
        CMEError: if a name is unknown, a value is invalid, the model or adapter cannot be evaluated, rows are missing, or the
            output folder holds something else.

    Example:
        >>> result = cme.evaluate(base=BASE, source="mini", tier="smoke", datasets="rte,qqp", threads=1)
        >>> result.to_frame()["dataset"].tolist()
        ['qqp', 'rte']
        >>> result = cme.evaluate(base=BASE, source="mini", rows={"rte": 20, "qqp": 10}, threads=1)
        >>> result.to_frame()["n"].tolist()
        [10, 20]
    """
    loaded = isinstance(model, str | os.PathLike)
    if loaded and (adapter is not None or base != _BASE or baseline):
        raise UsageError(
            "model cannot be combined with base, adapter or baseline. Leave out model, or leave out the others."
        )
    choice = row_choice(
        until, rows, rows_of, tier, chosen_datasets(suite, datasets), baseline, ids=ids, kept=out is not None
    )
    if baseline is not None and base != _BASE:
        raise UsageError(f"the baseline {baseline} answers without a model, so it does not use a base. Leave base out.")
    settings = _settings(
        adapter_folder(path(model) if isinstance(model, os.PathLike) else model) if loaded else base,
        None if adapter is None else adapter_folder(adapter),
        baseline=baseline, tier=choice.tier, source=source, datasets=choice.datasets, prompt_format=prompt_format, shots=shots,
        prompt_variant=prompt_variant, dtype=dtype, engine=engine, batch_size=batch_size, token_budget=token_budget,
        device=device, threads=threads, allow_missing=allow_missing, name=name, retention=retention,
        retention_text=_text(retention_text), retention_base=retention_base, experts=experts,
        ids=choice.ids, run_code=run_code,
    )  # fmt: skip
    in_memory = model is not None and not loaded
    if in_memory:
        _check_in_memory(
            adapter=adapter, base=base != _BASE, baseline=baseline, dtype=dtype != "float32", device=device
        )
    elif tokenizer is not None:
        raise UsageError(
            "tokenizer is only for a model in memory. Leave it out, because a folder has its own tokenizer."
        )
    if out is None and not in_memory and processes() > 1:
        raise UsageError("out is missing. Several processes (torchrun) need an output folder that they share.")
    with _folder(out) as (folder, temporary), threads_set(threads):
        from cme.evaluation.run import evaluate as run
        from cme.evaluation.run import evaluate_model

        rule = choice.checked(settings, loaded=not in_memory)
        if in_memory:
            return EvalResult(folder, evaluate_model(model, tokenizer, settings, folder, rule), temporary)
        return EvalResult(folder, run(settings, folder, rule), temporary)


@public
def evaluate_each(
    adapter: Sequence[StrPath],
    out: StrPath,
    *,
    base: str = "smollm2-135m",
    tier: str | None = None,
    source: str = "hub",
    suite: str | None = None,
    datasets: str | Sequence[str] | None = None,
    rows: Mapping[str, int] | str | None = None,
    rows_of: StrPath | None = None,
    ids: StrPath | None = None,
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
    retention: bool = False,
    retention_text: StrPath | None = None,
    experts: str | None = None,
    run_code: str | None = None,
) -> list[EvalResult]:
    """Evaluate several adapters on a base that is loaded once: ``cme eval`` with several ``--adapter``.

    Args:
        adapter: folders or hub ids. ``"base"`` stands for the base itself.
        out: output folder. Each adapter gets a folder below it with the adapter's name. Finished results are read.
        base: see `evaluate`.
        tier: see `evaluate`.
        source: see `evaluate`.
        suite: see `evaluate`; or ``all``. Each suite is then evaluated on its own, in a folder of its name below ``out``.
        datasets: see `evaluate`.
        rows: see `evaluate`.
        rows_of: see `evaluate`.
        ids: see `evaluate`.
        prompt_format: see `evaluate`.
        shots: see `evaluate`.
        prompt_variant: see `evaluate`.
        dtype: see `evaluate`.
        engine: see `evaluate`.
        batch_size: see `evaluate`.
        token_budget: see `evaluate`.
        device: see `evaluate`.
        devices: devices, such as ``"0,1"``, with one process each. Cannot be combined with ``device``.
        threads: see `evaluate`.
        allow_missing: see `evaluate`.
        retention: see `evaluate`.
        retention_text: see `evaluate`.
        experts: see `evaluate`.
        run_code: see `evaluate`.

    Returns:
        The results, in the order of the adapters.

    Raises:
        CMEError: as for `evaluate`, or if two adapters have the same name.

    Example:
        >>> results = cme.evaluate_each(["runs/a", "runs/b", "base"], "results", tier="quick")  # doctest: +SKIP
        >>> {result.name: result.average for result in results}  # doctest: +SKIP
    """
    from cme.evaluation.adapters import distinct_names
    from cme.evaluation.devices import device_names, evaluate_on
    from cme.evaluation.run import evaluate_each as run

    if suite == ALL:
        common: dict[str, Any] = {
            "base": base, "tier": tier, "source": source, "rows": rows, "rows_of": rows_of, "ids": ids,
            "prompt_format": prompt_format, "shots": shots, "prompt_variant": prompt_variant, "dtype": dtype, "engine": engine,
            "batch_size": batch_size, "token_budget": token_budget, "device": device, "devices": devices, "threads": threads,
            "allow_missing": allow_missing, "retention": retention, "retention_text": retention_text, "experts": experts,
        }  # fmt: skip
        of_suites = by_suite(chosen_datasets(ALL, datasets))
        running = [name for name, chosen in of_suites.items() if any(spec.runs_code for spec in select(chosen))]
        return [
            result
            for name, chosen in of_suites.items()
            # If no suite has programs to run, every one of them refuses the argument.
            for ways in [run_code if name in running or not running else None]
            for result in evaluate_each(adapter, path(out) / name, datasets=chosen, run_code=ways, **common)
        ]
    if not adapter and not devices:
        raise UsageError("cme.evaluate_each: adapter is an empty list. Name at least one adapter, or 'base'.")
    if device and devices:
        raise UsageError("device and devices cannot be combined. Give one of them.")
    adapters, folder = [adapter_folder(item) for item in adapter], path(out)
    choice = row_choice(None, rows, rows_of, tier, chosen_datasets(suite, datasets), None, ids=ids)
    if devices and choice.rule is not None:
        raise UsageError("devices cannot be combined with rows and rows_of. Give one device.")
    settings = _settings(
        base, None, tier=choice.tier, source=source, datasets=choice.datasets, prompt_format=prompt_format, shots=shots,
        prompt_variant=prompt_variant, dtype=dtype, engine=engine, batch_size=batch_size, token_budget=token_budget,
        device=device, threads=threads, allow_missing=allow_missing, retention=retention,
        retention_text=_text(retention_text), experts=experts, ids=choice.ids, run_code=run_code,
    )  # fmt: skip
    if devices:
        several = device_names(devices if isinstance(devices, str) else ",".join(devices))
        records = evaluate_on(several, settings, adapters, folder)
    else:
        with threads_set(threads):
            records = run(settings, adapters, folder, choice.checked(settings))
    return [EvalResult(folder / name, record) for name, record in zip(distinct_names(adapters), records, strict=True)]


@public
def from_lm_eval(
    folder: StrPath, *, out: StrPath | None = None, source: str | None = None, name: str | None = None
) -> EvalResult:
    """Make a result from lm-eval's own logs, which any of its backends can write: ``cme import-lm-eval``.

    lm-eval writes the logs of ``cme_*`` tasks with ``--log_samples --output_path``. CME compares every row with the source and
    recomputes every score from the logged answers. The base is identified by its name and lm-eval's own hash only, which
    the result records in ``record.origin``.

    Args:
        folder: the folder given as ``--output_path``, or the folder of one model in it. If a task ran several times, its newest
            run is used.
        out: new output folder. None means a temporary folder that exists as long as the result.
        source: source of the rows. None means the source in the logs, else ``CME_DATA_SOURCE``, else ``hub``.
        name: name in tables. None means lm-eval's name of the model.

    Returns:
        The result.

    Raises:
        CMEError: if the logs lack samples, ids or answers, have other rows or settings than CME, or hold several models.

    Example:
        >>> cme.from_lm_eval("lm-eval-output/", out="results/x", source="mini")  # doctest: +SKIP
    """
    from cme.evaluation.lm_eval_import import import_logs

    with _folder(out) as (target, temporary):
        import_logs(path(folder), target, source=source, name=name)
        return opened(target, temporary)


def _settings(
    base: str, adapter: str | None, *, datasets: tuple[str, ...] | None, prompt_variant: int, **values: Any
) -> EvalSettings:
    return EvalSettings(base=base, adapter=adapter, datasets=datasets, prompt_variant=prompt_variant, **values)


def _text(file: StrPath | None) -> str | None:
    return None if file is None else str(path(file))


def _check_in_memory(**values: Any) -> None:
    """Refuse settings that apply only to a model that CME loads itself."""
    if wrong := [key for key, value in values.items() if value]:
        raise UsageError(
            f"{', '.join(wrong)} cannot be combined with a model in memory, which has its own active adapter, dtype and "
            "device. Leave it out."
        )


@contextmanager
def _folder(out: StrPath | None) -> Iterator[tuple[Path, TemporaryFolder | None]]:
    """Provide the output folder, or a temporary one that is removed at once if an error occurs."""
    if out is not None:
        yield path(out), None
        return
    temporary = TemporaryFolder()
    try:
        yield temporary.path / "result", temporary
    except BaseException:
        temporary.remove()
        raise
