"""Leaderboards: results become entries, and entries become tables. This package reads records only and needs no model."""

from cme.leaderboard.entries.board import check_comparable, is_stale_entry, load_entries, ranked
from cme.leaderboard.entries.scores import check_scores
from cme.leaderboard.ranking.comparison import Standing, make_standing
from cme.leaderboard.rendering.paper import Paper, load_paper
from cme.leaderboard.rendering.render import render
from cme.leaderboard.rendering.write import is_stale, write_leaderboard
from cme.leaderboard.submission.audit import Verdict, audit, verify
from cme.leaderboard.submission.submit import make_entry

__all__ = [
    "Paper",
    "Standing",
    "Verdict",
    "audit",
    "check_comparable",
    "check_scores",
    "is_stale",
    "is_stale_entry",
    "load_entries",
    "load_paper",
    "make_entry",
    "make_standing",
    "ranked",
    "render",
    "verify",
    "write_leaderboard",
]
