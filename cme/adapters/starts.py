"""Initialisations of LoRA that change the base's weights, such as PiSSA and OLoRA.

PiSSA and OLoRA subtract a low-rank part A₀B₀ from the base's weights and train it as the adapter: W - A₀B₀ + AB. A and B
alone then give the trained model only if the same A₀B₀ is subtracted when they are loaded, and ``pissa_niter_*`` computes
A₀B₀ with random numbers. PEFT converts such an adapter to plain LoRA of twice the rank, AB - A₀B₀ on the unchanged W, if the
initial adapter was kept.
"""

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import UsageError

__all__ = [
    "InitialAdapter",
    "initial_adapter",
    "refuse_ignored",
    "refuse_smaller_ranks",
    "unsaveable_reason",
    "write_initial_adapter",
]

_RANDOM = "pissa_niter_"
_CONVERTED = ("pissa", "olora")

_IGNORED = (
    "were ignored",
    "will be ignored",
    "no modules were excluded",
    "but no module was matched",
    "but no parameter was",
)
"""Phrases of PEFT's warnings about settings that it ignores."""


@dataclass(frozen=True)
class InitialAdapter:
    """An adapter before training.

    Attributes:
        config: PEFT's configuration.
        weights: The adapter's tensors on the CPU, by their names in a saved file.
    """

    config: Any
    weights: dict[str, Any]


def unsaveable_reason(options: Mapping[str, Any]) -> str | None:
    """Return why an adapter with these LoRA options could not be saved, or None if it could.

    A random initialisation needs PEFT's conversion, which supports adapters that consist of A and B only.
    """
    start = str(options.get("init_lora_weights"))
    if not start.startswith(_RANDOM):
        return None
    further = [
        key for key in ("use_dora", "lora_bias", "modules_to_save", "trainable_token_indices") if options.get(key)
    ]
    further += ["bias"] if options.get("bias", "none") != "none" else []
    if options.get("use_rslora") and (options.get("rank_pattern") or options.get("alpha_pattern")):
        further.append("use_rslora with patterns")
    if not further:
        return None
    return (
        f"init_lora_weights {start!r} changes the base randomly, so the adapter must be converted to plain LoRA when it is "
        f"saved, which PEFT does not support with {', '.join(further)}. Use 'pissa', or leave these options out"
    )


def initial_adapter(model: Any) -> InitialAdapter | None:
    """Copy the adapter of a model before training, if it must be converted when it is saved.

    Args:
        model: A new `PeftModel`.

    Returns:
        The adapter. None if the initialisation does not change the base, or if the conversion does not support the adapter.
        In the second case the initialisation gives the same weights whenever the adapter is loaded.
    """
    from peft import get_peft_model_state_dict

    config = model.peft_config["default"]
    if not str(getattr(config, "init_lora_weights", "")).lower().startswith(_CONVERTED):
        return None
    weights = get_peft_model_state_dict(model, adapter_name="default", save_embedding_layers=False)
    plain = all(name.endswith(("lora_A.weight", "lora_B.weight")) for name in weights)
    patterns = config.use_rslora and (config.rank_pattern or config.alpha_pattern)
    if not plain or patterns or getattr(config, "target_parameters", None):
        return None
    return InitialAdapter(
        copy.deepcopy(config), {name: tensor.detach().cpu().clone() for name, tensor in weights.items()}
    )


def write_initial_adapter(start: InitialAdapter, parent: Path) -> Path:
    """Write the initial adapter into a subfolder of ``parent``, in the form that PEFT's conversion reads.

    Returns:
        The subfolder.
    """
    from safetensors.torch import save_file

    folder = parent / "before"
    folder.mkdir()
    config = copy.deepcopy(start.config)
    config.init_lora_weights = True
    config.save_pretrained(str(folder))
    save_file(
        {name: tensor.contiguous() for name, tensor in start.weights.items()}, folder / "adapter_model.safetensors"
    )
    return folder


@contextmanager
def refuse_ignored(given: Mapping[str, Any]) -> Iterator[None]:
    """Turn PEFT's warnings about ignored settings into errors. Other warnings stay warnings.

    Args:
        given: The settings of the user. PEFT adds its own patterns for some bases, and these may match no layer.

    Raises:
        UsageError: A setting has no effect, such as a key of ``rank_pattern`` that matches no adapted layer.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        text = str(warning.message)
        if any(end in text for end in _IGNORED) and any(given.get(name) and name in text for name in given):
            raise UsageError(f"a setting of the adapter has no effect. {text} Correct it, or leave it out.")
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def refuse_smaller_ranks(model: Any) -> None:
    """Refuse a start that has fewer ranks than the settings name, because a layer has no more singular vectors.

    Raises:
        UsageError: a layer has a lower rank than its configuration.
    """
    for path, module in model.named_modules():
        ranks = getattr(module, "r", None)
        for name, matrix in getattr(module, "lora_A", {}).items():
            asked, weight = ranks.get(name) if isinstance(ranks, dict) else None, getattr(matrix, "weight", None)
            if asked is not None and weight is not None and weight.shape[0] < asked:
                raise UsageError(
                    f"the rank {asked} is larger than the smaller dimension of {path}, which is {weight.shape[0]}, and this "
                    "init_lora_weights needs a singular vector for each rank. Set a lower rank, or leave init_lora_weights out."
                )
