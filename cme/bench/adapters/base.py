"""The base of a measurement: real weights by name or folder, or random ones in a configuration's shape."""

from pathlib import Path
from typing import Any

from cme.adapters.params import SHAPES
from cme.errors import SourceError, UsageError, unknown
from cme.models.load import DTYPES, load_model, pick_device, resolve_base

__all__ = ["open_base"]


def open_base(base: str, *, dtype: str = "float32", device: str | None = None, seed: int = 0) -> tuple[Any, str]:
    """A base model to measure on.

    Args:
        base: the embedded base's name, a model folder or a hub id; or, for random weights, one of
            `cme.adapters.params.SHAPES` or a ``config.json``. What a step costs does not depend on the weights.
        dtype: of the weights.
        device: where to put it; default: the first GPU, else the CPU.
        seed: of random weights.

    Returns:
        The model in evaluation mode, and where its weights come from: ``"loaded"`` or ``"random"``.

    Raises:
        UsageError: no such dtype, shape, base or device.
        SourceError: the base cannot be loaded, or the file holds no configuration.
    """
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    device = pick_device(_checked(device))
    path = Path(base).expanduser()
    if base not in SHAPES and not path.is_file():
        model = load_model(resolve_base(base), dtype=dtype, device=device)
        # As asked for, rather than where it lies on this machine.
        model.name_or_path = base
        return model, "loaded"
    return _random(base if base in SHAPES else path, dtype, device, seed), "random"


def _checked(device: str | None) -> str | None:
    """The device, if costs can be measured on it."""
    import torch

    if not device:
        return device
    kind = device.partition(":")[0]
    if kind not in ("cpu", "cuda") or (kind == "cuda" and not torch.cuda.is_available()):
        found = "there is no GPU that PyTorch can use" if kind == "cuda" else f"found {device!r}"
        raise UsageError(f"costs are measured on cpu or cuda; {found}.")
    return device


def _random(source: str | Path, dtype: str, device: str, seed: int) -> Any:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    path = Path(__file__).parents[2] / "adapters" / "shapes" / f"{source}.json" if isinstance(source, str) else source
    try:
        config = AutoConfig.from_pretrained(str(path))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} holds no model configuration: {error}") from error
    place = torch.device(device)
    with torch.random.fork_rng([place] if place.type == "cuda" else []), place:
        torch.manual_seed(seed)
        try:
            model = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
        except ValueError as error:
            raise SourceError(f"{path} is not the configuration of a causal language model: {error}") from error
    model.name_or_path = str(source)
    return model.to(place).eval()
