"""The figures of the validation loss, and of the load during the training."""

from typing import Any

import numpy as np

from cme.analysis.plotting import COLOURS, GREY, MARKERS, base_line, error_lengths, plain_axes
from cme.analysis.texts import mask_title
from cme.records.analysis import Analysis

__all__ = ["draw_bundles", "draw_layer_groups", "draw_losses", "draw_training"]

_MOST_NAMED = len(MARKERS)
"""Most experts with a marker of their own. More would repeat markers and overflow the legend."""


def draw_losses(record: Analysis) -> Any:
    """Draw how far the validation loss rises if experts are masked, with paired intervals."""
    from matplotlib.figure import Figure

    assert record.validation is not None
    shown = [item for item in record.validation.masks if item.name not in ("all", "base")]
    base = next(item for item in record.validation.masks if item.name == "base").difference
    figure = Figure(figsize=(5.2, 0.9 + 0.22 * len(shown)), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(shown))[::-1]
    values = [item.difference for item in shown]
    lengths = error_lengths(values)
    for place, item in enumerate(values):
        errors = None if lengths is None else lengths[:, [place]]
        axes.errorbar(
            [item.value],
            [places[place]],
            xerr=errors,
            fmt=MARKERS[0],
            color=COLOURS[0],
            mec="black",
            ecolor="black",
            lw=1,
            capsize=2,
        )
    axes.axvline(0, color="black", lw=0.8)
    title = f"{record.name}: the validation loss with some experts masked"
    if base.value < 1.5 * max(item.high if item.high is not None else item.value for item in values):
        base_line(axes, base.value)
    else:
        # A line far to the right would squeeze all masks.
        title += f"\n(without any expert, the base: {base.value:+.2f})"
    axes.set_yticks(places, [mask_title(item.name, record.experts) for item in shown])
    axes.set_xlabel("loss minus that of all experts, nats per answer token")
    axes.set_title(title, fontsize=8)
    plain_axes(axes)
    return figure


def draw_bundles(record: Analysis) -> Any:
    """Draw the losses of experts alone with equal numbers in all layers, and of bundles drawn at random."""
    from matplotlib.figure import Figure

    assert record.validation is not None and record.validation.bundles is not None
    test = record.validation.bundles
    losses = {item.name: item.loss.value for item in record.validation.masks}
    figure = Figure(figsize=(5.6, 2.6), layout="constrained")
    axes = figure.subplots()
    drawn = np.sort([loss for draw in test.losses for loss in draw])
    axes.step(drawn, np.arange(1, len(drawn) + 1) / len(drawn), where="post", color=GREY, lw=1.2, label="drawn bundles")
    named = len(test.observed) <= _MOST_NAMED
    for expert, loss in enumerate(test.observed):
        height = float((drawn < loss).mean())
        axes.plot(
            [loss],
            [height],
            MARKERS[expert if named else 0],
            color=COLOURS[expert % len(COLOURS) if named else 0],
            mec="black",
            ms=6 if named else 4,
            ls="none",
            label=f"expert {expert} in every layer" if named else "" if expert else "one expert in every layer",
            clip_on=False,
            zorder=3,
        )
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("validation loss of one expert per layer, nats per answer token")
    axes.set_ylabel("share of drawn bundles below")
    # Lines at these two losses would squeeze the distribution.
    ends = f"all experts {losses['all']:.3f}, no expert {losses['base']:.3f}"
    axes.set_title(
        f"{record.name}: equal numbers against {test.draws} draws of {len(test.observed)} bundles, p = {test.p:.3g}\n({ends})",
        fontsize=8,
    )
    axes.legend(fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    plain_axes(axes)
    return figure


def draw_layer_groups(record: Analysis) -> Any:
    """Draw the Shapley values for minus the validation loss in all layers and in each group of layers."""
    from matplotlib.figure import Figure

    assert record.validation is not None and record.validation.shapley is not None
    validation = record.validation
    games = {"all layers": record.validation.shapley} | {
        f"{item.name} layers": item.values for item in validation.groups
    }
    figure = Figure(figsize=(5.2, 2.8), layout="constrained")
    axes = figure.subplots()
    width = 0.7 / record.experts
    for expert in range(record.experts):
        places = np.arange(len(games)) + (expert - (record.experts - 1) / 2) * width
        values = [game.values[expert] for game in games.values()]
        axes.errorbar(
            places,
            [item.value for item in values],
            yerr=error_lengths(values),
            fmt=MARKERS[expert % len(MARKERS)],
            color=COLOURS[expert % len(COLOURS)],
            mec="black",
            mew=0.5,
            ecolor="black",
            ms=5,
            lw=1,
            capsize=2,
            label=f"expert {expert}",
        )
    axes.axhline(0, color="black", lw=0.8)
    axes.set_xticks(range(len(games)), list(games))
    axes.set_ylabel("Shapley value, nats per answer token")
    axes.set_title(f"{record.name}: values for minus the validation loss", fontsize=8)
    axes.legend(fontsize=6, frameon=False, ncols=2)
    plain_axes(axes)
    return figure


def draw_training(record: Analysis) -> Any:
    """Draw how the load changes from checkpoint to checkpoint."""
    from matplotlib.figure import Figure

    assert record.training is not None
    steps = [item.step for item in record.training.steps]
    figure = Figure(figsize=(6.6, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    lines = {
        left: {"mean φ": "entropy", "φ of single tokens": "token_entropy"},
        right: {"top-1 share": "top1", "φ > 0.9": "confident"},
    }
    for axes, drawn in lines.items():
        for place, (label, name) in enumerate(drawn.items()):
            scale = 100 if axes is right else 1
            shares = [getattr(item, name) for item in record.training.steps]
            if None in shares:
                continue
            values = [scale * share for share in shares]
            axes.plot(
                steps, values, marker=MARKERS[place], color=COLOURS[place], ls=("-", "--")[place], ms=4, label=label
            )
        axes.set_xlabel("optimiser step")
        axes.set_xlim(left=0)
        axes.legend(fontsize=6, frameon=False)
        plain_axes(axes)
    left.set_ylim(0, 1.03)
    left.set_ylabel("entropy / ln k")
    right.axhline(100 / record.experts, color=GREY, lw=0.8, ls=":")
    right.annotate(
        "equal shares",
        (0, 100 / record.experts),
        xycoords=("axes fraction", "data"),
        xytext=(2, 2),
        textcoords="offset points",
        color=GREY,
        fontsize=6,
    )
    right.set_ylim(bottom=0)
    right.set_ylabel("% of tokens")
    figure.suptitle(f"{record.name}: load during the training", fontsize=8)
    return figure
