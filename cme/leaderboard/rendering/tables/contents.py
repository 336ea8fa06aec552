"""The sections of a leaderboard, in their order."""

from cme.leaderboard.entries.board import is_reference
from cme.leaderboard.entries.chosen_rows import tier_text
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.rendering.notes import notes
from cme.leaderboard.rendering.paper import Paper, reported_sections
from cme.leaderboard.rendering.row import make_rows
from cme.leaderboard.rendering.section import Section
from cme.leaderboard.rendering.tables.conditions import conditions_section, rates_section
from cme.leaderboard.rendering.tables.costs import measured_section, runs_section
from cme.leaderboard.rendering.tables.experts import differences_section, in_use_section, router_section
from cme.leaderboard.rendering.tables.information import information_sections
from cme.leaderboard.rendering.tables.readings import programs_section, readings_section
from cme.leaderboard.rendering.tables.scores import (
    datasets_sections,
    families_sections,
    main_table,
    pairs_section,
    seeds_section,
)
from cme.leaderboard.rendering.tables.studies import ablation_section, experts_section
from cme.records import Entry
from cme.suite.score import SCORER_VERSION
from cme.suite.suites import DEFAULT

__all__ = ["contents", "typical"]


def contents(standing: Standing, paper: Paper) -> list[Section]:
    """Make the sections of a leaderboard. Sections without content are left out.

    Args:
        standing: the compared rows.
        paper: the reported rows, which are shown in their own tables.
    """
    entries = standing.entries
    # The paper reports averages of its own 22 datasets.
    reported = reported_sections(paper) if standing.suite.name == DEFAULT else []
    if not entries:
        return [Section("", "There are no entries yet."), *reported]
    sections = [
        Section(
            "",
            _settings(typical(standing)),
            main_table([row for row in make_rows(standing) if row.kind != "partial"], standing.suite),
            tuple(notes(standing)),
        ),
        *families_sections(standing),
        *information_sections(standing),
        *datasets_sections(standing),
        readings_section(standing),
        programs_section(standing),
        pairs_section(standing),
        seeds_section(standing),
        ablation_section(standing),
        experts_section(standing),
        in_use_section(standing),
        differences_section(standing),
        router_section(standing),
        measured_section(standing),
        runs_section(standing),
        rates_section(standing),
        conditions_section(entries),
        *reported,
    ]
    return [section for section in sections if section is not None]


def typical(standing: Standing) -> Entry:
    """Return the first row that is not a reference. It has the base, prompt format and shots of the board."""
    entries = standing.entries
    return next((entry for entry in entries if not is_reference(entry)), entries[0])


def _settings(first: Entry) -> str:
    settings = [
        f"base {first.base} ({first.base_fingerprint[:12]})" if first.base else "no base",
        f"tier {tier_text(first)}",
        f"prompt format {first.prompt_format or 'none'}",
        f"{first.shots} shots",
        f"source {first.source}",
        f"scorer version {SCORER_VERSION}",
    ]
    return "Settings of the ranked rows: " + ", ".join(settings) + "."
