"""The main table."""

from cme.leaderboard.numbers import ABSENT, duration, interval, points, ratio, shown
from cme.leaderboard.row import Row
from cme.leaderboard.section import Table, make_table

__all__ = ["main_table"]


def main_table(rows: list[Row]) -> Table:
    """Method, cost, average and range of ranks of every row; ratios only where there are any."""
    by_bench = any(row.train_ratio is not None for row in rows)
    by_clock = not by_bench and any(row.train_run_ratio is not None for row in rows)
    decoded = any(row.decode_ratio is not None for row in rows)
    header = ["name", "method", "rank", "experts", "trainable %", "train time"]
    header += ["train × LoRA"] * by_bench + ["run time × LoRA"] * by_clock + ["decode × LoRA"] * decoded
    header += ["CME average", "ranks", "chance-normalised", "without ROUGE", "seeds", "remark"]
    lines = []
    for row in rows:
        line = [
            row.name,
            row.method,
            shown(row.rank),
            shown(row.experts),
            points(row.trainable_percent),
            duration(row.train_seconds),
        ]
        if by_bench:
            line.append(_ratio(row.train_ratio, row.train_ratio_low, row.train_ratio_high))
        if by_clock:
            line.append(points(row.train_run_ratio))
        if decoded:
            line.append(_ratio(row.decode_ratio, row.decode_ratio_low, row.decode_ratio_high))
        line += [
            interval(row.average, row.average_low, row.average_high),
            _ranks(row),
            interval(row.chance_normalised, row.chance_normalised_low, row.chance_normalised_high),
            interval(row.without_rouge, row.without_rouge_low, row.without_rouge_high),
            shown(row.seeds),
            row.remark,
        ]
        lines.append(line)
    return make_table(header, lines, text=(0, 1, len(header) - 1))


def _ratio(value: float | None, low: float | None, high: float | None) -> str:
    return ratio(None if value is None else (value, low, high))


def _ranks(row: Row) -> str:
    if row.rank_best is None or row.rank_worst is None:
        return ABSENT
    return str(row.rank_best) if row.rank_best == row.rank_worst else f"{row.rank_best}–{row.rank_worst}"
