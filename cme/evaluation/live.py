"""Evaluates several models on the same rows until a comparison of them stops."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cme.errors import UsageError
from cme.evaluation.result_files import write_result
from cme.evaluation.row_rules import ByScores, Look
from cme.evaluation.session import pick_device
from cme.evaluation.settings import EvalSettings
from cme.evaluation.stages import GrowingModel, Sessions, grow
from cme.evaluation.start import Start, begin
from cme.locks import locks_released
from cme.models.load import pick_dtype
from cme.processes import Group, joined
from cme.records import Result
from cme.stats import Panel
from cme.stats.sequential import Sequential
from cme.stats.until import Until

__all__ = ["LiveModel", "evaluate_live"]


@dataclass(frozen=True)
class LiveModel:
    """A model of a comparison.

    Attributes:
        name: name in tables.
        base: base model: a hub id, a folder or the name of the embedded model.
        adapter: adapter folder or hub id. None means the base model itself.
        out: output folder of its result.
    """

    name: str
    base: str
    adapter: str | None
    out: Path


@locks_released()
def evaluate_live(
    models: Sequence[LiveModel],
    settings: EvalSettings,
    until: Until,
    panel_of: Callable[[Look], tuple[Panel, Mapping[str, float]]],
    *,
    looked: Callable[[Sequential], None] = lambda state: None,
) -> list[Result]:
    """Evaluate models on the same rows, look at their scores, and evaluate more rows until the comparison stops.

    Every look calls ``panel_of`` with the samples of all models, takes the look (`cme.stats.sequential.take_look`) and calls
    ``looked`` with the state after it. Models with the same base share the loaded base, and at most one base is in memory.
    After an interruption, the same call continues after the last finished batch and takes the same looks. Finished results in
    the folders are extended if the rule needs more rows, and are read without loading a model if it does not. Under
    ``torchrun``, ``panel_of`` and ``looked`` are called in the first process only.

    Args:
        models: the models, with different output folders.
        settings: settings of all evaluations, such as tier, source and datasets. Base, adapter and name are those of the models.
        until: the rule that stops, such as ``Until.parse("decided:0.5")``.
        panel_of: function that returns the scores of all models at a look, and the weights of the datasets in the average.
            `Look.samples` has one list of samples per model, in the order of ``models``.
        looked: function that is called with the state after every look. At the last look, its ``next_rows`` are None.

    Returns:
        The results in the order of the models. Each records the rows, the rule and the looks (`Result.rows`). Boards do not take
        results of a rule that stops when a difference is decided.

    Raises:
        CMEError: as for `cme.evaluation.run.evaluate`.
        UsageError: if there are no models, two have the same output folder, a baseline is given, or the half-width cannot be
            reached. The evaluated rows are kept.

    Example:
        >>> from cme.evaluation.live import LiveModel, evaluate_live  # doctest: +SKIP
        >>> models = [LiveModel(name, BASE, f"runs/{name}", Path("compared") / name) for name in ("a", "b")]  # doctest: +SKIP
        >>> def panel_of(look):  # doctest: +SKIP
        ...     panel = ...  # cme.stats.make_panel with the scores of look.samples[0] and look.samples[1]
        ...     return panel, average_weights(families)
        >>> states = []
        >>> results = evaluate_live(
        ...     models, EvalSettings(base=BASE, tier="full"), Until.parse("decided:0.5"), panel_of, looked=states.append
        ... )  # doctest: +SKIP
        >>> states[-1].reason, [result.rows.total for result in results]  # doctest: +SKIP
    """
    if not models:
        raise UsageError("there are no models to evaluate. Name at least one adapter or base.")
    if len({model.out.resolve() for model in models}) < len(models):
        raise UsageError("two models have the same output folder. Give each model another one.")
    if settings.baseline is not None:
        raise UsageError(
            f"the baseline {settings.baseline} is not a model whose rows can be chosen. Compare its finished result."
        )
    settings.check()
    settings = replace(settings, dtype=pick_dtype(settings.dtype))
    rule = ByScores(until, panel_of, looked=looked, always=True)
    with joined() as group:
        settings = replace(settings, device=pick_device(settings.device, group))
        starts = {}
        for base in dict.fromkeys(model.base for model in models):
            chosen = {model.out: model.adapter for model in models if model.base == base}
            starts[base] = _begun(replace(settings, base=base), chosen, rule, group)
        growing = []
        for model in models:
            own = replace(settings, base=model.base, adapter=model.adapter, name=model.name)
            row = next(row for row in starts[model.base].rows if row.out == model.out)
            growing.append(GrowingModel(own, starts[model.base], row))
        return grow(growing, rule, write_result, Sessions(len(models) > 1, group))


def _begun(settings: EvalSettings, chosen: Mapping[Path, str | None], rule: ByScores, group: Group) -> Start:
    """Check the models of one base and claim their folders."""
    return group.first(lambda: begin(settings, chosen, False, rule))
