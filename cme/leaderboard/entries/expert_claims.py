"""Checks of what an entry states about its experts: shapes, ranges, and load figures that must fit each other."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from cme.leaderboard.entries.costs import experts_of
from cme.readers.limits import ENTRY_EXPERTS
from cme.records import (
    Entry,
    EntryRun,
    ExpertsCompetition,
    ExpertsLoad,
    ExpertValues,
    MaskScore,
    RunExperts,
    ShapleyAnalysis,
    SubjectInformation,
)
from cme.stats import average_weights
from cme.stats.coalitions import EXACT
from cme.suite import datasets
from cme.suite.experts.masks import Masks
from cme.suite.experts.scores import METRICS
from cme.suite.suites import ALL

__all__ = ["expert_problems"]

_DIGEST = re.compile(r"[0-9a-f]{64}")
_ROUNDING = 1e-6
_HALF = 0.02
"""Allowance for values φ in half precision, which need not sum to 1 exactly."""
_MOST_SUBJECTS = 200
_SUBJECT = 100
"""Maximum number of characters of the name of a subject."""


def expert_problems(entry: Entry) -> Iterator[str]:
    """List what is wrong with the values of the experts of an entry, one phrase for each.

    The values that follow from the scores beside the entry are recomputed by ``cme leaderboard verify``. Here their shapes are
    checked, so that every table and page can show them.

    Args:
        entry: an entry with at least one run.
    """
    for run in entry.runs:
        if run.experts is not None:
            yield from (f"experts: {line}" for line in _problems(entry, run, run.experts))


def _problems(entry: Entry, run: EntryRun, experts: RunExperts) -> Iterator[str]:
    k = experts.experts
    count, rank = experts_of(entry) or (0, None)
    if run.seed is None or count != k or not 2 <= k <= ENTRY_EXPERTS:
        yield f"they are {k}, but the row has {count or 'none'}; expected 2 to {ENTRY_EXPERTS}"
        return
    if experts.rank != rank:
        yield f"their rank is {experts.rank}, but that of the row is {rank}"
    scored = {item.dataset: item.family for item in run.scores.datasets}
    evaluated = bool(experts.redundancy) or experts.shapley is not None
    if evaluated != (experts.scores_sha256 is not None):
        yield "scores_sha256 must be there if and only if there are masked scores"
    elif experts.scores_sha256 is not None and not _DIGEST.fullmatch(experts.scores_sha256):
        yield "scores_sha256 is not a SHA-256 digest"
    if experts.load is not None:
        yield from (f"load: {line}" for line in _load(experts.load, k, scored))
    if experts.redundancy:
        yield from (f"redundancy: {line}" for line in _redundancy(experts.redundancy, k))
    if experts.shapley is not None:
        yield from (f"shapley: {line}" for line in _shapley(experts.shapley, k, scored))
    if experts.competition is not None:
        yield from (f"competition: {line}" for line in _competition(experts.competition, k))


def _load(load: ExpertsLoad, k: int, scored: Mapping[str, str]) -> Iterator[str]:
    ranges = {
        "entropy": (0.0, 1.0),
        "effective": (1.0, float(k)),
        "largest": (1.0, float(k)),
        "variation": (0.0, math.sqrt(k - 1)),
        **dict.fromkeys(("negative", "token_entropy", "confident", "disagreement"), (0.0, 1.0)),
    }
    for name, (low, high) in ranges.items():
        if not low - _ROUNDING <= getattr(load, name) <= high + _ROUNDING:
            yield f"{name} is {getattr(load, name):g}; expected {low:g} to {high:g}"
    groups = {"": load.phi, **load.datasets, **{f"subject {name}": of for name, of in load.subjects.items()}}
    if wrong := [name for name, phi in groups.items() if not _distribution(phi, k)]:
        yield f"phi of {ascii(wrong[0][:100]) if wrong[0] else 'the suite'} is not a distribution over {k} experts"
        return
    if set(load.datasets) != set(scored):
        yield "its datasets are not those of the row"
        return
    yield from _pooled(load, k, scored)
    if len(load.subjects) > _MOST_SUBJECTS or any(not 0 < len(name) <= _SUBJECT for name in load.subjects):
        yield f"expected at most {_MOST_SUBJECTS} subjects with names of at most {_SUBJECT} characters"
    if (load.information is None) != (not load.subjects):
        yield "information must be there if and only if there are subjects"
    elif load.information is not None:
        yield from (f"information: {line}" for line in _information(load.information, k, len(load.subjects)))


def _pooled(load: ExpertsLoad, k: int, scored: Mapping[str, str]) -> Iterator[str]:
    """Check that the load of the suite and its entropy fit the load of the datasets."""
    suite = datasets(ALL)
    weights = average_weights({name: family for name, family in scored.items() if name in suite})
    total = sum(weights.values())
    for expert in range(k) if weights else ():
        mean = sum(weight * load.datasets[name][expert] for name, weight in weights.items()) / total
        if abs(mean - load.phi[expert]) > _ROUNDING:
            yield f"phi of expert {expert} is {load.phi[expert]:g}, but the datasets give {mean:g}"
            return
    # The entropy is concave: its mean over the layers is at most that of the mean over the layers. The exponential is convex.
    phi = [value / sum(load.phi) for value in load.phi]
    if load.entropy * math.log(k) > _entropy(phi) + _HALF / 10:
        yield f"entropy is {load.entropy:g}, which is more than that of the mean φ"
    if load.effective < k**load.entropy - _ROUNDING:
        yield f"effective is {load.effective:g}, which is less than exp of the mean entropy"
    if load.largest < k * max(phi) - _HALF:
        yield f"largest is {load.largest:g}, which is less than that of the mean φ"


def _information(item: SubjectInformation, k: int, subjects: int) -> Iterator[str]:
    if not all(0 <= value <= math.log(k) + _ROUNDING for value in (item.information, item.null_mean)):
        yield f"it is {item.information:g} nats and {item.null_mean:g} at random; expected 0 to ln {k}"
    corrected = item.information - item.null_mean
    if abs(item.corrected - corrected) > _ROUNDING or abs(item.share - corrected / math.log(k)) > _ROUNDING:
        yield "corrected and share do not follow from information and null_mean"
    if not 1 / (item.permutations + 1) - _ROUNDING <= item.p <= 1:
        yield f"p is {item.p:g}, which {item.permutations} permutations cannot give"
    if item.rows < subjects * item.fewest:
        yield f"{item.rows} rows are too few for {subjects} subjects with at least {item.fewest}"


def _redundancy(items: Sequence[MaskScore], k: int) -> Iterator[str]:
    masks = Masks(k, redundancy=True, shapley=False)
    expected = {name: masks.choices[name] or "" for name in masks.reported}
    if {item.name: item.experts for item in items} != expected or len(items) != len(expected):
        yield f"its evaluations are not those of {k} experts"
    for item in items:
        for name in ("score", "difference", "share_of_score", "share_of_gain"):
            if set(getattr(item, name)) != set(METRICS):
                yield f"{item.name[:60]!a} has other metrics than {', '.join(METRICS)}"
                return


def _shapley(shapley: ShapleyAnalysis, k: int, scored: Mapping[str, str]) -> Iterator[str]:
    if k > EXACT:
        yield f"it needs all coalitions, and at most {EXACT} experts have exact values"
        return
    suite = datasets(ALL)
    families = {family for name, family in scored.items() if name in suite}
    names = {"average": ["average"], "soft": ["soft"], "families": sorted(families), "datasets": sorted(scored)}
    for part, expected in names.items():
        items: Sequence[ExpertValues] = (
            getattr(shapley, part) if part in ("families", "datasets") else [getattr(shapley, part)]
        )
        if sorted(item.name for item in items) != expected:
            yield f"{part} has other names than the row"
        pairs = {f"{first}-{second}" for first, second in combinations(range(k), 2)}
        for item in items:
            gates = k if item.gates is None else len(item.gates)
            if len(item.values) != k or set(item.interactions) != pairs or gates != k:
                yield f"{item.name[:60]!a} does not have the values of {k} experts"
                return
    correlations = [item for item in (shapley.agreement, shapley.soft_agreement) if item is not None]
    numbers = [value for item in correlations for value in (item.value, item.low, item.high) if value is not None]
    if any(abs(value) > 1 + _ROUNDING for value in numbers):
        yield "a correlation is not between −1 and 1"


def _competition(item: ExpertsCompetition, k: int) -> Iterator[str]:
    if len(item.matrix) != k or any(len(row) != k for row in item.matrix):
        yield f"the matrix does not have {k} × {k} elements"
        return
    off = [value for place, row in enumerate(item.matrix) for other, value in enumerate(row) if other != place]
    diagonal = [row[place] for place, row in enumerate(item.matrix)]
    # A root mean square is convex, so its mean over the layers is at least that of the mean matrix.
    for name, values in (("spread", off), ("moved", [value - 1 for value in diagonal])):
        least = math.sqrt(sum(value**2 for value in values) / len(values))
        if getattr(item, name) < least - _ROUNDING:
            yield f"{name} is {getattr(item, name):g}, but the matrix gives at least {least:g}"
    for name in ("positive", "outside"):
        if not 0 <= getattr(item, name) <= 1:
            yield f"{name} is {getattr(item, name):g}; expected 0 to 1"


def _distribution(phi: Sequence[float], k: int) -> bool:
    return len(phi) == k and all(0 <= value <= 1 + _HALF for value in phi) and abs(sum(phi) - 1) <= _HALF


def _entropy(phi: Sequence[float]) -> float:
    return -sum(value * math.log(value) for value in phi if value > 0)
