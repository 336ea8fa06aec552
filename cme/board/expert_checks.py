"""Checks of what a board measures about experts: whether its rows can be analysed and exported, and then be submitted so."""

from collections.abc import Sequence

from cme.board.rows import Row
from cme.errors import UsageError, unknown
from cme.readers.limits import ENTRY_EXPERTS
from cme.records.analysis import PARTS
from cme.records.board import BoardFile, Experts, Exports
from cme.records.export import HOWS
from cme.stats.coalitions import EXACT
from cme.suite.spec import select

__all__ = ["SHOWN", "check_experts", "chosen", "obstacle", "parts_of"]

SHOWN = ("load", "redundancy", "shapley")
"""The parts of an analysis that a board shows."""

_USUAL = ("load", "redundancy", "shapley", "similarity", "validation")
"""The parts of an analysis if none are chosen."""

_OF_FIT = ("rank", "ridge")
_OF_DISTIL = ("steps", "lr", "batch_size")


def chosen(row: Row, wanted: Experts | Exports | None) -> bool:
    """Return whether the experts of a row are analysed or exported.

    Args:
        row: the row, with the settings that its grid chose.
        wanted: what the board wants; None for nothing.
    """
    return wanted is not None and bool({"routed", row.name} & set(wanted.rows)) and obstacle(row) is None


def parts_of(row: Row, wanted: Experts) -> tuple[str, ...]:
    """Return the parts of the analysis of a row in their order. Too many experts have no exact Shapley values.

    Args:
        row: the row, with the settings that its grid chose.
        wanted: what the board wants.
    """
    parts = wanted.parts or _USUAL
    return tuple(part for part in PARTS if part in parts and not (part == "shapley" and row.experts > EXACT))


def obstacle(row: Row) -> str | None:
    """Describe why the experts of a row cannot be measured; None if they can.

    Args:
        row: the row, with the settings that its grid chose.
    """
    if not row.routed:
        return f"has the method {row.adapter.method}, which has no experts"
    if row.adapter.options.get("experts_pattern"):
        return "has different numbers of experts by layer (experts_pattern), which cannot be measured"
    options = row.adapter.options
    if options.get("modules_to_save") or options.get("bias", "none") != "none":
        return "also trains biases or whole modules (bias, modules_to_save), so without its experts it is not the base"
    if row.experts < 2:
        return "has a single expert, so there is nothing to measure"
    if row.experts > ENTRY_EXPERTS:
        return f"has {row.experts} experts, and a row can show at most {ENTRY_EXPERTS}"
    return None


def check_experts(file: BoardFile, rows: Sequence[Row]) -> None:
    """Check the analyses and exports of a board before anything runs.

    Args:
        file: the board.
        rows: its rows.

    Raises:
        UsageError: a name, seed or setting is unknown or does not fit the rows, or the outputs could not become part of the rows.
    """
    methods = [row for row in rows if row.study is None]
    for what, wanted in (("analysis", file.analysis), ("exports", file.exports)):
        if wanted is not None:
            _check_rows(what, wanted, methods)
            _check_samples(what, file)
            _check_seeds(what, wanted.seeds, file.seeds)
    if file.analysis is not None:
        _check_analysis(file, file.analysis, methods)
    if file.exports is not None:
        _check_exports(file, file.exports, methods)


def _check_rows(what: str, wanted: Experts | Exports, methods: Sequence[Row]) -> None:
    by_name = {row.name: row for row in methods}
    for name in wanted.rows:
        if name == "routed":
            continue
        if name not in by_name:
            raise UsageError(f"{what}: {unknown('row', name, ['routed', *by_name])}")
        if reason := obstacle(by_name[name]):
            raise UsageError(f"{what}: {name} {reason}. Leave it out.")


def _check_samples(what: str, file: BoardFile) -> None:
    """Refuse outputs on other samples than those of the results, which cannot become part of a row."""
    if file.ids is not None:
        raise UsageError(
            f"{what} cannot be combined with ids. The command takes no file of row ids, but a row needs the samples of its "
            "results. Leave one of them out."
        )
    if running := [spec.name for spec in select(file.datasets or None) if spec.runs_code]:
        others = [spec.name for spec in select(file.datasets or None) if not spec.runs_code]
        raise UsageError(
            f"{what} cannot run code, but the results contain {' and '.join(running)}. A row needs the same datasets in both. "
            f"Leave out {what}" + (f", or evaluate 'datasets: [{', '.join(others)}]'." if others else ".")
        )


def _check_seeds(what: str, seeds: Sequence[int], known: Sequence[int]) -> None:
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"{what}: seeds has {', '.join(map(str, seeds))}. Give each seed once.")
    if strange := [seed for seed in seeds if seed not in known]:
        raise UsageError(
            f"{what}: the seed {strange[0]} is not one of the board's seeds ({', '.join(map(str, known))}). Choose some of them."
        )


def _check_analysis(file: BoardFile, wanted: Experts, methods: Sequence[Row]) -> None:
    for part in wanted.parts:
        if part not in PARTS:
            raise unknown("analysis: part", part, PARTS)
    if wanted.tier not in (None, file.tier):
        raise UsageError(
            f"analysis: tier is {wanted.tier}, but that of the board is {file.tier}. An analysis becomes part of a row, so it "
            "needs the samples of the results. Leave tier out, or run cme analyse yourself at another tier."
        )
    if wanted.parts and not set(wanted.parts) & set(SHOWN):
        raise UsageError(
            f"analysis: parts has {', '.join(wanted.parts)}, of which a board shows nothing. Add load, redundancy or shapley, or "
            "run cme analyse yourself."
        )
    for row in (row for row in methods if chosen(row, wanted)):
        most = max(cell.experts for cell, _ in row.parts)
        if "shapley" in wanted.parts and most > EXACT:
            raise UsageError(
                f"analysis: {row.name} has {most} experts, and exact Shapley values are possible for at most {EXACT}. Leave "
                f"shapley out of parts, or {row.name} out of rows."
            )
        if "training" in wanted.parts and not row.training.keep_checkpoints:
            raise UsageError(
                f"analysis: the part training needs the checkpoints of {row.name}, which are not kept. Add "
                "'training: {keep_checkpoints: true}', or leave the part out."
            )


def _check_exports(file: BoardFile, wanted: Exports, methods: Sequence[Row]) -> None:
    for how in wanted.how:
        if how not in HOWS:
            raise unknown("exports: way of exporting", how, HOWS)
    if not set(wanted.how) - {"family"}:
        raise UsageError(
            "exports: how has no way of exporting to a single adapter, so it does not show what a router is worth. Add mean, fit "
            "or distil."
        )
    for names, applies, to in (
        (_OF_FIT, {"fit", "distil"} & set(wanted.how), "fit and distil"),
        (_OF_DISTIL, "distil" in wanted.how, "distil"),
    ):
        if given := [name for name in names if getattr(wanted, name) is not None and not applies]:
            raise UsageError(f"exports: {given[0]} applies to {to} only. Leave it out, or add one of these to how.")
    if "distil" in wanted.how and file.dtype == "float16":
        raise UsageError("exports: distil trains with float32 or bfloat16, but dtype is float16. Choose one of them.")
    if file.mix.validation_share == 0:
        raise UsageError("exports: they are computed from the validation rows, but mix: validation_share is 0.")
    for row in (row for row in methods if chosen(row, wanted)):
        least = min(cell.total_rank for cell, _ in row.parts)
        if wanted.rank is not None and wanted.rank > least:
            raise UsageError(
                f"exports: rank is {wanted.rank}, but the experts of {row.name} have at most rank {least} together. Give at most "
                "that."
            )
