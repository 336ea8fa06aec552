"""What a user compares: texts, paths, results and groups of them, and the evaluation of those that are models."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.api.call import StrPath
from cme.errors import UsageError

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
        The members of each side. The key of a side without a name is its text after ``=``, as in
        `cme.leaderboard.ranking.sides.read_sides`.

    Raises:
        UsageError: a side is given twice or is empty, or a group has no name.
    """
    given: list[tuple[str, list[str]]] = []
    if isinstance(sides, Mapping):
        for name, members in sides.items():
            several = [members] if isinstance(members, str | os.PathLike) else list(members)
            given.append((name, [os.fspath(item) for item in several]))
    else:
        given = [_parsed(os.fspath(item)) for item in sides]
    read: dict[str, list[Path | Model]] = {}
    for name, members in given:
        if name in read:
            raise UsageError(f"{name.removeprefix('=')!r} is given twice. Give each side once.")
        if not members or not name:
            raise UsageError(f"side {name!r} is empty. Give NAME=RESULT, or NAME=RESULT,RESULT for several seeds.")
        read[name] = [_member(text) for text in members]
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
    whole = Path(rest).expanduser().exists()
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


def evaluated(sides: Mapping[str, Sequence[Path | Model]], out: Path | None, **settings: Any) -> dict[str, list[Path]]:
    """Evaluate the models among the members, and return the folders of all results.

    Args:
        sides: the members of each side.
        out: folder for the results, one folder per model. Finished results in it are read.
        settings: arguments of `cme.evaluate_each`, with ``base`` and ``source``.

    Raises:
        UsageError: a model must be evaluated, but ``out`` or the source is not given.
        CMEError: as `cme.evaluate_each`.
    """
    models = [item for members in sides.values() for item in members if isinstance(item, Model)]
    if not models:
        return {name: [item for item in members if isinstance(item, Path)] for name, members in sides.items()}
    missing = [name for name, value in (("--source", settings["source"]), ("--out", out)) if value is None]
    if missing or out is None:
        raise UsageError(
            f"{models[0].given} is not a result or an entry, so it would have to be evaluated, but {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not given. Check the path, or give the source and an output folder."
        )
    folders = _evaluate(models, out, settings)
    return {
        name: [item if isinstance(item, Path) else folders[item] for item in members] for name, members in sides.items()
    }


def _evaluate(models: Sequence[Model], out: Path, settings: dict[str, Any]) -> dict[Model, Path]:
    from cme.api.evaluation import evaluate, evaluate_each
    from cme.workdir import FinishedError

    names = [model.name for model in models]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(
            f"two models have the name {twice[0]!r}, so their results would be in the same folder. Rename one."
        )
    folders: dict[Model, Path] = {}
    if together := [model for model in models if model.kind in ("adapter", "base")]:
        results = evaluate_each([model.given for model in together], out, **settings)
        folders |= {model: result.folder for model, result in zip(together, results, strict=True)}
    for model in models:
        if model.kind == "other base":
            (result,) = evaluate_each(["base"], out / model.name, **{**settings, "base": model.given})
            folders[model] = result.folder
        elif model.kind == "baseline":
            kept = {name: settings[name] for name in ("source", "tier", "datasets")}
            with suppress(FinishedError):
                evaluate(baseline=model.given, out=out / model.name, **kept)
            folders[model] = out / model.name
    return folders
