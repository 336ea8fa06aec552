"""Mean gate weights of every layer over the validation rows, of all and by family."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cme.export.rows import ValidationRows, batches, forward
from cme.progress import bar

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["GateMeans", "gate_means"]


@dataclass(frozen=True, eq=False)
class GateMeans:
    """Mean gate weights. Every token counts once, whatever the length of its row, and padding does not count.

    Attributes:
        overall: means over all rows by name of the layer, [k] in float64.
        by_family: the same over the rows of each family.
    """

    overall: "Mapping[str, Tensor]"
    by_family: "Mapping[str, Mapping[str, Tensor]]"

    def plain(self) -> dict[str, Any]:
        """Return the means as JSON values, without a loss of digits."""
        return {
            "overall": {path: of.tolist() for path, of in self.overall.items()},
            "by_family": {
                family: {path: of.tolist() for path, of in means.items()} for family, means in self.by_family.items()
            },
        }

    @classmethod
    def of_plain(cls, values: Mapping[str, Any]) -> "GateMeans":
        """Return the means that `plain` returned as JSON values."""
        import torch

        def tensors(means: Mapping[str, list[float]]) -> "dict[str, Tensor]":
            return {path: torch.tensor(of, dtype=torch.float64) for path, of in means.items()}

        return cls(
            tensors(values["overall"]), {family: tensors(means) for family, means in values["by_family"].items()}
        )


def gate_means(model: Any, validation: ValidationRows, pad: int) -> GateMeans:
    """Compute the mean gate weights of the adapter ``default`` in one pass over the rows.

    Args:
        model: a `PeftModel` with a routed adapter, in evaluation mode.
        validation: the rows.
        pad: token id of the padding.
    """
    import torch

    from cme.adapters.routed.gate_sums import gate_sums

    families = validation.names
    groups = [families.index(row.family) for row in validation.rows]
    device = next(model.parameters()).device
    with (
        bar("Gate weights", len(validation.rows)) as progress,
        gate_sums(model, groups) as sums,
        torch.inference_mode(),
    ):
        for batch in batches(validation, pad, device):
            forward(model, batch, progress)
            sums.update(batch.owners)
        totals = sums.by_layer()
    overall = {path: torch.from_numpy(of.gates.sum(axis=0) / of.tokens.sum()) for path, of in totals.items()}
    by_family = {
        family: {path: torch.from_numpy(of.mean("gates")[place]) for path, of in totals.items()}
        for place, family in enumerate(families)
    }
    return GateMeans(overall, by_family)
