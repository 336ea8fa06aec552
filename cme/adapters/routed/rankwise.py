"""Base classes of the methods in which every rank is an expert: SMoRA and FlyLoRA."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from peft.tuners._buffer_dict import BufferDict
from torch import Tensor, nn

from cme.adapters.routed.config import RoutedConfig
from cme.adapters.routed.layer import RoutedLinear
from cme.adapters.routed.model import RoutedModel
from cme.adapters.routed.selection import BiasMover, chosen_counts

__all__ = ["RankwiseConfig", "RankwiseLinear", "RankwiseModel"]

_TOP_K = 8
"""Number of ranks per token in the authors' configurations of SMoRA and FlyLoRA."""


@dataclass
class RankwiseConfig(RoutedConfig):
    """Base configuration of methods in which every rank is an expert, and each token uses ``top_k`` ranks.

    The output is scaled by ``lora_alpha / r`` for each chosen rank on average, as LoRA's output is for each of its ranks.

    Args:
        r: Rank R of the adapter, which is also the number of experts.
        experts: Number of experts. It is always ``r``.
        top_k: Number of ranks that each token uses. None means 8, or half of the ranks if ``r`` is below 16.
        bias_step: How far the selection bias of a rank moves in an optimiser step. 0 turns the bias off.

    The other arguments are those of `LowRankConfig`.

    Raises:
        ValueError: A number is out of range, or a setting of other methods with experts is given.
    """

    fewest: ClassVar[int] = 1
    """The smallest number of ranks that a token can use."""
    why_fewest: ClassVar[str] = ""
    """Why a token cannot use fewer ranks, as a sentence after a space."""

    r: int = field(default=32, metadata={"help": "Rank R of the adapter. Every rank is an expert."})
    experts: int | None = field(  # type: ignore[assignment]
        default=None, metadata={"help": "Number of experts. It is always r, and can be left out."}
    )
    top_k: int | None = field(
        default=None,
        metadata={
            "help": "Number of ranks that each token uses, up to r. The default is 8, or half of r if r is below 16."
        },
    )
    bias_step: float = field(
        default=0.0,
        metadata={"help": "How far the selection bias of a rank moves in an optimiser step. 0 turns the bias off."},
    )

    def __post_init__(self) -> None:
        if self.experts is None:
            self.experts = self.r
        super().__post_init__()
        if self.experts != self.r:
            raise ValueError(
                f"experts is always r ({self.r}), because every rank is an expert, but is {self.experts}. Leave it out."
            )
        if self.top_k is None and self.r < self.fewest:
            raise ValueError(f"r must be at least {self.fewest}, but is {self.r}.{self.why_fewest}")
        self.top_k = self.kept
        if not self.fewest <= self.top_k <= self.r:
            raise ValueError(
                f"top_k must be from {self.fewest} to the rank ({self.r}), but is {self.top_k}.{self.why_fewest}"
            )
        if not 0 <= self.bias_step < math.inf:
            raise ValueError(f"bias_step must be a number of at least 0, but is {self.bias_step}.")
        if self.gate_sum != 1 or self.gate_scale is not None:
            raise ValueError("gate_sum and gate_scale cannot be set. The scale is lora_alpha / r for each chosen rank.")
        if self.balance_weight or self.balance_form != "centred":
            setting = "balance_weight must be 0" if self.balance_weight else "balance_form cannot be set"
            raise ValueError(
                f"{setting}, but is {self.balance_weight or self.balance_form}. The selection bias balances the ranks "
                "(bias_step)."
            )

    @property
    def kept(self) -> int:
        """The number of ranks that each token uses."""
        if self.top_k is not None:
            return self.top_k
        # With all ranks there is no selection, and with one rank SMoRA's router has no gradient.
        return min(_TOP_K, max(2, self.r // 2), self.r)

    @property
    def scaling(self) -> float:
        """The factor of the gated sum of ranks, whose gate weights sum to 1: ``lora_alpha / r · top_k``."""
        return float(self.lora_alpha) / self.r * self.kept

    @property
    def watched(self) -> bool:
        """Whether forward passes in training must know the padding mask."""
        return self.bias_step > 0


class RankwiseLinear(RoutedLinear):
    """A frozen linear layer with adapters in which every rank is an expert.

    A subclass names the container of its selection biases in ``bias_container``, which is one of ``buffer_names``, and calls
    `count` in `route`.
    """

    bias_container: str
    other_param_names: tuple[str, ...] = (*RoutedLinear.other_param_names, "counts")

    def __init__(self, base_layer: nn.Linear, adapter_name: str, config: RankwiseConfig) -> None:
        super().__init__(base_layer, adapter_name, config)
        self.counts: dict[str, Tensor] = {}

    def update_layer(self, adapter_name: str, config: Any) -> None:
        """Add an adapter to this layer. Its selection bias stays in float32, because its steps are small."""
        getattr(self, self.bias_container)[adapter_name] = torch.zeros(config.r)
        super().update_layer(adapter_name, config)
        container: BufferDict = getattr(self, self.bias_container)
        container[adapter_name] = container[adapter_name].float()

    def bias_of(self, adapter_name: str) -> Tensor:
        """Return the selection bias of an adapter, [R] in float32."""
        return self.own(self.bias_container, adapter_name)

    def counts_of(self, adapter_name: str) -> Tensor:
        """Return how many tokens used each rank since the last optimiser step, [R]."""
        bias, counts = self.bias_of(adapter_name), self.counts.get(adapter_name)
        if counts is None or counts.device != bias.device:
            counts = torch.zeros(len(bias), device=bias.device)
            self.counts[adapter_name] = counts
        return counts

    def count(self, adapter_name: str, config: RankwiseConfig, gates: Tensor) -> None:
        """Count the chosen ranks of a forward pass in training. See `cme.adapters.routed.selection`."""
        if not config.bias_step or not self.training or not torch.is_grad_enabled() or self.balance is None:
            return
        passage = self.balance.passage
        if passage is not None and not torch.compiler.is_compiling():
            self.counts_of(adapter_name).add_(chosen_counts(gates, passage.mask(self.key, gates)))


class RankwiseModel(RoutedModel):
    """A base model with adapters in which every rank is an expert."""

    tuner_layer_cls: type[RankwiseLinear]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        shared = self._shared()
        if shared.mover is None:
            shared.mover = BiasMover(shared.layers)

    def _count(self, layers: Mapping[str, RoutedLinear], masks: Callable[[str], Tensor | None]) -> None:
        for path, layer in layers.items():
            for name, gates in layer.gates.items():
                if isinstance(layer, RankwiseLinear) and layer.plans[name].config.bias_step:
                    mask = masks(path)
                    fits = mask is not None and mask.shape == gates.shape[:-1]
                    layer.counts_of(name).add_(chosen_counts(gates, mask if fits else None))
