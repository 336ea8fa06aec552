"""Notes about runs that answer a dataset without regard to its questions: one option for all samples, or no text."""

from collections.abc import Sequence

from cme.leaderboard.ranking.comparison import Standing
from cme.records import DatasetScore, Entry
from cme.suite.baselines import BASELINES

__all__ = ["answer_notes"]

_EMPTY = 0.5
"""From this share on, empty answers to a dataset are noted."""


def answer_notes(standing: Standing) -> list[str]:
    """Describe which rows choose one option for all samples of a dataset, and which leave many samples without an answer.

    Baselines are left out, because they do so by definition.

    Args:
        standing: a standing with at least one entry.

    Returns:
        At most two notes.
    """
    entries = [entry for entry in standing.trainings if entry.method not in BASELINES and entry not in standing.stale]
    notes = []
    if same := _same_option(entries):
        notes.append(
            "Some runs choose the same option for all samples of a dataset. Their score there is only how often this option is "
            f"right. {same}"
        )
    if empty := [text for entry in entries if (text := _empty(entry))]:
        notes.append(
            "Some runs leave at least half of a dataset's samples without an answer, and these score 0 or count as "
            f"unanswerable: {'; '.join(empty)}."
        )
    return notes


def _same_option(entries: Sequence[Entry]) -> str | None:
    """Return in how many of the datasets with options runs always choose the same one; None if no run does so."""
    counts: dict[str, list[int]] = {}
    known = 0
    for entry in entries:
        for run in entry.runs:
            chosen = [len(answers) for item in run.scores.datasets if item.n > 1 and (answers := _answers(item))]
            known = max(known, len(chosen))
            name = entry.name if run.seed is None else "each run of the trained rows"
            counts.setdefault(name, []).append(chosen.count(1))
    found = [
        f"{name} in {min(of)}{f' to {max(of)}' if min(of) < max(of) else ''}" for name, of in counts.items() if any(of)
    ]
    datasets = "dataset" if known == 1 else "datasets"
    return f"Of the {known} {datasets} with options, this happens for {_listed(found)}." if found else None


def _empty(entry: Entry) -> str | None:
    """Return such as ``lora (tldr 41, 0 and 3 of 64)``, with a number for each seed; None if all runs answer most samples."""
    found = []
    for name in [item.dataset for item in entry.runs[0].scores.datasets]:
        same = [item for run in entry.runs for item in run.scores.datasets if item.dataset == name]
        if any(_count(item) >= max(1, _EMPTY * item.n) for item in same):
            found.append(f"{name} {_listed([str(_count(item)) for item in same])} of {same[0].n}")
    return f"{entry.name} ({', '.join(found)})" if found else None


def _answers(item: DatasetScore) -> dict[str, int]:
    answers = item.diagnostics.get("answers", {})
    return answers if isinstance(answers, dict) else {}


def _count(item: DatasetScore) -> int:
    count = item.diagnostics.get("empty", 0)
    return count if isinstance(count, int) else 0


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
