"""Results → entries → tables. Reads records only, so every number can be checked without a model."""

from cme.leaderboard.audit import Verdict, audit, verify
from cme.leaderboard.board import check_comparable, is_stale_entry, load_entries, ranked
from cme.leaderboard.paper import Paper, load_paper
from cme.leaderboard.recompute import check_scores
from cme.leaderboard.render import render
from cme.leaderboard.standing import Standing, make_standing
from cme.leaderboard.submit import make_entry
from cme.leaderboard.write import is_stale, write_leaderboard

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
