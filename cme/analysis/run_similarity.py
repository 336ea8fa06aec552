"""How similar the experts of two runs are: of other seeds, or trained on other families. "A general, B specific"?

The number of an expert means nothing across runs. In every layer, the experts of one run are therefore assigned to those of the
other such that the sum of their overlaps is largest. The best of many assignments is large by chance alone, so the mean over
all pairs of experts stands beside it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cme.analysis.similarity import trained
from cme.reports import markdown_table

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["COLUMNS", "Overlap", "RunSimilarity", "run_similarity", "similarity_table"]

Array = NDArray[np.float64]

COLUMNS = (
    "run",
    "other run",
    "differ in",
    "layers",
    "A: matched",
    "A: all pairs",
    "A: chance",
    "B: matched",
    "B: all pairs",
    "B: chance",
    "untrained",
)


@dataclass(frozen=True)
class Overlap:
    """Overlap of spaces: mean squared cosine of the principal angles, from 0 to 1, averaged over layers.

    Attributes:
        matched: mean over the pairs of the best assignment of experts.
        every: mean over all pairs of experts.
        chance: overlap of random spaces of the same sizes.
    """

    matched: float
    every: float
    chance: float


@dataclass(frozen=True)
class RunSimilarity:
    """How similar the experts of two runs are.

    Attributes:
        first, second: names of the runs.
        differences: what differs between the runs, such as ``seed`` or the families of their mixes.
        down: overlap of the rows of A.
        up: overlap of the columns of B.
        layers: number of layers that both runs have with the same sizes and with trained experts.
        untrained: number of experts of both runs in their common layers that were never trained. They are in no mean.
    """

    first: str
    second: str
    differences: str
    down: Overlap
    up: Overlap
    layers: int
    untrained: int = 0

    @property
    def cells(self) -> list[str]:
        """The row of the table, with the columns `COLUMNS`."""
        figures = [getattr(of, name) for of in (self.down, self.up) for name in ("matched", "every", "chance")]
        shown = (f"{figure:.3f}" for figure in figures)
        return [self.first, self.second, self.differences, str(self.layers), *shown, str(self.untrained)]


def run_similarity(
    names: tuple[str, str],
    first: "Mapping[str, tuple[Tensor, Tensor]]",
    second: "Mapping[str, tuple[Tensor, Tensor]]",
    differences: str = "",
) -> RunSimilarity | None:
    """Compare the experts of two runs on the same base.

    In every layer, one assignment serves A and B. It maximises the sum of both overlaps.

    Args:
        names: names of the runs.
        first: the matrices A [k, r, d] and B [k, m, r] of each layer (`cme.analysis.similarity.expert_matrices`). A that all
            experts share is [1, r, d].
        second: those of the other run, which may have another number of experts and another rank.
        differences: what differs between the runs.

    Returns:
        The similarity, or None if the runs have no layers of the same sizes with trained experts in common.
    """
    layers = [
        layer
        for layer, (down, up) in first.items()
        if layer in second and second[layer][0].shape[-1] == down.shape[-1] and second[layer][1].shape[1] == up.shape[1]
    ]
    untrained = sum(trained(of[layer][1]).count(False) for layer in layers for of in (first, second))
    both = [(_trained_only(*first[layer]), _trained_only(*second[layer])) for layer in layers]
    pairs = [_layer(*own, *other) for own, other in both if len(own[1]) and len(other[1])]
    if not pairs:
        return None
    downs, ups = ([pair[place] for pair in pairs] for place in (0, 1))
    return RunSimilarity(*names, differences, _mean(downs), _mean(ups), len(pairs), untrained)


def similarity_table(rows: Sequence[RunSimilarity]) -> str:
    """Return the table of all pairs of runs as Markdown.

    Args:
        rows: the pairs.
    """
    return markdown_table(COLUMNS, [row.cells for row in rows])


def _trained_only(down: "Tensor", up: "Tensor") -> "tuple[Tensor, Tensor]":
    """Return the matrices of the trained experts. An A that all experts share stays."""
    kept = trained(up)
    return down if len(down) == 1 else down[kept], up[kept]


def _layer(down: "Tensor", up: "Tensor", other_down: "Tensor", other_up: "Tensor") -> tuple[Overlap, Overlap]:
    from scipy.optimize import linear_sum_assignment

    of_down = _overlaps([matrix.T for matrix in down], [matrix.T for matrix in other_down])
    of_up = _overlaps(list(up), list(other_up))
    # An A that all experts share has a single overlap, whatever the assignment of the experts.
    matched = linear_sum_assignment(of_down + of_up, maximize=True)
    shape = of_up.shape
    chances = max(down.shape[1], other_down.shape[1]) / down.shape[2], max(up.shape[2], other_up.shape[2]) / up.shape[1]
    tables = np.broadcast_to(of_down, shape), of_up
    first, second = (
        Overlap(float(table[matched].mean()), float(table.mean()), chance)
        for table, chance in zip(tables, chances, strict=True)
    )
    return first, second


def _overlaps(first: Sequence["Tensor"], second: Sequence["Tensor"]) -> Array:
    """Return the overlap of the column spaces of each pair, [k₁, k₂], relative to the smaller space of each pair."""
    import torch

    own, other = ([torch.linalg.qr(matrix.double()).Q for matrix in matrices] for matrices in (first, second))
    return np.array([[float(torch.linalg.svdvals(a.T @ b).clamp(max=1).square().mean()) for b in other] for a in own])


def _mean(layers: Sequence[Overlap]) -> Overlap:
    return Overlap(
        *(float(np.mean([getattr(item, name) for item in layers])) for name in ("matched", "every", "chance"))
    )
