"""Every row against the best."""

from cme.leaderboard.numbers import interval, p_value, points
from cme.leaderboard.section import Section, make_table
from cme.leaderboard.standing import Standing

__all__ = ["pairs_section"]


def pairs_section(standing: Standing) -> Section | None:
    """Paired differences from the row with the highest average."""
    if standing.comparison is None:
        return None
    best = standing.rows[0].name
    lines = [
        [
            found.first,
            interval(found.value, found.low, found.high),
            points(found.stderr),
            p_value(found.p),
            p_value(found.p_adjusted),
            "yes" if found.significant else "no",
        ]
        for found in standing.comparison.against(best)
    ]
    header = ["name", f"minus {best}", "standard error", "p", "Holm p", "significant"]
    return Section(
        "Differences from the best average",
        "Paired differences of CME averages in points on the samples that all rows share, each with its own 95 % confidence "
        f"interval and p-value; Holm p is corrected for all {len(standing.comparison.differences)} pairs of the table.",
        make_table(header, lines, text=(0, 5)),
    )
