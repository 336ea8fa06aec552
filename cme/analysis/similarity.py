"""How similar the experts of a layer are, from their matrices A and B. The updates ΔW = B A are never formed."""

from typing import TYPE_CHECKING, Any

from cme.errors import UsageError
from cme.records.analysis import LayerCompetition, LayerSimilarity, SimilarityAnalysis

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "delta_products",
    "expert_matrices",
    "matrix_figures",
    "overlap",
    "similarity_analysis",
    "singular_values",
    "trained",
]

_SPREAD = 0.1
"""Half-width of the uniform distribution of M's off-diagonal elements at its start."""


def delta_products(down: "Tensor", up: "Tensor") -> "Tensor":
    """Compute the inner products ⟨ΔWᵢ, ΔWⱼ⟩ of the experts' updates ΔWᵢ = Bᵢ Aᵢ.

    They are tr((Bᵢᵀ Bⱼ)(Aⱼ Aᵢᵀ)), from products of size r × r.

    Args:
        down: the matrices A, [k, r, d].
        up: the matrices B, [k, m, r].

    Returns:
        The inner products, [k, k].
    """
    import torch

    of_up = torch.einsum("imr,jms->ijrs", up, up)
    of_down = torch.einsum("ird,jsd->ijrs", down, down)
    products: Tensor = (of_up * of_down).sum(dim=(2, 3))
    return products


def singular_values(down: "Tensor", up: "Tensor") -> "Tensor":
    """Compute the singular values of ΔW = B A in descending order, [r], from triangular factors of size r × r.

    Args:
        down: A, [r, d].
        up: B, [m, r].
    """
    import torch

    right = torch.linalg.qr(down.T, mode="r").R
    left = torch.linalg.qr(up, mode="r").R
    values: Tensor = torch.linalg.svdvals(left @ right.T)
    return values


def overlap(first: "Tensor", second: "Tensor") -> float:
    """Compute the overlap of two column spaces: the mean squared cosine of their principal angles, from 0 to 1.

    Args:
        first: a matrix [n, r] of full column rank.
        second: another one, [n, r].

    Source: Å. Björck and G. H. Golub, Numerical Methods for Computing Angles Between Linear Subspaces (1973).
    """
    import torch

    cosines = torch.linalg.svdvals(torch.linalg.qr(first).Q.T @ torch.linalg.qr(second).Q)
    return float(cosines.clamp(max=1).square().mean())


def matrix_figures(layer: str, matrix: "Tensor") -> LayerCompetition:
    """Describe an interaction matrix M [k, k] of TeamLoRA and its distance from its start.

    Args:
        layer: name of the layer.
        matrix: M, with at least two experts.
    """
    import torch

    matrix = matrix.double()
    others = matrix[~torch.eye(len(matrix), dtype=torch.bool)]
    diagonal = matrix.diagonal()
    return LayerCompetition(
        layer=layer,
        matrix=tuple(tuple(row) for row in matrix.tolist()),
        diagonal=float(diagonal.mean()),
        off_diagonal=float(others.mean()),
        spread=float(others.square().mean().sqrt()),
        moved=float((diagonal - 1).square().mean().sqrt()),
        positive=float((others > 0).double().mean()),
        outside=float((others.abs() > _SPREAD).double().mean()),
    )


def similarity_analysis(model: Any, adapter_name: str = "default") -> SimilarityAnalysis:
    """Compare the weights of the trained experts in every layer.

    Args:
        model: the model with a routed adapter.
        adapter_name: name of the adapter.

    Raises:
        UsageError: the matrices of a layer are not named A and B, as those of CME's methods are.
    """
    from cme.adapters.routed.gates import routed_layers

    layers, competition, untrained = [], [], {}
    for path, layer in routed_layers(model).items():
        if adapter_name not in layer.plans:
            continue
        down, up = expert_matrices(layer, adapter_name)
        kept = trained(up)
        if lacking := len(up) - sum(kept):
            untrained[path] = lacking
        if sum(kept) > 1:
            layers.append(_layer(path, down, up, kept))
        matrix = _container(layer, "_M", adapter_name)
        if matrix is not None and matrix.ndim == 2 and len(matrix) == len(up):
            competition.append(matrix_figures(path, matrix))
    return SimilarityAnalysis(layers=tuple(layers), competition=tuple(competition), untrained=untrained or None)


def trained(up: "Tensor") -> list[bool]:
    """Return whether each expert was trained. B is zero at the start, and a zero matrix has no column space to compare.

    Args:
        up: the matrices B, [k, m, r].
    """
    kept: list[bool] = (up != 0).flatten(1).any(dim=1).tolist()
    return kept


def expert_matrices(layer: Any, adapter_name: str = "default") -> tuple["Tensor", "Tensor"]:
    """Return the matrices A and B of the experts of a layer in float64: [k, r, d] and [k, m, r].

    A that all experts share (HydraLoRA) is [1, r, d].

    Args:
        layer: a routed layer.
        adapter_name: name of the adapter.

    Raises:
        UsageError: the layer has no matrices of these names and shapes.
    """
    if (own := layer.expert_matrices(adapter_name)) is not None:
        return own[0].detach().double(), own[1].detach().double()
    down, up = _container(layer, "_A", adapter_name), _container(layer, "_B", adapter_name)
    experts = int(layer.plans[adapter_name].config.experts)
    if down is None or up is None or up.shape[-1] % experts:
        raise UsageError(
            f"the layer {type(layer).__name__} has no matrices A and B of {experts} experts under the names of CME's methods, so "
            "they cannot be compared. Leave out the part similarity."
        )
    rank = up.shape[-1] // experts
    split = up.double().reshape(len(up), experts, rank).permute(1, 0, 2)
    return down.double().reshape(-1, rank, down.shape[-1]), split


def _container(layer: Any, suffix: str, adapter_name: str) -> "Tensor | None":
    name = next((name for name in layer.adapter_layer_names if name.endswith(suffix)), None)
    # PEFT's ParameterDict has no other way to ask for a key that may be absent.
    if name is None or adapter_name not in (container := getattr(layer, name)):
        return None
    matrix: Tensor = container[adapter_name]
    return matrix.detach()


def _layer(path: str, down: "Tensor", up: "Tensor", kept: list[bool]) -> LayerSimilarity:
    import torch

    shared, of_all = len(down) == 1, len(up)
    if not shared:
        down = down[kept]
    up = up[kept]
    k, rows, rank = up.shape
    everyone = down.expand(k, -1, -1)
    products = delta_products(everyone, up)
    norms = products.diagonal().clamp(min=0).sqrt()
    pairs = torch.triu_indices(k, k, 1)
    cosines = (products / (norms[:, None] * norms[None]).clamp(min=1e-300))[pairs[0], pairs[1]]
    ranks = []
    for expert in range(k):
        values = singular_values(everyone[expert], up[expert])
        ranks.append(float(values.square().sum() / values.max().square().clamp(min=1e-300)))
    both = list(zip(*pairs.tolist(), strict=True))
    every_norm = torch.zeros(of_all, dtype=norms.dtype)
    every_norm[torch.tensor(kept)] = norms.cpu()
    return LayerSimilarity(
        layer=path,
        cosine=float(cosines.mean()),
        cosine_largest=float(cosines.max()),
        down=None if shared else sum(overlap(down[i].T, down[j].T) for i, j in both) / len(both),
        up=sum(overlap(up[i], up[j]) for i, j in both) / len(both),
        down_chance=rank / down.shape[-1],
        up_chance=rank / rows,
        stable_rank=sum(ranks) / k,
        norms=tuple(every_norm.tolist()),
    )
