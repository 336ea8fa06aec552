"""Checks of the shapes of what an entry states about its routers."""

import re
from collections.abc import Iterator

from cme.leaderboard.entries.costs import experts_of
from cme.leaderboard.entries.retention import retention_problems_of
from cme.records import Entry, EntryRun, Retention, RouterWorth
from cme.suite.experts.worth import FAMILY, METRICS, ROUTED

__all__ = ["HOW", "router_problems"]

HOW = re.compile(r"[a-z][a-z0-9-]{0,19}")
"""Names of ways of exporting."""

_MOST_EXPORTS = 10
_DIGEST = re.compile(r"[0-9a-f]{64}")


def router_problems(entry: Entry) -> Iterator[str]:
    """List what is wrong with the shapes of what an entry states about its routers, one phrase for each."""
    for run in entry.runs:
        if run.router_worth is not None:
            yield from (f"router_worth: {line}" for line in _problems(entry, run, run.router_worth))


def _problems(entry: Entry, run: EntryRun, stated: RouterWorth) -> Iterator[str]:
    if run.seed is None or experts_of(entry) is None:
        yield "the row has no router"
    if not _DIGEST.fullmatch(stated.scores_sha256):
        yield "scores_sha256 is not a SHA-256 digest"
    names = [item.how for item in stated.exports]
    if not 1 <= len(names) <= _MOST_EXPORTS or len(set(names)) < len(names):
        yield f"it has {len(names)} exports; expected 1 to {_MOST_EXPORTS} different ones"
    elif wrong := [name for name in names if not HOW.fullmatch(name) or name in (ROUTED, FAMILY)]:
        yield f"{wrong[0][:60]!a} is not a way of exporting to a single adapter"
    keys = [set(stated.worth), set(stated.best), *(set(item.difference) for item in stated.exports)]
    if any(of != set(METRICS) for of in keys):
        yield f"expected values of {' and '.join(METRICS)}"
        return
    if any(name not in names for name in stated.best.values()):
        yield "its best export is not one of its exports"
    for item in stated.exports:
        yield from (f"{item.how[:60]!a}: {line}" for line in _of_retention(entry, run, item.retention))


def _of_retention(entry: Entry, run: EntryRun, retention: Retention | None) -> Iterator[str]:
    return iter(()) if retention is None else retention_problems_of(entry, run, retention)
