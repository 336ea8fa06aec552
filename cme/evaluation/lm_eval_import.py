"""Converts lm-eval's logs of CME tasks to a CME result.

Each logged row is compared with the row of the source, and the scores are computed from the logged answers.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cme.data.sources import open_source, source_identity, source_notes
from cme.env import data_source
from cme.errors import CMEWarning, DataError, UsageError
from cme.evaluation import task as loader
from cme.evaluation.lm_eval_logs import LoggedRun, LoggedTask, newest_tasks, read_samples_log
from cme.evaluation.lm_eval_model import adapter_of, context_of, tokenizer_of, was_cut
from cme.evaluation.samples import response_row, sample_row, write_responses
from cme.evaluation.settings import RESULT
from cme.files import digest, sha256_file
from cme.records import Result, write_record
from cme.records.samples import write_samples
from cme.suite import DatasetSpec, datasets
from cme.suite.score import SCORER_VERSION, aggregate
from cme.suite.suites import ALL
from cme.suite.tiers import TIERS
from cme.workdir import claim, finish, release

__all__ = ["import_logs"]

_SCORE_TOLERANCE = 1e-6

_PROMPT_OPTIONS = {"chat_template_sha": "--apply_chat_template", "system_instruction_sha": "--system_instruction"}
"""Options of lm-eval that change prompts, by the key under which lm-eval records them."""


@dataclass(frozen=True)
class _Setup:
    """Model and settings of a logged task. All tasks of a result have the same, except that their limits of rows may differ."""

    model: str
    arguments: str
    hashes: tuple[str, ...]
    source: str
    prompt_format: str
    prompt_variant: int
    shots: int
    tier: str | None = field(compare=False)


def import_logs(folder: Path, out: Path, *, source: str | None = None, name: str | None = None) -> Result:
    """Convert lm-eval's logs to a result and write the files that `cme.evaluation.run.evaluate` writes.

    Args:
        folder: folder given to lm-eval as ``--output_path``, or the subfolder of one model.
        out: new output folder.
        source: source of the rows. None means the source in the logs, else ``CME_DATA_SOURCE``, else ``hub``.
        name: name in tables. None means lm-eval's name of the model.

    Returns:
        The result.

    Raises:
        CMEError: if the logs lack samples or settings, or have other rows or settings than CME. Nothing is written then.
    """
    logs = newest_tasks(folder)
    specs = {spec.task: spec for spec in datasets(ALL, beside=True).values()}
    if unknown := [log.task for log in logs if log.task not in specs]:
        raise UsageError(
            f"{logs[0].samples.parent} has samples of {unknown[0]}, which is not a task of this version of CME. Move these logs "
            "to another folder, or use the version that has the task."
        )
    if programs := [log.task for log in logs if specs[log.task].runs_code]:
        raise UsageError(
            f"{logs[0].samples.parent} has samples of {programs[0]}, whose programs would have to run again. Move these logs to "
            "another folder, and evaluate this task with 'cme eval --run-code'."
        )
    setups = {log.task: _setup(log, source) for log in logs}
    setup = next(iter(setups.values()))
    for task, other in setups.items():
        if other != setup:
            raise UsageError(
                f"{logs[0].samples.parent}: {logs[0].task} and {task} were run with different models or settings. Move the logs "
                "of each model and setting to a separate folder."
            )
    order = list(specs)
    logs.sort(key=lambda log: order.index(log.task))
    tokenizer, context = tokenizer_of(logs[0].run), context_of(logs[0].run)
    done = {log.task: _dataset(log, specs[log.task], setup, tokenizer, context) for log in logs}
    asked = {item.tier for item in setups.values()}
    tier = _common_tier(done, asked.pop() if len(asked) == 1 else None)
    claim(
        out,
        "import-lm-eval",
        {
            "logs": str(folder),
            "files": [sha256_file(log.samples) for log in logs],
            "source": source_identity(setup.source),
        },
        notes=source_notes(setup.source),
    )
    try:
        return _write(out, logs, [specs[log.task] for log in logs], done, setup, tier, name)
    except BaseException:
        for file in (RESULT, "samples.parquet", "responses.parquet"):
            (out / file).unlink(missing_ok=True)
        release(out)
        raise


def _setup(log: LoggedTask, source: str | None) -> _Setup:
    """Read the model and the settings of a logged task.

    Raises:
        UsageError: if the settings are not those of CME's tasks.
    """
    run, where = log.run, f"{log.samples.parent}: {log.task}"
    for key, option in _PROMPT_OPTIONS.items():
        if run.values.get(key) is not None:
            raise UsageError(
                f"{where} was run with {option}, so its prompts differ from CME's. Run lm-eval again without it."
            )
    if run.part("config", "gen_kwargs"):
        raise UsageError(
            f"{where} was run with --gen_kwargs, so its answers are not comparable. Run lm-eval again without it."
        )
    metadata = run.part("configs", log.task, "metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    shots = run.part("n-shot", log.task)
    # `cme.evaluation.task.load` takes both names, and refuses different values.
    prompt_variant = metadata.get("cme_prompt_variant", metadata.get("cme_wording", 0))
    arguments = run.arguments
    base = arguments.get("pretrained") or arguments.get("model") or arguments.get("model_name") or ""
    model = str(base or run.values.get("model_name") or "")
    if not model:
        raise UsageError(
            f"{where}: the log does not name the model. Run lm-eval again with pretrained= or model= in --model_args."
        )
    return _Setup(
        model=model,
        arguments=digest({"model": run.part("config", "model"), "arguments": arguments}),
        hashes=tuple(str(run.part("config", key) or "") for key in ("model_sha", "peft_sha")),
        source=source or str(metadata.get("cme_source") or data_source()),
        prompt_format=str(metadata.get("cme_format") or "plain"),
        prompt_variant=prompt_variant if isinstance(prompt_variant, int) else 0,
        shots=shots if isinstance(shots, int) else 0,
        tier=str(metadata["cme_tier"]) if "cme_tier" in metadata else None if run.part("config", "limit") else "full",
    )


@dataclass(frozen=True)
class _Done:
    """Samples and responses of one dataset."""

    rows: int
    all_rows: int
    samples: list[dict[str, Any]]
    responses: list[dict[str, Any]]
    provenance: dict[str, str]


def _dataset(log: LoggedTask, spec: DatasetSpec, setup: _Setup, tokenizer: Any, context: int | None) -> _Done:
    """Read the samples of one log and check that each is the row of the source with the same index."""
    options: dict[str, Any] = {"cme_format": setup.prompt_format}
    if setup.prompt_format != "plain":
        if tokenizer is None:
            raise UsageError(
                f"{log.samples}: prompt format {setup.prompt_format!r} requires the model's tokenizer, but {setup.model!r} is "
                "not a folder on this machine. Import the logs where the model is."
            )
        options["tokenizer"] = tokenizer
    splits = loader.load(
        cme_dataset=spec.name,
        cme_source=setup.source,
        cme_shots=setup.shots,
        cme_prompt_variant=setup.prompt_variant,
        **options,
    )
    shots = loader.shots_text(list(splits["fewshot"]))
    expected = splits["eval"].to_list()
    by_place: dict[int, dict[str, Any]] = {}
    for sample in read_samples_log(log.samples):
        place = sample.get("doc_id")
        if not isinstance(place, int) or isinstance(place, bool):
            raise DataError(
                f"{log.samples}: a sample has no doc_id, so its row cannot be identified. Run lm-eval again."
            )
        if place in by_place:
            raise DataError(
                f"{log.samples}: doc_id {place} occurs twice, so its answer is ambiguous. Run lm-eval again."
            )
        if not 0 <= place < len(expected) or dict(sample["doc"]) != expected[place]:
            raise DataError(
                f"{log.samples}: row {place} differs from the row that this version of CME evaluates from source "
                f"{setup.source!r}. Set --source to the source that lm-eval used, or run lm-eval again."
            )
        record = _record(sample, expected[place], spec, shots, f"{log.samples}: row {place}")
        cut = was_cut(expected[place], shots, spec, tokenizer, context)
        by_place[place] = record | {"doc": expected[place] | {"cut": cut}}
    rows = len(by_place)
    if not _tiers(rows, len(expected)) or sorted(by_place) != list(range(rows)):
        raise DataError(
            f"{log.samples} has {rows} of the {len(expected)} rows, which is not a tier of CME "
            f"({', '.join(f'{name}: {most}' for name, most in TIERS.items() if most)}, full: all). Run lm-eval again with such a "
            "--limit, or without it."
        )
    records = [by_place[place] for place in range(rows)]
    if shortened := sum(bool(record["doc"]["cut"]) for record in records):
        warnings.warn(
            f"{spec.name}: {shortened} of {rows} prompts were longer than the model's context of {context:,} tokens. lm-eval "
            "left out their beginning, with the instruction. cme eval shortens the long text instead.",
            CMEWarning,
            stacklevel=2,
        )
    return _Done(
        rows,
        len(expected),
        [sample_row(record, spec, tokenizer) for record in records],
        [response_row(record, spec) for record in records],
        splits.provenance,
    )


def _record(
    sample: Mapping[str, Any], doc: Mapping[str, Any], spec: DatasetSpec, shots: str, where: str
) -> dict[str, Any]:
    """Return a sample record whose scores are computed from its answers, after comparing them with the logged scores."""
    answers = sample.get("filtered_resps")
    if not isinstance(answers, list) or not answers:
        raise DataError(f"{where} has no answers (filtered_resps). Run lm-eval again with --log_samples.")
    _check_prompt(sample, doc, spec, shots, where)
    results: list[Any]
    if spec.kind == "choice":
        results = [_logprob(answer, where) for answer in answers]
        if len(results) != len(doc["continuations"]):
            raise DataError(
                f"{where} has {len(results)} log-probabilities for {len(doc['continuations'])} options. Run lm-eval again."
            )
        scores = loader.process_choice(doc, results)
    else:
        if not all(isinstance(answer, str) for answer in answers):
            raise DataError(f"{where}: the answer is not a string. Run lm-eval again.")
        results = answers
        scores = loader.process_generation(doc, answers)
    logged = sample.get("cme_score")
    if not isinstance(logged, int | float) or abs(logged - scores["cme_score"]) > _SCORE_TOLERANCE:
        raise DataError(
            f"{where}: the logged score is {logged!r}, but this version of CME computes {scores['cme_score']} from the answer. "
            "Run lm-eval again with this version."
        )
    return {"doc": doc, "filtered_resps": results, **scores}


def _logprob(answer: Any, where: str) -> tuple[float, bool]:
    """Parse a log-probability and whether the continuation is the greedy one. lm-eval logs both as strings."""
    try:
        value = float(answer[0])
    except (TypeError, ValueError, IndexError, KeyError):
        raise DataError(f"{where}: {str(answer)[:60]!r} is not a log-probability. Run lm-eval again.") from None
    if not math.isfinite(value):
        raise DataError(
            f"{where}: the log-probability {value} is not a finite number. Check the model's weights and dtype, and run lm-eval "
            "again."
        )
    return value, str(answer[1:2]) == "['True']"


def _check_prompt(sample: Mapping[str, Any], doc: Mapping[str, Any], spec: DatasetSpec, shots: str, where: str) -> None:
    """Check that the model received CME's prompt and, for a generated answer, CME's token limit."""
    arguments = sample.get("arguments")
    first = arguments.get("gen_args_0") if isinstance(arguments, Mapping) else None
    prompt = first.get("arg_0") if isinstance(first, Mapping) else None
    if prompt != shots + doc["prompt"]:
        raise DataError(
            f"{where}: the prompt differs from CME's prompt for this row. Run lm-eval again without other templates."
        )
    limits = first.get("arg_1") if isinstance(first, Mapping) else None
    if spec.kind == "generate" and (not isinstance(limits, Mapping) or limits.get("max_gen_toks") != spec.max_gen_toks):
        raise DataError(
            f"{where}: the token limit of the answer is not CME's limit of {spec.max_gen_toks}. Run lm-eval again without "
            "changing it."
        )


def _tiers(rows: int, all_rows: int) -> list[str]:
    """Return the tiers that have this number of rows of a dataset. A dataset has all of its rows in a larger tier."""
    return [tier for tier, most in TIERS.items() if rows == min(most or all_rows, all_rows)]


def _common_tier(done: Mapping[str, _Done], asked: str | None) -> str:
    """Return the tier that fits all datasets.

    Args:
        done: the samples of each task.
        asked: the tier that lm-eval was asked for, ``full`` without a limit of rows. None if the limit was a number, or if the
            tasks had different limits.
    """
    fitting = [_tiers(item.rows, item.all_rows) for item in done.values()]
    common = [tier for tier in fitting[0] if all(tier in of for of in fitting)]
    if not common:
        different = sorted({of[0] for of in fitting})
        raise DataError(
            f"the logs have different tiers ({', '.join(different)}). Run all tasks with the same --limit, or move the logs of "
            "each tier to a separate folder."
        )
    return asked if asked in common else common[0]


def _write(
    out: Path,
    logs: Sequence[LoggedTask],
    specs: Sequence[DatasetSpec],
    done: Mapping[str, _Done],
    setup: _Setup,
    tier: str,
    name: str | None,
) -> Result:
    run = logs[0].run
    samples = [row for item in done.values() for row in item.samples]
    write_samples(out / "samples.parquet", samples)
    write_responses(out / "responses.parquet", [row for item in done.values() for row in item.responses])
    # lm-eval names a run by its adapter, except with lora_local_path.
    model_name = run.arguments.get("lora_local_path") or str(run.values.get("model_name") or setup.model)
    result = Result(
        name=name or model_name.rstrip("/").split("/")[-1],
        base=setup.model,
        base_fingerprint=setup.hashes[0] or setup.arguments,
        adapter=adapter_of(run),
        tier=tier,
        prompt_format=setup.prompt_format,
        shots=setup.shots,
        source=open_source(setup.source).name,
        scores=aggregate(samples, tier=tier),
        samples_sha256=sha256_file(out / "samples.parquet"),
        scorer_version=SCORER_VERSION,
        task_fingerprints={spec.name: spec.fingerprint for spec in specs},
        provenance={spec.name: done[spec.task].provenance for spec in specs},
        missing=(),
        device=str(run.part("config", "device") or "unknown"),
        dtype=str(run.part("config", "model_dtype") or "unknown").removeprefix("torch."),
        batch_size=_whole(run.part("config", "batch_size")),
        threads=None,
        seconds={},
        versions=_versions(run),
        finished=_finished(run),
        engines={spec.name: f"lm-eval: {run.part('config', 'model')}" for spec in specs},
        prompt_variant=setup.prompt_variant,
        origin="lm-eval",
    )
    write_record(out / RESULT, result)
    finish(out)
    return result


def _whole(value: Any) -> int | None:
    """Return the logged batch size, which lm-eval writes as a number or a string, or None for ``auto``."""
    return int(value) if str(value).isdecimal() else None


def _versions(run: LoggedRun) -> dict[str, str]:
    import cme

    versions = {"cme": cme.__version__}
    for key, name in (("lm_eval_version", "lm_eval"), ("transformers_version", "transformers")):
        if isinstance(value := run.values.get(key), str):
            versions[name] = value
    return versions


def _finished(run: LoggedRun) -> str:
    date = run.values.get("date")
    if isinstance(date, int | float) and not isinstance(date, bool) and 0 <= date < 2**33:
        return datetime.fromtimestamp(date, UTC).isoformat(timespec="seconds")
    return datetime.fromtimestamp(run.file.stat().st_mtime, UTC).isoformat(timespec="seconds")
