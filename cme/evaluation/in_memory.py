"""Checks and describes a model in memory, and restores its state after the evaluation."""

import copy
import hashlib
import json
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cme.errors import UsageError
from cme.files import digest

__all__ = [
    "Description",
    "describe",
    "has_active_adapter",
    "merged_adapters_restored",
    "state_restored",
    "tokenizer_digest",
    "unwrapped",
]

_BASE_MARKS = (".base_layer", ".original_module", "base_model.model.")
"""Parts that PEFT adds to the names of the base model's tensors."""

_ADAPTER_STATE = ("_active_adapter", "_disable_adapters", "merged_adapters", "active_adapter", "_caches")
"""Attributes of PEFT's models and layers that hold the active adapters and the cached tensors of merged ones."""


@dataclass(frozen=True)
class Description:
    """Description of a model in memory.

    Attributes:
        base: name or path of the base model as transformers stores it, or the name of its class if there is none.
        name: name in tables: the name of the active adapter, or the last part of ``base``.
        fingerprint: SHA-256 of the base model's configuration and current weights.
        adapter: name of the active adapter. Several names are joined by ``+``. None if no adapter is active.
        adapter_fingerprint: SHA-256 of the configuration and weights of the active adapters. None if no adapter is active.
        device: PyTorch's name of the device.
        dtype: dtype of the weights, such as ``float32``.
    """

    base: str
    name: str
    fingerprint: str
    adapter: str | None
    adapter_fingerprint: str | None
    device: str
    dtype: str


def unwrapped(model: Any, tokenizer: Any) -> tuple[Any, Any]:
    """Remove wrappers for compilation and distribution from a model, check it, and copy its tokenizer.

    Args:
        model: the argument ``model``.
        tokenizer: the argument ``tokenizer``.

    Returns:
        The model and the copy of the tokenizer, which has a padding token.

    Raises:
        UsageError: if the model is neither a causal language model of transformers nor a `PeftModel` of one, if the tokenizer
            is missing, or if the weights are not all on one device.
    """
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer
    from torch.nn import DataParallel
    from torch.nn.parallel import DistributedDataParallel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    model = getattr(model, "_orig_mod", model)
    if isinstance(model, DataParallel | DistributedDataParallel):
        model = model.module
    kind = f"{type(model).__module__}.{type(model).__qualname__}"
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    if not isinstance(getattr(inner, "_orig_mod", inner), PreTrainedModel):
        raise UsageError(
            f"model must be a causal language model of transformers or a PeftModel of one, found {kind}. Give a folder or a hub "
            "id as a string."
        )
    if not isinstance(model, PeftModel) and any(isinstance(module, BaseTunerLayer) for module in inner.modules()):
        raise UsageError(
            "the model has adapter layers but is not a PeftModel, so the active adapter is unknown. Pass the PeftModel that "
            "get_peft_model or PeftModel.from_pretrained returned."
        )
    if inner.config.is_encoder_decoder or not inner.can_generate():
        raise UsageError(f"{type(inner).__name__} is not a causal language model. Pass a model that generates text.")
    if tokenizer is None:
        raise UsageError(
            "a model in memory requires its tokenizer. Call cme.evaluate(model=model, tokenizer=tokenizer)."
        )
    if not isinstance(tokenizer, PreTrainedTokenizerBase):
        raise UsageError(f"tokenizer must be a tokenizer of transformers, found {type(tokenizer).__qualname__}.")
    devices = sorted({str(weight.device) for weight in model.parameters()})
    if "meta" in devices:
        raise UsageError(
            "some of the model's weights are on the device meta, so they are offloaded or were never loaded. Load all weights "
            "into memory."
        )
    if len(devices) > 1:
        raise UsageError(
            f"the model's weights are on several devices ({', '.join(devices)}). Move them to one device, for example with "
            f"model.to({devices[-1]!r})."
        )
    tokenizer = copy.deepcopy(tokenizer)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model, tokenizer


def has_active_adapter(model: Any) -> bool:
    """Return whether a model is a `PeftModel` with an active adapter that is not disabled."""
    from peft import PeftModel
    from peft.tuners.tuners_utils import BaseTunerLayer

    if not isinstance(model, PeftModel):
        return False
    layers = [module for module in model.modules() if isinstance(module, BaseTunerLayer)]
    if not layers:
        # Prompt-learning methods have no adapter layers.
        return not getattr(model, "_adapters_disabled", False)
    return not all(layer.disable_adapters for layer in layers)


def describe(model: Any) -> Description:
    """Describe a model and compute its fingerprints. Every weight is read once.

    Args:
        model: the model, from `unwrapped`.
    """
    from peft import PeftModel

    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    base = str(getattr(inner.config, "_name_or_path", "") or type(inner).__name__)
    adapter = "+".join(model.active_adapters) if has_active_adapter(model) else None
    weight = next(item for item in inner.parameters() if item.is_floating_point() and item.element_size() > 1)
    return Description(
        base=base,
        name=adapter or base.rstrip("/").split("/")[-1],
        fingerprint=_base_fingerprint(model, inner),
        adapter=adapter,
        adapter_fingerprint=_adapter_fingerprint(model) if adapter else None,
        device=str(weight.device),
        dtype=str(weight.dtype).removeprefix("torch."),
    )


def tokenizer_digest(tokenizer: Any) -> str:
    """Compute the SHA-256 of everything that determines how a tokenizer encodes text, including its chat template.

    Args:
        tokenizer: the tokenizer, from `unwrapped`.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    rules: Any = tokenizer.get_vocab()
    if backend is not None:
        # Padding and truncation are settings of the last call and not of the tokenizer.
        rules = {
            key: value for key, value in json.loads(backend.to_str()).items() if key not in ("padding", "truncation")
        }
    own = {name: getattr(tokenizer, name, None) for name in ("chat_template", "add_bos_token", "add_eos_token")}
    special = {name: str(token) for name, token in tokenizer.special_tokens_map.items()}
    return digest(
        {
            "rules": _config_digest(rules),
            "special": special,
            "own": _config_digest(own),
            "class": type(tokenizer).__name__,
        }
    )


def _base_fingerprint(model: Any, inner: Any) -> str:
    """Compute the fingerprint of the base model, which is the same with and without a `PeftModel` around it."""
    prefix = getattr(getattr(model, "base_model", None), "prefix", None) if model is not inner else None
    state = {}
    for name, tensor in inner.state_dict().items():
        if (prefix and f".{prefix}" in f".{name}") or ".modules_to_save." in name:
            continue
        for mark in _BASE_MARKS:
            name = name.replace(mark, "")
        state[name] = tensor
    config = {key: value for key, value in inner.config.to_dict().items() if key not in ("_name_or_path", "use_cache")}
    return digest({"config": _config_digest(config), "weights": _tensors_digest(state)})


def _adapter_fingerprint(model: Any) -> str:
    """Compute the fingerprint of the active and merged adapters. It depends on which of them are merged."""
    from peft import get_peft_model_state_dict
    from peft.tuners.tuners_utils import BaseTunerLayer

    merged = sorted(
        {name for module in model.modules() if isinstance(module, BaseTunerLayer) for name in module.merged_adapters}
    )
    adapters = {
        name: {
            "config": _config_digest(model.peft_config[name].to_dict()),
            "weights": _tensors_digest(
                get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
            ),
        }
        for name in sorted({*model.active_adapters, *merged})
    }
    return digest({"adapters": adapters, "active": list(model.active_adapters), "merged": merged})


def _config_digest(config: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of a configuration as JSON. Sets have no order, so they are sorted."""

    def other(value: Any) -> Any:
        return sorted(map(str, value)) if isinstance(value, set | frozenset) else str(value)

    text = json.dumps(dict(config), default=other, sort_keys=True, allow_nan=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _tensors_digest(state: Mapping[str, Any]) -> str:
    """Compute the SHA-256 of the names, shapes, dtypes and bits of tensors. Tied tensors are read once."""
    import torch

    total = hashlib.sha256()
    seen: dict[Any, str] = {}
    for name, value in sorted(state.items()):
        if not isinstance(value, torch.Tensor):
            total.update(f"{name}={value!r}\n".encode())
            continue
        place = (value.data_ptr(), tuple(value.shape), value.stride()) if type(value) is torch.Tensor else None
        if place is not None and value.numel() and place in seen:
            total.update(f"{name}={seen[place]}\n".encode())
            continue
        total.update(f"{name}:{tuple(value.shape)}:{value.dtype}\n".encode())
        for tensor in _plain_tensors(value.detach()):
            total.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        if place is not None:
            seen[place] = name
    return total.hexdigest()


def _plain_tensors(tensor: Any) -> Iterator[Any]:
    """Yield the plain tensors of a tensor. A quantised tensor of torchao consists of several."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from _plain_tensors(getattr(tensor, name))


@contextmanager
def state_restored(model: Any) -> Iterator[None]:
    """Prepare a model for evaluation and restore its state at the end of the block.

    The restored state consists of the attributes of every module (training mode, hooks, compiled calls, active and merged
    adapters), the buffers, ``requires_grad``, the configuration, the generation configuration, and the states of the random
    number generators of Python, NumPy and torch. Mixed precision is disabled in the block, so the answers equal those of the
    model when it is loaded from its folder.

    Args:
        model: the model, from `unwrapped`.
    """
    import torch

    device = next(model.parameters()).device
    with _generators_restored(device), torch.autocast(device.type, enabled=False), _model_restored(model):
        yield


@contextmanager
def _generators_restored(device: Any) -> Iterator[None]:
    """Restore the states of all random number generators at the end of the block, because lm-eval draws random names."""
    import numpy as np
    import torch

    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _model_restored(model: Any) -> Iterator[None]:
    """Switch the model to evaluation mode and restore it at the end of the block."""
    modules = list(model.modules())
    before = [(module, dict(vars(module)) | _copied(module), dict(module._buffers)) for module in modules]
    weights = [(weight, weight.requires_grad) for weight in model.parameters()]
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    settings = [(item, copy.deepcopy(vars(item))) for item in {id(i): i for i in _settings(model, inner)}.values()]
    try:
        for module in modules:
            # A compiled call would be compiled again for each of the many shapes of an evaluation.
            if getattr(module, "_compiled_call_impl", None) is not None:
                module._compiled_call_impl = None
            # accelerate's mixed precision (the Trainer's ``bf16=True``) replaces the model's own forward method.
            if "_original_forward" in vars(module):
                module.forward = module._original_forward
        for config in _configs(inner):
            if getattr(config, "use_cache", None) is False:
                # Gradient checkpointing disables the cache. The answers are the same with it, and the evaluation is faster.
                config.use_cache = True
        model.eval()
        yield
    finally:
        for item, values in settings:
            vars(item).clear()
            vars(item).update(values)
        for module, attributes, buffers in before:
            # All attributes are replaced because lm-eval's wrapper, PEFT and transformers each add some.
            vars(module).clear()
            vars(module).update(attributes)
            module._buffers.clear()
            module._buffers.update(buffers)
        for weight, required in weights:
            if weight.requires_grad != required:
                weight.requires_grad_(required)


def _settings(model: Any, inner: Any) -> Iterator[Any]:
    for item in (model, inner):
        for name in ("config", "generation_config"):
            if (config := getattr(item, name, None)) is not None:
                yield config
    yield from _configs(inner)


def _configs(inner: Any) -> tuple[Any, Any]:
    """Return the configuration of a base and that of its language model, which can be the same."""
    return inner.config, inner.config.get_text_config(decoder=True)


def _copied(module: Any) -> dict[str, Any]:
    """Return copies of the attributes that hold the active adapters, because PEFT changes these lists in place."""
    return {name: copy.copy(vars(module)[name]) for name in _ADAPTER_STATE if name in vars(module)}


@contextmanager
def merged_adapters_restored(model: Any) -> Iterator[None]:
    """Restore merged adapters exactly after PEFT has unmerged them to compute logits without the adapter.

    Args:
        model: a `PeftModel`. Models without merged adapters are not changed.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    merged = [module for module in model.modules() if isinstance(module, BaseTunerLayer) and module.merged]
    before = [
        (
            layer,
            list(layer.merged_adapters),
            copy.copy(vars(layer).get("_caches")),
            [
                (owner, name, weight, weight.detach().clone())
                for owner, name, weight in _weights(layer.get_base_layer())
            ],
        )
        for layer in merged
    ]
    try:
        yield
    finally:
        for layer, names, caches, weights in before:
            layer.merged_adapters = names
            if caches is not None:
                layer._caches = caches
            for owner, name, weight, values in weights:
                owner._parameters[name] = weight
                weight.data = values


def _weights(module: Any) -> Iterator[tuple[Any, str, Any]]:
    for owner in module.modules():
        for name, weight in owner._parameters.items():
            if weight is not None:
                yield owner, name, weight
