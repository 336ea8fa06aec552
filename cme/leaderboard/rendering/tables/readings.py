"""The tables of what became of single answers: readings of numbers, and outcomes of programs."""

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import points
from cme.leaderboard.rendering.section import Section, make_table
from cme.records import DatasetScore, Entry

__all__ = ["programs_section", "readings_section"]

_COUNTS = ("unmarked", "empty", "truncated")
_PASSED = "pass_at_1"


def readings_section(standing: Standing) -> Section | None:
    """Make the table of the readings of worked solutions, or None if no dataset has any."""
    lines = [
        [
            entry.name,
            item.dataset,
            points(100 * item.metrics["flexible_match"]),
            points(100 * item.metrics["strict_match"]),
            *(_share(entry, item, name) for name in _COUNTS),
        ]
        for entry in standing.scored
        for item in entry.scores.datasets
        if "strict_match" in item.metrics
    ]
    if not lines:
        return None
    return Section(
        "Two readings of a number",
        "The flexible reading takes the number after the last ####. If none is marked, it takes the last number of the text. "
        "The strict reading accepts a marked number only. Rows are ranked by the flexible reading. The other columns show, in "
        "percent, the answers without a marked number, without any number, and without an end before the token limit.",
        make_table(
            ["name", "dataset", "flexible", "strict", "no marked number %", "no number %", "truncated %"],
            lines,
            text=(0, 1),
        ),
    )


def programs_section(standing: Standing) -> Section | None:
    """Make the table of the outcomes of programs, or None if no dataset has any."""
    items = [(entry, item) for entry in standing.scored for item in entry.scores.datasets if _PASSED in item.metrics]
    if not items:
        return None
    outcomes = [name for name in items[0][1].metrics if name != _PASSED]
    lines = [
        [
            entry.name,
            item.dataset,
            *(points(100 * item.metrics[outcome]) for outcome in (_PASSED, *outcomes)),
            _share(entry, item, "truncated"),
        ]
        for entry, item in items
    ]
    return Section(
        "Outcomes of programs",
        "Every program has one outcome. The table shows their shares in percent. Error means that the program raised an error or "
        "that the answer is no valid Python. Truncated answers did not end before the token limit.",
        make_table(["name", "dataset", "passed", *outcomes, "truncated"], lines, text=(0, 1)),
    )


def _share(entry: Entry, item: DatasetScore, name: str) -> str:
    """Return the share of a count in percent, or nothing if it is unknown. The counts of an entry are sums over its runs."""
    count = item.diagnostics.get(name, None if name == "truncated" else 0)
    return points(100 * count / (item.n * len(entry.runs))) if isinstance(count, int) else ""
