"""One evaluation of a comparison, from a result or from an entry, and what is known of the model's training."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cme.errors import CMEError
from cme.leaderboard.entries.board import samples_path
from cme.leaderboard.entries.matching import recipe_of
from cme.leaderboard.entries.scores import check_hash
from cme.leaderboard.ranking.aligned_scores import Columns, read_columns
from cme.leaderboard.ranking.example_order import example_order
from cme.models.embedded import EMBEDDED, EMBEDDED_HUB_ID
from cme.records import Entry, Result, read_record
from cme.records import Run as Training
from cme.records.method import with_gate_sum
from cme.suite.baselines import BASELINES

__all__ = ["PLAIN", "Run", "run_of", "runs_of", "training_of"]

PLAIN = (EMBEDDED, EMBEDDED_HUB_ID)
"""Names that stand for a base and never for a trained model."""


@dataclass(frozen=True)
class Run:
    """The evaluation of one model.

    Attributes:
        label: what identifies it in messages.
        file: its samples file.
        samples_sha256: SHA-256 of this file.
        columns: its scores.
        shared: the conditions that all compared runs share, by name.
        tasks: fingerprint of each dataset's task file.
        data: for each dataset, what pins its rows.
        seed: seed of the training; None if it is not recorded or there was none.
        tokens: tokens of each dataset's evaluation; empty if they were not recorded.
        by_decision: whether its samples were chosen by a sequential comparison that a decision could stop.
        seconds: time of the evaluation; None if it was not recorded.
        training_seconds: time of the training; None if it was not recorded.
        kind: ``adapter``, ``model`` (a base, or a model whose parameters were all trained) or ``baseline``.
        model: fingerprint of the evaluated adapter or model; empty for a baseline.
        base: fingerprint of the base before any training; empty if it is not known, and for a baseline.
        trained: whether it was trained; None if that is not known of a model.
        method: what all runs of one method share, by name, as far as it is recorded.
        settings: the settings of its training, by name; None if they are not recorded.
        evaluated: conditions of the evaluation in which compared runs may differ, by name.
        order: what decides the order of its examples beside the seed (`example_order`).
    """

    label: str
    file: Path
    samples_sha256: str
    columns: Columns = field(repr=False)
    shared: dict[str, str]
    tasks: dict[str, str]
    data: dict[str, dict[str, str]]
    seed: int | None
    tokens: dict[str, int]
    by_decision: bool
    seconds: float | None
    training_seconds: float | None
    kind: str
    model: str
    base: str
    trained: bool | None
    method: dict[str, str]
    settings: dict[str, str] | None
    evaluated: dict[str, str]
    order: str | None


def training_of(folder: str, fingerprint: str | None) -> Training | None:
    """Return the record of a training, if the folder of the trained model or adapter is there and holds it.

    Args:
        folder: the folder, or another name of a model.
        fingerprint: fingerprint of the evaluated weights. The run record of other weights says nothing. None takes any.
    """
    try:
        training = read_record(Path(folder).expanduser() / "run.json", Training)
    except CMEError:
        return None
    return training if fingerprint in (None, training.adapter_fingerprint) else None


def run_of(result: Result, folder: Path) -> Run:
    """Read a result.

    Raises:
        CMEError: the samples are missing, damaged or changed.
    """
    file, where = folder / "samples.parquet", f"result {folder}"
    check_hash(file, result.samples_sha256, where)
    shared = {"tier": result.tier, "source": result.source, "scorer version": str(result.scorer_version)}
    if result.baseline is None:
        shared |= {"prompt format": result.prompt_format, "prompt variant": str(result.prompt_variant)}
        if result.adapter is not None or not result.shots:
            shared["shots"] = str(result.shots)
    adapter = result.adapter
    model = adapter.fingerprint if adapter else result.base_fingerprint
    training = training_of(adapter.path if adapter else result.base, model) if result.baseline is None else None
    trained = _trained(result, training)
    base = training.base_fingerprint if training else result.base_fingerprint
    if trained is None:
        base = ""  # The model may be a base, or a trained one.
    engine = _engine(result)
    return Run(
        label=str(folder),
        file=file,
        samples_sha256=result.samples_sha256,
        columns=_columns(file),
        shared=shared,
        tasks=result.task_fingerprints,
        data=result.provenance,
        seed=None,
        tokens=result.tokens,
        by_decision=result.rows is not None and result.rows.rule == "decided",
        seconds=sum(result.seconds.values()) or None,
        training_seconds=None,
        kind="baseline" if result.baseline else "adapter" if adapter else "model",
        model=model,
        base=base,
        trained=trained,
        method=_method(result, base),
        settings=None
        if training is None
        else _settings(
            training.method, training.mix_fingerprint, training.adapter.plain(), recipe_of(training).plain()
        ),
        evaluated={} if result.baseline else _present(device=result.device, dtype=result.dtype, engine=engine),
        order=None,
    )


def runs_of(entry: Entry, folder: Path) -> list[Run]:
    """Read the runs of an entry.

    Raises:
        CMEError: samples are missing, damaged or changed.
    """
    shared = {"tier": entry.tier, "source": entry.source, "scorer version": str(entry.scorer_version)}
    baseline = entry.method in BASELINES
    if not baseline:
        shared |= {"prompt format": entry.prompt_format, "prompt variant": "0"}
        if entry.method != "base" or not entry.shots:
            shared["shots"] = str(entry.shots)
    kind = "baseline" if baseline else "model" if entry.method in ("base", "full") else "adapter"
    runs = []
    for k, run in enumerate(entry.runs):
        label = f"{entry.name}, seed {run.seed}" if len(entry.runs) > 1 else f"{folder / entry.name}.json"
        file = samples_path(folder, entry.name, k)
        check_hash(file, run.samples_sha256, f"entry {entry.name!r}")
        how, training = run.provenance.evaluation, run.provenance.training
        own = entry.base_fingerprint if entry.method == "base" else run.provenance.adapter.fingerprint or ""
        engine = "lm-eval" if how.origin == "lm-eval" else how.engine
        runs.append(
            Run(
                label=label,
                file=file,
                samples_sha256=run.samples_sha256,
                columns=_columns(file),
                shared=shared,
                tasks=entry.task_fingerprints,
                data=run.provenance.data,
                seed=run.seed,
                tokens={},
                by_decision=False,
                seconds=how.seconds,
                training_seconds=run.cost.wall_seconds,
                kind=kind,
                model=own,
                base=entry.base_fingerprint,
                trained=run.seed is not None,
                method=_present(kind=kind, experts="all", dtype=how.dtype, base=entry.base_fingerprint[:12]),
                settings=None
                if run.seed is None
                else _settings(entry.method, training.mix_fingerprint, entry.settings.plain(), entry.recipe.plain()),
                evaluated={} if baseline else _present(device=how.device, dtype=how.dtype, engine=engine),
                order=example_order(entry, run),
            )
        )
    return runs


def _trained(result: Result, training: Training | None) -> bool | None:
    if result.baseline is not None or (result.adapter is None and result.base in PLAIN):
        return False
    return True if result.adapter is not None or training is not None else None


def _method(result: Result, base: str) -> dict[str, str]:
    """Return what the results of one method share. Only CME's own fingerprints of bases are comparable."""
    kind = "baseline" if result.baseline else "adapter" if result.adapter else "model"
    return _present(
        kind=kind,
        experts=result.experts or "all",
        dtype=result.dtype,
        base=base[:12] if result.origin == "cme" else "",
        adapter_type=result.adapter.method.lower() if result.adapter else "",
    )


def _settings(method: str, mix: str | None, adapter: Mapping[str, Any], recipe: Mapping[str, Any]) -> dict[str, str]:
    of_adapter = {f"adapter: {key}": str(value) for key, value in with_gate_sum(adapter).items()}
    of_training = {f"training: {key}": str(value) for key, value in recipe.items()}
    return {"method": method, "mix": str(mix)[:12], **of_adapter, **of_training}


def _engine(result: Result) -> str:
    if result.origin == "lm-eval":
        return "lm-eval"
    # A dataset's engine is "hf" if it was requested, and "hf: <reason>" if the prefix engine could not answer.
    return "" if not result.engines else "hf" if set(result.engines.values()) == {"hf"} else "prefix"


def _present(**values: str | None) -> dict[str, str]:
    """Return the values that are recorded, by their names in messages."""
    names = {"dtype": "data type", "adapter_type": "type of the adapter"}
    return {names.get(key, key): value for key, value in values.items() if value}


def _columns(file: Path) -> Columns:
    """Read the scores of a file, whose size and columns are limited while they are read."""
    columns = read_columns(file)
    for name, (_, _, values) in columns.items():
        if not (np.all(values >= 0) and np.all(values <= 1)):
            raise CMEError(f"{file}: a score of {name} is not a number from 0 to 1. Evaluate again.")
    return columns
