"""How the load of the experts changes during the training."""

import math
from collections.abc import Sequence

from cme.analysis.load import figures_of, joined_loads, overall
from cme.analysis.measure_load import MeasuredLoad
from cme.records.analysis import TrainingStep
from cme.suite import datasets
from cme.suite.suites import ALL

__all__ = ["training_step"]


def training_step(step: int, measured: Sequence[MeasuredLoad]) -> TrainingStep:
    """Summarise the load at one checkpoint over the tokens of prompts.

    Args:
        step: number of optimiser steps.
        measured: the load of each dataset.
    """
    suite = datasets(ALL)
    load = joined_loads([item.load for item in measured]).by_dataset()
    whole = overall(load.chosen([group.dataset in suite for group in load.groups]))
    (figures,) = figures_of(whole)
    top1 = float(whole.mean("top_phi").max(axis=-1).mean())
    return TrainingStep(
        step=step,
        entropy=figures.entropy,
        effective=figures.effective,
        token_entropy=figures.token_entropy,
        confident=figures.confident,
        top1=None if math.isnan(top1) else top1,
    )
