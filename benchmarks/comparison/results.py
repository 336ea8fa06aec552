"""Results with the published numbers of samples and clusters, and random scores."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cme.files import digest, sha256_file
from cme.records import AdapterInfo, Result, versions, write_record
from cme.records.samples import write_samples
from cme.suite import DatasetSpec, datasets
from cme.suite.score import SCORER_VERSION, aggregate
from cme.suite.tiers import tier_order

__all__ = ["write_results"]

WITHIN = {"squad_v2": 10, "race": 4, "anli": 2}
"""Samples of a cluster, about as published, where questions share a text."""

_FINISHED = "2025-01-01T00:00:00+00:00"


class _Row:
    def __init__(self, number: int, spec: DatasetSpec) -> None:
        self.id = f"{spec.name}-{number}"
        self.subset = spec.subsets[number % len(spec.subsets)].name
        self.cluster = f"{spec.name}-c{number // WITHIN[spec.name]}" if spec.name in WITHIN else self.id


def write_results(folder: Path, *, methods: int = 2, seeds: int = 3, share: float = 1.0) -> dict[str, list[Path]]:
    """Write results of methods with several seeds.

    Args:
        folder: Folder for the results. Results that it already has are kept.
        methods: Number of methods.
        seeds: Number of seeds of each method.
        share: Share of the published samples of each dataset.

    Returns:
        The folders of the results by method.
    """
    written: dict[str, list[Path]] = {}
    for method in range(methods):
        written[f"method-{method}"] = []
        for seed in range(seeds):
            out = folder / f"method-{method}-{seed}"
            if not (out / "result.json").is_file():
                _write(out, np.random.default_rng([method, seed]), 0.6 + 0.01 * method, share)
            written[f"method-{method}"].append(out)
    return written


def _write(out: Path, rng: np.random.Generator, level: float, share: float) -> None:
    level += 0.015 * rng.standard_normal()
    samples = [row for spec in datasets().values() for row in _samples(spec, rng, level, share)]
    write_samples(out / "samples.parquet", samples)
    fingerprint = digest(str(out.name))
    result = Result(
        name=out.name,
        base="generated",
        base_fingerprint="0" * 64,
        adapter=AdapterInfo(path=out.name, method="lora", fingerprint=fingerprint, changes_output=True),
        tier="full",
        prompt_format="plain",
        shots=0,
        source="hub",
        scores=aggregate(samples, tier="full"),
        samples_sha256=sha256_file(out / "samples.parquet"),
        scorer_version=SCORER_VERSION,
        task_fingerprints={name: spec.fingerprint for name, spec in datasets().items()},
        provenance={name: {"revision": "generated"} for name in datasets()},
        missing=(),
        device="none",
        dtype="float32",
        batch_size=None,
        threads=None,
        seconds={},
        versions=versions(),
        finished=_FINISHED,
    )
    write_record(out / "result.json", result)


def _samples(spec: DatasetSpec, rng: np.random.Generator, level: float, share: float) -> Iterator[dict[str, Any]]:
    count = max(round(share * spec.rows["eval"]), 2)
    rows = tier_order([_Row(number, spec) for number in range(count)])
    # ROUGE is continuous; all other scores are 0 or 1 here.
    rouge = spec.primary_metric.startswith("rouge")
    values = rng.random(count) * level if rouge else rng.random(count) < level
    for row, value in zip(rows, values.tolist(), strict=True):
        choice = spec.kind == "choice"
        right = float(value)
        yield {
            "id": row.id,
            "dataset": spec.name,
            "family": spec.family,
            "part": row.subset,
            "cluster": row.cluster,
            "score": right,
            "scores": dict.fromkeys(spec.metrics, right),
            "options": spec.options,
            "gold": 0 if choice else None,
            "predicted": (0 if right else 1) if choice else None,
            "gold_probability": 0.3 + 0.4 * right if choice else None,
            "empty": False,
            "truncated": False,
            "cut": False,
        }
