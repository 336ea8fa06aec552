"""A workshop for results and runs: pseudo-random per-sample scores, no model."""

import hashlib
from pathlib import Path

from cme.files import sha256_file
from cme.leaderboard import make_entry
from cme.records import AdapterInfo, Entry, Result, Run, write_record
from cme.records.samples import write_samples
from cme.suite import DatasetSpec, datasets
from cme.suite.score import SCORER_VERSION, aggregate

BASE_FINGERPRINT = "b" * 64

TRAINING = {
    "base": "smollm2-135m",
    "prompt_format": "plain",
    "learning_rate": 2e-4,
    "schedule": "cosine",
    "warmup": 0.1,
    "epochs": None,
    "steps": 100,
    "batch_size": 8,
    "gradient_accumulation": 1,
    "max_length": 512,
    "dtype": "float32",
    "weight_decay": 0.0,
    "max_grad_norm": 1.0,
    "save_every": 25,
    "keep_checkpoints": False,
    "logging_steps": 10,
    "train_on_prompt": False,
    "gradient_checkpointing": False,
    "threads": 1,
}
"""Training settings, as a run records them; ``data`` and ``seed`` come with the run."""


def fraction(*words: object) -> float:
    """A number in [0, 1) that depends on the words alone."""
    return int.from_bytes(hashlib.sha256(repr(words).encode()).digest()[:6]) / 2**48


_ALL_OR_NOTHING = ("exact_match", "flexible_match", "pass_at_1")


def make_samples(skill: float, seed: str, rows: int = 24, names: tuple[str, ...] | None = None) -> list[dict]:
    """``rows`` samples per dataset; ``skill`` is the probability of a right answer. Three rows share a cluster."""
    samples = []
    for spec in (datasets() if names is None else datasets("all", beside=True)).values():
        if names is not None and spec.name not in names:
            continue
        for index in range(rows):
            draw = fraction(spec.name, index, seed)
            row = {
                "id": f"{spec.name}-{index}",
                "dataset": spec.name,
                "family": spec.family,
                "part": spec.subsets[index % len(spec.subsets)].name,
                "cluster": f"{spec.name}-c{index // 3}",
                "empty": False,
                "truncated": False,
                "cut": index == 0,
            }
            if spec.kind == "choice":
                options = spec.options
                gold = index % options
                predicted = gold if draw < skill else (gold + 1) % options
                value = float(gold == predicted)
                row |= {"options": options, "gold": gold, "predicted": predicted, "gold_probability": 0.2 + 0.6 * value}
            else:
                value = float(2 * draw < skill) if spec.primary_metric in _ALL_OR_NOTHING else draw * skill
                row |= {"options": 0, "gold": None, "predicted": None, "gold_probability": None}
            samples.append(row | {"score": value, "scores": make_scores(value, spec)})
    return samples


def _info(name: str, adapter: str, changes: bool) -> AdapterInfo:
    return AdapterInfo(path=f"runs/{name}/adapter", method="LORA", fingerprint=adapter, changes_output=changes)


def make_scores(value: float, spec: DatasetSpec) -> dict[str, float]:
    """All scores of a sample whose primary one is ``value``: such as one text may have together."""
    lower = {"rouge2": 0.8 * value, "exact_match": float(value == 1)}
    if spec.runs_code:
        lower = dict.fromkeys(spec.metrics, 0.0) | {"failed": 1 - value}
    return {name: value if name == spec.primary_metric else lower.get(name, value) for name in spec.metrics}


class Workshop:
    """Writes results and runs as ``cme eval`` and ``cme train`` would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.entries = root / "board" / "entries"

    def seeds(self, name: str, skill: float, names: tuple[str, ...], *, count: int = 2, **other) -> list[Path]:
        """Make the results of several trainings of one method."""
        return [
            self.result(
                f"{name}-{k}",
                make_samples(skill, f"{name}-{k}", 60, names),
                adapter=f"{name}{k}".encode().hex().ljust(64, "0"),
                **other,
            )
            for k in range(count)
        ]

    def result(
        self, name: str, samples: list[dict], *, adapter: str | None = None, changes: bool = True, **other
    ) -> Path:
        folder = self.root / "results" / name
        write_samples(folder / "samples.parquet", samples)
        scored = {row["dataset"] for row in samples}
        values = {
            "name": name,
            "base": "smollm2-135m",
            "base_fingerprint": BASE_FINGERPRINT,
            "adapter": _info(name, adapter, changes) if adapter else None,
            "tier": "quick",
            "prompt_format": "plain",
            "shots": 0,
            "source": "mini",
            "samples_sha256": sha256_file(folder / "samples.parquet"),
            "scorer_version": SCORER_VERSION,
            "task_fingerprints": {
                key: spec.fingerprint for key, spec in datasets("all", beside=True).items() if key in scored
            },
            "provenance": {key: {"world": "mini"} for key in scored},
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

    def run(
        self, name: str, method: str, *, adapter: str, settings: dict | None = None, seed: int = 0, **other
    ) -> Path:
        folder = self.root / "runs" / name
        values = {
            "method": method,
            "adapter": {"method": method} | (settings or {"rank": 8, "experts": 4}),
            "training": TRAINING | {"seed": seed, "data": str(self.root / "mix")},
            "base": "smollm2-135m",
            "base_fingerprint": BASE_FINGERPRINT,
            "adapter_fingerprint": adapter,
            "mix_fingerprint": "c" * 64,
            "prompt_format": "plain",
            "trainable_parameters": 1_234_567,
            "base_parameters": 135_749_567,
            "steps": 100,
            "examples": 800,
            "tokens": 120_000,
            "wall_seconds": 247.4,
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
        values.setdefault("trainable_share", 100 * values["trainable_parameters"] / values["base_parameters"])
        values.setdefault("tokens_per_second", values["tokens"] / values["wall_seconds"])
        write_record(folder / "run.json", Run(**values))
        return folder

    def row(
        self,
        name: str,
        method: str,
        skill: float,
        *,
        seeds: tuple[int, ...] = (0,),
        rows: int = 24,
        names: tuple[str, ...] | None = None,
        settings: dict | None = None,
        run: dict | None = None,
        result: dict | None = None,
        **other,
    ) -> Entry:
        """A submitted row of a trained method: a run and a result for each seed, ``<name>-<seed>``.

        Args:
            name: of the row.
            method: as tables show it.
            skill: probability of a right answer; seeds differ in which answers are right.
            seeds: of the runs.
            rows, names: of `make_samples`.
            settings: of the adapter.
            run, result: further fields of the runs and results.
            other: further arguments of `make_entry`.
        """
        results, runs = [], []
        for seed in seeds:
            adapter = hashlib.sha256(f"{name} {seed}".encode()).hexdigest()
            label = f"{name}-{seed}"
            samples = make_samples(skill, label, rows, names)
            results.append(self.result(label, samples, adapter=adapter, **(result or {})))
            runs.append(self.run(label, method, adapter=adapter, settings=settings, seed=seed, **(run or {})))
        return make_entry(results, runs, self.entries, name=name, **other)

    def reference(self, name: str, skill: float, *, baseline: str | None = None, rows: int = 24, **other) -> Entry:
        """A submitted row without training: a base, one that was shown examples (``shots``), or a baseline."""
        kept = {"base": "", "base_fingerprint": "", "prompt_format": "", "dtype": ""} if baseline else {}
        names = other.pop("names", None)
        folder = self.result(name, make_samples(skill, name, rows, names), **(kept | {"baseline": baseline} | other))
        return make_entry([folder], [], self.entries, name=name)
