"""Starts of LoRA that change the base: the trained adapter alone does not say what was trained.

PiSSA and OLoRA take a part A₀B₀ out of the base's weights and train it, W - A₀B₀ + AB. Saved as it is, such an adapter is
right only with a base that gets the same A₀B₀ taken out when it is loaded, and ``pissa_niter_*`` draws it at random. PEFT
converts it to plain LoRA of twice the rank, AB - A₀B₀ on the unchanged W, if the adapter at the start is kept.
"""

import copy
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import UsageError

__all__ = ["Start", "inexpressible", "keep_start", "refuse_ignored", "start_folder"]

_RANDOM = "pissa_niter_"
_CONVERTED = ("pissa", "olora")

_IGNORED = (
    "were ignored",
    "will be ignored",
    "no modules were excluded",
    "but no module was matched",
    "but no parameter was",
)
"""How PEFT's warnings end about a setting that it drops."""


@dataclass(frozen=True)
class Start:
    """An adapter as it was before training.

    Attributes:
        config: PEFT's configuration.
        weights: its tensors in the names of a file, on the CPU.
    """

    config: Any
    weights: dict[str, Any]


def inexpressible(options: Mapping[str, Any]) -> str | None:
    """Why a run with these options of a LoRA could not be saved; None if it can.

    A random start needs PEFT's conversion, which is for A and B alone.
    """
    start = str(options.get("init_lora_weights"))
    if not start.startswith(_RANDOM):
        return None
    further = [
        key for key in ("use_dora", "lora_bias", "modules_to_save", "trainable_token_indices") if options.get(key)
    ]
    further += ["bias"] if options.get("bias", "none") != "none" else []
    further += [key for key in ("kasa_config", "monteclora_config") if options.get(key) is not None]
    if options.get("use_rslora") and (options.get("rank_pattern") or options.get("alpha_pattern")):
        further.append("use_rslora with patterns")
    if not further:
        return None
    return (
        f"init_lora_weights {start!r} changes the base at random, so the adapter must be converted to plain LoRA when it is "
        f"saved, and that cannot be done with {', '.join(further)}. Use 'pissa', or leave that out"
    )


def keep_start(model: Any) -> Start | None:
    """The adapter of a model before training, if it has to be converted when it is saved.

    Args:
        model: a `PeftModel` that was just made.

    Returns:
        None for a start that leaves the base alone; and for one that is made again, to the same weights, whenever the
        adapter is loaded, where the conversion cannot express the adapter.
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
    return Start(copy.deepcopy(config), {name: tensor.detach().cpu().clone() for name, tensor in weights.items()})


def start_folder(start: Start, parent: Path) -> Path:
    """Write the start as PEFT's conversion reads it."""
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
    """Turn PEFT's warnings that it drops a setting into errors; other warnings stay warnings.

    Args:
        given: what the user set. PEFT adds patterns of its own for some bases, which need not fit.

    Raises:
        UsageError: a setting has no effect, such as a key of ``rank_pattern`` that fits no adapted layer.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        text = str(warning.message)
        if any(end in text for end in _IGNORED) and any(given.get(name) and name in text for name in given):
            raise UsageError(f"a setting of the adapter has no effect. {text} Correct it, or leave it out.")
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
