"""Resolves the name of a base model to a local folder, computes its fingerprint, and loads it."""

import gc
import hashlib
from pathlib import Path
from typing import Any

from cme.errors import SourceError, UsageError, unknown
from cme.files import sha256_file
from cme.machine import processor_flags
from cme.models.config_limits import check_config
from cme.models.embedded import EMBEDDED, embedded_folder
from cme.models.kinds import auto_class, check_kind

__all__ = [
    "DTYPES",
    "base_fingerprint",
    "context_length",
    "load_model",
    "load_tokenizer",
    "pick_device",
    "pick_dtype",
    "resolve_base",
    "resolve_config",
    "set_padding",
]

DTYPES = ("float32", "bfloat16", "float16")
_TOKENIZERS = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken", "tekken.json")
_WEIGHTS = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


def resolve_base(base: str) -> Path:
    """Return the local folder of a base model. Models on the hub are downloaded, with safetensors weights only.

    Args:
        base: name of the embedded model, a folder, or a hub id.

    Raises:
        SourceError: if the folder has no model, the download failed, or the embedded model is not installed.
        UsageError: if the base is neither a folder nor a hub id.
    """
    if base == EMBEDDED:
        return embedded_folder()
    folder = Path(base).expanduser()
    if folder.is_dir():
        _check_folder(folder, base)
        return folder
    return _from_hub(base, _WEIGHTS)


def resolve_config(base: str) -> Path:
    """Return the local ``config.json`` of a base model. The weights are not downloaded.

    Args:
        base: name of the embedded model, a folder, a ``config.json``, or a hub id.

    Raises:
        SourceError: as for `resolve_base`.
        UsageError: if the base is not a file, a folder or a hub id.
    """
    path = Path(base).expanduser()
    if path.is_file():
        check_config(path)
        return path
    folder = resolve_base(base) if base == EMBEDDED or path.is_dir() else _from_hub(base, ("config.json",))
    return folder / "config.json"


def _from_hub(base: str, patterns: tuple[str, ...]) -> Path:
    if base.count("/") != 1 or base.startswith((".", "/", "~")):
        raise UsageError(
            f"unknown base model {base!r}: it is neither a folder nor a hub id (owner/name). Give one of these, or {EMBEDDED!r}."
        )
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(base, allow_patterns=list(patterns)))
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SourceError(
            f"the base model {base!r} could not be downloaded from the hub: {first}\n"
            f"Give a local folder, or use the embedded model with --base {EMBEDDED}."
        ) from error
    _check_folder(folder, base)
    return folder


def _check_folder(folder: Path, base: str) -> None:
    """Check that a folder has the configuration of a base model, and the sizes in it."""
    if not (folder / "config.json").is_file():
        if (folder / "adapter_config.json").is_file():
            raise SourceError(f"{base} is an adapter and not a base. Give it with --adapter, and its base with --base.")
        raise SourceError(
            f"{base} is not a model folder: config.json is missing. Give a folder written by save_pretrained."
        )
    check_config(folder / "config.json")


def base_fingerprint(folder: Path) -> str:
    """Compute the SHA-256 of a model's configuration and weights. It does not depend on the location of the folder."""
    total = hashlib.sha256()
    for file in sorted([folder / "config.json", *folder.glob("*.safetensors")]):
        total.update(f"{file.name}:{sha256_file(file)}\n".encode())
    return total.hexdigest()


def context_length(base: Path | Any) -> int | None:
    """Return the number of tokens that a base can read, or None if its configuration names no limit.

    Args:
        base: folder or configuration of the base. In a vision-language model, the limit is that of the language model.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(str(base)) if isinstance(base, Path) else base
    most = getattr(config.get_text_config(decoder=True), "max_position_embeddings", None)
    return None if most is None else int(most)


def pick_dtype(dtype: str) -> str:
    """Resolve the dtype ``auto`` to bfloat16 on hardware with bfloat16 instructions and to float32 elsewhere.

    Args:
        dtype: ``auto``, or a dtype that is returned unchanged.
    """
    if dtype != "auto":
        return dtype
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if processor_flags() & {"avx512_bf16", "amx_bf16", "bf16"} else "float32"


def pick_device(device: str | None = None) -> str:
    """Return the requested device, or by default the first GPU, or the CPU if there is none.

    Args:
        device: PyTorch's name of the device, or None for the default.

    Raises:
        UsageError: if this machine does not have the device, or PyTorch cannot use it.
    """
    import torch

    if device:
        try:
            usable = torch.empty(0, device=device).device.type != "meta"
        except (RuntimeError, AssertionError, NotImplementedError):
            usable = False
        if not usable:
            known = ", ".join(["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))])
            raise UsageError(f"device {device!r} cannot be used by PyTorch on this machine. Give one of: {known}.")
        return device
    return "cuda" if torch.cuda.is_available() else "cpu"


def load_tokenizer(folder: Path) -> Any:
    """Load the tokenizer of a base model and set a padding token if it has none.

    Args:
        folder: folder of the base model.

    Raises:
        SourceError: if the folder has no tokenizer, or a damaged one.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        if not any(any(folder.glob(pattern)) for pattern in _TOKENIZERS):
            raise SourceError(
                f"the tokenizer in {folder} could not be loaded, because there is no tokenizer file such as tokenizer.json. "
                "Save the tokenizer of this model there. A processor is not needed."
            ) from error
        raise SourceError(f"the tokenizer in {folder} could not be loaded: {error}") from error
    set_padding(tokenizer)
    return tokenizer


def set_padding(tokenizer: Any) -> None:
    """Set a padding token if a tokenizer has none. Padding is masked, so any token of the vocabulary is suitable."""
    if tokenizer.pad_token_id is None:
        named = tokenizer.eos_token or tokenizer.unk_token or tokenizer.bos_token
        tokenizer.pad_token = named or tokenizer.convert_ids_to_tokens(0)


def load_model(folder: Path, *, dtype: str = "float32", device: str | None = None) -> Any:
    """Load a base model in evaluation mode: a causal language model or a vision-language model.

    Args:
        folder: folder of the model, from `resolve_base`.
        dtype: one of `DTYPES`.
        device: device of the model. None means the first GPU, or the CPU if there is none.

    Raises:
        UsageError: if the dtype is unknown.
        SourceError: if the model is of another kind, or its safetensors weights are missing, damaged, incomplete or not finite.
    """
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    import torch
    from safetensors import SafetensorError
    from transformers.utils import logging

    kind = auto_class(check_kind(folder))
    # A model that is no longer used waits for this in reference cycles. Two models at once would need twice the memory.
    gc.collect()
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            str(folder), dtype=getattr(torch, dtype), use_safetensors=True, output_loading_info=True
        )
    except ImportError as error:
        # A quantised base needs the package that it was quantised with, and often a GPU.
        raise SourceError(
            f"{folder} could not be loaded on this machine: {error}. Install the missing package, or use an unquantised model."
        ) from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise SourceError(f"{folder} cannot be loaded as a language model: {error}") from error
    finally:
        if bars:
            logging.enable_progress_bar()
    if lacking := sorted(report["missing_keys"]):
        # transformers fills them with random numbers and only warns.
        raise SourceError(
            f"{folder} lacks {len(lacking)} weights that its config.json requires, such as {', '.join(lacking[:3])}. Download or "
            "save the model again."
        )
    model = model.to(pick_device(device)).eval()
    _check_finite(model, folder)
    return model


def _check_finite(model: Any, folder: Path) -> None:
    """Check that all weights are finite.

    A NaN in one weight can give finite but wrong answers, as measured for ``q_proj`` with PyTorch's own attention.
    """
    broken = [
        name
        for name, weight in model.named_parameters()
        if weight.is_floating_point() and weight.element_size() > 1 and not bool(weight.detach().isfinite().all())
    ]
    if broken:
        more = f" and {len(broken) - 1} more tensors" if len(broken) > 1 else ""
        raise SourceError(
            f"{folder}: the weights contain NaN or infinity in {broken[0]}{more}. Download the model again, or set --dtype "
            "float32 in case they are too large for this dtype."
        )
