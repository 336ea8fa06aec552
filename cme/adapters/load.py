"""Put a saved adapter on a base model: everything that can be wrong is found before the weights are touched."""

import copy
import warnings
from dataclasses import fields
from pathlib import Path
from typing import Any

from cme.adapters.checks import (
    CONFIG_FILE,
    WEIGHTS_FILE,
    Shapes,
    check_dtypes,
    check_finite,
    check_shapes,
    known_type,
    read_config,
)
from cme.errors import AdapterError, CMEError, CMEWarning, UsageError
from cme.files import digest, sha256_file
from cme.patterns import check_patterns

__all__ = ["adapter_fingerprint", "check_effect", "load_adapter"]

_PEFT_IGNORES = "Unexpected keyword arguments"


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
    from peft import PeftModel, get_peft_model_state_dict

    further = isinstance(model, PeftModel)
    if further and name in model.peft_config:
        raise AdapterError(f"the model has an adapter {name!r} already. Give this one another name.")
    try:
        check_patterns(values, (name for name, _ in model.named_modules()))
    except UsageError as error:
        raise AdapterError(f"{folder / CONFIG_FILE}: {error}") from error
    config = _config(folder, kind, values)
    trained_for = values.get("base_model_name_or_path")
    expected = _tensors_on(model, config, name, folder)
    if expected is not None:
        shapes, integers = expected
        check_shapes(folder, *shapes, trained_for)
        check_dtypes(folder, integers)
    check_finite(folder)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", _PEFT_IGNORES)
        # PEFT 0.21 takes AdaLoRA's rank_pattern for LoRA's, before it applies it as what it is.
        warnings.filterwarnings("ignore", "The following rank_pattern keys did not match", RuntimeWarning)
        try:
            if further:
                model.load_adapter(str(folder), adapter_name=name)
            else:
                model = PeftModel.from_pretrained(model, str(folder), adapter_name=name)
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise AdapterError(f"{folder}: the adapter cannot be put on this base: {_first_line(error)}") from error
    if expected is None:
        own = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
        check_dtypes(folder, _integers(own))
        check_shapes(folder, _shapes(own), _shapes(model.state_dict()), trained_for)
    model.set_adapter(name, inference_mode=True)
    # PEFT 0.21 leaves AdaLoRA's number of ranks trainable where the base is not float32.
    return model.requires_grad_(False).eval()


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


def _config(folder: Path, kind: str, values: dict[str, Any]) -> Any:
    """The configuration as the method reads it; a warning names what PEFT's own methods leave out of a newer one."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    place = folder / CONFIG_FILE
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", _PEFT_IGNORES)
            config = PEFT_TYPE_TO_CONFIG_MAPPING[kind].from_pretrained(str(folder))
    except AdapterError as error:
        raise AdapterError(f"{place}: {error}") from error
    except (TypeError, ValueError, KeyError) as error:
        raise AdapterError(f"{place} does not fit the method {kind}: {error}") from error
    known = {item.name for item in fields(config)}
    # A newer PEFT writes all of its settings; those that are off change nothing.
    if ignored := [f"{key}={value!r}" for key, value in sorted(values.items()) if key not in known and value]:
        warnings.warn(
            f"{place}: this PEFT has no {', '.join(ignored)} for {kind} and loads the adapter without. It was saved by "
            f"PEFT {values.get('peft_version', 'of another version')}; check its scores against that version's.",
            CMEWarning,
            stacklevel=3,
        )
    config.inference_mode = True
    return config


def _tensors_on(
    model: Any, config: Any, name: str, folder: Path
) -> tuple[tuple[Shapes, Shapes], frozenset[str]] | None:
    """Shapes of the adapter's tensors on this base and of the base's own, and which of the adapter's are integers.

    They come from a copy of the base without weights.

    None for a method that cannot be put on a base without weights, because its adapter is computed from them.
    """
    import torch
    from peft import PeftModel, get_peft_model, get_peft_model_state_dict

    if getattr(config, "monteclora_config", None) is not None:
        return None  # Without weights it makes a part of its tensors only.
    hollow: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        empty = tensor.detach().to("meta")
        if isinstance(tensor, torch.nn.Parameter):
            empty = torch.nn.Parameter(empty, False)
            # How a quantised weight was quantised: PEFT asks for it when it wraps the layer.
            vars(empty).update({key: value for key, value in vars(tensor).items() if key != "_is_hf_initialized"})
        hollow[id(tensor)] = empty
    skeleton, config = copy.deepcopy(model, hollow), copy.deepcopy(config)
    pruned = {}
    if str(config.peft_type.value) == "ADALORA" and config.rank_pattern:
        # PEFT applies the pattern to weights, which are not here.
        pruned, config.rank_pattern = config.rank_pattern, None
    try:
        if isinstance(skeleton, PeftModel):
            skeleton.add_adapter(name, config, low_cpu_mem_usage=True)
        else:
            config.base_model_name_or_path = skeleton.__dict__.get("name_or_path")
            skeleton = get_peft_model(skeleton, config, adapter_name=name, low_cpu_mem_usage=True)
        own = get_peft_model_state_dict(skeleton, adapter_name=name, save_embedding_layers=False)
    except (CMEError, AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise AdapterError(f"{folder}: the adapter cannot be put on this base: {error}") from error
    except RuntimeError as error:  # NotImplementedError is one
        if "overflow" in str(error):
            raise AdapterError(f"{folder}: the adapter cannot be put on this base: {_first_line(error)}") from error
        return None
    return (_without(pruned, _shapes(own), folder), _shapes(skeleton.state_dict())), _integers(own)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _without(pruned: dict[str, list[bool]], own: Shapes, folder: Path) -> Shapes:
    """Shapes without the ranks that AdaLoRA has pruned.

    Args:
        pruned: by name of a layer's E [ranks, 1], for each of its ranks whether it was kept (PEFT's ``rank_pattern``).
        own: shapes of A [ranks, d], E, B [m, ranks] before pruning, by name in the file.
        folder: the adapter's, for the message.
    """
    shapes = dict(own)
    for name, kept in pruned.items():
        stem = f"base_model.model.{name.removesuffix('lora_E')}"
        if own.get(f"{stem}lora_E") != (len(kept), 1):
            raise AdapterError(
                f"{folder / CONFIG_FILE}: rank_pattern speaks of {len(kept)} ranks in {name}, which this base and init_r "
                "do not have. Was it trained for another base?"
            )
        rank = sum(kept)
        (inputs, outputs) = own[f"{stem}lora_A"][1], own[f"{stem}lora_B"][0]
        shapes |= {f"{stem}lora_A": (rank, inputs), f"{stem}lora_E": (rank, 1), f"{stem}lora_B": (outputs, rank)}
    return shapes


def _integers(state: dict[str, Any]) -> frozenset[str]:
    """Names of the tensors that are no floating-point numbers."""
    return frozenset(name for name, tensor in state.items() if not tensor.is_floating_point())


def _shapes(state: dict[str, Any]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
