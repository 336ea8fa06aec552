"""Put a saved adapter on a base model: everything that can be wrong is found before the weights are touched."""

import copy
from pathlib import Path
from typing import Any

from cme.adapters.checks import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    Shapes,
    check_finite,
    check_shapes,
    known_type,
    read_config,
)
from cme.errors import AdapterError, CMEError
from cme.files import digest, sha256_file

__all__ = ["adapter_fingerprint", "check_effect", "load_adapter"]


def load_adapter(model: Any, folder: Path, *, name: str = "default") -> Any:
    """Load an adapter onto a base model, checked.

    Args:
        model: the base (changed in place, as PEFT does), or a `PeftModel` that gets a further adapter, made active.
        folder: with ``adapter_config.json`` and ``adapter_model.safetensors``, as ``save_pretrained`` wrote it.
        name: the adapter's name on this model.

    Returns:
        The `PeftModel`, in evaluation mode, with this adapter active.

    Raises:
        AdapterError: no adapter in the folder, pickled or damaged or non-finite weights, an unknown method, a
            configuration that the method refuses, or tensors that do not fit this base.
    """
    values = read_config(folder)
    kind = known_type(folder, values)
    from peft import PeftModel

    further = isinstance(model, PeftModel)
    if further and name in model.peft_config:
        raise AdapterError(f"the model has an adapter {name!r} already. Give this one another name.")
    config = _config(folder, kind)
    check_shapes(folder, *_shapes_on(model, config, name, folder), values.get("base_model_name_or_path"))
    check_finite(folder)
    if further:
        model.load_adapter(str(folder), adapter_name=name)
    else:
        model = PeftModel.from_pretrained(model, str(folder), adapter_name=name)
    model.set_adapter(name, inference_mode=True)
    return model.eval()


def check_effect(model: Any, input_ids: Any) -> float:
    """How far the active adapter moves the base's logits.

    Args:
        model: a `PeftModel`.
        input_ids: tokens, [batch, length].

    Returns:
        The largest absolute difference of logits with and without the adapter; 0 means that it changes nothing.

    Raises:
        AdapterError: a logit is not finite.
    """
    import torch

    training, frozen = model.training, [weight for weight in model.parameters() if not weight.requires_grad]
    model.eval()
    try:
        with torch.inference_mode():
            own = model(input_ids=input_ids).logits.float()
            with model.disable_adapter():
                base = model(input_ids=input_ids).logits.float()
    finally:
        model.train(training)
        # Switching adapters on again makes them trainable in PEFT.
        for weight in frozen:
            weight.requires_grad_(False)
    effect = float((own - base).abs().max())
    if not effect < float("inf"):
        raise AdapterError("the model's logits are not finite: the adapter or the base is broken.")
    return effect


def adapter_fingerprint(folder: Path) -> str:
    """SHA-256 (hex) of the adapter's configuration and weights.

    PEFT writes sets of names in any order, so the configuration counts by content, with lists of names sorted: saving
    the same adapter twice gives the same fingerprint.

    Raises:
        AdapterError: the folder holds no adapter.
    """
    values = {
        key: sorted(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else value
        for key, value in read_config(folder).items()
    }
    return digest({CONFIG_FILE: values, WEIGHTS_FILE: sha256_file(folder / WEIGHTS_FILE)})


def _config(folder: Path, kind: str) -> Any:
    from peft import PeftConfig

    try:
        config = PeftConfig.from_pretrained(str(folder))
    except (TypeError, ValueError, KeyError) as error:
        raise AdapterError(f"{folder / CONFIG_FILE} does not fit the method {kind}: {error}") from error
    config.inference_mode = True
    return config


def _shapes_on(model: Any, config: Any, name: str, folder: Path) -> tuple[Shapes, Shapes]:
    """Shapes of the adapter's tensors on this base and of the base's own, from a copy of the base without weights."""
    import torch
    from peft import PeftModel, get_peft_model, get_peft_model_state_dict

    hollow: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        empty = tensor.detach().to("meta")
        hollow[id(tensor)] = torch.nn.Parameter(empty, False) if isinstance(tensor, torch.nn.Parameter) else empty
    skeleton, config = copy.deepcopy(model, hollow), copy.deepcopy(config)
    try:
        if isinstance(skeleton, PeftModel):
            skeleton.add_adapter(name, config, low_cpu_mem_usage=True)
        else:
            config.base_model_name_or_path = skeleton.__dict__.get("name_or_path")
            skeleton = get_peft_model(skeleton, config, adapter_name=name, low_cpu_mem_usage=True)
    except (CMEError, TypeError, ValueError) as error:
        raise AdapterError(f"{folder}: the adapter cannot be put on this base: {error}") from error
    own = get_peft_model_state_dict(skeleton, adapter_name=name, save_embedding_layers=False)
    return _shapes(own), _shapes(skeleton.state_dict())


def _shapes(state: dict[str, Any]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
