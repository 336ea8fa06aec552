"""Data frames of what the experts of a board's rows do and are worth."""

from typing import TYPE_CHECKING

from cme.leaderboard.ranking.comparison import Standing

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["expert_differences_frame", "experts_frame", "routers_frame"]


def experts_frame(standing: Standing) -> "pd.DataFrame":
    """Return the frame of `cme.Board.experts`."""
    import pandas as pd

    from cme.leaderboard.ranking.experts import expert_columns, expert_values, standing_experts

    methods = {entry.name: entry.method for entry in standing.entries}
    rows = [
        {"name": name, "method": methods[name], "experts": row.experts, "rank": row.rank, **expert_values(row)}
        for name, row in standing_experts(standing).items()
    ]
    columns = ["name", "method", "experts", "rank", *expert_columns()]
    whole = dict.fromkeys(("experts", "rank", "analysed_seeds"), "int64")
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[4:], "float64") | whole)


def expert_differences_frame(standing: Standing) -> "pd.DataFrame":
    """Return the frame of `cme.Board.expert_pairs`."""
    import pandas as pd

    from cme.leaderboard.ranking.expert_pairs import expert_differences
    from cme.leaderboard.ranking.experts import COLUMNS

    columns = ["first", "second", "figure", "difference", "low", "high", "p", "p_adjusted"]
    rows = [
        [
            item.first,
            item.second,
            COLUMNS.get(item.figure, item.figure),
            item.value,
            item.low,
            item.high,
            item.p,
            item.p_adjusted,
        ]
        for item in expert_differences(standing)
    ]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(columns[3:], "float64"))


def routers_frame(standing: Standing) -> "pd.DataFrame":
    """Return the frame of `cme.Board.routers`."""
    import pandas as pd

    from cme.leaderboard.ranking.routers import standing_worth, worth_columns, worth_values

    methods = {entry.name: entry.method for entry in standing.entries}
    rows = [
        {"name": name, "method": methods[name], **worth_values(row)} for name, row in standing_worth(standing).items()
    ]
    columns = ["name", "method", *worth_columns()]
    kinds = dict.fromkeys(columns[5:], "float64") | {"exported_seeds": "int64", "best_export_rank": "Int64"}
    return pd.DataFrame(rows, columns=columns).astype(kinds)
