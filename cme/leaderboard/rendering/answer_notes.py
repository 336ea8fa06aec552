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
    entries = [entry for entry in standing.entries if entry.method not in BASELINES and entry not in standing.stale]
    notes = []
    if same := [text for entry in entries if (text := _same_option(entry))]:
        notes.append(
            "Some runs choose the same option for all samples of a dataset. Their score there is only how often this option is "
            f"right. The number of such datasets for each seed, of those with options: {'; '.join(same)}."
        )
    if empty := [text for entry in entries if (text := _empty(entry))]:
        notes.append(
            "Some runs leave at least half of a dataset's samples without an answer, and these score 0 or count as "
            f"unanswerable: {'; '.join(empty)}."
        )
    return notes


def _same_option(entry: Entry) -> str | None:
    """Return such as ``lora 2, 0 and 5 of 17``, with a number for each seed; None if no run always chooses the same option."""
    runs = [
        [len(answers) == 1 for item in run.scores.datasets if item.n > 1 and (answers := _answers(item))]
        for run in entry.runs
    ]
    counts, known = [sum(run) for run in runs], max(map(len, runs))
    if not any(counts):
        return None
    return f"{entry.name} {_listed([str(count) for count in counts])} of {known}"


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
