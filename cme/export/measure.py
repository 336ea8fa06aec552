"""What exports lose against the routed adapter, on the same samples."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from cme.evaluation.run import evaluate_parts
from cme.evaluation.settings import EvalSettings
from cme.export.checks import Checked
from cme.export.folder import ALL
from cme.records import Result
from cme.records.analysis import Interval
from cme.records.export import Measured, MeasuredExport, PlainExport
from cme.records.samples import read_samples
from cme.stats import average_weights
from cme.stats.means import Means, weighted_means
from cme.suite.experts.redundancy import combined
from cme.suite.experts.score_file import score_table
from cme.suite.experts.scores import METRICS, ScoreTable
from cme.suite.experts.worth import FAMILY, ROUTED, router_worth

__all__ = ["measure", "measured_exports"]


def measure(checked: Checked, exports: Sequence[PlainExport], out: Path) -> Measured:
    """Evaluate the routed adapter and its exports. Finished evaluations below ``out`` are read.

    The datasets of each family are evaluated with the adapter of that family, if the export has one for each.

    Args:
        checked: the checked export.
        exports: the exports.
        out: folder of the export.
    """
    given = checked.settings.measure
    assert given is not None
    settings = replace(
        given,
        base=checked.base_name,
        prompt_format=checked.prompt_format,
        dtype=checked.settings.dtype,
        device=checked.settings.device,
    )
    home, names = out / "evaluations", [spec.name for spec in checked.specs]
    folders = {ROUTED: str(checked.folder)}
    folders |= {item.how: str(out / item.adapters[ALL].folder) for item in exports if item.how != FAMILY}
    results = evaluate_parts(settings, {home / name: (adapter, names) for name, adapter in folders.items()})
    samples = {name: read_samples(home / name / "samples.parquet") for name in folders}
    for item in exports:
        if item.how == FAMILY:
            samples[FAMILY] = _by_family(checked, item, settings, out)
    table = score_table(samples)
    # Eight samples of a dataset are too few for a standard error, as everywhere in CME.
    intervals = settings.tier != "smoke"
    retention = {name: _retention(result) for name, result in zip(folders, results, strict=True)}
    scores = measured_exports(table, retention, intervals=intervals)
    worth, best = router_worth(table, intervals=intervals)
    return Measured(
        tier=settings.tier,
        source=results[0].source,
        dtype=settings.dtype,
        samples=len(samples[ROUTED]),
        routed=scores.pop(ROUTED).score,
        exports=tuple(scores[item.how] for item in exports),
        worth=worth,
        best=best,
    )


def measured_exports(
    table: ScoreTable, retention: Mapping[str, Mapping[str, np.ndarray]], *, intervals: bool
) -> dict[str, MeasuredExport]:
    """Compare evaluations with that of the routed adapter.

    Args:
        table: the scores, with the evaluation ``routed``.
        retention: for each evaluation that has it, the values of each text or window by name of the quantity.
        intervals: whether to compute intervals of scores.

    Returns:
        The scores and differences by name of the evaluation, also of ``routed``.
    """
    unit = np.eye(len(table.evaluations))
    means = {metric: weighted_means(table.values(metric), table.clusters, table.weights) for metric in METRICS}
    families = _families(table)
    routed = unit[table.evaluations.index(ROUTED)]
    measured = {}
    for place, name in enumerate(table.evaluations):
        own, off = unit[place], unit[place] - routed
        kept, reference = retention.get(name, {}), retention.get(ROUTED, {})
        both = {key: values for key, values in kept.items() if key in reference}
        measured[name] = MeasuredExport(
            how=name,
            score={
                **{metric: combined(of, own, intervals) for metric, of in means.items()},
                **{key: _mean(values) for key, values in kept.items()},
            },
            difference={
                **{metric: combined(of, off, intervals) for metric, of in means.items()},
                **{key: _mean(values - reference[key]) for key, values in both.items()},
            },
            families={family: combined(of, off, intervals) for family, of in families.items()},
        )
    return measured


def _families(table: ScoreTable) -> dict[str, Means]:
    families = {name: table.families[name] for name in table.weights}
    return {
        family: weighted_means(
            table.values("average"),
            table.clusters,
            average_weights({name: of for name, of in families.items() if of == family}),
        )
        for family in dict.fromkeys(families.values())
    }


def _by_family(checked: Checked, item: PlainExport, settings: EvalSettings, out: Path) -> list[dict[str, Any]]:
    """Evaluate the datasets of each family with its adapter, and return the samples of all."""
    names: dict[str, list[str]] = {}
    for spec in checked.specs:
        names.setdefault(spec.family, []).append(spec.name)
    home = out / "evaluations" / FAMILY
    # No single adapter answers, so there is no retention of this export.
    plain = replace(settings, retention=False, retention_text=None)
    evaluate_parts(
        plain, {home / family: (str(out / item.adapters[family].folder), own) for family, own in names.items()}
    )
    return [row for family in names for row in read_samples(home / family / "samples.parquet")]


def _retention(result: Result) -> dict[str, np.ndarray]:
    """Return what retention measured in each text: the drift, and the change of the loss if there was a text for it."""
    retention = result.retention
    if retention is None:
        return {}
    values = {"drift": np.array(retention.drift.texts)}
    if retention.loss is not None:
        values["loss"] = np.array(retention.loss.adapted) - np.array(retention.loss.base)
    return values


def _mean(values: np.ndarray) -> Interval:
    """Return a mean over texts with its interval from Student's t."""
    from scipy.special import stdtrit

    value, count = float(values.mean()), len(values)
    if count < 2:
        return Interval(value=value, low=None, high=None)
    half = float(stdtrit(count - 1, 0.975) * values.std(ddof=1) / count**0.5)
    return Interval(value=value, low=value - half, high=value + half)
