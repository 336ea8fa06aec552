"""Resolves the adapters to evaluate and attaches them, one after another, to one base model."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from cme.errors import AdapterError, UsageError
from cme.records.grid import GRID

__all__ = ["BASE", "AdapterSwitcher", "adapter_name", "check_files", "distinct_names", "resolve_adapter"]

BASE = "base"
"""Name that stands for the base model itself in a list of adapters."""

_FILES = ("adapter_config.json", "adapter_model.safetensors", "README.md")


def resolve_adapter(adapter: str) -> Path:
    """Return the local folder of an adapter. Adapters on the hub are downloaded, without pickle files.

    Args:
        adapter: a folder or a hub id.

    Raises:
        AdapterError: if the repository could not be downloaded.
    """
    folder = Path(adapter).expanduser()
    if folder.exists() or adapter.count("/") != 1 or adapter.startswith((".", "/", "~")):
        return folder
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(adapter, allow_patterns=list(_FILES)))
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise AdapterError(
            f"the adapter {adapter!r} is not a local folder and could not be downloaded from the hub: {first}\n"
            "Give a local folder, or check the id (owner/name)."
        ) from error


def check_files(adapter: Path) -> None:
    """Check the files of an adapter without its base: the method is known, and the weights are complete and finite.

    Whether the weights fit the base is checked when the adapter is loaded (`cme.adapters.load.load_adapter`).

    Args:
        adapter: folder of the adapter.

    Raises:
        AdapterError: if a file is missing or damaged, the method is unknown, or a weight is NaN or infinite.
    """
    from cme.adapters.checks import WEIGHTS_FILE, check_dtypes, check_finite, known_type, read_config
    from cme.readers.safetensors_file import read_tensor_header

    known_type(adapter, read_config(adapter))
    header = read_tensor_header(adapter / WEIGHTS_FILE, error=AdapterError)
    # Which integers a method has is known on its base only.
    check_dtypes(adapter, {name for name, tensor in header.items() if tensor.dtype.startswith(("I", "U", "BOOL"))})
    check_finite(adapter)


def adapter_name(adapter: str) -> str:
    """Return the name of an adapter in tables: the name of its folder, or the last part of its hub id.

    The name of a run of a learning-rate grid follows that of the grid's folder, because many grids have runs of the same rate.
    """
    folder = Path(adapter).expanduser()
    if not folder.exists():
        return adapter.rstrip("/").split("/")[-1]
    whole = folder.resolve()
    return f"{whole.parent.name}-{whole.name}" if (whole.parent / GRID).is_file() else whole.name


def distinct_names(adapters: Sequence[str]) -> list[str]:
    """Return the names of several adapters, which are also the names of their output folders. `BASE` keeps its name.

    Raises:
        UsageError: if two adapters have the same name.
    """
    names = [BASE if adapter == BASE else adapter_name(adapter) for adapter in adapters]
    for name in names:
        if names.count(name) > 1:
            same = ", ".join(adapter for adapter, own in zip(adapters, names, strict=True) if own == name)
            raise UsageError(
                f"several adapters have the name {name!r} ({same}), so their results would be in the same folder. "
                "Evaluate them one at a time, each with its own --name and --out."
            )
    return names


class AdapterSwitcher:
    """Attach adapters, one at a time, to a base model that is loaded once.

    Args:
        load: function that loads the base model.
        several: whether more than one adapter will be attached. If so, the base model is compared with its initial state each
            time an adapter is detached, and it is loaded again if the method changed it.
    """

    def __init__(self, load: Callable[[], Any], *, several: bool) -> None:
        # A model with an adapter has frozen weights, too. With trainable weights, torch may use other kernels, whose results
        # differ in the last bits.
        self._load: Callable[[], Any] = lambda: load().requires_grad_(False)
        self._base = self._load()
        self._as_loaded = _model_state(self._base) if several else None
        self._attached: Any = None
        self._folder: Path | None = None

    @property
    def base(self) -> Any:
        """The base model without an adapter."""
        if self._attached is not None:
            self._detach()
        return self._base

    def attach(self, adapter: Path) -> Any:
        """Attach an adapter to the base model. If it is attached already, nothing happens.

        Args:
            adapter: folder of the adapter.

        Returns:
            A `PeftModel`, which can be used until the next call.

        Raises:
            AdapterError: if the adapter does not fit the base model, or its weights are damaged.
        """
        from cme.adapters.load import load_adapter

        if self._attached is not None and self._folder == adapter:
            return self._attached
        base = self.base
        # If loading fails halfway, the next call still detaches what was attached.
        self._attached = base
        self._attached = load_adapter(base, adapter)
        self._folder = adapter
        return self._attached

    def _detach(self) -> None:
        attached, self._attached, self._folder = self._attached, None, None
        try:
            self._base = _without(attached)
        except (AttributeError, NotImplementedError, ValueError):
            # The method cannot be detached, so the base model is loaded again.
            self._as_loaded = None
        if self._as_loaded is None or _model_state(self._base) != self._as_loaded:
            self._base = None
            del attached
            self._base = self._load()
            self._as_loaded = _model_state(self._base)


def _without(model: Any) -> Any:
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return model
    prompts = any(config.is_prompt_learning for config in model.peft_config.values())
    return model.get_base_model() if prompts else model.unload()


def _model_state(model: Any) -> Any:
    """Return what a method could have changed: modules, hooks, replaced functions, and the summed bits of each tensor."""
    modules = [
        (name, type(module), len(module._forward_hooks), len(module._forward_pre_hooks), "forward" in vars(module))
        for name, module in model.named_modules()
    ]
    tensors = [(name, *_sum(tensor)) for name, tensor in chain(model.named_parameters(), model.named_buffers())]
    return modules, tensors


def _sum(tensor: Any) -> tuple[Any, ...]:
    import torch

    bits = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[tensor.element_size()]
    flat = tensor.detach().contiguous().view(-1).view(bits)
    return tuple(tensor.shape), tensor.dtype, int(flat.sum(dtype=torch.int64))
