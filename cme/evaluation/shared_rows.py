"""The rows of another result: checking that a second model can be evaluated on exactly the rows of a first one."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from cme.data.sources import Source, open_source, request_files
from cme.data.sources.hub import HubSource
from cme.data.sources.mirror import MirrorSource, is_file_of
from cme.errors import CMEError, SourceError, UsageError
from cme.evaluation.row_rules import GivenRows
from cme.evaluation.settings import RESULT, EvalSettings
from cme.files import read_json
from cme.models.load import resolve_base
from cme.models.tokenizer_files import tokenizer_fingerprint
from cme.prompt import TEMPLATE_DATE
from cme.records import Result, read_record
from cme.suite import DatasetSpec, datasets
from cme.suite.suites import ALL

__all__ = ["changed_files", "check_rows_of", "check_same_revision", "check_same_rows", "kinds_read", "rows_of"]

_SHOWN = 3


def rows_of(folder: Path) -> tuple[Result, GivenRows]:
    """Return a result whose rows a rule chose, and the rule that evaluates the same rows.

    Args:
        folder: folder of the result.

    Raises:
        CMEError: if there is no result, or it is damaged.
        UsageError: if the result has all rows of its tier.
    """
    result = read_record(folder / RESULT, Result)
    if result.rows is None:
        raise UsageError(
            f"{folder} was evaluated on all rows of tier {result.tier}. Set --tier {result.tier} in place of --rows-of."
        )
    counted = {item.dataset: item.n for item in result.scores.datasets}
    if result.rows.counts != counted or result.rows.identity != result.rows.expected_identity():
        raise CMEError(f"{folder / RESULT} is damaged, because its numbers of rows do not agree. Evaluate again.")
    return result, GivenRows(result.rows.counts, result.rows)


def check_rows_of(result: Result, folder: Path, settings: EvalSettings, *, loaded: bool) -> None:
    """Check that an evaluation with these settings has the rows and prompts of another result.

    The prompt variant may differ, because it is another question about the same rows.

    Args:
        result: the other result.
        folder: its folder.
        settings: settings of the evaluation.
        loaded: whether CME loads the model. If it is in memory, its tokenizer is not compared.

    Raises:
        UsageError: if the suite, the source, the prompt or the tokenizer differ. The message lists everything that differs.
    """
    known, source = datasets(ALL, beside=True), open_source(settings.source)
    names = [name for name in result.task_fingerprints if name in known]
    problems = []
    if other := [
        key for key, value in result.task_fingerprints.items() if key not in known or known[key].fingerprint != value
    ]:
        problems.append(f"other task files of {', '.join(other)} (use the version of CME that made it)")
    if result.source != source.name:
        problems.append(f"source {result.source}, not {source.name} (set --source)")
    elif changed := [
        name
        for name in names
        for then in [result.provenance.get(name, {})]
        if any(changed_files(source, known[name], then, kind) for kind in kinds_read(settings))
    ]:
        problems.append(f"other rows of {', '.join(changed)} in source {source.name} (use the same files or revision)")
    if settings.baseline is None and result.baseline is None:
        if result.prompt_format != settings.prompt_format:
            problems.append(f"format {result.prompt_format}, not {settings.prompt_format} (set --format)")
        if result.shots != settings.shots:
            problems.append(f"{result.shots} shots, not {settings.shots} (set --shots)")
        if loaded and result.origin == "cme" and (then := result.tokenizer_fingerprint):
            date = TEMPLATE_DATE if settings.prompt_format == "chat" else None
            if result.prompt_format == settings.prompt_format and then != tokenizer_fingerprint(
                resolve_base(settings.base), date
            ):
                problems.append(f"another tokenizer than that of {settings.base} (set --base)")
    if problems:
        raise UsageError(f"the rows of {folder} cannot be shared. It was evaluated with {'; '.join(problems)}.")


def kinds_read(settings: EvalSettings) -> tuple[str, ...]:
    """Return the kinds of splits, ``"eval"`` and ``"train"``, whose rows determine the scores of an evaluation."""
    return ("eval", "train") if settings.shots or settings.baseline == "majority" else ("eval",)


def check_same_rows(out: Path, source: Source, specs: Sequence[DatasetSpec], settings: EvalSettings) -> None:
    """Check that the finished datasets in the output folder of an evaluation have the rows that the source has now.

    The files of a mirror folder are compared, and the commits in the lock of the hub, which is not asked. The mini corpus does
    not change. A split that appeared or vanished changes the rows, and their order in the tier, as much as another content.

    Args:
        out: output folder of an evaluation.
        source: the source of the evaluation.
        specs: the datasets to evaluate.
        settings: settings of the evaluation.

    Raises:
        UsageError: if the rows of a dataset have changed, or the training rows that its scores depend on.
    """
    for spec in specs:
        if isinstance(source, HubSource):
            check_same_revision(out, spec, source.provenance(spec))
        elif isinstance(source, MirrorSource):
            for kind in kinds_read(settings):
                # Row ids name the rows, whichever files have them.
                whole = kind == "train" or settings.ids is None
                for then in _begun(out, spec):
                    if changed := changed_files(source, spec, then, kind, whole=whole):
                        raise _other_rows(out, spec, source, kind, changed)


def _other_rows(out: Path, spec: DatasetSpec, source: Source, kind: str, changed: Sequence[str]) -> UsageError:
    what = "on other rows" if kind == "eval" else "that depend on other training rows"
    shown = ", ".join(changed[:_SHOWN]) + (", …" if len(changed) > _SHOWN else "")
    return UsageError(
        f"{out} has scores of {spec.name} {what} than those in {source.place} now ({shown}). Give the folder with the earlier "
        "rows to continue, or another --out."
    )


def check_same_revision(out: Path, spec: DatasetSpec, now: Mapping[str, str]) -> None:
    """Check that the finished rows of a dataset in an output folder are from the same commit as rows that are evaluated now.

    Args:
        out: output folder of an evaluation.
        spec: the dataset.
        now: provenance of the rows (`Source.provenance`). Without a commit, nothing is compared.

    Raises:
        UsageError: if the commits differ.
    """
    revision = now.get("revision")
    for then in _begun(out, spec):
        before = then.get("revision")
        if revision and before and before != revision:
            raise UsageError(
                f"{out} has scores of {spec.name} on commit {before[:12]} of {spec.hub_id}, but its rows are from commit "
                f"{revision[:12]} now. Set CME_LOCK to the cme.lock of the first evaluation to continue, or choose another --out."
            )


def _begun(out: Path, spec: DatasetSpec) -> list[dict[str, str]]:
    """Return the provenance of the finished rows of a dataset in an output folder, stage by stage."""
    return [
        read_json(marker).get("provenance") or {} for marker in sorted((out / "parts" / spec.name).rglob("done.json"))
    ]


def changed_files(
    source: Source, spec: DatasetSpec, then: Mapping[str, str], kind: str = "eval", *, whole: bool = True
) -> list[str]:
    """Return what has changed since rows of a dataset were read, such as ``anli/test_r3.parquet only now``.

    Args:
        source: the source of the rows.
        spec: the dataset.
        then: provenance of the rows that were read (`Source.provenance`). What it does not state is not compared.
        kind: the splits to compare, ``"eval"`` or ``"train"``.
        whole: whether the set of files is compared too.
    """
    try:
        request_files(source, spec, kind)
    except SourceError:
        # The evaluation reports this error itself.
        return []
    now = source.provenance(spec)
    changed = {key: "changed" for key in then.keys() & now.keys() if then[key] != now[key]}
    if whole and isinstance(source, MirrorSource):
        before, after = _of_kind(then, spec, kind), _of_kind(now, spec, kind)
        if before:
            changed |= dict.fromkeys(before - after, "only then") | dict.fromkeys(after - before, "only now")
    return [f"{key} {what}" for key, what in sorted(changed.items())]


def _of_kind(provenance: Mapping[str, str], spec: DatasetSpec, kind: str) -> set[str]:
    """Return the files of a mirror that have rows of a kind."""
    splits = [(subset, subset.split(kind)) for subset in spec.subsets_of(kind)]
    return {key for key in provenance if any(is_file_of(key, subset, split) for subset, split in splits)}
