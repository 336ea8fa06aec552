"""Adding the balance term where the gate weights are computed, so that it works with every trainer.

The gradient of the term is added to the gradient of the gate weights in the backward pass. The caller of the model does not
have to do anything. The term therefore works with a `PeftModel` with or without a task type, with ``model.add_adapter``, and
with a trainer that computes its own loss.

* If the base model computes the loss, the value of the loss includes the term. A factor of the loss, such as
  1 / accumulation steps or that of a gradient scaler, also applies to the term.
* If the trainer computes the loss from the logits, the factor of the loss is unknown. The term then counts once in every
  backward pass, which is once per micro-batch with gradient accumulation.
"""

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cme.adapters.routed.balance import layer_masks, layer_term, mean_gate, share_of_batch, shares_of_choices
from cme.adapters.routed.config import RoutedConfig
from cme.adapters.routed.selection import BiasMover
from cme.errors import UsageError

__all__ = ["Balance"]


class _Passage:
    """One forward pass in training.

    Attributes:
        owner: The module that was called, or None for a layer that is called on its own.
        masks: A function from a layer's name to its padding mask.
        share: The share of this pass in the predicted tokens of the optimiser step.
        scale: The factor of the model's own loss, which the backward pass sets. It is 1 for other losses.
        runs: The number of calls of layers, by adapter.
        sums: The weighted sum of the layers' balance terms, by adapter.
        labelled: Whether the call has labels, so that the model computes a loss.
    """

    def __init__(
        self, owner: nn.Module | None, masks: Callable[[str], Tensor | None], share: Tensor | float, layers: int = 0
    ) -> None:
        self.owner, self.masks, self.share = owner, masks, share
        self.scale: Tensor | float = 1.0
        self.labelled = False
        self.runs: Counter[str] = Counter()
        self.sums: dict[str, Tensor] = {}
        self._layers = layers

    def mask(self, key: str, gates: Tensor) -> Tensor | None:
        """Return the padding mask of a layer's gate weights [..., k], or None if they have another shape than the batch."""
        mask = self.masks(key)
        return mask if mask is not None and mask.shape == gates.shape[:-1] else None

    def factor(self, adapter_name: str) -> Tensor | float:
        """Return the factor of one layer's term in the backward pass."""
        return self.scale * self.share / (self._layers or self.runs[adapter_name])

    def value(self) -> Tensor:
        """Return the value of the whole term, detached from the graph."""
        return self.share * torch.stack([total / self.runs[name] for name, total in self.sums.items()]).sum()


class _Balanced(torch.autograd.Function):
    """Return the gate weights unchanged, and add the gradient of the balance term to theirs in the backward pass.

    The tensors for the gradient are attributes of the context instead of saved tensors. Gradient checkpointing runs a layer a
    second time and requires the same number of saved tensors, but may not know the batch's mask at that time.
    """

    @staticmethod
    def forward(
        ctx: Any,
        gates: Tensor,
        chosen: Tensor | None,
        passage: _Passage,
        name: str,
        key: str,
        weight: float,
        form: str,
    ) -> Tensor:
        mask = passage.mask(key, gates)
        shares = shares_of_choices(gates, chosen, mask) if form == "switch" else None
        term, slope = layer_term(mean_gate(gates, mask), form, shares)
        passage.runs[name] += 1
        passage.sums[name] = passage.sums.get(name, 0.0) + weight * term
        ctx.slope = weight * slope
        ctx.mask, ctx.tokens = mask, gates[..., 0].numel()
        ctx.passage, ctx.name = passage, name
        return gates.view_as(gates)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        slope = ctx.slope * ctx.passage.factor(ctx.name)
        if ctx.mask is None:
            own = slope / ctx.tokens
        else:
            keep = ctx.mask.to(slope.dtype)
            own = (keep / keep.sum().clamp(min=1)).unsqueeze(-1) * slope
        return grads[0] + own.to(grads[0].dtype), None, None, None, None, None, None


class _Loss(torch.autograd.Function):
    """Return the model's own loss unchanged, and read its factor from its gradient in the backward pass."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, passage: _Passage) -> Tensor:
        ctx.passage = passage
        return loss.view_as(loss)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        ctx.passage.scale = grads[0].detach()
        return grads[0], None


class Balance:
    """The state of the balance term that the routed layers of one base model share.

    Attributes:
        layers: All routed layers (`cme.adapters.routed.layer.RoutedLinear`) of the model.
        in_loss: Whether `RoutedModel.forward` adds the term to the loss itself, which torch.compile requires.
        mover: What moves the layers' selection biases. None for methods without them.
    """

    def __init__(self) -> None:
        self.layers: list[Any] = []
        self.in_loss = False
        self.mover: BiasMover | None = None
        self._passage: _Passage | None = None
        self._checkpointing: list[nn.Module] = []
        self._handles: list[Any] = []
        self._base: nn.Module | None = None

    @property
    def passage(self) -> _Passage | None:
        """The forward pass of the model that is running. None outside of a pass in training that must be watched."""
        return self._passage

    def adopt(self, layer: Any, key: str) -> None:
        """Add a new layer."""
        layer.balance, layer.key = self, key
        self.layers.append(layer)

    def attach(self, model: nn.Module) -> None:
        """Register hooks on a base model, and on the models inside it, because some trainers call those directly."""
        if self._handles:
            return
        self._base = model
        # The list is built once, because a search through a thousand modules takes a millisecond per step.
        self._checkpointing = [module for module in model.modules() if hasattr(module, "gradient_checkpointing")]
        inner = [
            module for module in model.modules() if module is not model and hasattr(module, "get_input_embeddings")
        ]
        for module in (model, *inner):
            self._handles.append(module.register_forward_pre_hook(self._before, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._after, with_kwargs=True))

    def detach(self) -> None:
        """Remove the hooks from the base model."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def configs(self) -> dict[str, Any]:
        """Return the configurations of the active adapters by name."""
        return {
            name: plan.config
            for layer in self.layers
            if not layer.disable_adapters
            for name in layer.active_adapters
            if (plan := layer.plans.get(name)) is not None
        }

    def refuse_reentrant(self) -> None:
        """Raise `UsageError` if reentrant gradient checkpointing is on, because it silently loses the router's gradient."""
        for module in self._checkpointing:
            if module.gradient_checkpointing:
                function = getattr(module, "_gradient_checkpointing_func", None)
                if getattr(function, "keywords", {}).get("use_reentrant"):
                    raise UsageError(
                        "reentrant gradient checkpointing silently loses the router's gradient. "
                        'Use gradient_checkpointing_kwargs={"use_reentrant": False}.'
                    )

    def apply(self, gates: Tensor, chosen: Tensor | None, adapter_name: str, key: str, config: RoutedConfig) -> Tensor:
        """Return the gate weights [..., k], with the gradient of the balance term added to theirs."""
        if torch.compiler.is_compiling():
            return gates
        # A layer that is called on its own, or again in the backward pass, does not belong to a call of the model.
        passage = self._passage or _Passage(None, lambda _: None, 1.0, len(self.layers))
        return _Balanced.apply(  # type: ignore[no-any-return, no-untyped-call]
            gates, chosen, passage, adapter_name, key, config.balance_weight, config.balance_form
        )

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not (module.training and torch.is_grad_enabled()) or self.in_loss:
            return
        if self._passage is not None and module is not self._base and module is not self._passage.owner:
            return
        configs = self.configs()
        if configs:
            self.refuse_reentrant()
        if not any(config.watched for config in configs.values()):
            self._passage = None
            return
        if torch.compiler.is_compiling():
            raise UsageError(
                "balance_weight and bias_step have no effect under torch.compile unless the compiled model is a PeftModel with "
                "a task type (such as CAUSAL_LM). Give one, do not compile, or set them to 0."
            )
        if args:
            names = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
            kwargs = {**names.pop("kwargs", {}), **names}
        encodes = bool(getattr(getattr(module, "config", None), "is_encoder_decoder", False))
        share = share_of_batch(kwargs, shifts=not encodes)
        self._passage = _Passage(module, layer_masks(kwargs, encodes=encodes), share)
        self._passage.labelled = kwargs.get("labels") is not None

    def _after(self, module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        passage = self._passage
        if passage is None or passage.owner is not module:
            return None
        self._passage = None
        if not passage.sums:
            return None
        if isinstance(output, tuple) and passage.labelled and output[0].dim() == 0:
            return (self._with_term(output[0], passage), *output[1:])
        if isinstance(loss := getattr(output, "loss", None), Tensor):
            output.loss = self._with_term(loss, passage)
        return output

    @staticmethod
    def _with_term(loss: Tensor, passage: _Passage) -> Tensor:
        return _Loss.apply(loss, passage) + passage.value()  # type: ignore[no-any-return, no-untyped-call]
