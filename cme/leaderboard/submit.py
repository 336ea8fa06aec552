"""A result and its run become an entry, after every number of the result has been computed again."""

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

from cme.errors import UsageError
from cme.files import atomic_path, read_json
from cme.leaderboard.board import samples_path
from cme.leaderboard.recompute import check_hash, check_scores, items_digest
from cme.records import Entry, Result, Run, read_record, write_record
from cme.records.samples import read_samples
from cme.suite.score import SCORER_VERSION

__all__ = ["make_entry"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def make_entry(
    result_dir: Path, run_dir: Path | None, entries_dir: Path, *, name: str | None = None, replace: bool = False
) -> Entry:
    """Make a row of the leaderboard and copy its per-sample scores beside the entries.

    Args:
        result_dir: folder of an evaluation: ``result.json`` and ``samples.parquet``.
        run_dir: folder of the training run (``run.json``); needed for an adapter and a base that was trained itself
            (``--method full``), None for other bases.
        entries_dir: where entries are kept; the samples go to ``samples`` beside it.
        name: name of the row and of its files; None takes the result's.
        replace: overwrite an entry of the same name.

    Returns:
        The entry, as written to ``<name>.json``. An equal entry that is there already is left alone.

    Raises:
        CMEError: a file is missing or damaged; the samples are not the result's, or give other numbers.
        UsageError: the run is missing or is another adapter's; the name is taken or no file name; the result is stale.
    """
    result = read_record(result_dir / "result.json", Result)
    where = f"result {result_dir}"
    if result.scorer_version != SCORER_VERSION:
        raise UsageError(
            f"{where} has scorer version {result.scorer_version}; this CME has {SCORER_VERSION}. Evaluate again."
        )
    samples_file = result_dir / "samples.parquet"
    check_hash(samples_file, result.samples_sha256, where)
    samples = read_samples(samples_file)
    check_scores(result.scores, samples, tier=result.tier, where=where)
    entry = _entry(_checked_name(name or result.name), result, _run(result, result_dir, run_dir), items_digest(samples))
    target = entries_dir / f"{entry.name}.json"
    copy = samples_path(entries_dir, entry.name)
    if target.exists() and not replace:
        if _same(target, entry) and copy.is_file():
            return entry
        raise UsageError(f"{target} exists and holds something else. Choose another --name, or --replace it.")
    # Samples first: an entry never stands there without them.
    with atomic_path(copy) as temporary:
        shutil.copyfile(samples_file, temporary)
    write_record(target, entry)
    return entry


def _run(result: Result, result_dir: Path, run_dir: Path | None) -> Run | None:
    if result.adapter is None:
        if run_dir is None:
            return None
        run = read_record(run_dir / "run.json", Run)
        if run.method == "full" and run.adapter_fingerprint == result.base_fingerprint:
            return run
        kind = "baseline" if result.baseline else "base"
        raise UsageError(
            f"{result_dir} is an evaluation of a {kind} that {run_dir} did not train (only --method full trains one); "
            f"it has no run; leave {run_dir} out."
        )
    if run_dir is None:
        raise UsageError(
            f"{result_dir} is an evaluation of an adapter: give its training run (--run), which tells its cost."
        )
    run = read_record(run_dir / "run.json", Run)
    for what, of_result, of_run in (
        ("adapter", result.adapter.fingerprint, run.adapter_fingerprint),
        ("base", result.base_fingerprint, run.base_fingerprint),
    ):
        if of_result != of_run:
            raise UsageError(
                f"{result_dir} and {run_dir} do not belong together: the result is of {what} {of_result[:12]}, "
                f"the run of {what} {of_run[:12]}. Give the run that made this adapter."
            )
    return run


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise UsageError(f"an entry cannot be named {name!r}. Use letters, digits, '.', '_', '-' (--name).")
    return name


def _same(path: Path, entry: Entry) -> bool:
    written = read_json(path)
    head = {"kind": Entry.KIND, "schema_version": Entry.SCHEMA_VERSION}
    return bool(written == json.loads(json.dumps(head | dataclasses.asdict(entry))))


def _entry(name: str, result: Result, run: Run | None, items: str) -> Entry:
    return Entry(
        name=name,
        method=run.method if run else result.baseline or "base",
        # A base that was trained itself goes by what it was before: rows are compared on one base.
        base=run.base if run else result.base,
        base_fingerprint=run.base_fingerprint if run else result.base_fingerprint,
        tier=result.tier,
        prompt_format=result.prompt_format,
        shots=result.shots,
        source=result.source,
        scores=result.scores,
        samples_sha256=result.samples_sha256,
        scorer_version=result.scorer_version,
        task_fingerprints=result.task_fingerprints,
        settings=run.adapter if run else {},
        cost=_cost(run) if run else {},
        provenance=_provenance(result, run, items),
    )


def _cost(run: Run) -> dict[str, Any]:
    return {
        "trainable_parameters": run.trainable_parameters,
        "trainable_share": run.trainable_share,
        "wall_seconds": run.wall_seconds,
        "tokens_per_second": run.tokens_per_second,
        "peak_memory_bytes": run.peak_memory_bytes,
        "steps": run.steps,
        "device": run.device,
    }


def _provenance(result: Result, run: Run | None, items: str) -> dict[str, Any]:
    """What pins the row: the rows scored (``items``), their source, and how it was evaluated and trained."""
    evaluation = {
        "device": result.device,
        "dtype": result.dtype,
        "batch_size": result.batch_size,
        "threads": result.threads,
        "seconds": sum(result.seconds.values()),
        "finished": result.finished,
        "versions": result.versions,
    }
    found = {"items": items, "data": result.provenance, "missing": list(result.missing), "evaluation": evaluation}
    if run is None:
        return found
    adapter: dict[str, Any] = {"fingerprint": run.adapter_fingerprint}
    if result.adapter is not None:
        adapter["changes_output"] = result.adapter.changes_output
    training = {
        "mix_fingerprint": run.mix_fingerprint,
        "prompt_format": run.prompt_format,
        "settings": run.training,
        "dtype": run.dtype,
        "world_size": run.world_size,
        "examples": run.examples,
        "tokens": run.tokens,
        "validation_loss": run.validation_loss,
        "dropped": run.dropped,
        "cut": run.cut,
        "interruptions": run.interruptions,
        "started": run.started,
        "finished": run.finished,
        "versions": run.versions,
    }
    return found | {"adapter": adapter, "training": training}
