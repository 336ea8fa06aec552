"""Rows whose grid chose settings of the adapter together with the learning rate, and the line of tuned LoRA in plots."""

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import listing, shown
from cme.records import Entry

__all__ = ["choice", "chosen_settings", "tuned_lines", "tuned_notes", "tuned_remark"]


def tuned_remark(entry: Entry) -> str | None:
    """Return which settings a row's grid chose and from how many runs, or None if it chose the learning rate only."""
    if entry.lr_grid is None or not entry.lr_grid.tuned:
        return None
    return f"learning rate and {listing(_names(entry))} chosen from {len(entry.lr_grid.runs)} runs"


def choice(entry: Entry) -> str:
    """Return the rate that a row's grid chose, after the settings that it chose, such as ``rank 16, 0.002``."""
    return ", ".join([*chosen_settings(entry), shown(entry.lr_grid.learning_rate if entry.lr_grid else None)])


def chosen_settings(entry: Entry) -> list[str]:
    """Return the settings that a row's grid chose beside the learning rate, such as ``rank 16``."""
    grid = entry.lr_grid
    settings = (grid.chosen.settings or {}) if grid and grid.chosen else {}
    return [f"{key.replace('_', ' ')} {shown(value)}" for key, value in settings.items()]


def tuned_lines(standing: Standing) -> list[tuple[str, float]]:
    """Return the label and the CME average of each LoRA row whose grid chose more than the learning rate.

    It is the null hypothesis of a board: a method is worth its parts only if it is better than LoRA that was tuned.
    """
    return [
        (f"{row.name} (best of {len(row.lr_grid.runs)} runs)", standing.averages[row.name].value)
        for row in _tuned(standing)
        if row.method == "lora" and row.lr_grid and row.name in standing.averages
    ]


def tuned_notes(standing: Standing) -> list[str]:
    """Return the notes about rows whose grid chose settings of the adapter."""
    rows = _tuned(standing)
    if not rows:
        return []
    sentences = [
        f"{row.name} is {row.method} with the learning rate and {listing(_names(row))} of the lowest validation loss in "
        f"{len(row.lr_grid.runs) if row.lr_grid else 0} runs ({choice(row)})."
        for row in rows
    ]
    sentences.append(
        "Rows with such a choice had more runs than the others and may have another number of trained parameters, so their "
        "budgets are not equal."
    )
    if any(row.method == "lora" for row in rows):
        sentences.append(
            "Tuned LoRA is a line in the plots, because variants were reported to lie close to LoRA once it is tuned "
            "(arXiv 2602.04998)."
        )
    return sentences


def _tuned(standing: Standing) -> list[Entry]:
    return [row for row in standing.shown if row.lr_grid and row.lr_grid.tuned]


def _names(entry: Entry) -> list[str]:
    runs = entry.lr_grid.runs if entry.lr_grid else ()
    return [key.replace("_", " ") for key in (runs[0].settings or {} if runs else {})]
