"""The evaluations that an analysis needs, each with other experts masked."""

from cme.errors import UsageError
from cme.stats.coalitions import EXACT, members, number_of

__all__ = ["FULL", "TOP1", "Masks", "mask_name"]

FULL = "all"
"""Name of the evaluation with all experts."""

TOP1 = {"top1": "top1", "top1-renormalised": "top1:renormalise"}
"""The evaluations with the best expert of each token, by their name, as ``cme eval --experts`` takes them."""


def mask_name(coalition: int, experts: int) -> str:
    """Return the name of the evaluation of a coalition, such as ``keep-0-2``; ``base`` without experts and ``all`` with all."""
    kept = members(coalition, experts)
    if len(kept) == experts:
        return FULL
    return "-".join(["keep", *map(str, kept)]) if kept else "base"


class Masks:
    """The evaluations of an analysis.

    Args:
        experts: number of experts, k.
        redundancy: whether keep-one, drop-one and top 1 are evaluated.
        shapley: whether all coalitions are evaluated.
        top1: whether a token can have a best expert. If not, ``redundancy`` is without top 1.

    Attributes:
        experts: number of experts.
        coalitions: name of the evaluation of each coalition, by its number.

    Raises:
        UsageError: all coalitions of too many experts are needed.
    """

    def __init__(self, experts: int, *, redundancy: bool, shapley: bool, top1: bool = True) -> None:
        if shapley and experts > EXACT:
            raise UsageError(
                f"exact Shapley values of {experts} experts need {1 << experts} evaluations. At most {EXACT} experts are "
                f"possible ({1 << EXACT} evaluations). Leave them out with --parts load,redundancy,similarity,validation."
            )
        self.experts = experts
        numbers = set(range(1 << experts)) if shapley else set()
        if redundancy:
            everyone = number_of(range(experts))
            numbers |= {0, everyone}
            numbers |= {1 << expert for expert in range(experts)} | {
                everyone & ~(1 << expert) for expert in range(experts)
            }
        # The full adapter and the base come first, because every figure is relative to them.
        order = sorted(numbers, key=lambda number: (number not in (0, (1 << experts) - 1), number))
        self.coalitions = {number: mask_name(number, experts) for number in order}
        self._top1 = TOP1 if redundancy and top1 else {}

    @property
    def choices(self) -> dict[str, str | None]:
        """The experts of each evaluation by its name, as ``cme eval --experts`` takes them. None means all experts."""
        kept = {
            name: None if name == FULL else "keep:" + ",".join(map(str, members(number, self.experts)))
            for number, name in self.coalitions.items()
        }
        return {**kept, **self._top1}

    @property
    def reported(self) -> tuple[str, ...]:
        """The evaluations that show redundancy: all, base, top 1, one expert alone, and all but one."""
        experts = range(self.experts)
        single = [self.keep_one(expert) for expert in experts] + [self.drop_one(expert) for expert in experts]
        return tuple(dict.fromkeys((FULL, "base", *self._top1, *single)))

    def keep_one(self, expert: int) -> str:
        """Return the name of the evaluation with one expert."""
        return self.coalitions[1 << expert]

    def drop_one(self, expert: int) -> str:
        """Return the name of the evaluation without one expert."""
        return self.coalitions[((1 << self.experts) - 1) & ~(1 << expert)]
