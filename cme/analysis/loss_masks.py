"""The masks under which the validation loss is measured."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cme.analysis.bundles import drawn_bundles
from cme.analysis.layer_groups import layer_groups
from cme.stats.coalitions import EXACT, members, number_of
from cme.suite.experts.masks import FULL, TOP1, mask_name

__all__ = ["SEED", "LossMask", "LossMasks"]

SEED = 0
"""Seed of the draws of bundles."""


@dataclass(frozen=True)
class LossMask:
    """A mask as `cme.adapters.routed.masks.masked_experts` takes it.

    Attributes:
        keep: the remaining experts.
        how: how the gate weights of the remaining experts are treated.
    """

    keep: str | Collection[int] | Mapping[str, Collection[int]]
    how: Literal["zero", "renormalise"] = "zero"


class LossMasks:
    """The masks of an analysis by the validation loss.

    Args:
        experts: number of experts, k.
        layers: names of the layers with experts, in the order of the model.
        draws: number of draws of bundles.
        top1: whether a token can have a best expert.

    Attributes:
        experts: number of experts.
        groups: layers of each group of layers by its name; empty with too many experts for exact Shapley values.
        reported: names of the masks of all layers that show redundancy, with the experts as ``cme eval --experts`` takes them.
        masks: all masks by name.
    """

    def __init__(self, experts: int, layers: Sequence[str], draws: int, *, top1: bool = True) -> None:
        self.experts, self._draws = experts, draws
        self.exact = experts <= EXACT
        self.groups = layer_groups(layers) if self.exact else {}
        everyone = number_of(range(experts))
        single = [1 << expert for expert in range(experts)]
        dropped = [everyone & ~number for number in single]
        kept = {mask_name(number, experts): number for number in (everyone, 0, *single, *dropped)}
        text = {name: "keep:" + ",".join(map(str, members(number, experts))) for name, number in kept.items()}
        first = {FULL: "", "base": text["base"]}
        self.reported: dict[str, str] = {
            **first,
            **(TOP1 if top1 else {}),
            **{name: item for name, item in text.items() if name not in first},
        }
        numbers = range(everyone + 1) if self.exact else kept.values()
        self.masks: dict[str, LossMask] = {
            mask_name(number, experts): LossMask(members(number, experts)) for number in (everyone, 0, *numbers)
        }
        if top1:
            self.masks |= {"top1": LossMask("top1"), "top1-renormalised": LossMask("top1", "renormalise")}
        for group, names in self.groups.items():
            for number in range(everyone):
                kept_here = dict.fromkeys(names, members(number, experts))
                self.masks[self.of_group(group, number)] = LossMask(kept_here)
        for draw, bundles in enumerate(drawn_bundles(layers, experts, draws, seed=SEED)):
            for bundle, keep in enumerate(bundles):
                self.masks[self.of_draw(draw, bundle)] = LossMask(keep)

    def coalitions(self, group: str | None = None) -> list[str]:
        """Return the names of the masks of all coalitions, in the order of their numbers.

        Args:
            group: the group of layers to which the coalitions apply; None for all layers.
        """
        numbers = range(1 << self.experts)
        return [
            mask_name(number, self.experts) if group is None else self.of_group(group, number) for number in numbers
        ]

    def alone(self) -> list[str]:
        """Return the names of the masks that keep one expert with the same number in all layers."""
        return [mask_name(1 << expert, self.experts) for expert in range(self.experts)]

    def bundles(self) -> list[list[str]]:
        """Return the names of the masks of the k bundles of each draw."""
        return [[self.of_draw(draw, bundle) for bundle in range(self.experts)] for draw in range(self._draws)]

    def of_group(self, group: str, number: int) -> str:
        """Return the name of the mask of a coalition in a group of layers. All experts there are all experts everywhere."""
        name = mask_name(number, self.experts)
        return name if name == FULL else f"{group}-{name}"

    @staticmethod
    def of_draw(draw: int, bundle: int) -> str:
        """Return the name of the mask of a drawn bundle."""
        return f"draw-{draw}-bundle-{bundle}"
