"""The figures of an analysis. They are readable without colour: values are written, and experts have markers of their own."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cme.analysis.load_tables import groups_of
from cme.analysis.plotting import COLOURS, GREY, MARKERS, base_line, error_lengths, plain_axes
from cme.analysis.texts import mask_title, suite_of
from cme.analysis.validation_figures import draw_bundles, draw_layer_groups, draw_losses, draw_training
from cme.records.analysis import Analysis, Interval

__all__ = ["LayerLoad", "figures"]


@dataclass(frozen=True)
class LayerLoad:
    """The load of one layer.

    Attributes:
        layer: name of the layer.
        phi: mean φ of each expert over the prompts of each subject, [k] by subject.
    """

    layer: str
    phi: Mapping[str, Sequence[float]]


def figures(record: Analysis, layer: LayerLoad | None = None) -> dict[str, Callable[[], Any]]:
    """Return the functions that draw the figures of an analysis, by the name of the file without its suffix.

    Args:
        record: the analysis.
        layer: the load of a single layer, to be drawn beside the mean over the layers.
    """
    drawn: dict[str, Callable[[], Any]] = {}
    if record.load is not None:
        drawn["load"] = lambda: draw_load(record, layer)
    if record.redundancy:
        drawn["masks"] = lambda: draw_masks(record)
    if record.shapley is not None:
        drawn["shapley"] = lambda: draw_shapley(record)
    if record.similarity is not None and record.similarity.competition:
        drawn["competition"] = lambda: draw_competition(record)
    if (validation := record.validation) is not None:
        drawn["validation"] = lambda: draw_losses(record)
        if validation.bundles is not None:
            drawn["bundles"] = lambda: draw_bundles(record)
        if validation.shapley is not None:
            drawn["layer-groups"] = lambda: draw_layer_groups(record)
    if record.training is not None:
        drawn["training"] = lambda: draw_training(record)
    return drawn


def draw_load(record: Analysis, layer: LayerLoad | None = None) -> Any:
    """Draw the mean φ of each expert by MMLU subject, or by dataset if there are no subjects.

    Args:
        record: the analysis.
        layer: the load of a single layer, drawn in a second panel.
    """
    from matplotlib.figure import Figure

    assert record.load is not None
    groups = groups_of(record.load.prompt, "subject")
    kind = "subject"
    if len(groups) < 2:
        groups, kind, layer = groups_of(record.load.prompt, "dataset"), "dataset", None
    names = sorted(groups, key=lambda name: -groups[name].phi[0])
    tables = {"mean over the layers": 100 * np.array([groups[name].phi for name in names])}
    if layer is not None:
        tables[layer.layer.removeprefix("model.")] = 100 * np.array([layer.phi[name] for name in names])
    width = 2.4 + len(tables) * (1.1 + 0.36 * record.experts)
    figure = Figure(figsize=(width, 2.0 + 0.145 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
    # One scale for all panels, so that a flat mean over the layers looks flat.
    low, high = (function([function(table) for table in tables.values()]) for function in (np.min, np.max))
    for axes, (title, shares) in zip(panels, tables.items(), strict=True):
        image = axes.imshow(shares, aspect="auto", cmap="cividis", vmin=low, vmax=high)
        for row, line in enumerate(shares):
            for expert, value in enumerate(line):
                colour = "black" if value > (low + high) / 2 else "white"
                text = axes.text(expert, row, f"{value:.1f}", ha="center", va="center", fontsize=5, color=colour)
                # Hundreds of texts inside the axes would make the layout slow.
                text.set_in_layout(False)
        axes.set_xticks(range(record.experts), [str(expert) for expert in range(record.experts)])
        axes.set_xlabel("expert")
        axes.set_title(title, fontsize=7)
    bar = figure.colorbar(image, ax=panels, location="bottom", aspect=30, shrink=0.7, pad=0.02)
    bar.set_label("mean φ over the tokens of prompts, %", fontsize=7)
    panels[0].set_yticks(range(len(names)), [name.replace("_", " ") for name in names], fontsize=6)
    figure.suptitle(f"{record.name}: load by {kind}", fontsize=8)
    return figure


def draw_masks(record: Analysis) -> Any:
    """Draw how far the CME average falls if experts are masked, with paired intervals."""
    from matplotlib.figure import Figure

    shown = [item for item in record.redundancy if item.name not in ("all", "base")]
    base = next(item for item in record.redundancy if item.name == "base").difference["average"]
    figure = Figure(figsize=(5.2, 0.9 + 0.22 * len(shown)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(shown))[::-1]
    values = [item.difference["average"] for item in shown]
    kinds = [_kind(item.name, record.experts) for item in shown]
    for place, item, kind in zip(places, values, kinds, strict=True):
        axes.barh(
            place,
            item.value,
            height=0.7,
            color=COLOURS[kind],
            hatch=("", "///", "...")[kind],
            edgecolor="white",
            lw=0.5,
        )
    axes.errorbar(
        [item.value for item in values], places, xerr=error_lengths(values), fmt="none", ecolor="black", lw=1, capsize=2
    )
    axes.axvline(0, color="black", lw=0.8)
    base_line(axes, base.value)
    axes.set_yticks(places, [mask_title(item.name, record.experts) for item in shown])
    axes.set_xlabel(f"{suite_of(record).average} minus that of all experts, points")
    _raise_intervals(axes)
    axes.set_title(f"{record.name}: the average with some experts masked", fontsize=8)
    plain_axes(axes)
    return figure


def draw_shapley(record: Analysis) -> Any:
    """Draw the Shapley values, and beside them how they agree with the router's values over datasets."""
    from matplotlib.figure import Figure

    assert record.shapley is not None
    average = record.shapley.average
    with_gates = [item for item in record.shapley.datasets if item.gates is not None]
    figure = Figure(figsize=(6.6 if with_gates else 3.0, 2.8), layout="constrained")
    panels = figure.subplots(1, 2 if with_gates else 1, squeeze=False, width_ratios=[1, 1.5] if with_gates else None)[0]
    left = panels[0]
    places = np.arange(record.experts)
    values = [item.value for item in average.values]
    left.bar(places, values, width=0.6, color=COLOURS[0], label="Shapley value")
    left.errorbar(places, values, yerr=error_lengths(average.values), fmt="none", ecolor="black", lw=1, capsize=2)
    if average.gates is not None:
        implied = sum(values) * np.array(average.gates) / sum(average.gates)
        left.plot(places, implied, "D", color=COLOURS[1], mec="black", ms=5, label="gain in proportion to mean φ")
    left.axhline(0, color="black", lw=0.8)
    left.set_xticks(places)
    left.set_xlabel("expert")
    left.set_ylabel(f"points of the {suite_of(record).average}")
    left.set_title("Shapley values", fontsize=8)
    _raise_intervals(left)
    left.margins(y=0.25)
    left.legend(fontsize=6, frameon=False, loc="upper left")
    plain_axes(left)
    if with_gates:
        _scatter(panels[1], record)
    return figure


def draw_competition(record: Analysis) -> Any:
    """Draw the mean interaction matrix, and how far the matrices of the layers are from their start."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    assert record.similarity is not None
    layers = record.similarity.competition
    figure = Figure(figsize=(6.6, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.8])
    mean = np.mean([item.matrix for item in layers], axis=0)
    largest = float(np.abs(mean).max())
    image = left.imshow(mean, cmap="cividis", vmin=-largest, vmax=largest)
    for row, line in enumerate(mean):
        for column, value in enumerate(line):
            colour = "black" if value > 0 else "white"
            left.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
    left.set_xticks(range(len(mean)))
    left.set_yticks(range(len(mean)))
    left.set_xlabel("φ of expert")
    left.set_ylabel("ω of expert")
    left.set_title("M, mean over the layers\n(numbers mean nothing across layers)", fontsize=7)
    figure.colorbar(image, ax=left, shrink=0.8)
    kinds = list(dict.fromkeys(item.layer.rsplit(".", 1)[-1] for item in layers))
    for place, kind in enumerate(kinds):
        chosen = [item for item in layers if item.layer.rsplit(".", 1)[-1] == kind]
        right.plot(
            range(len(chosen)),
            [item.spread for item in chosen],
            color=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)],
            ms=3,
            lw=1,
            label=kind,
        )
    right.axhline(0.1 / 3**0.5, color=GREY, ls="--", lw=0.8, label="start")
    right.set_ylim(bottom=0)
    right.set_xlabel("place among the adapted layers")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_ylabel("root mean square off the diagonal")
    right.set_title(f"{record.name}: interactions by layer", fontsize=8)
    right.legend(fontsize=6, frameon=False)
    plain_axes(right)
    return figure


def _scatter(axes: Any, record: Analysis) -> None:
    assert record.shapley is not None
    for expert in range(record.experts):
        points = [
            (100 * (item.gates[expert] - np.mean(item.gates)), item.values[expert].value - _mean(item.values))
            for item in record.shapley.datasets
            if item.gates is not None
        ]
        axes.plot(
            *zip(*points, strict=True),
            MARKERS[expert % len(MARKERS)],
            color=COLOURS[expert % len(COLOURS)],
            ms=4,
            mec="black",
            mew=0.3,
            ls="none",
            label=f"expert {expert}",
        )
    axes.axhline(0, color=GREY, lw=0.6)
    axes.axvline(0, color=GREY, lw=0.6)
    agreement = record.shapley.agreement
    note = ""
    if agreement is not None and agreement.value is not None:
        interval = "" if agreement.low is None else f" (95 %: {agreement.low:.2f} to {agreement.high:.2f})"
        note = f"\nSpearman {agreement.value:.2f}{interval}".replace("-", "−")
    axes.set_title(f"one point per dataset and expert{note}", fontsize=7)
    axes.set_xlabel("mean φ minus the mean over the experts, %")
    axes.set_ylabel("Shapley value minus the mean, points")
    axes.legend(fontsize=6, frameon=False, loc="best")
    plain_axes(axes)


def _mean(values: tuple[Interval, ...]) -> float:
    return sum(item.value for item in values) / len(values)


def _raise_intervals(axes: Any) -> None:
    """Draw intervals above bars and markers and with a white edge, so that they are visible on dark bars and in grey."""
    from matplotlib.patheffects import withStroke

    for container in axes.containers:
        for artists in container.lines[1:] if hasattr(container, "lines") else ():
            for artist in artists or ():
                artist.set_zorder(5)
                artist.set_path_effects([withStroke(linewidth=2.5, foreground="white")])


def _kind(name: str, experts: int) -> int:
    """Return 0 for top 1, 1 for one expert, and 2 for all but one."""
    if name.startswith("top1"):
        return 0
    return 1 if len(name.split("-")) == 2 and experts > 2 else 2
