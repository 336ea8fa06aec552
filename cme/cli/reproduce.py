"""``cme reproduce``: train and evaluate a row of the leaderboard again, and compare."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json, NewFolder
from cme.cli.tables import show_table
from cme.errors import UsageError

if TYPE_CHECKING:
    from cme.adapters.settings import AdapterSettings
    from cme.evaluation.settings import EvalSettings
    from cme.leaderboard.submission.reproduce import Reproduction
    from cme.records import Entry
    from cme.training.settings import TrainSettings

__all__ = ["reproduce"]


@verb(
    "reproduce",
    epilog="Example: cme reproduce teamlora --entries leaderboards/demo/entries --data mix/ --out again/",
)
def reproduce(
    row: Annotated[str, typer.Argument(help="Name of the row.")],
    out: NewFolder,
    entries: Annotated[Path, typer.Option("--entries", help="Where entries are kept.")] = Path("leaderboards/entries"),
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the mix that the row was trained on (not for a base).")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Of the training. Default: the row's first.")] = None,
    base: Annotated[
        str | None, typer.Option("--base", help="Where the row's base is here. Default: as the row calls it.")
    ] = None,
    source: Annotated[
        str | None,
        typer.Option("--source", help="Where the row's evaluation rows are here. Default: as the row calls it."),
    ] = None,
    device: Annotated[str | None, typer.Option("--device", help="Where to evaluate, such as cpu or cuda:1.")] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="CPU threads. Default: as many as the row had.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a row's recipe again, evaluate it as the row was, and compare sample by sample.

    Run again after an interruption, it continues. Exit code 0: the same, or within the row's error bar; 1: outside.
    """
    from cme.leaderboard.entries.board import load_entry
    from cme.leaderboard.entries.files import check_name
    from cme.leaderboard.submission.audit import check_row
    from cme.leaderboard.submission.reproduce import check_repeatable, compare_again
    from cme.records import write_record
    from cme.workdir import claim, finish

    entry = load_entry(entries / f"{check_name(row)}.json")
    seed = check_repeatable(entry, seed)
    check_row(entry, entries)
    base = base or entry.base
    training, adapter = _training(entry, seed, base, data, threads)
    evaluation = _evaluation(entry, base, source or entry.source, device, threads)
    # All keys, as in the records of unfinished work of earlier versions.
    whole_entry = entry.plain() | {"wordings": [item.plain() for item in entry.wordings]}
    settings = {"entry": whole_entry, "training": training and asdict(training), "evaluation": asdict(evaluation)}
    claim(out, "reproduce", settings)
    trained = None
    if training is not None and adapter is not None:
        trained = _train(training, adapter, out / "run")
        run = str(out / "run")
        whole = adapter.method == "full"
        evaluation = replace(evaluation, base=run) if whole else replace(evaluation, adapter=run)
    _evaluate(evaluation, out / "result")
    found = compare_again(entry, entries, out / "result", seed=seed, adapter=trained)
    write_record(out / "reproduction.json", found)
    finish(out)
    _show(found, entry, out, as_json)
    if found.inside is False and found.changed != 0:
        raise typer.Exit(1)


def _training(
    entry: "Entry", seed: int | None, base: str, data: Path | None, threads: int | None
) -> "tuple[TrainSettings | None, AdapterSettings | None]":
    """How to train the row again, after its base and its mix were found to be those of the row; nothing for a base."""
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
    # One process takes in turns what several took at once: the same examples in every step.
    several = recorded.world_size or 1
    training = replace(training, gradient_accumulation=training.gradient_accumulation * several)
    if several > 1:
        note(f"the row was trained by {several} processes; here one takes their batches in turns")
    return training, adapter_from(entry.settings.plain(), f"{where}, settings")


def _checked_mix(entry: "Entry", data: Path | None, expected: Any) -> Path:
    from cme.leaderboard.submission.reproduce import build_command
    from cme.mix import read_manifest

    command = build_command(entry)
    how = (
        f"Build it with: {command}" if command else "The entry does not say how it was built: ask whoever submitted it."
    )
    if data is None:
        raise UsageError(f"{entry.name!r} was trained on the mix {str(expected)[:12]}; give its folder (--data). {how}")
    if (found := read_manifest(data).fingerprint) != expected:
        raise UsageError(
            f"{data} is the mix {found[:12]}, and {entry.name!r} was trained on {str(expected)[:12]}. {how}"
        )
    return data


def _check_base(entry: "Entry", base: str) -> None:
    from cme.models.load import base_fingerprint, resolve_base

    if (found := base_fingerprint(resolve_base(base))) != entry.base_fingerprint:
        raise UsageError(
            f"{base} is the base {found[:12]}, and {entry.name!r} stands on {entry.base_fingerprint[:12]} "
            f"({entry.base}). Give that one with --base."
        )


def _evaluation(entry: "Entry", base: str, source: str, device: str | None, threads: int | None) -> "EvalSettings":
    """How the row was evaluated."""
    from cme.evaluation.settings import EvalSettings
    from cme.suite.baselines import BASELINES

    provenance = entry.runs[0].provenance
    recorded = provenance.evaluation
    return EvalSettings(
        base=base,
        tier=entry.tier,
        source=source,
        datasets=tuple(item.dataset for item in entry.scores.datasets),
        prompt_format=entry.prompt_format or "plain",
        shots=entry.shots,
        dtype=recorded.dtype or "float32",
        device=device,
        threads=threads or recorded.threads,
        allow_missing=bool(provenance.missing),
        name=entry.name,
        baseline=entry.method if entry.method in BASELINES else None,
    )


def _train(training: "TrainSettings", adapter: "AdapterSettings", out: Path) -> str:
    """Train, or go on, or take what is finished; the fingerprint of what was trained."""
    from cme.records import Run, read_record
    from cme.training.run import train
    from cme.workdir import is_finished

    run = read_record(out / "run.json", Run) if is_finished(out) else train(training, adapter, out=out)
    return run.adapter_fingerprint


def _evaluate(settings: "EvalSettings", out: Path) -> None:
    from cme.evaluation.run import evaluate
    from cme.workdir import is_finished

    if not is_finished(out):
        evaluate(settings, out)


def _show(found: "Reproduction", entry: "Entry", out: Path, as_json: bool) -> None:
    if as_json:
        emit_json(found.plain() | {"verdict": found.verdict})
        return
    seeds = len(entry.runs)
    interval = "–" if found.low is None or found.high is None else f"{found.low:+.2f} to {found.high:+.2f}"
    rows = [
        ["the row" + (f", mean of {seeds} seeds" if seeds > 1 else ""), f"{found.row_average:.2f}"],
        ["again" + ("" if found.seed is None else f", seed {found.seed}"), f"{found.average:.2f}"],
        ["difference", f"{found.difference:+.2f}"],
        ["95 % interval", interval],
    ]
    if found.changed is not None:
        rows.append(["samples with another score", f"{found.changed} of {found.samples}"])
    if found.same_adapter is not None:
        rows.append(["adapter", "bitwise the same" if found.same_adapter else "not bitwise the same"])
    show_table(["CME average", ""], rows)
    if entry.settings and seeds == 1 and found.changed != 0:
        note("the row has one seed: what another seed changes is unknown, and not in the interval")
    note(f"{entry.name}: {found.verdict}. Written: {out / 'reproduction.json'}")
