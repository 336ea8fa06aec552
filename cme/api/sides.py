"""What a user compares: texts, paths, results and groups of them, and the evaluation of those that are models."""

import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath
from cme.env import processes
from cme.errors import CMEWarning, UsageError

if TYPE_CHECKING:
    from cme.stats.sequential import Sequential
    from cme.stats.until import Until

__all__ = ["Model", "Sides", "evaluated", "named_sides"]

Sides = Mapping[str, StrPath | Sequence[StrPath]] | Sequence[StrPath]
"""Sides with names, ``{"lora": [result, result]}``; or without, or as a text with a name, ``"lora=results/a,results/b"``."""


@dataclass(frozen=True)
class Model:
    """A model that must be evaluated before it is compared.

    Attributes:
        kind: ``adapter``, ``base`` (the base of the adapters), ``other base``, or ``baseline``.
        name: name of the folder of its result.
        given: what the user gave.
    """

    kind: str
    name: str
    given: str


def named_sides(sides: Sides) -> dict[str, list[Path | Model]]:
    """Read what is compared.

    Returns:
        The members of each side by name. The key of a result or entry without a name is its text after ``=``, as in
        `cme.leaderboard.ranking.sides.read_sides`.

    Raises:
        UsageError: a side is given twice or is empty, or a group has no name.
    """
    given: list[tuple[str, list[str]]] = []
    if isinstance(sides, Mapping):
        for name, one_or_several in sides.items():
            several = [one_or_several] if isinstance(one_or_several, str | os.PathLike) else one_or_several
            given.append((name, [os.fspath(item) for item in several]))
    else:
        given = [_parsed(os.fspath(item)) for item in sides]
    read: dict[str, list[Path | Model]] = {}
    for name, texts in given:
        if not texts or not name:
            raise UsageError(f"side {name!r} is empty. Give NAME=RESULT, or NAME=RESULT,RESULT for several seeds.")
        members = [_member(text) for text in texts]
        first = members[0]
        key = first.name if name.startswith("=") and isinstance(first, Model) else name
        if key in read:
            raise UsageError(f"{key.removeprefix('=')!r} is given twice. Give each side once.")
        read[key] = members
    return read


def _parsed(text: str) -> tuple[str, list[str]]:
    """Split ``name=a,b``. A text that is the path of something has no name."""
    if Path(text).expanduser().exists():
        return f"={text}", [text]
    name, equals, rest = text.partition("=")
    if not equals or "/" in name:
        if "," in text:
            raise UsageError(f"{text!r} lists several results without a name. Write NAME={text}.")
        return f"={text}", [text]
    whole = bool(rest.strip()) and Path(rest).expanduser().exists()
    return name.strip(), [rest] if whole else [part.strip() for part in rest.split(",") if part.strip()]


def _member(text: str) -> Path | Model:
    from cme.evaluation.adapters import BASE, adapter_name
    from cme.leaderboard.ranking.sides import is_stored
    from cme.models.embedded import EMBEDDED
    from cme.suite.baselines import BASELINES

    path = Path(text).expanduser()
    if is_stored(path):
        return path
    if text == BASE:
        return Model("base", BASE, text)
    if text in BASELINES:
        return Model("baseline", text, text)
    plain = (path / "config.json").is_file() and not (path / "adapter_config.json").is_file()
    if text == EMBEDDED or plain:
        return Model("other base", adapter_name(text), text)
    return Model("adapter", adapter_name(text), text)


def evaluated(
    sides: Mapping[str, Sequence[Path | Model]], out: Path | None, until: "Until | None", **settings: Any
) -> "tuple[dict[str, list[Path]], Sequential | None]":
    """Evaluate the models among the members.

    Args:
        sides: the members of each side.
        out: folder for the results, one folder per model. Finished results in it are read.
        until: evaluate the models together until this rule stops. None evaluates all samples of the tier.
        settings: settings of `cme.evaluation.settings.EvalSettings`, with ``base``, ``source`` and ``tier`` (None: the default).

    Returns:
        The folders of all results, and the looks if the scores of the models chose their samples.

    Raises:
        UsageError: a model must be evaluated, but ``out`` or the source is not given, or the sides do not fit ``until``.
        CMEError: as `cme.evaluate_each`.
    """
    models = [item for members in sides.values() for item in members if isinstance(item, Model)]
    if not models:
        return {name: [item for item in members if isinstance(item, Path)] for name, members in sides.items()}, None
    missing = [name for name, value in (("--source", settings["source"]), ("--out", out)) if value is None]
    if missing or out is None:
        raise UsageError(
            f"{models[0].given} is not a result or an entry, so it would have to be evaluated, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not given. Check the path, or give the source and an output folder."
        )
    if processes() > 1:
        raise UsageError(
            "cme compare evaluates models in one process. Evaluate them with cme eval, and compare the results."
        )
    _check_code(settings["datasets"])
    names = [model.name for model in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(
            f"two models have the name {twice[0]!r}, so their results would share a folder. Rename one of them."
        )
    settings["tier"] = settings["tier"] or ("quick" if until is None else "full")
    looks = None
    if until is None:
        _evaluate(models, out, settings)
    else:
        looks = _grow(sides, models, out, until, settings)
    folders = {
        name: [item if isinstance(item, Path) else out / item.name for item in members]
        for name, members in sides.items()
    }
    return folders, looks


def _check_code(names: Sequence[str] | None) -> None:
    """Warn if datasets are left out because the code that the models write would have to run, and refuse if no other remains."""
    from cme.suite import select

    specs = select(names)
    running = " and ".join(spec.name for spec in specs if spec.runs_code)
    if not running:
        return
    how = "Evaluate the models with 'cme eval --run-code', and compare the results."
    if all(spec.runs_code for spec in specs):
        raise UsageError(f"to score {running}, the code that the models write must run. {how}")
    warnings.warn(
        f"Not compared: {running}. The code that the models write must run to score their answers. {how}",
        CMEWarning,
        stacklevel=2,
    )


def _evaluate(models: Sequence[Model], out: Path, settings: dict[str, Any]) -> None:
    """Evaluate each model on all samples of the tier. Models of one base are evaluated on a base that is loaded once."""
    from cme.evaluation.run import evaluate, evaluate_each
    from cme.evaluation.settings import EvalSettings
    from cme.workdir import FinishedError

    for model in models:
        if model.kind == "baseline":
            kept = {name: settings[name] for name in ("source", "tier", "datasets")}
            with suppress(FinishedError):
                evaluate(EvalSettings(base="", baseline=model.given, **kept), out / model.name)
    if together := [model.given for model in models if model.kind in ("adapter", "base")]:
        evaluate_each(EvalSettings(**settings), together, out)
    for model in models:
        if model.kind == "other base":
            with suppress(FinishedError):
                evaluate(EvalSettings(**{**settings, "base": model.given}), out / model.name)


def _grow(
    sides: Mapping[str, Sequence[Path | Model]],
    models: Sequence[Model],
    out: Path,
    until: "Until",
    settings: dict[str, Any],
) -> "Sequential":
    """Evaluate all models together until the rule stops, and return its looks."""
    from cme.evaluation.live import LiveModel, evaluate_live
    from cme.evaluation.row_rules import Look
    from cme.evaluation.settings import EvalSettings
    from cme.leaderboard.ranking.aligned_scores import columns_of, panel_of
    from cme.stats import Panel, average_weights
    from cme.suite import datasets
    from cme.suite.suites import ALL

    if stored := [item for members in sides.values() for item in members if isinstance(item, Path)]:
        raise UsageError(
            f"with until, {stored[0]} is a result and {models[0].given} is a model. Compare results only, or models only."
        )
    if reference := [model.given for model in models if model.kind == "baseline"]:
        raise UsageError(
            f"{reference[0]} answers without a model, so its samples are not chosen by until. Evaluate it on the samples of the "
            f"others afterwards (cme eval --baseline {reference[0]} --rows-of), or compare without until."
        )
    state: list[Sequential] = []
    untrained = _untrained({name: list(members) for name, members in sides.items()}, settings["base"])

    def panel_at(look: Look) -> tuple[Panel, Mapping[str, float]]:
        columns = dict(zip(models, map(columns_of, look.samples), strict=True))
        rows = {name: [columns[item] for item in members if isinstance(item, Model)] for name, members in sides.items()}
        known = datasets(ALL)
        weights = average_weights({name: known[name].family for name in look.rows if name in known})
        return panel_of(rows, untrained=untrained), weights

    live = [
        LiveModel(
            model.name,
            model.given if model.kind == "other base" else settings["base"],
            model.given if model.kind == "adapter" else None,
            out / model.name,
        )
        for model in models
    ]
    evaluate_live(live, EvalSettings(**settings), until, panel_at, looked=state.append)
    return state[-1]


def _untrained(sides: Mapping[str, Sequence[Path | Model]], base: str) -> list[str]:
    """Return the names of the sides without training, as `cme.leaderboard.ranking.sides.read_sides` finds them in the results.

    Args:
        sides: models only.
        base: the base of the adapters.
    """
    from cme.leaderboard.ranking.compared_runs import PLAIN, training_of
    from cme.models.load import base_fingerprint, resolve_base

    single = {name: of[0] for name, of in sides.items() if len(of) == 1 and isinstance(of[0], Model)}
    others = {name: model.given for name, model in single.items() if model.kind == "other base"}
    fingerprints = {name: base_fingerprint(resolve_base(given)) for name, given in others.items()}
    records = {name: training_of(given, fingerprints[name]) for name, given in others.items() if given not in PLAIN}
    bases = {record.base_fingerprint for record in records.values() if record is not None}
    adapters = any(isinstance(item, Model) and item.kind == "adapter" for of in sides.values() for item in of)
    if adapters and others:
        bases.add(base_fingerprint(resolve_base(base)))
    some = adapters or bool(bases) or len(single) < len(sides)
    trained = {
        name
        for name in sides
        if name not in single
        or single[name].kind == "adapter"
        or (name in records and (records[name] is not None or (some and fingerprints[name] not in bases)))
    }
    return [name for name in sides if name not in trained]
