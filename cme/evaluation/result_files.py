"""Writes what an evaluation found: ``result.json``, ``samples.parquet`` and ``responses.parquet``."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.evaluation.adapters import adapter_name
from cme.evaluation.baseline import BaselineSession
from cme.evaluation.chosen_ids import named_provenance, rows_fields
from cme.evaluation.guards import uncompared_datasets
from cme.evaluation.samples import join_responses
from cme.evaluation.session import Session
from cme.evaluation.settings import RESULT, EvalSettings
from cme.evaluation.stages import GrowingModel
from cme.evaluation.start import ModelRow
from cme.files import sha256_file
from cme.records import AdapterInfo, Result, Retention, RowSelection, read_record, versions, write_record
from cme.records.samples import read_samples, write_samples
from cme.suite import DatasetSpec, select
from cme.suite.score import SCORER_VERSION, aggregate
from cme.workdir import finish

__all__ = ["answered", "write_result", "written"]


def write_result(session: Session, model: GrowingModel, selection: RowSelection | None) -> Result:
    """Write the result of a model whose datasets were all evaluated.

    Args:
        session: the session that evaluated it.
        model: the model with the records of its datasets.
        selection: the rows that a rule chose; None for all rows of the tier.

    Returns:
        The result.
    """
    settings, start, row = model.settings, model.start, model.row
    retention = session.measure_retention() or _kept_retention(row.out)
    fields = answered(session, settings, model.parts, start.specs, start.missing, row.out)
    result = Result(
        name=settings.name
        or (
            adapter_name(row.adapter_name_or_path)
            if row.adapter_name_or_path
            else settings.base.rstrip("/").split("/")[-1]
        ),
        base=settings.base,
        base_fingerprint=start.fingerprint,
        tokenizer_fingerprint=start.tokenizer,
        adapter=_adapter_info(session, row),
        prompt_format=settings.prompt_format,
        shots=settings.shots,
        prompt_variant=settings.prompt_variant,
        dtype=settings.dtype,
        token_budget=settings.token_budget,
        origin=model.origin,
        retention=retention,
        experts=row.experts,
        skipped=_skipped(settings),
        run_code=settings.run_code if any(spec.runs_code for spec in start.specs) else None,
        uncompared=uncompared_datasets(
            row.adapter or start.folder,
            row.fingerprint or start.fingerprint,
            start.specs,
            start.missing,
            fields["provenance"],
        ),
        **fields,
        **rows_fields(settings, selection),
    )
    return written(result, row.out)


def answered(
    session: Session | BaselineSession,
    settings: EvalSettings,
    parts: Mapping[str, Sequence[tuple[Mapping[str, Any], Path]]],
    specs: Sequence[DatasetSpec],
    missing: Sequence[str],
    out: Path,
) -> dict[str, Any]:
    """Write the samples and responses of all datasets and return the fields of the result that describe them.

    Args:
        session: the session that evaluated them.
        settings: settings of the evaluation.
        parts: for each dataset, the records and folders of its parts.
        specs: the datasets.
        missing: names of the splits that the source lacks.
        out: output folder.
    """
    folders = [folder for spec in specs for _, folder in parts[spec.name]]
    samples = [row for folder in folders for row in read_samples(folder / "samples.parquet")]
    write_samples(out / "samples.parquet", samples)
    join_responses([folder / "responses.parquet" for folder in folders], out / "responses.parquet")
    done = {spec.name: _joined([record for record, _ in parts[spec.name]]) for spec in specs}
    return {
        "tier": settings.tier,
        "scores": aggregate(samples, tier=settings.tier),
        "samples_sha256": sha256_file(out / "samples.parquet"),
        "scorer_version": SCORER_VERSION,
        "task_fingerprints": {spec.name: spec.fingerprint for spec in specs},
        "provenance": {name: named_provenance(settings, item["provenance"]) for name, item in done.items()},
        "missing": tuple(missing),
        "device": session.device_name,
        "batch_size": session.batch_size,
        "threads": session.threads,
        "seconds": {name: item["seconds"] for name, item in done.items()},
        "tokens": {name: item["tokens"] for name, item in done.items() if "tokens" in item},
        "tokens_per_second": {
            name: round(item["tokens"] / item["seconds"], 1) for name, item in done.items() if item.get("tokens")
        },
        "engines": {name: item["engine"] for name, item in done.items() if item["engine"]},
        "generated": {name: item["generated"] for name, item in done.items() if "generated" in item} or None,
        "versions": versions(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def written(result: Result, out: Path) -> Result:
    """Write the record of a result, and mark its folder as finished."""
    write_record(out / RESULT, result)
    finish(out)
    return result


def _joined(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the record of a dataset whose rows were evaluated in several parts."""
    joined = dict(records[-1])
    joined["seconds"] = round(sum(record["seconds"] for record in records), 3)
    joined["provenance"] = {key: value for record in records for key, value in record["provenance"].items()}
    if "generated" in joined:
        joined["generated"] = sum(record["generated"] for record in records)
    if "tokens" in joined:
        joined["tokens"] = sum(record["tokens"] for record in records)
    # If one part needed lm-eval's own code, its reason is the one to report.
    joined["engine"] = next((record["engine"] for record in records if record["engine"] != "prefix"), joined["engine"])
    return joined


def _kept_retention(out: Path) -> Retention | None:
    """Return the retention in the result of fewer rows of the same model, or None. It does not depend on the rows."""
    try:
        return read_record(out / RESULT, Result).retention
    except CMEError:
        return None


def _skipped(settings: EvalSettings) -> tuple[str, ...] | None:
    """Return the chosen datasets that were left out because code must not run, or None."""
    chosen = [spec.name for spec in select(settings.datasets) if spec.runs_code and settings.run_code is None]
    return tuple(chosen) or None


def _adapter_info(session: Session, row: ModelRow) -> AdapterInfo | None:
    if row.adapter_name_or_path is None or row.fingerprint is None:
        return None
    return AdapterInfo(
        path=row.adapter_name_or_path,
        method=session.method,
        fingerprint=row.fingerprint,
        changes_output=session.effect > 0,
    )
