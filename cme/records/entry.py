"""A row of the leaderboard."""

from dataclasses import dataclass
from typing import Any, ClassVar

from cme.records.result import Scores

__all__ = ["Entry"]


@dataclass(frozen=True)
class Entry:
    """One row, made from a result and, for an adapter, its run.

    Attributes:
        name: unique short name; also the name of its file and of its samples.
        method: adapter method, ``base``, or the name of a baseline.
        base: as asked for.
        base_fingerprint: SHA-256 of configuration and weights.
        tier: smoke, quick, standard or full.
        prompt_format: plain, chat or teamlora.
        shots: examples in the prompt.
        source: hub, mini or the mirror's name.
        scores: as in the result.
        samples_sha256: of ``samples/<name>.parquet``.
        scorer_version: of CME's scoring rules.
        task_fingerprints: of each dataset's YAML.
        settings: the adapter's settings (rank, experts, …); empty for a base.
        cost: from the run: trainable_parameters, trainable_share, wall_seconds, tokens_per_second, peak_memory_bytes, steps,
            device; empty for a base.
        provenance: fingerprints of adapter and mix, data revisions, versions, devices.
    """

    KIND: ClassVar[str] = "entry"
    SCHEMA_VERSION: ClassVar[int] = 1

    name: str
    method: str
    base: str
    base_fingerprint: str
    tier: str
    prompt_format: str
    shots: int
    source: str
    scores: Scores
    samples_sha256: str
    scorer_version: int
    task_fingerprints: dict[str, str]
    settings: dict[str, Any]
    cost: dict[str, Any]
    provenance: dict[str, Any]
