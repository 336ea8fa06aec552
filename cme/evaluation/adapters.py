"""Which adapters to evaluate, and one base model that they are attached to in turn."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from cme.errors import AdapterError, UsageError

__all__ = ["BASE", "AdapterSwitcher", "adapter_name", "distinct_names", "resolve_adapter"]

BASE = "base"
"""In the place of an adapter: the base model itself."""

_FILES = ("adapter_config.json", "adapter_model.safetensors", "README.md")


def resolve_adapter(adapter: str) -> Path:
    """Local folder of an adapter: a folder, or a snapshot of a hub repository (its adapter files only, no pickles).

    Raises:
        AdapterError: the repository could not be downloaded.
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
            f"the adapter {adapter!r} is not a local folder, and it could not be downloaded from the hub: {first}\n"
            "Give a local folder, or check the id (owner/name)."
        ) from error


def adapter_name(adapter: str) -> str:
    """What an adapter is called in tables: its folder's name, or the hub id's last part."""
    folder = Path(adapter).expanduser()
    return folder.resolve().name if folder.exists() else adapter.rstrip("/").split("/")[-1]


def distinct_names(adapters: Sequence[str]) -> list[str]:
    """Names of several adapters, which are names of folders, too; `BASE` is called so.

    Raises:
        UsageError: two have the same name.
    """
    names = [BASE if adapter == BASE else adapter_name(adapter) for adapter in adapters]
    for name in names:
        if names.count(name) > 1:
            same = ", ".join(adapter for adapter, own in zip(adapters, names, strict=True) if own == name)
            raise UsageError(
                f"several adapters are called {name!r} ({same}), and their results would get the same folder. "
                "Evaluate them one at a time, each with --name and an --out of its own."
            )
    return names


class AdapterSwitcher:
    """A base model with one adapter after another, and itself again in between.

    Args:
        load: loads the base model.
        several: whether there will be more than one adapter; if so, the base is compared, tensor by tensor, with what it was
            before, each time an adapter was taken off, and loaded anew if a method left something behind.
    """

    def __init__(self, load: Callable[[], Any], *, several: bool) -> None:
        # As with an adapter on it: torch multiplies by weights that could be trained in another way, to other last bits.
        self._load: Callable[[], Any] = lambda: load().requires_grad_(False)
        self._base = self._load()
        self._as_loaded = _imprint(self._base) if several else None
        self._attached: Any = None

    @property
    def base(self) -> Any:
        """The base model without an adapter."""
        if self._attached is not None:
            self._take_off()
        return self._base

    def attach(self, adapter: Path) -> Any:
        """The base with an adapter, as a `PeftModel`; it is good until the next call.

        Raises:
            AdapterError: the adapter does not fit the base, or its weights are broken.
        """
        from cme.adapters.load import load_adapter

        base = self.base
        self._attached = base  # Whatever happens while it is put on.
        self._attached = load_adapter(base, adapter)
        return self._attached

    def _take_off(self) -> None:
        attached, self._attached = self._attached, None
        try:
            self._base = _without(attached)
        except (AttributeError, NotImplementedError, ValueError):  # a method that cannot be taken off
            self._as_loaded = None
        if self._as_loaded is None or _imprint(self._base) != self._as_loaded:
            self._base = None
            del attached
            self._base = self._load()
            self._as_loaded = _imprint(self._base)


def _without(model: Any) -> Any:
    from peft import PeftModel

    if not isinstance(model, PeftModel):
        return model
    prompts = any(config.is_prompt_learning for config in model.peft_config.values())
    return model.get_base_model() if prompts else model.unload()


def _imprint(model: Any) -> Any:
    """All that a method could leave behind: modules, hooks, replaced functions, and the bits of all tensors, summed."""
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
