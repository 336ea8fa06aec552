"""Every number of a record, computed again from its per-sample scores."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.errors import CMEError, DataError
from cme.files import digest, sha256_file
from cme.leaderboard.entries.files import MAX_SAMPLES_BYTES, check_file
from cme.leaderboard.entries.samples import check_answers
from cme.records import Scores
from cme.suite.score import Sample, aggregate

__all__ = ["TOLERANCE", "check_hash", "check_scores", "computed_scores", "different", "items_digest"]

TOLERANCE = 1e-9
"""Largest difference between a recorded and a recomputed number: rounding of sums, nothing more."""

_SHOWN = 5


def check_hash(path: Path, expected: str, where: str) -> None:
    """Check that a file of samples is the one that a record names.

    Raises:
        CMEError: the file is missing or has another SHA-256.
    """
    if not path.is_file():
        raise CMEError(f"{where}: its per-sample scores {path} do not exist. Put the file back, or evaluate again.")
    check_file(path, MAX_SAMPLES_BYTES)
    if (found := sha256_file(path)) != expected:
        raise CMEError(
            f"{where}: {path} is not the file it was made from (SHA-256 {found[:12]}…, recorded {expected[:12]}…). "
            "Put the file back, or evaluate again."
        )


def check_scores(scores: Scores, samples: Sequence[Sample], *, tier: str, where: str) -> None:
    """Check recorded scores against their samples.

    Args:
        scores: as recorded.
        samples: what they were made from.
        tier: of the evaluation.
        where: what the scores belong to, for the message.

    Raises:
        CMEError: a number differs by more than `TOLERANCE`; the message names the first few.
        DataError: the samples are not of the kind that their datasets have.
    """
    computed = computed_scores(samples, tier=tier, where=where)
    if found := different(scores.plain(), computed.plain()):
        more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        raise CMEError(
            f"{where}: {len(found)} of its numbers do not follow from its per-sample scores: "
            f"{'; '.join(found[:_SHOWN])}{more}. Evaluate again; numbers are never edited by hand."
        )
    check_answers(samples, where)


def computed_scores(samples: Sequence[Sample], *, tier: str, where: str) -> Scores:
    """Scores from samples that others may have written.

    Args:
        samples: what is scored.
        tier: of the evaluation.
        where: what they belong to, for the message.

    Raises:
        DataError: the samples are not of the kind that their datasets have.
    """
    try:
        return aggregate(samples, tier=tier)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(
            f"{where}: its samples lack what their dataset is scored by ({type(error).__name__}: {error}). Evaluate again."
        ) from error


def items_digest(samples: Sequence[Sample]) -> str:
    """SHA-256 of which samples were scored (dataset and id), in no matter what order.

    Raises:
        DataError: there are none.
    """
    if not samples:
        raise DataError("there are no per-sample scores. Evaluate at least one dataset.")
    return digest(sorted([sample["dataset"], sample["id"]] for sample in samples))


def different(recorded: Any, computed: Any, path: str = "") -> list[str]:
    """What differs between two JSON-like values: other keys or texts, and numbers by more than `TOLERANCE`.

    Args:
        recorded: as it was found.
        computed: as it should be.
        path: where both stand, for the messages.

    Returns:
        One phrase for each.
    """
    if isinstance(recorded, Mapping) and isinstance(computed, Mapping):
        keys = [*recorded, *(key for key in computed if key not in recorded)]
        pairs = [(_step(path, key), recorded.get(key), computed.get(key)) for key in keys]
        return [line for step, left, right in pairs for line in different(left, right, step)]
    if isinstance(recorded, list | tuple) and isinstance(computed, list | tuple) and len(recorded) == len(computed):
        steps = [_step(path, _label(item, index)) for index, item in enumerate(computed)]
        triples = zip(steps, recorded, computed, strict=True)
        return [line for step, left, right in triples for line in different(left, right, step)]
    if _number(recorded) and _number(computed):
        same = abs(recorded - computed) <= TOLERANCE
    else:
        same = recorded == computed
    return [] if same else [f"{path} is {_short(recorded)}, recomputed {_short(computed)}"]


def _step(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _label(item: Any, index: int) -> Any:
    """Name a list's item by the dataset or family it is about."""
    return item.get("dataset", item.get("family", index)) if isinstance(item, Mapping) else index


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = f"{value:.12g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
