"""MoSLoRA on one linear layer."""

import warnings

import torch
import torch.nn.functional as F
from peft.tuners.tuners_utils import check_adapters_to_merge
from torch import Tensor, nn

from cme.adapters.low_rank.layer import LowRankLinear, Plan, fill_kaiming
from cme.adapters.low_rank.products import add_product
from cme.adapters.moslora.config import MosLoraConfig
from cme.errors import AdapterError

__all__ = ["MosLoraLinear", "mixed_down"]


def mixed_down(down: Tensor, mixer: Tensor) -> Tensor:
    """Return the matrix A of the equivalent plain LoRA, ``M A`` [r, d], in float32 or a wider dtype."""
    wide = torch.promote_types(down.dtype, torch.float32)
    return mixer.to(wide) @ down.to(wide)


class MosLoraLinear(LowRankLinear):
    """A frozen linear layer with MoSLoRA adapters.

    The containers map adapter names to parameters (d inputs, m outputs, rank r).

    Attributes:
        moslora_A: The matrix A, [r, d].
        moslora_B: The matrix B, [m, r].
        moslora_M: The mixer M, [r, r].
    """

    adapter_layer_names = ("moslora_A", "moslora_B", "moslora_M")

    moslora_A: nn.ParameterDict  # noqa: N815 (the paper's letters)
    moslora_B: nn.ParameterDict  # noqa: N815 (the paper's letters)
    moslora_M: nn.ParameterDict  # noqa: N815 (the paper's letters)

    def make_parameters(self, adapter_name: str, config: MosLoraConfig) -> None:
        """Initialise A and M as LoRA initialises A, and B with zeros."""
        self.moslora_A[adapter_name] = nn.Parameter(torch.empty(config.r, self.in_features))
        self.moslora_B[adapter_name] = nn.Parameter(torch.zeros(self.out_features, config.r))
        self.moslora_M[adapter_name] = nn.Parameter(torch.empty(config.r, config.r))
        fill_kaiming(self.moslora_A[adapter_name])
        fill_kaiming(self.moslora_M[adapter_name])
        if not config.init_weights:
            fill_kaiming(self.moslora_B[adapter_name])

    def add(self, result: Tensor, adapter_name: str, plan: Plan, x: Tensor, dropped: Tensor) -> Tensor:
        """Compute ``result + alpha/r · B M A x``. See `LowRankLinear.add`."""
        hidden = F.linear(dropped, self.own("moslora_A", adapter_name))
        mixed = F.linear(hidden, self.own("moslora_M", adapter_name))
        return add_product(result, mixed, self.own("moslora_B", adapter_name), plan.scaling)

    def get_delta_weight(self, adapter_name: str) -> Tensor:
        """Return the matrix that merging adds to the base's weight, ``alpha/r · B M A`` [m, d], in float32 or wider."""
        down = mixed_down(self.own("moslora_A", adapter_name), self.own("moslora_M", adapter_name))
        return self.own("moslora_B", adapter_name).to(down.dtype) @ down * self.plans[adapter_name].scaling

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Merge adapters into the base's weight.

        Args:
            safe_merge: Whether to check that the merged weight is finite before the base is changed.
            adapter_names: Names of the adapters to merge. None merges the active adapters.

        Raises:
            AdapterError: ``safe_merge`` is set and the merged weight contains NaN or infinity. The base is not changed.
        """
        if self.quantization_backend is not None:
            warnings.warn(
                f"the adapter is merged into a quantised weight ({self.quantization_backend.backend_name}), which rounds the "
                "sum. The outputs change, and unmerging does not restore the old weight exactly.",
                stacklevel=2,
            )
        for name in check_adapters_to_merge(self, adapter_names):
            if name in self.plans:
                self._shift(name, 1, checked=safe_merge)
                self.merged_adapters.append(name)

    def unmerge(self) -> None:
        """Subtract all merged adapters from the base's weight."""
        if not self.merged_adapters:
            warnings.warn("no adapter is merged, so there is nothing to unmerge.", stacklevel=2)
        while self.merged_adapters:
            name = self.merged_adapters.pop()
            if name in self.plans:
                self._shift(name, -1, checked=False)

    @torch.no_grad()
    def _shift(self, adapter_name: str, sign: int, *, checked: bool) -> None:
        weight = self.get_base_weight()
        if not weight.is_floating_point():
            raise AdapterError(
                f"the adapter cannot be merged, because PEFT cannot dequantise the base's weight ({weight.dtype}). Use it "
                "unmerged as a PeftModel, or merge it into the base before quantisation."
            )
        # The sum is computed in the wider dtype, so that it is rounded only once.
        shifted = (weight + sign * self.get_delta_weight(adapter_name)).to(weight.dtype)
        if checked and not shifted.isfinite().all():
            raise AdapterError(
                f"merging the adapter {adapter_name!r} gives a weight that is not finite, so the adapter or the base is "
                "broken. The layer was not changed. Train the adapter again."
            )
        self.set_base_weight(shifted)
