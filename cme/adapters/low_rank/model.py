"""The base class of the tuner models of all low-rank methods."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

from peft.tuners.tuners_utils import BaseTuner
from torch import nn

from cme.adapters.low_rank.config import LowRankConfig
from cme.adapters.low_rank.layer import LowRankLinear
from cme.adapters.targets import ffn_targets
from cme.errors import AdapterError, UsageError

__all__ = ["LowRankModel"]


class LowRankModel(BaseTuner):  # type: ignore[misc]
    """A base model with adapters of a low-rank method. A subclass sets ``prefix`` and ``tuner_layer_cls``."""

    tuner_layer_cls: type[LowRankLinear]
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 (PEFT's own attribute; targets come from ffn_targets)

    @contextmanager
    def _enable_peft_forward_hooks(self, *args: Any, **kwargs: Any) -> Iterator[None]:
        if kwargs.get("adapter_names") is not None:
            raise UsageError(
                "adapter_names (a different adapter for each row of a batch) works with LoRA only. Evaluate the adapters one "
                "after the other."
            )
        yield

    def _prepare_adapter_config(self, peft_config: LowRankConfig, model_config: dict[str, Any]) -> LowRankConfig:
        if peft_config.target_modules is None:
            peft_config.target_modules = set(ffn_targets(self.model))  # type: ignore[assignment]
        return peft_config

    def _create_and_replace(
        self,
        peft_config: LowRankConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        **_: Any,
    ) -> None:
        if isinstance(target, self.tuner_layer_cls):
            target.update_layer(adapter_name, peft_config)
            return
        if not isinstance(target, nn.Linear):
            raise UsageError(
                f"{peft_config.peft_type.value} adapts torch.nn.Linear layers only, but {current_key} is a "
                f"{type(target).__name__}. Name other layers with target_modules, or use LoRA."
            )
        if isinstance(parent, nn.MultiheadAttention):
            raise UsageError(
                f"{peft_config.peft_type.value}: {current_key} is part of a torch.nn.MultiheadAttention, which reads the "
                "layer's weight without calling the layer, so an adapter on it would have no effect. Name other layers with "
                "target_modules, or use LoRA on the whole attention module."
            )
        layer = self.tuner_layer_cls(target, adapter_name, peft_config)
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _check_merge_allowed(self) -> None:
        if tied := self._get_tied_target_modules(self.model):
            raise AdapterError(
                f"the adapter on {', '.join(tied)} cannot be merged, because this base ties its input and output embeddings "
                "and merging would change both. Use the adapter unmerged, or untie the embeddings first "
                "(tie_word_embeddings=False, and a copy of the weight for the output layer)."
            )

    def add_weighted_adapter(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise `UsageError`, because PEFT supports this for LoRA only."""
        kinds = {config.peft_type.value for config in self.peft_config.values()}
        raise UsageError(
            f"{' and '.join(sorted(kinds))} adapters cannot be combined into one weighted adapter. To add the outputs of "
            "several adapters, activate them together with model.base_model.set_adapter([...])."
        )
