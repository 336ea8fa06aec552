"""Writes measured exports to plain LoRA as ``cme export-lora --measure`` would, from simulated scores."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.leaderboard.workshop import Workshop

RETENTION_TEXTS = 4


def retention(level: float, base: str) -> dict:
    """Drift of four texts around a level."""
    texts = [level + 0.01 * number for number in range(RETENTION_TEXTS)]
    mean = sum(texts) / len(texts)
    stderr = (sum((text - mean) ** 2 for text in texts) / (len(texts) - 1) / len(texts)) ** 0.5
    drift = {"value": mean, "stderr": stderr, "tokens": 8, "texts": texts, "texts_sha256": "d" * 64}
    return {"base_fingerprint": base, "drift": drift, "loss": None, "remark": "no text"}


def write_export(
    workshop: Workshop,
    folder: Path,
    adapter: str,
    samples: Mapping[str, list[dict]],
    *,
    measured: bool = True,
    retentions: Mapping[str, dict] | None = None,
    **result: object,
) -> Path:
    """An export of an adapter.

    Args:
        workshop: writes results.
        folder: where the export goes.
        adapter: fingerprint of the routed adapter.
        samples: samples of each export, by the way of exporting.
        measured: whether the exports were measured.
        retentions: retention of each export.
        result: further fields of the results.
    """
    exports = []
    for number, (how, rows) in enumerate(samples.items()):
        fingerprint = f"{number:x}" * 64
        key = "sentiment" if how == "family" else "all"
        exports.append(
            {
                "how": how,
                "rank": 32,
                "adapters": {key: {"folder": how, "fingerprint": fingerprint, "parameters": 1, "rows": 1}},
                "divergence": 0.1,
                "layers": [],
                "ridge": None,
                "distilled": None,
            }
        )
        kept = {"retention": (retentions or {}).get(how)} | result
        made = workshop.result(f"{folder.name}-{how}", rows, adapter=fingerprint, **kept)
        home = folder / "evaluations" / how
        home.mkdir(parents=True, exist_ok=True)
        for file in made.iterdir():
            (home / file.name).write_bytes(file.read_bytes())
    scores = {"tier": "quick", "source": "mini", "dtype": "float32", "samples": 1, "routed": {}, "exports": []}
    values = {
        "kind": "export",
        "schema_version": 1,
        "name": "x",
        "base": "base",
        "base_fingerprint": "b" * 64,
        "adapter": {"path": "runs/x", "method": "teamlora", "fingerprint": adapter, "changes_output": True},
        "experts": 4,
        "expert_rank": 8,
        "mix_fingerprint": "c" * 64,
        "prompt_format": "plain",
        "rows": 1,
        "tokens": 1,
        "answer_tokens": 1,
        "dtype": "float32",
        "gates": {},
        "exports": exports,
        "measured": scores | {"worth": {}, "best": {}} if measured else None,
        "versions": {},
        "finished": "2026-01-01T00:00:00+00:00",
    }
    (folder / "export.json").write_text(json.dumps(values))
    return folder
