"""The main table, and the tables of families, datasets, differences and seeds."""

from collections.abc import Mapping

from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import (
    ABSENT,
    duration,
    estimate,
    interval,
    listing,
    nats,
    p_value,
    points,
    ranks,
    ratio,
    shown,
)
from cme.leaderboard.rendering.row import Row
from cme.leaderboard.rendering.section import Section, Table, make_table
from cme.leaderboard.rendering.tables.information import marked, marks_note
from cme.stats import Estimate, RankRange
from cme.suite.families import title
from cme.suite.score import without_rouge
from cme.suite.spec import datasets
from cme.suite.suites import ALL, Suite

__all__ = ["datasets_sections", "families_sections", "main_table", "pairs_section", "seeds_section"]


def families_sections(standing: Standing) -> list[Section]:
    """Make the tables of family scores and of soft family scores."""
    lines = _lines(standing, standing.families)
    if not lines:
        return []
    header = ["name", *(marked(standing, family) for family in standing.families)]
    sections = [
        Section(
            "Families",
            "The score of a family is the unweighted mean of its datasets × 100"
            + (", with its 95 % confidence interval." if _has_intervals(standing) else ".")
            + marks_note(standing),
            make_table(header, lines),
        )
    ]
    if standing.soft and (lines := _lines(standing, standing.soft.families)):
        paragraph = "In a soft score, the probability of the right option counts in place of whether it was chosen."
        sections.append(Section("Soft scores", paragraph, make_table(header, lines), level=3))
    return sections


def datasets_sections(standing: Standing) -> list[Section]:
    """Make the table of the datasets, and one table of dataset scores for each family."""
    if not _lines(standing, standing.datasets):
        return []
    items = max((entry.scores.datasets for entry in standing.entries), key=len)
    facts = [
        [item.dataset, title(item.family), item.metric, str(item.n), str(item.clusters), points(100 * item.chance)]
        for item in items
    ]
    counted = datasets(ALL)
    apart = [item.dataset for item in items if item.dataset not in counted]
    sections = [
        Section(
            "Datasets",
            "The score of a dataset is the mean of its per-sample scores × 100"
            + (", with its 95 % confidence interval. " if _has_intervals(standing) else ". ")
            + "The table shows the number of samples (n) and of clusters. Samples that share a passage, an article or a premise "
            "form a cluster. Chance is the expected score of guessing."
            + (
                f" These datasets do not count in the family scores and the averages: {listing(apart)}."
                if apart
                else ""
            ),
            make_table(["dataset", "family", "metric", "n", "clusters", "chance"], facts, text=(0, 1, 2)),
        )
    ]
    for family in dict.fromkeys(item.family for item in items):
        names = [item.dataset for item in items if item.family == family]
        lines = _lines(standing, {name: standing.datasets[name] for name in names})
        sections.append(Section(title(family), table=make_table(["name", *names], lines), level=3))
    return sections


def seeds_section(standing: Standing) -> Section | None:
    """Make the table of the runs' averages, for rows with several runs."""
    several = [row for row in standing.rows if len(row.runs) > 1]
    if not several:
        return None
    lines = []
    for row in several:
        mean = standing.averages[row.name]
        runs = ", ".join(f"{points(run.scores.average)} ({run.seed})" for run in row.runs)
        errors = [points(mean.sample_stderr), points(mean.seed_stderr), points(mean.stderr)]
        lines.append([row.name, runs, points(mean.value), *errors])
    single = [row.name for row in standing.rows if len(row.runs) == 1 and row.runs[0].seed is not None]
    paragraph = (
        "The table shows the CME average of every run, with its seed in parentheses. The standard error of the mean has a part "
        "from the samples and a part from the seeds. The part from the seeds is 0.00 if the noise of the samples explains the "
        "whole spread of the runs."
    )
    if single:
        paragraph += f" Rows with one seed get the mean seed variance of these methods: {listing(single)}."
    header = ["name", "average of each run", "mean", "from samples", "from seeds", "standard error"]
    return Section("Seeds", paragraph, make_table(header, lines, text=(0, 1)))


def _lines(standing: Standing, columns: Mapping[str, Mapping[str, Estimate]]) -> list[list[str]]:
    """Return name and scores of every row that has scores. Repeats, references and partial baselines come last."""
    return [
        [row.name, *(estimate(of.get(row.name)) for of in columns.values())]
        for row in standing.scored
        if any(row.name in of for of in columns.values())
    ]


def _has_intervals(standing: Standing) -> bool:
    return any(score.low is not None for of in standing.datasets.values() for score in of.values())


def main_table(rows: list[Row], suite: Suite) -> Table:
    """Make the main table: method, cost, average and rank range of every row. Columns of ratios appear if any row has one.

    The recorded training time depends on what else the machine did. It is left out if all trained rows have measured ratios.
    """
    by_rouge = bool(without_rouge(suite))
    by_bench = any(row.train_ratio is not None for row in rows)
    by_clock = not by_bench and any(row.train_run_ratio is not None for row in rows)
    decoded = any(row.decode_ratio is not None for row in rows)
    header = ["name", "method", "rank", "experts", "trainable %"]
    timed = not by_bench or any(row.train_seconds is not None and row.train_ratio is None for row in rows)
    header += ["train time"] * timed + ["train × LoRA"] * by_bench + ["run time × LoRA"] * by_clock
    header += ["decode × LoRA"] * decoded
    soft = any(row.soft_average is not None for row in rows)
    header += [suite.average, "rank range", *["soft average", "soft rank range"] * soft]
    drifted = any(row.drift is not None for row in rows)
    on_text = any(row.loss_change is not None for row in rows)
    header += ["chance-normalised", *["without ROUGE"] * by_rouge, *["drift"] * drifted, *["Δ loss"] * on_text]
    header += ["seeds", "remark"]
    lines = []
    for row in rows:
        line = [
            row.name,
            row.method,
            shown(row.rank),
            shown(row.experts),
            points(row.trainable_percent),
        ]
        if timed:
            line.append(duration(row.train_seconds))
        if by_bench:
            line.append(_ratio(row.train_ratio, row.train_ratio_low, row.train_ratio_high))
        if by_clock:
            line.append(points(row.train_run_ratio))
        if decoded:
            line.append(_ratio(row.decode_ratio, row.decode_ratio_low, row.decode_ratio_high))
        line += [
            interval(row.average, row.average_low, row.average_high),
            _ranks(row.rank_best, row.rank_worst),
        ]
        if soft:
            line.append(interval(row.soft_average, row.soft_average_low, row.soft_average_high))
            line.append(_ranks(row.soft_rank_best, row.soft_rank_worst))
        line.append(interval(row.chance_normalised, row.chance_normalised_low, row.chance_normalised_high))
        if by_rouge:
            line.append(interval(row.without_rouge, row.without_rouge_low, row.without_rouge_high))
        if drifted:
            line.append(nats(row.drift, row.drift_stderr))
        if on_text:
            line.append(nats(row.loss_change, row.loss_change_stderr, signed=True))
        line += [shown(row.seeds), row.remark]
        lines.append(line)
    return make_table(header, lines, text=(0, 1, len(header) - 1))


def _ratio(value: float | None, low: float | None, high: float | None) -> str:
    return ratio(None if value is None else (value, low, high))


def _ranks(best: int | None, worst: int | None) -> str:
    return ABSENT if best is None or worst is None else ranks(RankRange(best, worst))


def pairs_section(standing: Standing) -> Section | None:
    """Make the table of paired differences from the row with the highest average."""
    if standing.comparison is None:
        return None
    best = standing.rows[0].name
    lines = [
        [
            item.first,
            interval(item.value, item.low, item.high),
            points(item.stderr),
            p_value(item.p),
            p_value(item.p_adjusted),
            "yes" if item.significant else "no",
        ]
        for item in standing.comparison.against(best)
    ]
    header = ["name", f"minus {best}", "standard error", "p", "Holm p", "significant"]
    return Section(
        "Differences from the best average",
        "The table shows the paired difference of each row from the row with the best CME average, in points. Brackets hold "
        f"its 95 % confidence interval. All rows have the same samples. Holm p is corrected for all "
        f"{len(standing.comparison.differences)} pairs of rows.",
        make_table(header, lines, text=(0, 5)),
    )
