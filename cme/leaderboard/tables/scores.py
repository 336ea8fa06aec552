"""Families, datasets, and what single runs scored."""

from collections.abc import Mapping

from cme.leaderboard.numbers import estimate, listing, points
from cme.leaderboard.section import Section, make_table
from cme.leaderboard.standing import Standing
from cme.stats import Estimate
from cme.suite.families import title

__all__ = ["datasets_sections", "families_section", "seeds_section"]


def families_section(standing: Standing) -> Section | None:
    """Every row's family scores."""
    lines = _lines(standing, standing.families)
    if not lines:
        return None
    return Section(
        "Families",
        "Each family's score is the unweighted mean of its datasets × 100"
        + (", with its 95 % confidence interval." if _has_intervals(standing) else "."),
        make_table(["name", *map(title, standing.families)], lines),
    )


def datasets_sections(standing: Standing) -> list[Section]:
    """What was asked, then every row's dataset scores: a table for each family, so that many rows stay readable."""
    if not _lines(standing, standing.datasets):
        return []
    items = max((entry.scores.datasets for entry in standing.entries), key=len)
    facts = [
        [item.dataset, title(item.family), item.metric, str(item.n), str(item.clusters), points(100 * item.chance)]
        for item in items
    ]
    found = [
        Section(
            "Datasets",
            "The mean of the per-sample scores × 100"
            + (", with its 95 % confidence interval" if _has_intervals(standing) else "")
            + "; n samples in so many clusters, which share a passage, an article or a premise; chance: by guessing.",
            make_table(["dataset", "family", "metric", "n", "clusters", "chance"], facts, text=(0, 1, 2)),
        )
    ]
    for family in dict.fromkeys(item.family for item in items):
        names = [item.dataset for item in items if item.family == family]
        lines = _lines(standing, {name: standing.datasets[name] for name in names})
        found.append(Section(title(family), table=make_table(["name", *names], lines), level=3))
    return found


def seeds_section(standing: Standing) -> Section | None:
    """The average of each run, where a row has several."""
    several = [row for row in standing.rows if len(row.runs) > 1]
    if not several:
        return None
    lines = []
    for row in several:
        found = standing.averages[row.name]
        runs = ", ".join(f"{points(run.scores.average)} ({run.seed})" for run in row.runs)
        errors = [points(found.sample_stderr), points(found.seed_stderr), points(found.stderr)]
        lines.append([row.name, runs, points(found.value), *errors])
    single = [row.name for row in standing.rows if len(row.runs) == 1 and row.runs[0].seed is not None]
    said = (
        "The CME average of every run (its seed in brackets), and the standard error of their mean: the part from the "
        "samples, the part from the seeds, both together."
    )
    if single:
        said += f" One seed only, so nothing is known of what another would score: {listing(single)}."
    header = ["name", "average of each run", "mean", "from samples", "from seeds", "standard error"]
    return Section("Seeds", said, make_table(header, lines, text=(0, 1)))


def _lines(standing: Standing, columns: Mapping[str, Mapping[str, Estimate]]) -> list[list[str]]:
    """Name and scores of every row that has any, references and partial baselines last."""
    return [
        [row.name, *(estimate(of.get(row.name)) for of in columns.values())]
        for row in (*standing.rows, *standing.references, *standing.partial)
        if any(row.name in of for of in columns.values())
    ]


def _has_intervals(standing: Standing) -> bool:
    return any(found.low is not None for of in standing.datasets.values() for found in of.values())
