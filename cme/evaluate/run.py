"""Evaluate a base model, or an adapter on it, dataset by dataset, so that an interrupted evaluation continues."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cme.adapters.load import adapter_fingerprint
from cme.data.sources import Source, check_source, open_source
from cme.errors import CMEError, SourceError
from cme.evaluate.baseline import BaselineSession
from cme.evaluate.samples import join_responses
from cme.evaluate.session import Session
from cme.evaluate.settings import EvalSettings
from cme.files import sha256_file
from cme.models.load import base_fingerprint, load_tokenizer, pick_dtype, resolve_base
from cme.prompt import check_format
from cme.records import AdapterInfo, Result, versions, write_record
from cme.records.samples import read_samples, write_samples
from cme.suite import DatasetSpec, select
from cme.suite.baselines import covered
from cme.suite.score import SCORER_VERSION, aggregate
from cme.workdir import claim, finish, release

__all__ = ["evaluate"]


def evaluate(settings: EvalSettings, out: Path) -> Result:
    """Evaluate and write ``result.json``, ``samples.parquet`` (scores, no text) and ``responses.parquet`` (what was said).

    A dataset's answers are stored as soon as it is finished, under a key of base, adapter, dtype, prompt and data; the same
    command run again continues with the next dataset and never takes answers of another model.

    Args:
        settings: what to do.
        out: output folder.

    Raises:
        CMEError: bad names, a bad adapter, missing rows, an output folder that holds something else. All of that is found
            before the model is loaded, where that is possible.
    """
    settings.check()
    settings = replace(settings, dtype=pick_dtype(settings.dtype))
    return _baseline(settings, out) if settings.baseline else _model(settings, out)


def _model(settings: EvalSettings, out: Path) -> Result:
    specs = select(settings.datasets)
    source = open_source(settings.source)
    kinds = ("train", "eval") if settings.shots else ("eval",)
    missing = check_source(source, specs, kinds, allow_missing=settings.allow_missing)
    specs = _with_rows(specs, source, kinds)
    folder = resolve_base(settings.base)
    fingerprint = base_fingerprint(folder)
    tokenizer = load_tokenizer(folder)
    check_format(settings.prompt_format, tokenizer)
    adapter = Path(settings.adapter).expanduser() if settings.adapter else None
    adapter_hash = adapter_fingerprint(adapter) if adapter else None
    resumed = claim(out, "eval", _identity(settings, specs, fingerprint, adapter_hash))
    try:
        session = Session(settings, folder, tokenizer, adapter)
    except CMEError:
        if not resumed:
            release(out)
        raise
    result = Result(
        name=settings.name or _name(settings),
        base=settings.base,
        base_fingerprint=fingerprint,
        adapter=_adapter_info(session, adapter, adapter_hash),
        prompt_format=settings.prompt_format,
        shots=settings.shots,
        dtype=settings.dtype,
        **_answered(session, settings, specs, source, missing, out),
    )
    return _written(result, out)


def _baseline(settings: EvalSettings, out: Path) -> Result:
    name = settings.baseline or ""
    specs = covered(name, settings.datasets)
    source = open_source(settings.source)
    kinds = ("train", "eval") if name == "majority" else ("eval",)
    missing = check_source(source, specs, kinds, allow_missing=settings.allow_missing)
    specs = _with_rows(specs, source, kinds)
    claim(out, "eval", {"baseline": name, **_rows_identity(settings, specs)})
    result = Result(
        name=settings.name or name,
        base="",
        base_fingerprint="",
        adapter=None,
        prompt_format="",
        shots=0,
        dtype="",
        baseline=name,
        **_answered(BaselineSession(name, settings, source), settings, specs, source, missing, out),
    )
    return _written(result, out)


def _with_rows(specs: Sequence[DatasetSpec], source: Source, kinds: Sequence[str]) -> list[DatasetSpec]:
    """The datasets of which the source has some rows of every kind (``"train"``, ``"eval"``)."""
    found = [spec for spec in specs if all(len(source.missing(spec, kind)) < len(spec.parts) for kind in kinds)]
    if not found:
        names = ", ".join(spec.name for spec in specs)
        raise SourceError(f"{source.place} has no {' or no '.join(kinds)} rows of {names}. Give another source.")
    return found


def _answered(
    session: Session | BaselineSession,
    settings: EvalSettings,
    specs: Sequence[DatasetSpec],
    source: Source,
    missing: Sequence[str],
    out: Path,
) -> dict[str, Any]:
    """Let every dataset be answered; write the samples and responses of all. Returns the result's fields about that."""
    parts = [out / "parts" / spec.name for spec in specs]
    done = {spec.name: session.dataset(spec, part) for spec, part in zip(specs, parts, strict=True)}
    samples = [row for part in parts for row in read_samples(part / "samples.parquet")]
    write_samples(out / "samples.parquet", samples)
    join_responses([part / "responses.parquet" for part in parts], out / "responses.parquet")
    return {
        "tier": settings.tier,
        "source": source.name,
        "scores": aggregate(samples, tier=settings.tier),
        "samples_sha256": sha256_file(out / "samples.parquet"),
        "scorer_version": SCORER_VERSION,
        "task_fingerprints": {spec.name: spec.fingerprint for spec in specs},
        "provenance": {name: item["provenance"] for name, item in done.items()},
        "missing": tuple(missing),
        "device": session.device_name,
        "batch_size": session.batch_size,
        "threads": session.threads,
        "seconds": {name: item["seconds"] for name, item in done.items()},
        "engines": {name: item["engine"] for name, item in done.items() if item["engine"]},
        "versions": versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _written(result: Result, out: Path) -> Result:
    write_record(out / "result.json", result)
    finish(out)
    return result


def _identity(settings: EvalSettings, specs: Sequence[DatasetSpec], base: str, adapter: str | None) -> dict[str, Any]:
    """Everything that decides the answers."""
    return {
        "base": base,
        "adapter": adapter,
        "format": settings.prompt_format,
        "shots": settings.shots,
        "dtype": settings.dtype,
        "batch_size": settings.batch_size,
        "engine": settings.engine,
        **_rows_identity(settings, specs),
    }


def _rows_identity(settings: EvalSettings, specs: Sequence[DatasetSpec]) -> dict[str, Any]:
    return {
        "tier": settings.tier,
        "source": settings.source,
        "datasets": {spec.name: spec.fingerprint for spec in specs},
        "scorer": SCORER_VERSION,
    }


def _adapter_info(session: Session, adapter: Path | None, fingerprint: str | None) -> AdapterInfo | None:
    if adapter is None or fingerprint is None:
        return None
    return AdapterInfo(str(adapter), session.method, fingerprint, session.effect > 0)


def _name(settings: EvalSettings) -> str:
    if settings.adapter:
        return Path(settings.adapter).expanduser().resolve().name
    return settings.base.rstrip("/").split("/")[-1]
