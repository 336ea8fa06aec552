"""Boards to make pages of."""

from pathlib import Path

from cme.evaluation.run import evaluate
from cme.evaluation.settings import EvalSettings
from cme.leaderboard import make_entry
from cme.leaderboard.ranking.comparison import Standing, make_standing
from cme.records import Entry
from tests.leaderboard.workshop import Workshop

DATASETS = ("cnn_dailymail", "imdb", "anli", "nq_open", "arc")

MINI_DATASETS = ("qqp", "nq_open", "squad_v2")

METHODS = (
    ("lora", 0.42, {"rank": 32}, 5_000_000, 247.0, None),
    ("moslora", 0.43, {"rank": 32}, 5_010_000, 260.0, (1.04, 1.01, 1.07)),
    ("moelora", 0.60, {"rank": 8, "experts": 4}, 5_300_000, 402.0, (1.62, 1.55, 1.70)),
    ("hydralora", 0.61, {"rank": 8, "experts": 4}, 3_400_000, 330.0, (1.36, 1.30, 1.42)),
    ("teamlora", 0.92, {"rank": 8, "experts": 4}, 5_400_000, 290.0, (1.17, 1.12, 1.22)),
)
"""Method, skill, settings, trainable parameters, seconds, measured ratio."""


def ratios(found: tuple[float, float, float] | None) -> dict:
    """As ``cme submit --bench`` stores them."""
    value, low, high = found or (1.0, 1.0, 1.0)
    measured = {name: {"value": value, "low": low, "high": high} for name in ("train", "decode")}
    return measured | {"hardware": "a test", "device": "cpu", "threads": 2, "command": "cme bench adapters"}


def six_rows(
    root: Path, *, names: tuple[str, ...] | None = DATASETS, seeds: tuple[int, ...] = (0, 1, 2), **changes: object
) -> tuple[Standing, Path]:
    """Five methods and the base, a few-shot base and a baseline at the foot.

    Args:
        root: where the board goes.
        names: of the datasets; None: all.
        seeds: of each method.
        changes: fields of the TeamLoRA row to replace.

    Returns:
        Where the rows stand, and the folder of entries.
    """
    workshop = Workshop(root)
    entries: list[Entry] = [
        workshop.reference("base", 0.2, names=names),
        workshop.reference("base-3-shots", 0.45, shots=3, names=names),
        workshop.reference("majority", 0.35, baseline="majority", names=names),
    ]
    for method, skill, settings, trainable, seconds, measured in METHODS:
        run = {"trainable_parameters": trainable, "wall_seconds": seconds}
        entry = workshop.row(method, method, skill, seeds=seeds, settings=settings, run=run, names=names)
        entries.append(entry.replace(cost_ratios=ratios(measured)))
    entries[-1] = entries[-1].replace(**changes)
    return make_standing(entries, workshop.entries, resamples=300), workshop.entries


def mini_rows(root: Path) -> tuple[Standing, Path]:
    """A board of one row that was really evaluated, on rows of the mini corpus; no model is needed."""
    settings = EvalSettings(base="", baseline="majority", tier="smoke", source="mini", datasets=MINI_DATASETS)
    evaluate(settings, root / "majority")
    entry = make_entry([root / "majority"], [], root / "entries")
    return make_standing([entry], root / "entries"), root / "entries"


def many_rows(root: Path, rows: int = 200, samples: int = 64, resamples: int = 100) -> tuple[Standing, Path]:
    """A board as large as the page must bear, at tier quick with one seed each."""
    workshop = Workshop(root)
    entries = []
    for k in range(rows):
        method, skill, settings, trainable, seconds, measured = METHODS[k % len(METHODS)]
        run = {"trainable_parameters": trainable + 20_000 * k, "wall_seconds": seconds + k}
        entry = workshop.row(
            f"{method}-variant-{k:03d}", method, skill + 0.001 * (k % 50), rows=samples, settings=settings, run=run
        )
        entries.append(entry.replace(cost_ratios=ratios(measured)))
    return make_standing(entries, workshop.entries, resamples=resamples), workshop.entries
