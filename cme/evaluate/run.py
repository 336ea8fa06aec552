"""Evaluate a base model, or an adapter on it, dataset by dataset, so that an interrupted evaluation continues."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cme.adapters.load import adapter_fingerprint
from cme.data.sources import check_source, open_source
from cme.errors import CMEError
from cme.evaluate.samples import join_responses
from cme.evaluate.session import Session
from cme.evaluate.settings import EvalSettings
from cme.files import sha256_file
from cme.models.load import base_fingerprint, load_tokenizer, pick_dtype, resolve_base
from cme.prompt import check_format
from cme.records import AdapterInfo, Result, versions, write_record
from cme.records.samples import read_samples, write_samples
from cme.suite import DatasetSpec, select
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
    specs = select(settings.datasets)
    source = open_source(settings.source)
    missing = check_source(
        source, specs, ("train", "eval") if settings.shots else ("eval",), allow_missing=settings.allow_missing
    )
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
    parts = [out / "parts" / spec.name for spec in specs]
    done = {spec.name: session.dataset(spec, part) for spec, part in zip(specs, parts, strict=True)}
    samples = [row for part in parts for row in read_samples(part / "samples.parquet")]
    write_samples(out / "samples.parquet", samples)
    join_responses([part / "responses.parquet" for part in parts], out / "responses.parquet")
    result = Result(
        name=settings.name or _name(settings),
        base=settings.base,
        base_fingerprint=fingerprint,
        adapter=_adapter_info(session, adapter, adapter_hash),
        tier=settings.tier,
        prompt_format=settings.prompt_format,
        shots=settings.shots,
        source=source.name,
        scores=aggregate(samples, tier=settings.tier),
        samples_sha256=sha256_file(out / "samples.parquet"),
        scorer_version=SCORER_VERSION,
        task_fingerprints={spec.name: spec.fingerprint for spec in specs},
        provenance={name: item["provenance"] for name, item in done.items()},
        missing=tuple(missing),
        device=session.device_name,
        dtype=settings.dtype,
        batch_size=session.batch_size,
        threads=session.threads,
        seconds={name: item["seconds"] for name, item in done.items()},
        versions=versions(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    write_record(out / "result.json", result)
    finish(out)
    return result


def _identity(settings: EvalSettings, specs: Sequence[DatasetSpec], base: str, adapter: str | None) -> dict[str, Any]:
    """Everything that decides the answers."""
    return {
        "base": base,
        "adapter": adapter,
        "tier": settings.tier,
        "source": settings.source,
        "datasets": {spec.name: spec.fingerprint for spec in specs},
        "format": settings.prompt_format,
        "shots": settings.shots,
        "dtype": settings.dtype,
        "batch_size": settings.batch_size,
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
