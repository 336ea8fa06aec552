"""Recomputing the numbers of a record from its per-sample scores."""

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
"""Largest allowed difference between a recorded and a recomputed number; it covers the rounding of sums only."""

_SHOWN = 5


def check_hash(path: Path, expected: str, where: str) -> None:
    """Check that a file of samples is the one that a record names.

    Raises:
        CMEError: The file is missing or has another SHA-256.
    """
    if not path.is_file():
        raise CMEError(
            f"{where}: the file of per-sample scores {path} does not exist. Restore the file, or evaluate again."
        )
    check_file(path, MAX_SAMPLES_BYTES)
    if (actual := sha256_file(path)) != expected:
        raise CMEError(
            f"{where}: {path} has changed since it was recorded (SHA-256 {actual[:12]}…, recorded {expected[:12]}…). "
            "Restore the file, or evaluate again."
        )


def check_scores(scores: Scores, samples: Sequence[Sample], *, tier: str, where: str) -> None:
    """Check recorded scores against their samples.

    Args:
        scores: The recorded scores.
        samples: The samples from which the scores were computed.
        tier: The tier of the evaluation.
        where: What the scores belong to, for the message.

    Raises:
        CMEError: A number differs by more than `TOLERANCE`. The message lists the first few.
        DataError: The samples do not match the definitions of their datasets.
    """
    computed = computed_scores(samples, tier=tier, where=where).plain()
    if "soft" not in scores.model_fields_set:
        del computed["soft"]  # a file of a version without soft scores
    if differences := different(scores.plain(), computed):
        more = f" and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        raise CMEError(
            f"{where}: {len(differences)} of its numbers do not follow from its per-sample scores: "
            f"{'; '.join(differences[:_SHOWN])}{more}. Evaluate again, and do not edit numbers by hand."
        )
    check_answers(samples, where)


def computed_scores(samples: Sequence[Sample], *, tier: str, where: str) -> Scores:
    """Compute scores from samples, which may come from anyone.

    Args:
        samples: The samples.
        tier: The tier of the evaluation.
        where: What the samples belong to, for the message.

    Raises:
        DataError: The samples do not match the definitions of their datasets.
    """
    try:
        return aggregate(samples, tier=tier)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise DataError(
            f"{where}: its samples lack fields that scoring needs ({type(error).__name__}: {error}). Evaluate again."
        ) from error


def items_digest(samples: Sequence[Sample]) -> str:
    """Compute a SHA-256 of the datasets and ids of the scored samples, independent of their order.

    Raises:
        DataError: There are no samples.
    """
    if not samples:
        raise DataError("there are no per-sample scores. Evaluate at least one dataset.")
    return digest(sorted([sample["dataset"], sample["id"]] for sample in samples))


def different(recorded: Any, computed: Any, path: str = "", *, relative: bool = False) -> list[str]:
    """List the differences between two JSON-like values; numbers may differ by `TOLERANCE`.

    Args:
        recorded: The recorded value.
        computed: The recomputed value.
        path: The path of both values in the record, for the messages.
        relative: Whether numbers above 1 may differ by `TOLERANCE` times their size. A ratio may be large, and is less exact.

    Returns:
        One phrase for each difference.
    """
    if isinstance(recorded, Mapping) and isinstance(computed, Mapping):
        keys = [*recorded, *(key for key in computed if key not in recorded)]
        pairs = [(_step(path, key), recorded.get(key), computed.get(key)) for key in keys]
        return [line for step, left, right in pairs for line in different(left, right, step, relative=relative)]
    if isinstance(recorded, list | tuple) and isinstance(computed, list | tuple) and len(recorded) == len(computed):
        steps = [_step(path, _label(item, index)) for index, item in enumerate(computed)]
        triples = zip(steps, recorded, computed, strict=True)
        return [line for step, left, right in triples for line in different(left, right, step, relative=relative)]
    if _number(recorded) and _number(computed):
        same = abs(recorded - computed) <= TOLERANCE * (max(1.0, abs(computed)) if relative else 1.0)
    else:
        same = recorded == computed
    return [] if same else [f"{path} is {_short(recorded)}, recomputed {_short(computed)}"]


def _step(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)


def _label(item: Any, index: int) -> Any:
    """Return the dataset or family of a list's item, else its index."""
    return item.get("dataset", item.get("family", index)) if isinstance(item, Mapping) else index


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: Any) -> str:
    text = f"{value:.12g}" if isinstance(value, float) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
