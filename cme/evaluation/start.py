"""Checks an evaluation before the model is loaded, and claims its output folders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.adapters.load import adapter_fingerprint
from cme.data.sources import Source, check_source, open_source, source_identity, source_notes
from cme.errors import SourceError, UsageError
from cme.evaluation import code
from cme.evaluation.adapters import check_files, resolve_adapter
from cme.evaluation.chosen_ids import check_ids, chosen_ids
from cme.evaluation.expert_choice import ExpertChoice, check_experts
from cme.evaluation.guards import check_trained_on, warn_of_format
from cme.evaluation.settings import RESULT, EvalSettings
from cme.evaluation.shared_rows import check_same_rows
from cme.models.kinds import check_kind
from cme.models.load import base_fingerprint, load_tokenizer, resolve_base
from cme.models.tokenizer_files import tokenizer_fingerprint
from cme.processes import Group
from cme.prompt import TEMPLATE_DATE, check_format
from cme.records import Result, read_record
from cme.suite import DatasetSpec, select
from cme.suite.score import SCORER_VERSION
from cme.workdir import FinishedError, claim, release, reopen

if TYPE_CHECKING:
    from cme.evaluation.row_rules import RowRule

__all__ = [
    "ModelRow",
    "Start",
    "begin",
    "chosen_rows",
    "claim_row",
    "identity_of",
    "ids_checked",
    "release_rows",
    "rows_identity",
    "specs_of",
    "with_rows",
]


@dataclass(frozen=True)
class ModelRow:
    """One model to evaluate, with its output folder."""

    out: Path
    adapter_name_or_path: str | None
    adapter: Path | None
    fingerprint: str | None
    identity: dict[str, Any]
    resumed: bool
    finished: bool
    experts: str | None = None


@dataclass(frozen=True)
class Start:
    """What the first process determines for all processes before the model is loaded."""

    specs: list[DatasetSpec]
    missing: tuple[str, ...]
    folder: Path
    fingerprint: str
    tokenizer: str
    rows: list[ModelRow]


def begin(
    settings: EvalSettings,
    chosen: Mapping[Path, str | None],
    each: bool,
    rule: "RowRule | None" = None,
    experts: Mapping[Path, str] | None = None,
) -> Start:
    """Check everything that does not need the model, and claim the output folders.

    Args:
        settings: settings of the evaluation.
        chosen: adapter of each output folder; None for the base model.
        each: whether the folders may hold finished results, which are then read.
        rule: the rule that chooses the rows. None means all rows of the tier.
        experts: the choice of experts of some output folders. By default it is that of the settings.
    """
    specs, missing = specs_of(settings)
    folder = resolve_base(settings.base)
    check_kind(folder)
    fingerprint = base_fingerprint(folder)
    check_format(settings.prompt_format, load_tokenizer(folder), [spec.name for spec in specs])
    prompts = tokenizer_fingerprint(folder, TEMPLATE_DATE if settings.prompt_format == "chat" else None)
    rows = []
    for out, name_or_path in chosen.items():
        adapter = resolve_adapter(name_or_path) if name_or_path else None
        own = adapter_fingerprint(adapter) if adapter else None
        if adapter:
            check_files(adapter)
            check_trained_on(adapter, settings.base, fingerprint, settings.prompt_format, prompts)
        else:
            warn_of_format(folder, fingerprint, settings.prompt_format)
        choice = (experts or {}).get(out, settings.experts)
        if choice is not None:
            if adapter is None:
                raise UsageError("the base has no experts. Give an adapter, or leave out the choice of experts.")
            check_experts(choice, adapter)
            choice = str(ExpertChoice.parse(choice))
        identity = {
            **identity_of(replace(settings, experts=choice), specs, fingerprint, own),
            "tokenizer": prompts,
            **chosen_rows(rule),
        }
        rows.append(ModelRow(out, name_or_path, adapter, own, identity, False, False, choice))
    claimed = [claim_row(row, settings, specs, each, rule) for row in rows]
    return Start(specs, missing, folder, fingerprint, prompts, claimed)


def specs_of(settings: EvalSettings) -> tuple[list[DatasetSpec], tuple[str, ...]]:
    """Return the datasets to evaluate and the splits that the source lacks."""
    specs = code.checked_run_code(select(settings.datasets), settings.run_code)
    source = open_source(settings.source)
    kinds = ("train", "eval") if settings.shots else ("eval",)
    if settings.ids is not None:
        return specs, ids_checked(settings, specs, source, train=settings.shots > 0)
    missing = check_source(source, specs, kinds, allow_missing=settings.allow_missing)
    return with_rows(specs, source, kinds), tuple(missing)


def ids_checked(
    settings: EvalSettings, specs: Sequence[DatasetSpec], source: Source, *, train: bool
) -> tuple[str, ...]:
    """Check the row ids of an evaluation (`cme.evaluation.chosen_ids.check_ids`), and return the splits that are missing.

    These are the splits that the ids lack and, if training rows determine answers too, the training splits that the source lacks.
    """
    chosen = chosen_ids(settings.ids or "")
    check_ids(chosen, specs, source, settings.source, train=train)
    lacking = () if chosen.evaluation is None else chosen.evaluation.missing
    trained = check_source(source, specs, ("train",), allow_missing=settings.allow_missing) if train else ()
    return tuple(dict.fromkeys([*lacking, *trained]))


def chosen_rows(rule: "RowRule | None") -> dict[str, str]:
    """Return the part of an evaluation's identity that says that a rule chooses the rows. Which rule may change."""
    return {} if rule is None else {"rows": "chosen"}


def claim_row(
    row: ModelRow, settings: EvalSettings, specs: Sequence[DatasetSpec], each: bool, rule: "RowRule | None" = None
) -> ModelRow:
    """Claim the output folder of a model. With ``each``, it may hold a finished result. A rule may extend a finished one.

    Raises:
        UsageError: if the folder has other work, or finished datasets with other rows than the source has now.
    """
    source = open_source(settings.source)
    try:
        notes = source_notes(settings.source)
        resumed = claim(row.out, "eval", row.identity, changeable=["datasets"], added=["tokenizer"], notes=notes)
        check_same_rows(row.out, source, specs, settings)
        return replace(row, resumed=resumed)
    except FinishedError:
        check_same_rows(row.out, source, specs, settings)
        if rule is not None and rule.extends(read_record(row.out / RESULT, Result), row.out):
            reopen(row.out, "eval")
            return replace(row, resumed=True)
        if not each:
            raise
        return replace(row, finished=True)


def release_rows(rows: Sequence[ModelRow], group: Group) -> None:
    """Undo the claims of folders in which nothing was evaluated."""
    for row in rows:
        if group.rank == 0 and not row.resumed:
            release(row.out)


def with_rows(specs: Sequence[DatasetSpec], source: Source, kinds: Sequence[str]) -> list[DatasetSpec]:
    """Return the datasets for which the source has rows of every kind (``"train"``, ``"eval"``)."""
    with_rows = [spec for spec in specs if all(len(source.missing(spec, kind)) < len(spec.subsets) for kind in kinds)]
    if not with_rows:
        names = ", ".join(spec.name for spec in specs)
        raise SourceError(f"{source.place} has no {' or no '.join(kinds)} rows of {names}. Set another source.")
    return with_rows


def identity_of(settings: EvalSettings, specs: Sequence[DatasetSpec], base: str, adapter: str | None) -> dict[str, Any]:
    """Return all settings that determine the answers."""
    import torch

    device = settings.device or "cpu"
    threads = settings.threads or torch.get_num_threads()
    return {
        "base": base,
        "adapter": adapter,
        "format": settings.prompt_format,
        "shots": settings.shots,
        "dtype": settings.dtype,
        "batch_size": settings.batch_size,
        "token_budget": settings.token_budget,
        "engine": settings.engine,
        "device": device.partition(":")[0],
        # On a CPU, float32 sums depend on the number of threads.
        "threads": threads if device == "cpu" else None,
        **rows_identity(settings, specs),
        # Absent for variant 0, so that unfinished folders of versions without prompt variants can be resumed.
        **({"wording": settings.prompt_variant} if settings.prompt_variant else {}),
        **({"experts": settings.experts} if settings.experts else {}),
    }


def rows_identity(settings: EvalSettings, specs: Sequence[DatasetSpec]) -> dict[str, Any]:
    """Return the settings that determine the rows and how they are scored."""
    return {
        "tier": settings.tier,
        "source": source_identity(settings.source),
        "datasets": {spec.name: spec.fingerprint for spec in specs},
        "scorer": SCORER_VERSION,
        # Absent without row ids, so that unfinished folders of earlier versions can be resumed.
        # Absent without programs, for the same reason.
        **({"run_code": settings.run_code} if any(spec.runs_code for spec in specs) else {}),
        **({} if settings.ids is None else {"ids": chosen_ids(settings.ids).sha256}),
    }
