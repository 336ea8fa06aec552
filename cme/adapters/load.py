"""Loading a saved adapter onto a base model, with all checks before any weight is changed."""

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
    """Load a saved adapter onto a base model, after checking it.

    Args:
        model: The base, which is changed in place as PEFT does. A `PeftModel` gets a further adapter, which becomes active.
        folder: The adapter's folder with ``adapter_config.json`` and ``adapter_model.safetensors``, as written by
            ``save_pretrained``.
        name: The adapter's name on this model.

    Returns:
        The `PeftModel` in evaluation mode, with this adapter active.

    Raises:
        AdapterError: The folder holds no adapter, the weights are pickled, damaged or not finite, the method is unknown or
            rejects the configuration, or the tensors do not fit this base.
    """
    values = read_config(folder)
    kind = known_type(folder, values)
    from peft import PeftModel, get_peft_model_state_dict

    if reason := _unrepeatable(kind, values):
        raise AdapterError(f"{folder}: {reason}")
    further = isinstance(model, PeftModel)
    if further and name in model.peft_config:
        raise AdapterError(f"the model already has an adapter named {name!r}. Load this one under another name.")
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
        # PEFT 0.21 first reads AdaLoRA's rank_pattern as LoRA's, warns, and then applies it correctly.
        warnings.filterwarnings("ignore", "The following rank_pattern keys did not match", RuntimeWarning)
        try:
            if further:
                model.load_adapter(str(folder), adapter_name=name)
            else:
                model = PeftModel.from_pretrained(model, str(folder), adapter_name=name)
        except (IndexError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise AdapterError(
                f"{folder}: the adapter cannot be loaded onto this base: {_first_line(error)}"
            ) from error
    if expected is None:
        own = get_peft_model_state_dict(model, adapter_name=name, save_embedding_layers=False)
        check_dtypes(folder, _integers(own))
        check_shapes(folder, _shapes(own), _shapes(model.state_dict()), trained_for)
    model.set_adapter(name, inference_mode=True)
    # PEFT 0.21 leaves AdaLoRA's number of ranks trainable where the base is not float32.
    return model.requires_grad_(False).eval()


def check_effect(model: Any, input_ids: Any) -> float:
    """Measure how much the active adapter changes the base's logits.

    Args:
        model: A `PeftModel`.
        input_ids: Token ids, [batch, length].

    Returns:
        The largest absolute difference between the logits with and without the adapter. It is 0 if the adapter does not
        change the output.

    Raises:
        AdapterError: A logit is not finite.
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
        # PEFT makes adapters trainable when it enables them again.
        for weight in frozen:
            weight.requires_grad_(False)
    effect = float((own - base).abs().max())
    if not effect < float("inf"):
        raise AdapterError(
            "the model's logits are not finite, so the adapter or the base is broken. Train the adapter again."
        )
    return effect


def adapter_fingerprint(folder: Path) -> str:
    """Compute the SHA-256 (hex) of an adapter's configuration and weights.

    PEFT writes sets of names in arbitrary order. The digest therefore sorts lists of names, so that saving the same adapter
    twice gives the same fingerprint.

    Raises:
        AdapterError: The folder holds no adapter.
    """
    values = {
        key: sorted(value) if isinstance(value, list) and all(isinstance(item, str) for item in value) else value
        for key, value in read_config(folder).items()
    }
    return digest({CONFIG_FILE: values, WEIGHTS_FILE: sha256_file(folder / WEIGHTS_FILE)})


def _unrepeatable(kind: str, values: dict[str, Any]) -> str | None:
    """Return why scores of a saved adapter would not be those of the trained model, or None."""
    if kind == "LILY":
        return "a LILY adapter cannot be evaluated, because its gate weights depend on other rows and later tokens."
    start = values.get("init_lora_weights")
    if isinstance(start, str) and (start.startswith("pissa_niter_") or start == "lora_ga"):
        return (
            f"init_lora_weights {start!r} changes the base at random or by data, and the adapter does not hold this change. Save "
            "it with PEFT's path_initial_model_for_weight_conversion, as cme train does at the end."
        )
    return None


def _config(folder: Path, kind: str, values: dict[str, Any]) -> Any:
    """Read the configuration with PEFT, and warn of settings of a newer PEFT that this one ignores."""
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
    # A newer PEFT writes all of its settings. Those that are off have no effect.
    if ignored := [f"{key}={value!r}" for key, value in sorted(values.items()) if key not in known and value]:
        warnings.warn(
            f"{place}: the installed PEFT ignores {', '.join(ignored)}, which it does not know for {kind}. The adapter was "
            f"saved by PEFT {values.get('peft_version', 'of another version')}, whose scores may differ.",
            CMEWarning,
            stacklevel=3,
        )
    config.inference_mode = True
    return config


def _tensors_on(
    model: Any, config: Any, name: str, folder: Path
) -> tuple[tuple[Shapes, Shapes], frozenset[str]] | None:
    """Return the shapes of the adapter's tensors and of the base's own tensors, and which of the adapter's are integers.

    They come from a copy of the base without weights.

    The result is None for a method that cannot be added to a base without weights, because its adapter is computed from
    them.
    """
    import torch
    from peft import PeftModel, get_peft_model, get_peft_model_state_dict

    if getattr(config, "monteclora_config", None) is not None:
        return None  # On a base without weights it creates only some of its tensors.
    empty_tensors: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        empty = tensor.detach().to("meta")
        if isinstance(tensor, torch.nn.Parameter):
            empty = torch.nn.Parameter(empty, False)
            # PEFT needs the quantisation state of a weight when it wraps the layer.
            vars(empty).update({key: value for key, value in vars(tensor).items() if key != "_is_hf_initialized"})
        empty_tensors[id(tensor)] = empty
    skeleton, config = copy.deepcopy(model, empty_tensors), copy.deepcopy(config)
    pruned = {}
    if str(config.peft_type.value) == "ADALORA" and config.rank_pattern:
        # PEFT applies the pattern to weights, which this copy does not have.
        pruned, config.rank_pattern = config.rank_pattern, None
    try:
        if isinstance(skeleton, PeftModel):
            skeleton.add_adapter(name, config, low_cpu_mem_usage=True)
        else:
            config.base_model_name_or_path = skeleton.__dict__.get("name_or_path") or None
            skeleton = get_peft_model(skeleton, config, adapter_name=name, low_cpu_mem_usage=True)
        own = get_peft_model_state_dict(skeleton, adapter_name=name, save_embedding_layers=False)
    except (CMEError, AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise AdapterError(f"{folder}: the adapter cannot be loaded onto this base: {error}") from error
    except RuntimeError as error:  # NotImplementedError is a subclass.
        if "overflow" in str(error):
            raise AdapterError(
                f"{folder}: the adapter cannot be loaded onto this base: {_first_line(error)}"
            ) from error
        return None
    return (_without(pruned, _shapes(own), folder), _shapes(skeleton.state_dict())), _integers(own)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _without(pruned: dict[str, list[bool]], own: Shapes, folder: Path) -> Shapes:
    """Return the shapes without the ranks that AdaLoRA has pruned.

    Args:
        pruned: For each layer, by the name of its E [ranks, 1], which ranks were kept (PEFT's ``rank_pattern``).
        own: The shapes of A [ranks, d], E and B [m, ranks] before pruning, by name in the file.
        folder: The adapter's folder, for the message.
    """
    shapes = dict(own)
    for name, kept in pruned.items():
        stem = f"base_model.model.{name.removesuffix('lora_E')}"
        if own.get(f"{stem}lora_E") != (len(kept), 1):
            raise AdapterError(
                f"{folder / CONFIG_FILE}: rank_pattern lists {len(kept)} ranks for {name}, which do not fit this base and "
                "init_r. Was the adapter trained for another base?"
            )
        rank = sum(kept)
        (inputs, outputs) = own[f"{stem}lora_A"][1], own[f"{stem}lora_B"][0]
        shapes |= {f"{stem}lora_A": (rank, inputs), f"{stem}lora_E": (rank, 1), f"{stem}lora_B": (outputs, rank)}
    return shapes


def _integers(state: dict[str, Any]) -> frozenset[str]:
    """Return the names of the tensors that do not hold floating-point numbers."""
    return frozenset(name for name, tensor in state.items() if not tensor.is_floating_point())


def _shapes(state: dict[str, Any]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in state.items()}
