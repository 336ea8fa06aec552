"""The base model of a measurement, with loaded or random weights."""

from pathlib import Path
from typing import Any

from cme.adapters.params import SHAPES
from cme.errors import SourceError, UsageError, unknown
from cme.models.kinds import auto_class
from cme.models.load import DTYPES, load_model, pick_device, resolve_base

__all__ = ["has_random_weights", "open_base"]


def open_base(base: str, *, dtype: str = "float32", device: str | None = None, seed: int = 0) -> tuple[Any, str]:
    """Load or create a base model.

    Args:
        base: The name of the embedded base, a model folder or a hub id. For random weights, one of
            `cme.adapters.params.SHAPES` or a ``config.json``. The cost of a step does not depend on the weights.
        dtype: The dtype of the weights.
        device: The device of the model. The default is the first GPU, or the CPU if there is none.
        seed: The seed of random weights.

    Returns:
        The model in evaluation mode, and the origin of its weights: ``"loaded"`` or ``"random"``.

    Raises:
        UsageError: The dtype, shape, base or device does not exist.
        SourceError: The base cannot be loaded, or the file holds no configuration.
    """
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    device = pick_device(_checked(device))
    path = Path(base).expanduser()
    if not has_random_weights(base):
        model = load_model(resolve_base(base), dtype=dtype, device=device)
        # The report contains the requested name instead of the folder on this machine.
        model.name_or_path = base
        return model, "loaded"
    return _random(base if base in SHAPES else path, dtype, device, seed), "random"


def has_random_weights(base: str) -> bool:
    """Return whether a base is a shape or a ``config.json``, so that it gets random weights and has no tokenizer."""
    return base in SHAPES or Path(base).expanduser().is_file()


def _checked(device: str | None) -> str | None:
    """Return the device, after checking that costs can be measured on it."""
    import torch

    if not device:
        return device
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        problem = "PyTorch has no usable GPU" if kind == "cuda" else "costs can be measured on cpu and cuda only"
        raise UsageError(f"device {device!r} cannot be used, because {problem}. Use cpu, or leave the device out.")
    return device


def _random(source: str | Path, dtype: str, device: str, seed: int) -> Any:
    import torch
    from transformers import AutoConfig

    path = Path(__file__).parents[2] / "adapters" / "shapes" / f"{source}.json" if isinstance(source, str) else source
    try:
        config = AutoConfig.from_pretrained(str(path))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} holds no model configuration: {error}") from error
    place = torch.device(device)
    with torch.random.fork_rng([place] if place.type == "cuda" else []), place:
        torch.manual_seed(seed)
        kind = auto_class(config)
        if kind is None:
            raise SourceError(
                f"{path} is not the configuration of a causal language model (model_type {config.model_type!r})."
            )
        model = kind.from_config(config, dtype=getattr(torch, dtype))
    model.name_or_path = str(source)
    return model.to(place).eval()
