"""Everything that the leaderboard says, in its order; what has no content is left out."""

from cme.leaderboard.entries.board import is_reference
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.rendering.notes import notes
from cme.leaderboard.rendering.paper import Paper, reported_sections
from cme.leaderboard.rendering.row import make_rows
from cme.leaderboard.rendering.section import Section
from cme.leaderboard.rendering.tables.conditions import conditions_section, rates_section
from cme.leaderboard.rendering.tables.costs import measured_section, runs_section
from cme.leaderboard.rendering.tables.scores import (
    datasets_sections,
    families_section,
    main_table,
    pairs_section,
    seeds_section,
)
from cme.leaderboard.rendering.tables.studies import ablation_section, experts_section
from cme.records import Entry
from cme.suite.score import SCORER_VERSION

__all__ = ["contents", "typical"]


def contents(standing: Standing, paper: Paper) -> list[Section]:
    """The sections of a leaderboard.

    Args:
        standing: where the rows stand.
        paper: the reported rows, shown in tables of their own.
    """
    entries = standing.entries
    if not entries:
        return [Section("", "There are no entries yet."), *reported_sections(paper)]
    found = [
        Section(
            "",
            _shared(typical(standing)),
            main_table([row for row in make_rows(standing) if row.kind != "partial"]),
            tuple(notes(standing)),
        ),
        families_section(standing),
        *datasets_sections(standing),
        pairs_section(standing),
        seeds_section(standing),
        ablation_section(standing),
        experts_section(standing),
        measured_section(standing),
        runs_section(standing),
        rates_section(standing),
        conditions_section(entries),
        *reported_sections(paper),
    ]
    return [section for section in found if section is not None]


def typical(standing: Standing) -> Entry:
    """The first row that is no reference: it has the base, format and shots of the table."""
    entries = standing.entries
    return next((entry for entry in entries if not is_reference(entry)), entries[0])


def _shared(first: Entry) -> str:
    shared = [
        f"Base {first.base} ({first.base_fingerprint[:12]})" if first.base else "No base",
        f"tier {first.tier}",
        f"prompt format {first.prompt_format or 'none'}",
        f"{first.shots} shots",
        f"source {first.source}",
        f"scorer version {SCORER_VERSION}",
    ]
    return ", ".join(shared) + "."
