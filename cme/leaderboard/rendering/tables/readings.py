"""The table of strict and flexible readings, for datasets whose answer is a number."""

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import points
from cme.leaderboard.rendering.section import Section, make_table
from cme.records.result import DatasetScore

__all__ = ["readings_section"]

_COUNTS = ("unmarked", "empty", "truncated")


def readings_section(standing: Standing) -> Section | None:
    """Make the table of the readings of worked solutions, or None if no dataset has any."""
    lines = [
        [
            entry.name,
            item.dataset,
            points(100 * item.metrics["flexible_match"]),
            points(100 * item.metrics["strict_match"]),
            *(_share(item, name) for name in _COUNTS),
        ]
        for entry in (*standing.rows, *standing.references, *standing.partial)
        for item in entry.scores.datasets
        if "strict_match" in item.metrics
    ]
    if not lines:
        return None
    return Section(
        "Two readings of a number",
        "The flexible reading takes the number after the last ####, or the last number of the text if none is marked. The strict "
        "reading accepts a marked number only. Rows are ranked by the flexible reading. The other columns show, in percent, the "
        "answers without a marked number, without any number, and without an end before the token limit.",
        make_table(
            ["name", "dataset", "flexible", "strict", "no marked number %", "no number %", "truncated %"],
            lines,
            text=(0, 1),
        ),
    )


def _share(item: DatasetScore, name: str) -> str:
    count = item.diagnostics.get(name, 0)
    return points(100 * count / item.n) if isinstance(count, int) else ""
