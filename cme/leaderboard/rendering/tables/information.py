"""The table of what families and datasets tell about the trained rows: signal-to-noise, and scores at a limit."""

from collections.abc import Mapping

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.information import LIMITS, Measure
from cme.leaderboard.ranking.numbers import ABSENT, points
from cme.leaderboard.rendering.section import Section, Table, make_table
from cme.stats.signal import CEILING, NEAR_CHANCE, Signal
from cme.suite.families import title

__all__ = ["information_sections", "marked", "marks_note"]

_MARK = "*"


def information_sections(standing: Standing) -> list[Section]:
    """Make the tables of signal-to-noise: of the averages and the families, and of the datasets. None without several seeds."""
    information = standing.information
    if information is None or information.average.score is None:
        return []
    families = {"all families (the average)": information.average}
    families |= {title(name): measure for name, measure in information.families.items()}
    return [
        Section("Which families carry information", _paragraph(information.average.score), _table("family", families)),
        Section("By dataset", table=_table("dataset", information.datasets), level=3),
    ]


def marked(standing: Standing, family: str) -> str:
    """Return the title of a family, with a mark if it carries no information."""
    information = standing.information
    return title(family) + (_MARK if information and family in information.uninformative else "")


def marks_note(standing: Standing) -> str:
    """Return the sentence that explains the marks of families; empty if no family is marked."""
    if not standing.information or not standing.information.uninformative:
        return ""
    return (
        f" {_MARK} All trained rows score {CEILING:g} or more in this family, or all are within {NEAR_CHANCE:g} points of "
        "chance. Its scores carry no information about them."
    )


def _paragraph(signal: Signal) -> str:
    return (
        "The table shows how far the trained rows differ, relative to how far the seeds of one row differ. "
        f"F is the mean square between rows divided by the mean square between the seeds of a row. {_design(signal)} "
        f"It has {signal.freedom[0]} and {signal.freedom[1]} degrees of freedom. F is about 1 if rows differ by seeds alone. "
        f"Of tables with equal rows, 5 % have an F above {signal.critical:.2f}. The columns rows and seeds show the standard "
        "deviations in points, between rows without what seeds explain, and between the seeds of a row. F is about these "
        "samples only. The intervals and tests also account for the choice of the samples."
    )


def _design(signal: Signal) -> str:
    if signal.paired:
        return "The analysis of variance is two-way, so what a seed adds to all rows is left out."
    return "The analysis of variance is one-way."


def _table(what: str, measures: Mapping[str, Measure]) -> Table:
    header = [what, "F", "rows", "seeds", "soft F", "soft rows", "soft seeds", "note"]
    lines = [
        [name, *_cells(item.score), *_cells(item.soft), LIMITS[item.limit] if item.limit else ""]
        for name, item in measures.items()
    ]
    return make_table(header, lines, text=(0, len(header) - 1))


def _cells(signal: Signal | None) -> list[str]:
    if signal is None:
        return [ABSENT] * 3
    return [points(signal.ratio), points(signal.rows), points(signal.seeds)]
