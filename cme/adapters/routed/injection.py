"""The balance term acts where the gates are computed, so that every caller and every trainer gets it.

The gradient of the term is added to the gradient of the gates in the backward pass. This needs no cooperation of whoever
calls the model or computes the loss: a `PeftModel` with or without a task type, ``model.add_adapter``, and a trainer with a
loss of its own all train with the term.

* A loss that the base model computes shows the term in its value. Its gradient passes on what the loss was multiplied by
  (1 / accumulation steps, a gradient scaler), and the term is multiplied by the same.
* A loss computed from the logits is unknown here. The term then counts once in every backward pass, so with gradient
  accumulation once for each micro-batch.
"""

import inspect
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from cme.adapters.routed.balance import deviation, layer_masks, mean_gate, share_of_batch
from cme.adapters.routed.config import RoutedConfig
from cme.errors import UsageError

__all__ = ["Balance"]


class _Passage:
    """One forward pass in training.

    Attributes:
        owner: the module whose call this is; None for a layer that is called on its own.
        masks: which tokens are no padding, by layer.
        share: this pass's share of the predicted tokens of an optimiser step.
        scale: what the model's own loss was multiplied by, known in the backward pass; 1 for other losses.
        runs: how many times layers ran, by adapter.
        sums: the sum of their terms, each with its weight, by adapter.
        labelled: whether the caller gave labels, so that the model computes a loss.
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

    def factor(self, adapter_name: str) -> Tensor | float:
        """What the term of one layer is multiplied by, in the backward pass."""
        return self.scale * self.share / (self._layers or self.runs[adapter_name])

    def value(self) -> Tensor:
        """The whole term, without a graph."""
        return self.share * torch.stack([total / self.runs[name] for name, total in self.sums.items()]).sum()


class _Balanced(torch.autograd.Function):
    """The gates as they are; in the backward pass the gradient of the balance term is added to theirs.

    What the gradient needs is kept beside the graph, so gradient checkpointing, which runs a layer a second time, finds the
    same number of saved tensors whether or not it knows the batch's mask then.
    """

    @staticmethod
    def forward(ctx: Any, gates: Tensor, passage: _Passage, name: str, key: str, weight: float, form: str) -> Tensor:
        k, mask = gates.shape[-1], passage.masks(key)
        mask = mask if mask is not None and mask.shape == gates.shape[:-1] else None
        off = deviation(mean_gate(gates, mask), form)
        passage.runs[name] += 1
        passage.sums[name] = passage.sums.get(name, 0.0) + weight * off.square().mean()
        # d/dm of the mean over experts of off², where off = m - 1/k or k·m - 1/k.
        ctx.slope = weight * off * (2 if form == "released" else 2 / k)
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
        return grads[0] + own.to(grads[0].dtype), None, None, None, None, None


class _Loss(torch.autograd.Function):
    """The model's own loss, whose gradient tells what it was multiplied by."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, passage: _Passage) -> Tensor:
        ctx.passage = passage
        return loss.view_as(loss)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        ctx.passage.scale = grads[0].detach()
        return grads[0], None


class Balance:
    """What the routed layers of one base model share.

    Attributes:
        layers: all of them (`cme.adapters.routed.layer.RoutedLinear`).
        in_loss: set while `RoutedModel.forward` adds the term to the loss itself, as torch.compile needs it.
    """

    def __init__(self) -> None:
        self.layers: list[Any] = []
        self.in_loss = False
        self._passage: _Passage | None = None
        self._checkpointing: list[nn.Module] = []
        self._handles: list[Any] = []
        self._base: nn.Module | None = None

    def adopt(self, layer: Any, key: str) -> None:
        """Take in a new layer."""
        layer.balance, layer.key = self, key
        self.layers.append(layer)

    def attach(self, model: nn.Module) -> None:
        """Watch the calls of a base model, and of the models inside it, which some trainers call directly."""
        if self._handles:
            return
        self._base = model
        # Looked up once: asking a thousand modules takes a millisecond a step.
        self._checkpointing = [module for module in model.modules() if hasattr(module, "gradient_checkpointing")]
        inner = [
            module for module in model.modules() if module is not model and hasattr(module, "get_input_embeddings")
        ]
        for module in (model, *inner):
            self._handles.append(module.register_forward_pre_hook(self._before, with_kwargs=True))
            self._handles.append(module.register_forward_hook(self._after, with_kwargs=True))

    def detach(self) -> None:
        """Stop watching; the base model is given back."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def configs(self) -> dict[str, Any]:
        """Configurations of the active adapters, by name."""
        return {
            name: plan.config
            for layer in self.layers
            if not layer.disable_adapters
            for name in layer.active_adapters
            if (plan := layer.plans.get(name)) is not None
        }

    def refuse_reentrant(self) -> None:
        """Raise `UsageError` if reentrant gradient checkpointing is on: it loses the router's gradient silently."""
        for module in self._checkpointing:
            if module.gradient_checkpointing:
                function = getattr(module, "_gradient_checkpointing_func", None)
                if getattr(function, "keywords", {}).get("use_reentrant"):
                    raise UsageError(
                        "reentrant gradient checkpointing silently loses the router's gradient. "
                        'Use gradient_checkpointing_kwargs={"use_reentrant": False}.'
                    )

    def apply(self, gates: Tensor, adapter_name: str, key: str, config: RoutedConfig) -> Tensor:
        """The gates [..., k], whose gradient has that of the balance term added."""
        if torch.compiler.is_compiling():
            return gates
        # A layer that runs on its own, or again in the backward pass, belongs to no call of the model.
        passage = self._passage or _Passage(None, lambda _: None, 1.0, len(self.layers))
        return _Balanced.apply(gates, passage, adapter_name, key, config.balance_weight, config.balance_form)  # type: ignore[no-any-return, no-untyped-call]

    def _before(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not (module.training and torch.is_grad_enabled()) or self.in_loss:
            return
        if self._passage is not None and module is not self._base and module is not self._passage.owner:
            return
        configs = self.configs()
        if configs:
            self.refuse_reentrant()
        if not any(config.balance_weight for config in configs.values()):
            self._passage = None
            return
        if torch.compiler.is_compiling():
            raise UsageError(
                "balance_weight has no effect under torch.compile unless the compiled model is a PeftModel with a task type "
                "(such as CAUSAL_LM). Give one, do not compile, or set balance_weight to 0."
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
