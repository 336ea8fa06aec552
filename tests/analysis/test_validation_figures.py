"""Figures and tables of the validation loss and of the training, for methods with many experts or without a best one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cme.analysis.bundles import bundle_test
from cme.analysis.figures import draw_competition
from cme.analysis.similarity import matrix_figures
from cme.analysis.validation_figures import draw_bundles, draw_training
from cme.analysis.validation_markdown import training_sections
from cme.records.analysis import TrainingLoad, TrainingStep


@pytest.mark.parametrize(("experts", "labels"), [(4, 5), (8, 9), (32, 2)])
def test_many_experts_are_drawn_without_a_legend_of_each(experts, labels):
    losses = np.random.default_rng(0).normal(1, 0.1, (6, experts))
    ends = [SimpleNamespace(name=name, loss=SimpleNamespace(value=1.0)) for name in ("all", "base")]
    validation = SimpleNamespace(bundles=bundle_test(losses[0], losses[1:]), masks=ends)
    (axes,) = draw_bundles(SimpleNamespace(name="run", validation=validation)).axes
    assert len(axes.get_legend().get_texts()) == labels
    points = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert sorted(float(line.get_xdata()[0]) for line in points) == pytest.approx(sorted(losses[0]))
    kinds = {(line.get_marker(), line.get_color()) for line in points}
    assert len(kinds) == (experts if experts <= 8 else 1), "a marker stands for one expert, or for all"


def test_the_figure_of_m_says_what_its_axis_and_its_mean_are():
    layers = [matrix_figures(f"layers.{place}.up_proj", torch.eye(3) + 0.1) for place in (5, 7)]
    figure = draw_competition(SimpleNamespace(name="run", similarity=SimpleNamespace(competition=layers)))
    left, right = figure.axes[:2]
    assert "numbers mean nothing across layers" in left.get_title()
    assert right.get_xlabel() == "place among the adapted layers", "5 and 7 are drawn at 0 and 1"
    assert list(right.lines[0].get_xdata()) == [0, 1]


def test_the_top_1_share_of_a_method_without_a_best_expert_is_undefined():
    values = {"entropy": 0.9, "effective": 3.5, "token_entropy": 0.5, "confident": 0.0, "top1": None}
    load = TrainingLoad(rows=2, tokens=9, steps=tuple(TrainingStep(step=step, **values) for step in (1, 2)))
    text = "\n".join(training_sections(load))
    assert text.count("| undefined |") == 2
    figure = draw_training(SimpleNamespace(name="run", training=load, experts=4))
    assert [text.get_text() for text in figure.axes[1].get_legend().get_texts()] == ["φ > 0.9"]
