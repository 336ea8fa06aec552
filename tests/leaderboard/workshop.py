"""A workshop for results and runs: pseudo-random per-sample scores, no model."""

import hashlib
from pathlib import Path

from cme.files import sha256_file
from cme.records import AdapterInfo, Result, Run, write_record
from cme.records.samples import write_samples
from cme.suite import datasets
from cme.suite.score import SCORER_VERSION, aggregate

BASE_FINGERPRINT = "b" * 64


def fraction(*words: object) -> float:
    """A number in [0, 1) that depends on the words alone."""
    return int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:6]) / 2**48


def make_samples(skill: float, seed: str, rows: int = 24, names: tuple[str, ...] | None = None) -> list[dict]:
    """``rows`` samples per dataset; ``skill`` is the probability of a right answer. Three rows share a cluster."""
    samples = []
    for spec in datasets().values():
        if names is not None and spec.name not in names:
            continue
        for index in range(rows):
            draw = fraction(spec.name, index, seed)
            row = {
                "id": f"{spec.name}-{index}",
                "dataset": spec.name,
                "family": spec.family,
                "part": spec.parts[index % len(spec.parts)].name,
                "cluster": f"{spec.name}-c{index // 3}",
                "empty": False,
                "truncated": False,
                "cut": index == 0,
            }
            if spec.kind == "choice":
                options = len(spec.choices) if spec.choices else 4
                gold = index % options
                predicted = gold if draw < skill else (gold + 1) % options
                value = float(gold == predicted)
                row |= {"options": options, "gold": gold, "predicted": predicted, "gold_probability": 0.2 + 0.6 * value}
            else:
                value = draw * skill
                row |= {"options": 0, "gold": None, "predicted": None, "gold_probability": None}
            scores = {name: value * (1 - 0.1 * place) for place, name in enumerate(spec.metrics)}
            samples.append(row | {"score": value, "scores": scores})
    return samples


class Workshop:
    """Writes results and runs as ``cme eval`` and ``cme train`` would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries = root / "board" / "entries"

    def result(
        self, name: str, samples: list[dict], *, adapter: str | None = None, changes: bool = True, **other
    ) -> Path:
        folder = self.root / "results" / name
        write_samples(folder / "samples.parquet", samples)
        values = {
            "name": name,
            "base": "smollm2-135m",
            "base_fingerprint": BASE_FINGERPRINT,
            "adapter": AdapterInfo(f"runs/{name}/adapter", "LORA", adapter, changes) if adapter else None,
            "tier": "quick",
            "prompt_format": "plain",
            "shots": 0,
            "source": "mini",
            "samples_sha256": sha256_file(folder / "samples.parquet"),
            "scorer_version": SCORER_VERSION,
            "task_fingerprints": {key: spec.fingerprint for key, spec in datasets().items()},
            "provenance": {},
            "missing": (),
            "device": "cpu",
            "dtype": "float32",
            "batch_size": 4,
            "threads": 2,
            "seconds": {"qqp": 1.5},
            "versions": {"cme": "0.1.0"},
            "finished": "2025-01-01T00:00:00+00:00",
        } | other
        write_record(folder / "result.json", Result(scores=aggregate(samples, tier=values["tier"]), **values))
        return folder

    def run(self, name: str, method: str, *, adapter: str, settings: dict | None = None, **other) -> Path:
        folder = self.root / "runs" / name
        values = {
            "method": method,
            "adapter": settings or {"r": 8, "experts": 4},
            "training": {"learning_rate": 2e-4, "seed": 0, "train_on_prompt": False, "mix": "mixes/a"},
            "base": "smollm2-135m",
            "base_fingerprint": BASE_FINGERPRINT,
            "adapter_fingerprint": adapter,
            "mix_fingerprint": "c" * 64,
            "prompt_format": "plain",
            "trainable_parameters": 1_234_567,
            "base_parameters": 135_749_567,
            "trainable_share": 0.90944,
            "steps": 100,
            "examples": 800,
            "tokens": 120_000,
            "wall_seconds": 247.4,
            "tokens_per_second": 485.0,
            "peak_memory_bytes": 2_000_000_000,
            "losses": ((1, 2.5), (100, 1.5)),
            "validation_loss": None,
            "dropped": {},
            "cut": 0,
            "interruptions": 0,
            "device": "cpu",
            "dtype": "float32",
            "world_size": 1,
            "versions": {"cme": "0.1.0"},
            "started": "2025-01-01T00:00:00+00:00",
            "finished": "2025-01-01T00:04:07+00:00",
        } | other
        write_record(folder / "run.json", Run(**values))
        return folder
