"""Evaluates a base model or adapters on it, dataset by dataset. An interrupted evaluation can be resumed."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cme.data.sources import check_source, open_source, source_notes
from cme.errors import CMEError, CMEWarning, UsageError
from cme.evaluation.adapters import BASE, distinct_names
from cme.evaluation.baseline import BaselineSession
from cme.evaluation.chosen_ids import rows_fields
from cme.evaluation.expert_choice import ExpertChoice
from cme.evaluation.in_memory import describe, state_restored, tokenizer_digest, unwrapped
from cme.evaluation.result_files import answered, write_result, written
from cme.evaluation.retention import check_retention
from cme.evaluation.row_rules import GivenRows, Look, RowRule
from cme.evaluation.session import Session, pick_device
from cme.evaluation.settings import RESULT, EvalSettings
from cme.evaluation.shared_rows import check_same_rows
from cme.evaluation.stages import GrowingModel, Sessions, grow
from cme.evaluation.start import (
    ModelRow,
    Start,
    begin,
    chosen_rows,
    claim_row,
    identity_of,
    ids_checked,
    release_rows,
    rows_identity,
    specs_of,
    with_rows,
)
from cme.locks import locks_released
from cme.models.load import load_tokenizer, pick_dtype
from cme.processes import ALONE, Group, joined
from cme.progress import table
from cme.prompt import check_format
from cme.records import Result, read_record
from cme.suite import DatasetSpec
from cme.suite.baselines import BASELINES, covered, left_out
from cme.workdir import claim

__all__ = ["evaluate", "evaluate_each", "evaluate_masked", "evaluate_model", "evaluate_parts"]


@locks_released()
def evaluate(settings: EvalSettings, out: Path, rule: RowRule | None = None) -> Result:
    """Evaluate one model and write ``result.json``, ``samples.parquet`` (scores without text) and ``responses.parquet``.

    Answers are stored batch by batch under a digest of everything that determines them, such as base model, adapter, dtype and
    prompt. If the evaluation is interrupted, the same command continues after the last finished batch. Under ``torchrun``,
    every process calls this function. The processes share the batches, and the first one scores and writes.

    Args:
        settings: settings of the evaluation.
        out: output folder.
        rule: the rule that chooses the rows within the tier (`cme.evaluation.row_rules`). None means all rows of the tier.

    Returns:
        The result, in every process.

    Raises:
        CMEError: if a name is unknown, the adapter is damaged, rows are missing, or the output folder holds other files. These
            are checked before the model is loaded, where possible.
    """
    settings.check()
    check_retention(settings, {out: settings.adapter})
    settings = replace(settings, dtype=pick_dtype(settings.dtype))
    with joined() as group:
        if settings.baseline:
            return group.first(lambda: _baseline(settings, out, rule))
        adapter = None if settings.adapter == BASE else settings.adapter
        return _models(settings, {out: adapter}, group, rule=rule)[0]


@locks_released()
def evaluate_each(
    settings: EvalSettings, adapters: Sequence[str], out: Path, rule: RowRule | None = None
) -> list[Result]:
    """Evaluate several adapters as `evaluate` does, on a base model that is loaded once.

    Args:
        settings: settings of all evaluations, without adapter, name and baseline.
        adapters: folders or hub ids. ``base`` means the base model itself.
        out: folder for the results. Each adapter gets a subfolder with its name. Finished results are read.
        rule: as for `evaluate`, but not one that depends on scores.

    Returns:
        The results in the order of the adapters.

    Raises:
        CMEError: as for `evaluate`, and if two adapters have the same name.
    """
    settings.check()
    for option, value in (("--baseline", settings.baseline), ("--name", settings.name)):
        if value is not None:
            raise UsageError(f"{option} applies to a single adapter, but {len(adapters)} were given. Leave it out.")
    settings = replace(settings, dtype=pick_dtype(settings.dtype))
    chosen = {
        out / name: None if adapter == BASE else adapter
        for name, adapter in zip(distinct_names(adapters), adapters, strict=True)
    }
    check_retention(settings, chosen)
    with joined() as group:
        return _models(settings, chosen, group, each=True, rule=rule)


@locks_released()
def evaluate_masked(settings: EvalSettings, choices: Mapping[str, str | None], out: Path) -> list[Result]:
    """Evaluate one routed adapter several times, each time with other experts. The base, the adapter and the rows are read once.

    Args:
        settings: settings of all evaluations, with the adapter.
        choices: the experts by name of the result's folder (`cme.evaluation.expert_choice`). None means all experts.
        out: folder for the results. Finished results are read.

    Returns:
        The results in the order of the choices.

    Raises:
        CMEError: as for `evaluate`, and if the adapter has no experts.
    """
    settings.check()
    settings = replace(settings, dtype=pick_dtype(settings.dtype), experts=None)
    chosen = {out / name: settings.adapter for name in choices}
    experts = {out / name: choice for name, choice in choices.items() if choice is not None}
    with joined() as group:
        return _models(settings, chosen, group, each=True, experts=experts)


@locks_released()
def evaluate_parts(settings: EvalSettings, parts: Mapping[Path, tuple[str, Sequence[str] | None]]) -> list[Result]:
    """Evaluate several adapters, each on its own datasets, on a base model that is loaded once.

    Args:
        settings: settings of all evaluations, without adapter and datasets.
        parts: the adapter and the names of its datasets by output folder. None means the whole suite. Finished results are read.

    Returns:
        The results in the order of the parts.

    Raises:
        CMEError: as for `evaluate`.
    """
    settings.check()
    check_retention(settings, {out: adapter for out, (adapter, _) in parts.items()})
    settings = replace(settings, dtype=pick_dtype(settings.dtype))
    with joined() as group:
        settings = replace(settings, device=pick_device(settings.device, group))
        each = {
            out: replace(settings, datasets=None if names is None else tuple(names))
            for out, (_, names) in parts.items()
        }
        starts = group.first(lambda: {out: begin(own, {out: parts[out][0]}, each=True) for out, own in each.items()})
        waiting = {out: start for out, start in starts.items() if not start.rows[0].finished}
        results: dict[Path, Result] = {}
        if waiting:
            home = next(iter(waiting.values())).folder
            try:
                session = group.together(
                    lambda: Session(settings, home, load_tokenizer(home), group=group, several=True)
                )
            except CMEError:
                release_rows([start.rows[0] for start in waiting.values()], group)
                raise
            _check_adapters(lambda: session, [start.rows[0] for start in waiting.values()], group)
            results = {out: _row(session, each[out], start, start.rows[0], group) for out, start in waiting.items()}
    return [results[out] if out in results else read_record(out / RESULT, Result) for out in parts]


def evaluate_model(
    model: Any, tokenizer: Any, settings: EvalSettings, out: Path, rule: RowRule | None = None
) -> Result:
    """Evaluate a model in memory and restore its state afterwards.

    The fingerprints in the result are computed from the weights in memory, so two models never share stored answers. Under
    ``torchrun``, each process that calls this function evaluates all samples.

    Args:
        model: a `PeftModel` or a causal language model of transformers, in training or evaluation mode.
        tokenizer: tokenizer of the model. It is copied and not changed.
        settings: settings of the evaluation. Base, adapter, dtype and device are taken from the model.
        out: output folder.
        rule: as for `evaluate`.

    Returns:
        The result.

    Raises:
        UsageError: if the model has another type, or its weights are not all on one device.
        CMEError: as for `evaluate`.
    """
    model, tokenizer = unwrapped(model, tokenizer)
    description = describe(model)
    settings = replace(
        settings, base=description.base, adapter=None, baseline=None, device=description.device, dtype="float32"
    )
    settings.check()
    check_retention(settings, {out: None}, in_memory=description.adapter is not None)
    settings = replace(
        settings,
        dtype=description.dtype,
        name=settings.name or description.name,
        experts=settings.experts and str(ExpertChoice.parse(settings.experts)),
    )
    specs, missing = specs_of(settings)
    check_format(settings.prompt_format, tokenizer, [spec.name for spec in specs])
    prompts = tokenizer_digest(tokenizer)
    identity = {
        **identity_of(settings, specs, description.fingerprint, description.adapter_fingerprint),
        "tokenizer": prompts,
        **chosen_rows(rule),
    }
    own = description.adapter_fingerprint
    row = ModelRow(out, description.adapter, None, own, identity, False, False, settings.experts)
    start = Start(specs, missing, out, description.fingerprint, prompts, [claim_row(row, settings, specs, False, rule)])
    with state_restored(model):
        try:
            session = Session(settings, out, tokenizer, given=model)
        except CMEError:
            release_rows(start.rows, ALONE)
            raise
        if rule is not None:
            growing = GrowingModel(settings, start, start.rows[0], origin="memory")
            return grow([growing], rule, write_result, Sessions(False, ALONE, session))[0]
        return _row(session, settings, start, start.rows[0], ALONE, origin="memory")


def _models(
    settings: EvalSettings,
    chosen: Mapping[Path, str | None],
    group: Group,
    *,
    each: bool = False,
    rule: RowRule | None = None,
    experts: Mapping[Path, str] | None = None,
) -> list[Result]:
    settings = replace(settings, device=pick_device(settings.device, group))
    start = group.first(lambda: begin(settings, chosen, each, rule, experts))
    open_rows = [row for row in start.rows if not row.finished]
    results: dict[Path, Result] = {}
    if rule is not None:
        sessions = Sessions(len(chosen) > 1, group)
        growing = [GrowingModel(settings, start, row) for row in open_rows]
        _check_adapters(lambda: sessions.of_base(growing[0]), open_rows, group)
        for model in growing:
            results[model.row.out] = grow([model], rule, write_result, sessions)[0]
    elif open_rows:
        try:
            tokenizer = load_tokenizer(start.folder)
            session = group.together(
                lambda: Session(settings, start.folder, tokenizer, group=group, several=len(chosen) > 1)
            )
        except CMEError:
            release_rows(open_rows, group)
            raise
        _check_adapters(lambda: session, open_rows, group)
        results = {row.out: _row(session, settings, start, row, group) for row in open_rows}
    return [results[row.out] if row.out in results else read_record(row.out / RESULT, Result) for row in start.rows]


def _check_adapters(session: Callable[[], Session], rows: Sequence[ModelRow], group: Group) -> None:
    """Load each of several adapters onto the base before the first evaluation, so that no evaluation waits for an error.

    Args:
        session: function that returns the session of the base. A single adapter needs none, because it is loaded at once anyway.
        rows: the models to evaluate.
        group: the processes that share the work.

    Raises:
        AdapterError: if an adapter does not fit the base, or its weights are damaged. Nothing was evaluated then.
    """
    # The first one comes last and stays attached.
    adapters = list(dict.fromkeys(row.adapter for row in reversed(rows) if row.adapter is not None))
    if len(rows) < 2 or not adapters:
        return
    try:
        loaded = session()
        for adapter in adapters:
            group.together(lambda: loaded.check(adapter))  # noqa: B023 (it runs at once)
    except CMEError:
        release_rows(rows, group)
        raise


def _row(
    session: Session, settings: EvalSettings, start: Start, row: ModelRow, group: Group, *, origin: str = "cme"
) -> Result:
    answers = {name: value for name, value in row.identity.items() if name != "datasets"}
    try:
        group.together(lambda: session.attach(row.adapter, answers, row.out / "parts", row.experts))
        group.together(lambda: session.prepare(start.specs, row.out / "parts"))
    except CMEError:
        release_rows([row], group)
        raise
    done = _each(session, start.specs, row.out, shown=group.rank == 0)
    parts = {name: [(record, row.out / "parts" / name)] for name, record in done.items()}
    return group.first(lambda: write_result(session, GrowingModel(settings, start, row, origin, parts), None))


def _baseline(settings: EvalSettings, out: Path, rule: RowRule | None) -> Result:
    name = settings.baseline or ""
    counts = rule.counts if isinstance(rule, GivenRows) else None
    if rule is not None and counts is None:
        raise UsageError(
            f"the baseline {name} costs no tokens, so its rows are not chosen by precision. Evaluate a tier, or the rows of a "
            "model's result with --rows-of."
        )
    specs = covered(name, settings.datasets)
    if absent := left_out(name, settings.datasets):
        warnings.warn(
            f"the baseline {name} ({BASELINES[name]}) is not defined for {' and '.join(absent)}, so the result has "
            f"{', '.join(spec.name for spec in specs)} only. Leave the others out of --datasets.",
            CMEWarning,
            stacklevel=2,
        )
    source = open_source(settings.source)
    kinds = ("train", "eval") if name == "majority" else ("eval",)
    if settings.ids is not None:
        missing = list(ids_checked(settings, specs, source, train="train" in kinds))
    else:
        missing = check_source(source, specs, kinds, allow_missing=settings.allow_missing)
        specs = with_rows(specs, source, kinds)
    given = {} if counts is None else {"rows": {spec.name: counts[spec.name] for spec in specs}}
    identity = {"baseline": name, **rows_identity(settings, specs), **given}
    claim(out, "eval", identity, notes=source_notes(settings.source))
    check_same_rows(out, source, specs, settings)
    session = BaselineSession(name, settings, source, counts)
    done = _each(session, specs, out, shown=True)
    selection = None
    if isinstance(rule, GivenRows):
        available = {name: record["available"] for name, record in done.items()}
        selection = rule.selection(Look(given["rows"], available, {}, ()), [])
    result = Result(
        name=settings.name or name,
        base="",
        base_fingerprint="",
        adapter=None,
        prompt_format="",
        shots=0,
        dtype="",
        baseline=name,
        **answered(
            session,
            settings,
            {name: [(record, out / "parts" / name)] for name, record in done.items()},
            specs,
            missing,
            out,
        ),
        **rows_fields(settings, selection),
    )
    return written(result, out)


def _each(
    session: Session | BaselineSession, specs: Sequence[DatasetSpec], out: Path, *, shown: bool
) -> dict[str, dict[str, Any]]:
    """Evaluate every dataset and return the records of `Session.dataset` by name."""
    with table([spec.name for spec in specs], whole=f"{out.name}: datasets", shown=shown) as row:
        return {spec.name: session.dataset(spec, out / "parts", row(spec.name)) for spec in specs}
