"""Writes analyses of experts as ``cme analyse`` would, from simulated scores and load."""

import hashlib
import math
from pathlib import Path

import numpy as np

from cme.files import sha256_file
from cme.leaderboard import make_entry
from cme.records import (
    AdapterInfo,
    Analysis,
    Entry,
    GroupLoad,
    LayerCompetition,
    LoadAnalysis,
    SimilarityAnalysis,
    SubjectTest,
    write_record,
)
from cme.stats import average_weights
from cme.stats.coalitions import members
from cme.suite import datasets
from cme.suite.experts.masks import Masks
from cme.suite.experts.redundancy import mask_scores
from cme.suite.experts.score_file import score_table, write_scores
from cme.suite.experts.shapley import shapley_analysis
from cme.suite.score import SCORER_VERSION
from tests.leaderboard.workshop import BASE_FINGERPRINT, Workshop, fraction, make_samples

EXPERTS = 4
WORTH = (0.4, 0.3, 0.2, 0.1)
"""Share of the adapter's right answers that each expert adds."""

SUBJECTS = tuple(f"subject_{number}" for number in range(57))


def group(dataset: str, family: str, subject: str, phi: np.ndarray) -> GroupLoad:
    """The load of a single layer."""
    entropy = float(-(phi * np.log(phi)).sum())
    return GroupLoad(
        dataset=dataset,
        family=family,
        subject=subject,
        tokens=1000,
        phi=tuple(phi.tolist()),
        gates=tuple(phi.tolist()),
        size=tuple(phi.tolist()),
        entropy=entropy / math.log(len(phi)),
        effective=math.exp(entropy),
        largest=float(phi.max()) * len(phi),
        variation=float(phi.std()) * len(phi),
        negative=0.0,
        token_entropy=0.8 * entropy / math.log(len(phi)),
        confident=0.05,
        disagreement=0.1,
    )


def drawn(*words: object) -> np.ndarray:
    """A distribution over the experts that depends on the words alone."""
    values = np.array([0.1 + fraction("phi", expert, *words) for expert in range(EXPERTS)])
    return values / values.sum()


def load_of(names: list[str], label: str) -> LoadAnalysis:
    suite = datasets()
    phi = {name: drawn(label, name) for name in names}
    subjects = {subject: drawn(label, subject) for subject in SUBJECTS} if "mmlu" in names else {}
    weights = average_weights({name: suite[name].family for name in names})
    whole = sum(weight / 100 * phi[name] for name, weight in weights.items())
    groups = [group("", "", "", whole), *(group(name, suite[name].family, "", phi[name]) for name in names)]
    groups += [group("mmlu", suite["mmlu"].family, subject, of) for subject, of in subjects.items()]
    test = SubjectTest(
        information=0.02,
        null_mean=0.005,
        corrected=0.015,
        share=0.015 / math.log(EXPERTS),
        p=0.01,
        permutations=999,
        by_layer=(0.02,),
        divergence=0.01,
        divergence_null=0.002,
        farthest={},
        subjects=57,
        rows=57 * 20,
        fewest=20,
    )
    return LoadAnalysis(
        layers=("layer",), prompt=tuple(groups), answer=tuple(groups[:1]), subjects=test if subjects else None
    )


def evaluations(full: list[dict], base: list[dict], label: str) -> dict[str, list[dict]]:
    """The samples of every evaluation: each sample is right as soon as its own experts are kept."""
    masks = Masks(EXPERTS, redundancy=True, shapley=True)
    number_of = {name: number for number, name in masks.coalitions.items()}
    made = {}
    for name in masks.choices:
        kept = members(number_of[name], EXPERTS) if name in number_of else (0, 1, 2)
        share = sum(WORTH[expert] for expert in kept)
        whole = len(kept) == EXPERTS
        made[name] = [
            own if whole or fraction(label, own["dataset"], own["id"]) < share else other
            for own, other in zip(full, base, strict=True)
        ]
    return made


def write_analysis(
    folder: Path, label: str, full: list[dict], base: list[dict], adapter: str, *, load: bool = True, **changes: object
) -> Path:
    """An analysis of the adapter with the samples ``full``, whose base has the samples ``base``."""
    names = list(dict.fromkeys(row["dataset"] for row in full))
    table = score_table(evaluations(full, base, label))
    write_scores(folder / "coalitions.parquet", table)
    masks = Masks(EXPERTS, redundancy=True, shapley=True)
    measured = load_of(names, label) if load else None
    gates = (
        None if measured is None else {item.dataset: np.array(item.phi) for item in measured.prompt if not item.subject}
    )
    matrix = np.eye(EXPERTS) + 0.05
    competition = LayerCompetition(
        layer="layer",
        matrix=tuple(map(tuple, matrix.tolist())),
        diagonal=1.05,
        off_diagonal=0.05,
        spread=0.05,
        moved=0.05,
        positive=1.0,
        outside=0.0,
    )
    values = {
        "name": label,
        "base": "smollm2-135m",
        "base_fingerprint": BASE_FINGERPRINT,
        "adapter": AdapterInfo(path=label, method="teamlora", fingerprint=adapter, changes_output=None),
        "experts": EXPERTS,
        "rank": 8,
        "tier": "quick",
        "source": "mini",
        "prompt_format": "plain",
        "dtype": "float32",
        "parts": ("load", "redundancy", "shapley", "similarity"),
        "load": measured,
        "redundancy": tuple(mask_scores(table, {name: masks.choices[name] for name in masks.reported})),
        "shapley": shapley_analysis(table, masks.coalitions, gates),
        "similarity": SimilarityAnalysis(layers=(), competition=(competition,)),
        "files": {"coalitions.parquet": sha256_file(folder / "coalitions.parquet")},
        "seconds": {},
        "versions": {},
        "finished": "2025-01-01T00:00:00+00:00",
        "scorer_version": SCORER_VERSION,
        "task_fingerprints": {name: spec.fingerprint for name, spec in datasets().items() if name in names},
    } | changes
    write_record(folder / "analysis.json", Analysis(**values))
    return folder


def analysed_row(
    workshop: Workshop,
    name: str,
    method: str,
    skill: float,
    *,
    seeds: tuple[int, ...] = (0,),
    rows: int = 24,
    names: tuple[str, ...] | None = None,
    base: tuple[float, str] = (0.4, "base"),
    **other: object,
) -> Entry:
    """A submitted row with an analysis of every seed.

    Args:
        workshop: where the files go.
        name, method, skill, seeds, rows, names: as in `Workshop.row`.
        base: skill and name of the base on the board.
        other: further arguments of `make_entry`.
    """
    results, runs, analyses = [], [], []
    for seed in seeds:
        label = f"{name}-{seed}"
        adapter = hashlib.sha256(f"{name} {seed}".encode()).hexdigest()
        samples = make_samples(skill, label, rows, names)
        results.append(workshop.result(label, samples, adapter=adapter))
        runs.append(workshop.run(label, method, adapter=adapter, seed=seed))
        folder = workshop.root / "analyses" / label
        analyses.append(write_analysis(folder, label, samples, make_samples(*base, rows, names), adapter))
    return make_entry(results, runs, workshop.entries, name=name, analyses=analyses, **other)
