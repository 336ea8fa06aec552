"""Rendering of a standing as Markdown, JSON, CSV and LaTeX. Equal entries give bitwise identical files."""

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import Any

from cme.frames import csv_text
from cme.leaderboard.entries.escape import for_csv
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.experts import expert_columns, expert_values, row_experts, standing_experts
from cme.leaderboard.ranking.information import Information, Measure
from cme.leaderboard.ranking.numbers import rounded
from cme.leaderboard.ranking.routers import row_worth, standing_worth, worth_columns, worth_values
from cme.leaderboard.rendering.latex import latex
from cme.leaderboard.rendering.markdown import markdown
from cme.leaderboard.rendering.notes import changes_output, notes
from cme.leaderboard.rendering.paper import Paper
from cme.leaderboard.rendering.row import Row, make_rows
from cme.leaderboard.rendering.tables.contents import contents, typical
from cme.records import Entry
from cme.stats import Comparison, Difference, Estimate
from cme.stats.signal import Signal
from cme.suite.score import SCORER_VERSION
from cme.suite.suites import DEFAULT

__all__ = ["FORMATS", "render"]

TITLE = "CME leaderboard"

MOST_PAIRS = 1000
"""Most differences in the JSON file. With more pairs it holds only the differences from the best row."""


def _title(standing: Standing) -> str:
    return TITLE if standing.suite.name == DEFAULT else f"{standing.suite.title} leaderboard"


def _markdown(standing: Standing, paper: Paper) -> str:
    return standing.suite.named(markdown(_title(standing), contents(standing, paper)))


def _latex(standing: Standing, paper: Paper) -> str:
    return standing.suite.named(latex(_title(standing), contents(standing, paper)))


def _csv(standing: Standing, paper: Paper) -> str:
    """Render the main table and the partial baselines with six decimals; missing numbers are empty cells.

    If a row has an analysis of its experts or a measured export, columns about experts or routers follow.
    """
    columns = [field.name for field in fields(Row)]
    rows = [row.plain() for row in make_rows(standing)]
    if experts := standing_experts(standing):
        columns += expert_columns()
        rows = [row | expert_values(experts.get(str(row["name"]))) for row in rows]
    if worth := standing_worth(standing):
        columns += worth_columns()
        rows = [row | worth_values(worth.get(str(row["name"]))) for row in rows]
    return csv_text(
        columns,
        [[for_csv(value) if isinstance(value := row[name], str) else value for name in columns] for row in rows],
    )


def _json(standing: Standing, paper: Paper) -> str:
    entries = standing.entries
    shared = ("base", "base_fingerprint", "tier", "prompt_format", "shots", "source")
    content: dict[str, Any] = {
        "scorer_version": SCORER_VERSION,
        "shared": {key: getattr(typical(standing), key) for key in shared} if entries else {},
        "notes": notes(standing) if entries else [],
        "detectable": rounded(standing.detectable),
        "rouge_share": rounded(standing.rouge_share),
        "rows": [
            row.plain() | _details(entry, standing) for row, entry in zip(make_rows(standing), entries, strict=True)
        ],
        "differences": _differences(standing, standing.comparison),
        "soft_differences": _differences(standing, standing.soft.comparison if standing.soft else None),
        "information": _information(standing.information),
        "paper": paper.plain() if standing.suite.name == DEFAULT else None,
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


FORMATS: dict[str, Callable[[Standing, Paper], str]] = {"md": _markdown, "csv": _csv, "latex": _latex, "json": _json}
"""Rendering function of each format."""


def render(standing: Standing, paper: Paper) -> dict[str, str]:
    """Render a leaderboard's text files.

    Args:
        standing: the compared rows; there may be none.
        paper: the reported rows, which are shown in their own tables.

    Returns:
        Text by file name: ``leaderboard.md``, ``leaderboard.json`` and ``leaderboard.csv`` (the main table).
    """
    return {f"leaderboard.{kind}": FORMATS[kind](standing, paper) for kind in ("md", "json", "csv")}


def _details(entry: Entry, standing: Standing) -> dict[str, Any]:
    """Return the values of a row that the JSON file holds in addition to the main table."""
    whole = standing.whole_scores(entry) is not None
    return {
        "changes_output": changes_output(entry),
        "reported": False,
        "settings": entry.settings.plain(),
        "recipe": entry.recipe.plain(),
        "families": _estimates(standing.families, entry),
        "datasets": _estimates(standing.datasets, entry),
        **_readings(entry),
        "soft_families": _estimates(standing.soft.families, entry) if standing.soft else {},
        "soft_datasets": _estimates(standing.soft.datasets, entry) if standing.soft else {},
        "runs": [
            {"seed": run.seed, "average": rounded(run.scores.average) if whole else None, "cost": run.cost.plain()}
            for run in entry.runs
        ],
        "wordings": [
            {"wording": item.prompt_variant, "seed": item.seed, "average": rounded(item.average)}
            for item in entry.prompt_variants
        ],
        "cost_ratios": entry.cost_ratios.plain(),
        "lr_grid": entry.lr_grid and entry.lr_grid.plain(),
        **(_experts(entry) if standing.kind(entry) in ("row", "repeat") else {}),
    }


def _readings(entry: Entry) -> dict[str, Any]:
    """Return the readings of worked solutions by dataset, if the row has any. Counts are of the answers of all runs."""
    readings = {
        item.dataset: {name: rounded(value) for name, value in item.metrics.items()}
        | {name: count for name, count in item.diagnostics.items() if isinstance(count, int)}
        | {"answers": item.n * len(entry.runs)}
        for item in entry.scores.datasets
        if "strict_match" in item.metrics
    }
    return {"readings": readings} if readings else {}


def _experts(entry: Entry) -> dict[str, Any]:
    """Return the figures of a row's experts and router, if it has an analysis or a measured export."""
    experts, worth = row_experts(entry), row_worth(entry)
    router = {} if worth is None else {"router_worth": worth_values(worth)}
    if experts is None:
        return router
    of_runs = [
        {"seed": run.seed, "load": run.experts.load and run.experts.load.plain()} for run in entry.runs if run.experts
    ]
    return {"experts_in_use": expert_values(experts) | {"runs": of_runs}, **router}


def _estimates(tables: dict[str, dict[str, Estimate]], entry: Entry) -> dict[str, Any]:
    keys = ("value", "stderr", "low", "high")
    return {
        name: {key: rounded(getattr(scores[entry.name], key)) for key in keys}
        for name, scores in tables.items()
        if entry.name in scores
    }


def _information(information: Information | None) -> dict[str, Any] | None:
    if information is None:
        return None
    return {
        "average": _measure(information.average),
        "families": {name: _measure(item) for name, item in information.families.items()},
        "datasets": {name: _measure(item) for name, item in information.datasets.items()},
    }


def _measure(measure: Measure) -> dict[str, Any]:
    return {
        "signal_to_noise": _signal(measure.score),
        "soft_signal_to_noise": _signal(measure.soft),
        "limit": measure.limit,
    }


def _signal(signal: Signal | None) -> dict[str, Any] | None:
    if signal is None:
        return None
    return {
        "f": rounded(signal.ratio),
        "between_rows": rounded(signal.rows),
        "between_seeds": rounded(signal.seeds),
        "degrees_of_freedom": signal.freedom,
        "critical": rounded(signal.critical),
    }


def _differences(standing: Standing, comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    every = len(comparison.differences) <= MOST_PAIRS
    pairs = comparison.differences if every else comparison.against(standing.rows[0].name)
    return {
        "alpha": comparison.alpha,
        "resamples": comparison.resamples,
        "pairs": "all" if every else f"from {standing.rows[0].name} only",
        "values": [_plain(item) for item in pairs],
    }


_COMPARE_ONLY = ("sample_stderr", "sample_half_width")
"""Fields of a difference that ``cme compare`` shows and a board's file does not have."""


def _plain(item: Difference) -> dict[str, Any]:
    values = {key: value for key, value in asdict(item).items() if key not in _COMPARE_ONLY}
    return {key: rounded(value) if isinstance(value, float) else value for key, value in values.items()}
