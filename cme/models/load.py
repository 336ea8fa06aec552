"""A base model by name: resolved to a local folder, fingerprinted, loaded."""

import hashlib
from pathlib import Path
from typing import Any

from cme.errors import SourceError, UsageError, unknown
from cme.files import sha256_file
from cme.machine import processor_flags
from cme.models.causal import check_kind
from cme.models.config_limits import check_config
from cme.models.embedded import EMBEDDED, embedded_folder

__all__ = [
    "DTYPES",
    "base_fingerprint",
    "load_model",
    "load_tokenizer",
    "pick_device",
    "pick_dtype",
    "resolve_base",
    "resolve_config",
    "set_padding",
]

DTYPES = ("float32", "bfloat16", "float16")
_WEIGHTS = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


def resolve_base(base: str) -> Path:
    """Local folder of a base model: the embedded one, a folder, or a snapshot of a hub repository (safetensors only).

    Raises:
        SourceError: the folder holds no model, the repository could not be downloaded, or the embedded model is not installed.
    """
    if base == EMBEDDED:
        return embedded_folder()
    folder = Path(base).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise SourceError(
                f"{base} is not a model folder: config.json is missing. Give a folder that save_pretrained wrote."
            )
        check_config(folder / "config.json")
        return folder
    return _from_hub(base, _WEIGHTS)


def resolve_config(base: str) -> Path:
    """Local ``config.json`` of a base model, without its weights.

    Args:
        base: the embedded base's name, a folder, a ``config.json``, or a hub id.

    Raises:
        SourceError: as `resolve_base`.
        UsageError: neither a file nor a folder nor a hub id.
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
            f"unknown base model {base!r}: no such folder, and no hub id (owner/name). The embedded one is {EMBEDDED!r}."
        )
    from huggingface_hub import snapshot_download

    try:
        folder = Path(snapshot_download(base, allow_patterns=list(patterns)))
    except Exception as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise SourceError(
            f"the base model {base!r} could not be downloaded from the hub: {first}\n"
            f"Without the hub: give a local folder, or the embedded base with --base {EMBEDDED}."
        ) from error
    check_config(folder / "config.json")
    return folder


def base_fingerprint(folder: Path) -> str:
    """SHA-256 over the model's configuration and weights: equal for equal models wherever they lie."""
    total = hashlib.sha256()
    for file in sorted([folder / "config.json", *folder.glob("*.safetensors")]):
        total.update(f"{file.name}:{sha256_file(file)}\n".encode())
    return total.hexdigest()


def pick_dtype(dtype: str) -> str:
    """The dtype meant by ``auto``: bfloat16 where the machine has instructions for it, else float32; others as they are."""
    if dtype != "auto":
        return dtype
    import torch

    if torch.cuda.is_available():
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if processor_flags() & {"avx512_bf16", "amx_bf16", "bf16"} else "float32"


def pick_device(device: str | None = None) -> str:
    """The device asked for, else the first GPU, else the CPU.

    Raises:
        UsageError: this machine has no such device, or PyTorch cannot use it.
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
    """The base's tokenizer; a missing padding token becomes the end-of-text token, or else another token that it has.

    Raises:
        SourceError: the folder holds no tokenizer, or a damaged one.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    except (OSError, ValueError) as error:
        raise SourceError(f"{folder} has no readable tokenizer: {error}") from error
    set_padding(tokenizer)
    return tokenizer


def set_padding(tokenizer: Any) -> None:
    """Give a tokenizer a padding token if it has none. What is padded is masked, so any token of the vocabulary will do."""
    if tokenizer.pad_token_id is None:
        named = tokenizer.eos_token or tokenizer.unk_token or tokenizer.bos_token
        tokenizer.pad_token = named or tokenizer.convert_ids_to_tokens(0)


def load_model(folder: Path, *, dtype: str = "float32", device: str | None = None) -> Any:
    """The base model in evaluation mode.

    Args:
        folder: from `resolve_base`.
        dtype: one of `DTYPES`.
        device: where to put it; default: the first GPU, else the CPU.

    Raises:
        UsageError: no such dtype.
        SourceError: it is no causal language model; or the folder holds no safetensors weights, or damaged ones, or not all
            that its configuration asks for, or NaN or infinity.
    """
    if dtype not in DTYPES:
        raise unknown("dtype", dtype, DTYPES)
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    check_kind(folder)
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model, report = AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=getattr(torch, dtype), use_safetensors=True, output_loading_info=True
        )
    except ImportError as error:
        # A quantised base needs the package that it was quantised with, and often a GPU.
        raise SourceError(
            f"{folder} cannot be loaded on this machine: {error}. Install that, or give the base unquantised."
        ) from error
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise SourceError(f"{folder} cannot be loaded as a causal language model: {error}") from error
    finally:
        if bars:
            logging.enable_progress_bar()
    if lacking := sorted(report["missing_keys"]):
        # transformers fills them with random numbers and only warns.
        raise SourceError(
            f"{folder} lacks weights that its config.json asks for: {', '.join(lacking[:3])} ({len(lacking)} in all)."
        )
    model = model.to(pick_device(device)).eval()
    _check_finite(model, folder)
    return model


def _check_finite(model: Any, folder: Path) -> None:
    """A NaN in one weight may give finite answers, all of them wrong (measured: in q_proj, under PyTorch's own attention)."""
    broken = [
        name
        for name, weight in model.named_parameters()
        if weight.is_floating_point() and weight.element_size() > 1 and not bool(weight.detach().isfinite().all())
    ]
    if broken:
        more = f" and {len(broken) - 1} more tensors" if len(broken) > 1 else ""
        raise SourceError(
            f"{folder}: the weights hold NaN or infinity in {broken[0]}{more}. Download the model again, or load it with "
            "--dtype float32 if they are too large for this dtype."
        )
