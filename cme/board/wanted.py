"""What the output of a step must say, so that it is this step's and not that of another board."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cme.adapters.read_settings import identity_of, settings_to_mapping
from cme.board.board import Base, Board
from cme.board.rows import Row
from cme.records.board import BoardFile
from cme.records.method import with_gate_sum
from cme.suite.baselines import BASELINES, covered
from cme.suite.choice import select_for_training
from cme.suite.spec import select
from cme.training.settings import OPTIONAL, stored

__all__ = ["of_entry", "of_experts", "of_grid", "of_mix", "of_result", "of_run", "text_of"]

_FREE = ("data", "threads", "save_every", "keep_checkpoints", "logging_steps")
"""Training settings that do not decide which run it is: where the mix lies, the threads, and how often is saved."""


def of_mix(board: Board) -> dict[str, Any]:
    """Return the settings of the marker of the mix."""
    if board.fixed.mix:
        return {"ids": board.fixed.mix, "source": board.file.source_name}
    return _of_mix(board.file) | {"ids": None}


def _of_mix(file: BoardFile) -> dict[str, Any]:
    """Return the settings of a mix. Those that the board does not give have the defaults of ``cme build-data``."""
    from cme.mix.settings import BuildSettings, temperature_of

    mix = file.mix
    names: dict[str, Any] = {
        "mixing": mix.mixing,
        "prompt_variant_share": mix.prompt_variant_share,
        "validation_share": mix.validation_share,
    }
    built = BuildSettings(
        source="mini", out=Path(), **{key: value for key, value in names.items() if value is not None}
    )
    uses = {use.strip() for use in (mix.licence or "").split(",")} - {""}
    return {
        "source": file.source_name,
        "size": mix.size,
        "seed": mix.seed or 0,
        "datasets": sorted(mix.datasets) or None,
        "gate": mix.decontamination,
        "mixing": built.mixing,
        "temperature": temperature_of(mix.temperature, built.mixing),
        "paraphrase_share": built.prompt_variant_share,
        "validation_share": built.validation_share,
        "layout": built.layout,
        "uses": sorted(uses) or None,
    }


def of_run(
    row: Row, base: Base, rate: float | None, seed: int, steps: int | None, mix: Path, *, grid: bool = False
) -> dict[str, Any]:
    """Return the settings of the marker of a run. The learning rate is absent as long as it is unknown.

    ``mix`` is the folder of the mix on which the run must be trained. Settings that the grid has not chosen yet are absent, too.
    The runs of a ``grid`` must log at the same steps.
    """
    values = _recipe(row)
    if grid:
        values["logging_steps"] = row.training.logging_steps
    adapter = {key: value for key, value in identity_of(row.adapter).items() if key not in row.undecided}
    values |= adapter | {"base": base.name, "seed": seed, "learning_rate": rate, "mix": mix}
    if steps:
        values |= {"steps": steps, "epochs": None}
    return values if rate is not None else {key: value for key, value in values.items() if key != "learning_rate"}


def _recipe(row: Row) -> dict[str, Any]:
    """Return the training settings that decide which run it is, also those that records leave out if they are not set."""
    values = {key: value for key, value in stored(row.training).items() if key not in _FREE}
    if values["dtype"] == "auto":
        # Records have the dtype for which it stood, and that depends on the machine.
        del values["dtype"]
    return dict.fromkeys(OPTIONAL) | values


def of_grid(row: Row, base: Base, rates: Sequence[float], steps: int | None, mix: Path) -> dict[str, Any]:
    """Return the settings of the marker of a grid."""
    values = of_run(replace(row, undecided=()), base, None, 0, steps, mix, grid=True)
    del values["seed"]
    return values | {"lr_grid": list(rates), "tune": row.tune if row.cells else None}


def of_result(
    board: Board,
    base: Base | None,
    name: str = "",
    *,
    shots: int = 0,
    variant: int = 0,
    run: Path | None = None,
    retention: bool = False,
) -> dict[str, Any]:
    """Return the settings of the marker of a result.

    ``run`` is the folder of the adapter that it must be of. Otherwise ``base`` is the model. For a baseline, ``name`` is its
    name. With ``retention``, the result measures it.
    """
    file = board.file
    text = {"text": text_of(file)} if retention else {}
    values = {"tier": file.tier, "source": file.source_name, "shots": shots, "format": board.prompt_format}
    values |= {"dtype": file.dtype} if base and file.dtype != "auto" else {}
    model = base.name if base and run is None else None
    values |= {"wording": variant, "run": run, "base": model, "ids": board.fixed.evaluation}
    return values | text | _datasets(board, name)


def text_of(file: BoardFile) -> dict[str, str | None] | None:
    """Return name and hash of the text of a board, as results record them; None if it gives none.

    The hash is None if the file is not on this machine.
    """
    if file.retention_text is None:
        return None
    path = Path(file.retention_text).expanduser()
    try:
        known = hashlib.sha256(path.read_bytes().decode("utf-8-sig").encode()).hexdigest()
    except (OSError, UnicodeDecodeError):
        known = None
    return {"text": "".join(sign for sign in path.name if sign.isprintable()), "text_sha256": known}


def of_experts(board: Board, run: Path) -> dict[str, Any]:
    """Return the settings that the markers of an analysis and of an export share. ``run`` is the folder of the adapter."""
    file = board.file
    values = {"tier": file.tier, "format": board.prompt_format, "run": run}
    values |= {"dtype": file.dtype} if file.dtype != "auto" else {}
    return values | _datasets(board, "")


def _datasets(board: Board, name: str) -> dict[str, Any]:
    """Return the datasets of an evaluation, and whether some of them may be absent. Some baselines cover few datasets."""
    chosen = covered(name, board.file.datasets or None) if name in BASELINES else select(board.file.datasets or None)
    chosen = [spec for spec in chosen if board.file.run_code is not None or not spec.runs_code]
    return {"datasets": tuple(spec.name for spec in chosen), "allow_missing": board.file.allow_missing}


def _names_of_mix(datasets: Sequence[str]) -> tuple[str, ...]:
    return tuple(spec.name for spec in select_for_training(datasets or None))


def _of_origin(file: BoardFile) -> dict[str, Any]:
    """Return the settings of the mix as an entry records them. Those of a mix that exists already are unknown."""
    if file.mix.folder is not None or file.mix.ids is not None:
        return {}
    values = _of_mix(file)
    # Only one mixing has a temperature, and a manifest records none for the others.
    values["temperature"] = values["temperature"] if values["mixing"] == "temperature" else None
    return values | {"datasets": _names_of_mix(file.mix.datasets), "allow_missing": file.mix.allow_missing}


def of_entry(
    board: Board,
    base: Base,
    row: Row | None,
    name: str,
    rates: Mapping[tuple[str, str], tuple[float, ...]],
    variants: Sequence[int] = (),
) -> dict[str, Any]:
    """Return what an entry of the board must contain. References have no row."""
    file = board.file
    common = {
        "tier": file.tier,
        "variants": tuple(sorted(variants)),
        "base": base.name,
        "source": board.fixed.source or file.source_name,
    }
    common |= _datasets(board, name if row is None else "") | {"dtype": None if file.dtype == "auto" else file.dtype}
    if row is None:
        return common
    recipe = {key: value for key, value in _recipe(row).items() if key not in ("base", "seed", "learning_rate")}
    settings = with_gate_sum(settings_to_mapping(row.adapter))
    return common | {
        "seeds": tuple(sorted(row.seeds)),
        "rates": rates.get((base.label, row.same_as or row.name), ()),
        "mix": board.mix,
        "mix_settings": _of_origin(file),
        "mix_fingerprint": board.fixed.mix_fingerprint,
        "recipe": recipe,
        # A row of a study may take the rate of its method. It has no grid of its own then.
        "grid": {"steps": file.grid.steps, "seed": file.grid.seed} if file.rates else None,
        "cells": tuple(dict(cell.values) for cell in row.cells) or (None,),
        "settings": {key: value for key, value in settings.items() if key not in row.undecided},
        "retention": file.retention and row.retention,
        "text": text_of(file),
        "costs": None,
    }
