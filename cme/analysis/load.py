"""The load of experts: sums of their gate weights over the tokens of prompts and answers, by layer and group of rows.

Sums are taken on plain forward passes over the prompt and the right answer, without generation and without shared prefixes, so
every token of every row counts once. The gate weights at a token of the prompt decide how the model reads the prompt; those at
the last token of the prompt also decide its first word of the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cme.stats import average_weights

__all__ = [
    "PARTS",
    "PER_EXPERT",
    "PER_TOKEN",
    "Group",
    "Load",
    "LoadFigures",
    "by_family",
    "entropies",
    "figures_of",
    "joined_loads",
    "overall",
]

Array = NDArray[np.float64]

PARTS = ("prompt", "answer")
"""The parts of a row whose tokens are summed separately."""

PER_EXPERT = ("phi", "gates", "size", "negative", "top_phi", "top_gate")
PER_TOKEN = ("tokens", "entropy", "confident", "disagreement")


@dataclass(frozen=True)
class Group:
    """Rows whose load is summed together.

    Attributes:
        dataset: name of the dataset.
        family: its family.
        subject: subject of the rows if the dataset has subjects (MMLU); otherwise empty.
    """

    dataset: str
    family: str
    subject: str = ""


@dataclass(frozen=True, eq=False)
class Load:
    """Sums of gate weights for G groups of rows, L layers and k experts.

    Attributes:
        layers: names of the layers with experts, [L].
        groups: the groups, [G].
        sums: the sums of `cme.adapters.routed.gate_sums.Totals` by name, [G, 2, L] or [G, 2, L, k]. The second axis is that of
            `PARTS`.
    """

    layers: tuple[str, ...]
    groups: tuple[Group, ...]
    sums: Mapping[str, Array]

    @property
    def experts(self) -> int:
        """Number of experts."""
        return int(self.sums["phi"].shape[-1])

    def mean(self, name: str, part: str = "prompt") -> Array:
        """Return means over tokens, [G, L] or [G, L, k]. They are NaN for a group without tokens.

        Args:
            name: name of the sum.
            part: ``"prompt"`` or ``"answer"``.
        """
        place = PARTS.index(part)
        tokens, values = self.sums["tokens"][:, place], self.sums[name][:, place]
        tokens = np.where(tokens > 0, tokens, np.nan)
        quotient: Array = values / (tokens[..., None] if values.ndim == 3 else tokens)
        return quotient

    def by_dataset(self) -> "Load":
        """Return the load with the subjects of each dataset added up."""
        names = list(dict.fromkeys((group.dataset, group.family) for group in self.groups))
        index = np.array([names.index((group.dataset, group.family)) for group in self.groups])
        sums = {
            name: np.stack([values[index == place].sum(axis=0) for place in range(len(names))])
            for name, values in self.sums.items()
        }
        return Load(self.layers, tuple(Group(*name) for name in names), sums)

    def chosen(self, keep: Sequence[bool]) -> "Load":
        """Return the load of some groups only.

        Args:
            keep: whether each group remains, [G].
        """
        chosen = np.asarray(keep, dtype=bool)
        groups = tuple(group for group, kept in zip(self.groups, chosen, strict=True) if kept)
        return Load(self.layers, groups, {name: values[chosen] for name, values in self.sums.items()})


def joined_loads(loads: Sequence[Load]) -> Load:
    """Put the loads of several datasets with the same layers into one."""
    groups = tuple(group for load in loads for group in load.groups)
    sums = {name: np.concatenate([load.sums[name] for load in loads]) for name in (*PER_TOKEN, *PER_EXPERT)}
    return Load(loads[0].layers, groups, sums)


@dataclass(frozen=True)
class LoadFigures:
    """How evenly the experts are used. Each figure is computed for every layer, and then averaged over the layers.

    The number of an expert means nothing across layers, so no figure adds up gate weights of different layers.

    Attributes:
        entropy: entropy of the mean φ, divided by ln k. It is 1 if all experts have the same load.
        effective: effective number of experts, exp(entropy of the mean φ), from 1 to k.
        largest: largest mean φ, divided by the mean 1/k.
        variation: coefficient of variation of the mean φ over the experts.
        negative: share of gate weights ω that are negative.
        token_entropy: mean entropy of φ of single tokens, divided by ln k.
        confident: share of tokens at which one expert has φ above 0.9.
        disagreement: share of tokens at which the largest ω and the largest φ are at different experts.
    """

    entropy: float
    effective: float
    largest: float
    variation: float
    negative: float
    token_entropy: float
    confident: float
    disagreement: float


def figures_of(load: Load, part: str = "prompt") -> list[LoadFigures]:
    """Compute the figures of each group, [G].

    Args:
        load: the load, of which every group has tokens in this part.
        part: ``"prompt"`` or ``"answer"``.
    """
    k = load.experts
    phi = load.mean("phi", part)
    phi = phi / phi.sum(axis=-1, keepdims=True)
    entropy = entropies(phi)
    tables = {
        "entropy": entropy / np.log(k),
        "effective": np.exp(entropy),
        "largest": phi.max(axis=-1) * k,
        "variation": phi.std(axis=-1) * k,
        "negative": load.mean("negative", part).mean(axis=-1),
        "token_entropy": load.mean("entropy", part) / np.log(k),
        "confident": load.mean("confident", part),
        "disagreement": load.mean("disagreement", part),
    }
    return [
        LoadFigures(**{name: float(table[place].mean()) for name, table in tables.items()})
        for place in range(len(load.groups))
    ]


def overall(load: Load, part: str = "prompt") -> Load:
    """Return the load over all datasets as a single group. Families count equally, and datasets within their family do.

    Args:
        load: the load of all datasets (`Load.by_dataset`).
        part: the part whose tokens are weighted: ``"prompt"`` or ``"answer"``.
    """
    shares = average_weights({group.dataset: group.family for group in load.groups})
    tokens = load.sums["tokens"][:, PARTS.index(part)].mean(axis=-1)
    weights = np.array([shares[group.dataset] for group in load.groups]) / 100 / tokens
    sums = {name: np.tensordot(weights, values, axes=1)[None] for name, values in load.sums.items()}
    return Load(load.layers, (Group("", ""),), sums)


def by_family(load: Load, part: str = "prompt") -> Load:
    """Return the load of each family. The datasets of a family count equally.

    Args:
        load: the load of all datasets (`Load.by_dataset`).
        part: the part whose tokens are weighted: ``"prompt"`` or ``"answer"``.
    """
    families = list(dict.fromkeys(group.family for group in load.groups))
    parts = [overall(load.chosen([group.family == family for group in load.groups]), part) for family in families]
    joined = joined_loads(parts)
    return Load(load.layers, tuple(Group("", family) for family in families), joined.sums)


def entropies(p: Array) -> Array:
    """Return the entropies in nats of distributions along the last axis."""
    logs = np.log(np.where(p > 0, p, 1.0))
    total: Array = -(p * logs).sum(axis=-1)
    return total
