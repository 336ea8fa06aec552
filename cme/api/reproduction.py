"""Rows of a leaderboard: train and evaluate them again."""

import warnings
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, path, public
from cme.data.sources import source_identity
from cme.errors import CMEWarning, UsageError, unknown
from cme.records import Entry, RowSelection

if TYPE_CHECKING:
    from cme.adapters.settings import AdapterSettings
    from cme.evaluation.settings import EvalSettings
    from cme.leaderboard.submission.reproduce import Reproduction
    from cme.training.settings import TrainSettings

__all__ = ["Reproduced", "reproduce"]


@dataclass(frozen=True)
class Reproduced:
    """A row that was trained and evaluated again.

    Attributes:
        folder: folder with the new run, the new result and ``reproduction.json``.
        entry: the original row.
        record: comparison of the original and the new result.
    """

    folder: Path
    entry: Entry
    record: "Reproduction"

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def ok(self) -> bool:
        """Whether the new result is the same, is within the row's error bar, or the row has no error bar."""
        return self.record.inside is not False or self.record.changed == 0


@public
def reproduce(
    row: str,
    out: StrPath,
    *,
    entries: StrPath = "leaderboards/entries",
    data: StrPath | None = None,
    seed: int | None = None,
    base: str | None = None,
    source: str | None = None,
    device: str | None = None,
    threads: int | None = None,
    run_code: str | None = None,
) -> Reproduced:
    """Train and evaluate a row again with its own settings, and compare sample by sample: ``cme reproduce``.

    After an interruption, the same call continues.

    Args:
        row: name of the row.
        out: output folder.
        entries: folder of the entries, or the board's folder.
        data: the mix that the row was trained on. None for a base.
        seed: training seed. None means the first seed of the row.
        base: local path or name of the row's base. None means as recorded.
        source: source of the evaluation rows. None means as recorded. From another source, the rows are taken by their ids.
        device: device for evaluation.
        threads: CPU threads. None means as recorded.
        run_code: how the programs that the model writes run, if the row has scores of mbpp or humaneval: see `evaluate`.

    Returns:
        The comparison.

    Raises:
        CMEError: if the row cannot be trained again on this machine, its programs must run and ``run_code`` does not allow it,
            or the mix, base or rows differ from the row's.

    Example:
        >>> cme.reproduce("teamlora", "again", entries="leaderboards/demo/entries", data="mix").record.verdict  # doctest: +SKIP
    """
    from cme.api.boards import entries_folder
    from cme.leaderboard.entries.board import entry_files, load_entry
    from cme.leaderboard.entries.files import check_name
    from cme.leaderboard.submission.audit import check_row
    from cme.leaderboard.submission.reproduce import check_repeatable, compare_again
    from cme.records import write_record
    from cme.training.settings import stored
    from cme.workdir import claim, finish

    folder, place = entries_folder(path(entries)), path(out)
    known = [file.stem for file in entry_files(folder)]
    if check_name(row) not in known:
        raise unknown("row", row, known)
    entry = load_entry(folder / f"{row}.json")
    seed = check_repeatable(entry, seed)
    check_row(entry, folder)
    _check_run_code(entry, run_code)
    base = base or entry.base
    training, adapter = _training(entry, seed, base, None if data is None else path(data), threads)
    evaluation = _evaluation(entry, base, source or entry.source, device, threads, run_code)
    same_source = _is_same_source(entry, evaluation.source)
    if not same_source and (entry.shots or entry.method == "majority"):
        raise UsageError(
            f"{entry.name!r} also uses training rows of the source {entry.source}, and rows of another source are taken by their "
            f"ids, which are those of evaluation rows only. Give --source {entry.source}=DIR if {source} has the same rows."
        )
    # All keys, because earlier versions stored them for unfinished work.
    whole_entry = entry.plain() | {"wordings": [item.plain() for item in entry.prompt_variants]}
    settings = {"entry": whole_entry, "training": training and stored(training), "evaluation": _stored(evaluation)}
    evaluation.check()  # before a long training
    claim(place, "reproduce", settings)
    trained = None
    if training is not None and adapter is not None:
        trained = _train(training, adapter, place / "run")
        run = str(place / "run")
        whole = adapter.method == "full"
        evaluation = replace(evaluation, base=run) if whole else replace(evaluation, adapter=run)
    if same_source:
        _evaluate(evaluation, place / "result", entry.rows)
    else:
        # Ids name the rows, so no split can be missing.
        by_ids = replace(evaluation, ids=_row_ids(entry, folder, place), allow_missing=False)
        _evaluate(by_ids, place / "result", None)
    record = compare_again(entry, folder, place / "result", seed=seed, adapter=trained)
    write_record(place / "reproduction.json", record)
    finish(place)
    return Reproduced(place, entry, record)


def _is_same_source(entry: Entry, source: str) -> bool:
    """Return whether a source has the name of an entry's source. If not, the rows are taken by their ids.

    Raises:
        UsageError: the entry's source is not on this machine.
    """
    from cme.data.sources import open_source

    try:
        return open_source(source).name == entry.source
    except UsageError as error:
        if source != entry.source:
            raise
        raise UsageError(
            f"entry {entry.name!r} was evaluated on the rows of {source!r}, which is not a source on this machine. Give --source "
            "with the folder of these rows (NAME=DIR), or another source that has them, such as hub."
        ) from error


def _row_ids(entry: Entry, entries: Path, place: Path) -> str:
    """Write the row ids of an entry to the output folder, and return the file."""
    from cme.api.ids import write_ids

    return str(write_ids(entries / f"{entry.name}.json", place / "ids.parquet").file)


def _stored(settings: "EvalSettings") -> dict[str, Any]:
    """Return evaluation settings under the keys of the folder's marker, which have not changed since version 0.1.0."""
    values = asdict(settings)
    values["wording"] = values.pop("prompt_variant")
    values["source"] = source_identity(values["source"])
    # The row ids are those of the entry, which is stored as well.
    del values["ids"]
    if values["run_code"] is None:
        # Absent without programs, so that unfinished folders of earlier versions can be continued.
        del values["run_code"]
    return values


def _check_run_code(entry: Entry, run_code: str | None) -> None:
    """Check that the programs of a row can run, before anything is trained.

    Raises:
        UsageError: the row has scores of datasets with programs, and code must not or cannot run.
    """
    from cme.evaluation.code import NOT_RUN, checked_run_code
    from cme.suite import select

    specs = select(tuple(item.dataset for item in entry.scores.datasets))
    running = [spec.name for spec in specs if spec.runs_code]
    if running and run_code is None:
        raise UsageError(
            f"{entry.name!r} has scores of {' and '.join(running)}, so the code that the model writes must run. {NOT_RUN}"
        )
    checked_run_code(specs, run_code)


def _training(
    entry: Entry, seed: int | None, base: str, data: Path | None, threads: int | None
) -> "tuple[TrainSettings | None, AdapterSettings | None]":
    """Return the settings to train the row again, after checking its base and its mix. None for a base."""
    if not entry.settings:
        if entry.base:
            _check_base(entry, base)
        return None, None
    from cme.adapters.read_settings import settings_from as adapter_from
    from cme.training.settings import settings_from as training_from

    recorded = entry.runs[0].provenance.training
    where = f"entry {entry.name}"
    mix = _checked_mix(entry, data, recorded.mix_fingerprint)
    training = training_from(
        {
            **entry.recipe.plain(),
            "base": base,
            "data": str(mix),
            "seed": seed,
            "threads": threads or recorded.threads,
        },
        f"{where}, recipe",
    )
    _check_base(entry, base)
    # One process accumulates the batches of several processes, so that every step has the same examples.
    several = recorded.world_size or 1
    training = replace(training, gradient_accumulation=training.gradient_accumulation * several)
    if several > 1:
        warnings.warn(
            f"The row was trained by {several} processes. One process now accumulates their batches in every step.",
            CMEWarning,
            stacklevel=2,
        )
    return training, adapter_from(entry.settings.plain(), f"{where}, settings")


def _checked_mix(entry: Entry, data: Path | None, expected: Any) -> Path:
    from cme.leaderboard.submission.reproduce import build_command
    from cme.mix import read_manifest

    command = build_command(entry)
    how = (
        f"Build it with: {command}" if command else "The entry does not record how it was built, so ask its submitter."
    )
    if data is None:
        raise UsageError(f"data is missing. {entry.name!r} was trained on the mix {str(expected)[:12]}. {how}")
    if (fingerprint := read_manifest(data).fingerprint) != expected:
        raise UsageError(
            f"{data} is the mix {fingerprint[:12]}, but {entry.name!r} was trained on {str(expected)[:12]}. {how}"
        )
    return data


def _check_base(entry: Entry, base: str) -> None:
    """Refuse another base than the row's, and warn if its tokenizer has changed."""
    from cme.models.load import base_fingerprint, resolve_base
    from cme.models.tokenizer_files import tokenizer_fingerprint
    from cme.prompt.template import TEMPLATE_DATE

    folder = resolve_base(base)
    if (fingerprint := base_fingerprint(folder)) != entry.base_fingerprint:
        raise UsageError(
            f"{base} has the fingerprint {fingerprint[:12]}, but the base of {entry.name!r} ({entry.base}) has "
            f"{entry.base_fingerprint[:12]}. Give that base."
        )
    recorded = entry.runs[0].provenance.evaluation.tokenizer_fingerprint
    if recorded and recorded != tokenizer_fingerprint(folder, TEMPLATE_DATE if entry.prompt_format == "chat" else None):
        warnings.warn(
            f"The tokenizer files of {base} are not those of {entry.name!r}, so its prompts may have other tokens.",
            CMEWarning,
            stacklevel=2,
        )


def _evaluation(
    entry: Entry, base: str, source: str, device: str | None, threads: int | None, run_code: str | None
) -> "EvalSettings":
    """Return the evaluation settings of the row."""
    from cme.evaluation.settings import EvalSettings
    from cme.suite.baselines import BASELINES

    provenance = entry.runs[0].provenance
    recorded = provenance.evaluation
    engine = recorded.engine or "prefix"
    return EvalSettings(
        base=base,
        tier=entry.tier,
        source=source,
        datasets=tuple(item.dataset for item in entry.scores.datasets),
        prompt_format=entry.prompt_format or "plain",
        shots=entry.shots,
        dtype=recorded.dtype or "float32",
        engine=engine,
        token_budget=recorded.token_budget if engine == "prefix" else None,
        batch_size=recorded.batch_size if engine == "hf" else None,
        device=device,
        threads=threads or recorded.threads,
        allow_missing=bool(provenance.missing),
        name=entry.name,
        baseline=entry.method if entry.method in BASELINES else None,
        run_code=run_code,
    )


def _train(training: "TrainSettings", adapter: "AdapterSettings", out: Path) -> str:
    """Train, continue training, or read the finished run. Return the fingerprint of the adapter."""
    from cme.records import Run, read_record
    from cme.training.run import train
    from cme.workdir import is_finished

    run = read_record(out / "run.json", Run) if is_finished(out) else train(training, adapter, out=out)
    return run.adapter_fingerprint


def _evaluate(settings: "EvalSettings", out: Path, rows: RowSelection | None) -> None:
    from cme.evaluation.row_rules import GivenRows
    from cme.evaluation.run import evaluate
    from cme.workdir import is_finished

    if not is_finished(out):
        evaluate(settings, out, None if rows is None else GivenRows(rows.counts, rows))
