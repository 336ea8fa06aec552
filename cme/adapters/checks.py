"""Checks of a saved adapter before it is loaded onto a model."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from cme.errors import AdapterError, nearest
from cme.files import read_json
from cme.readers.safetensors_file import read_tensor_header

__all__ = ["CONFIG_FILE", "WEIGHTS_FILE", "check_dtypes", "check_finite", "check_shapes", "known_type", "read_config"]

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"

Shapes = dict[str, tuple[int, ...]]

_FLOATS = ("F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ")


def read_config(folder: Path) -> dict[str, Any]:
    """Read an adapter's configuration, after checking that the folder holds an adapter with safetensors weights.

    Raises:
        AdapterError: The folder, the configuration or the weights are missing, the weights are pickled, or the
            configuration is not a JSON object.
    """
    if not folder.is_dir():
        raise AdapterError(f"the adapter folder {folder} does not exist. Check the path.")
    if not (folder / CONFIG_FILE).is_file():
        inside = [path.parent.name for path in sorted(folder.glob(f"*/{CONFIG_FILE}"))]
        hint = f" Its subfolders with adapters are: {', '.join(inside)}." if inside else ""
        raise AdapterError(f"{folder} is not an adapter folder: {CONFIG_FILE} is missing.{hint}")
    if not (folder / WEIGHTS_FILE).is_file():
        pickled = sorted(path.name for path in folder.glob("adapter_model*") if path.suffix in (".bin", ".pt", ".pth"))
        if pickled:
            raise AdapterError(
                f"{folder} has pickled weights only ({pickled[0]}), which CME does not open because a pickle can run any "
                f"code. Save the adapter as {WEIGHTS_FILE}, the default of save_pretrained."
            )
        raise AdapterError(f"{folder} is not an adapter folder: {WEIGHTS_FILE} is missing.")
    values = read_json(folder / CONFIG_FILE, error=AdapterError)
    if not isinstance(values, dict):
        raise AdapterError(
            f"{folder / CONFIG_FILE} must hold a JSON object, but holds a {type(values).__name__}. Save the adapter again."
        )
    return values


def known_type(folder: Path, values: dict[str, Any]) -> str:
    """Return the configuration's ``peft_type``, after checking that PEFT (with CME's methods) knows it.

    Raises:
        AdapterError: PEFT does not know it.
    """
    from cme.adapters.registration import register_all

    register_all()
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    known = sorted(kind.value for kind in PEFT_TYPE_TO_TUNER_MAPPING)
    kind = values.get("peft_type")
    if kind not in known:
        hint = nearest(str(kind), [name.lower() for name in known])
        offer = f" Did you mean {hint.upper()!r}?" if hint else ""
        raise AdapterError(
            f"{folder / CONFIG_FILE}: unknown peft_type {kind!r}.{offer} Known: {', '.join(known)}. "
            "If another package provides the method, install the package that the adapter's README.md names."
        )
    return str(kind)


def check_shapes(folder: Path, expected: Shapes, base: Shapes, trained_for: str | None) -> None:
    """Compare the tensors in the file with those that the adapter needs on the base. Only the file's header is read.

    Args:
        folder: The adapter's folder.
        expected: The shape of each tensor that the adapter needs on this base, by its name in the file.
        base: The shapes of the base's own tensors. PEFT saves embeddings with some adapters.
        trained_for: The base that the configuration names, for the message.

    Raises:
        AdapterError: A tensor is missing, superfluous or of another shape, or the file is damaged.
    """
    saved = _header(folder)
    other = f" Was it trained for another base{f' ({trained_for})' if trained_for else ''}?"
    places = base | expected
    wrong = [name for name, shape in places.items() if saved.get(name, shape) != shape]
    if wrong:
        module, tensor = _split(wrong[0])
        raise AdapterError(
            f"{folder} does not fit the base model: {module} needs {tensor} of shape {list(places[wrong[0]])}, but the "
            f"adapter has {list(saved[wrong[0]])} ({len(wrong)} of {len(saved)} tensors differ).{other}"
        )
    for names, verb, tail in (
        (expected.keys() - saved.keys(), "lacks", "which its configuration requires on this base"),
        (saved.keys() - places.keys(), "has", "which its configuration does not use on this base"),
    ):
        if names:
            more = f" and {len(names) - 1} more tensors" if len(names) > 1 else ""
            raise AdapterError(f"{folder}: the adapter {verb} {min(names)}{more}, {tail}.{other}")


def check_dtypes(folder: Path, integers: Collection[str]) -> None:
    """Check that every tensor of the file holds floating-point numbers. Only the file's header is read.

    PEFT would copy integers and booleans into the adapter unchanged, and would drop the imaginary parts of complex numbers.

    Args:
        folder: The adapter's folder.
        integers: Names of the tensors that hold integers in this method, such as indices. They are not checked.

    Raises:
        AdapterError: A tensor has another type, or the file is damaged.
    """
    header = read_tensor_header(folder / WEIGHTS_FILE, error=AdapterError)
    wrong = [name for name, tensor in header.items() if tensor.dtype not in _FLOATS and name not in integers]
    if wrong:
        more = f" ({len(wrong)} of {len(header)} tensors are not)" if len(wrong) > 1 else ""
        raise AdapterError(
            f"{folder / WEIGHTS_FILE}: the tensor {wrong[0]} has the dtype {header[wrong[0]].dtype}, which is not a "
            f"floating-point type{more}. Save the adapter again with its weights in float32, float16 or bfloat16."
        )


def _split(name: str) -> tuple[str, str]:
    """Split a name in the file into module (``model.layers.0.mlp.up_proj``) and tensor (``lora_A.weight``)."""
    parts = name.removeprefix("base_model.model.").split(".")
    cut = -2 if parts[-1] in ("weight", "bias") and len(parts) > 2 else -1
    return ".".join(parts[:cut]), ".".join(parts[cut:])


def _header(folder: Path) -> Shapes:
    return {key: tensor.shape for key, tensor in read_tensor_header(folder / WEIGHTS_FILE, error=AdapterError).items()}


def check_finite(folder: Path) -> None:
    """Check that every tensor of the file is finite.

    Raises:
        AdapterError: A tensor contains NaN or infinity.
    """
    import torch
    from safetensors import safe_open

    broken = []
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 (the file cannot be iterated)
            tensor = file.get_tensor(key)
            # torch.isfinite does not support 8-bit types, and large numbers in float64 become infinite when they are loaded.
            tensor = tensor.float() if tensor.is_floating_point() and tensor.element_size() in (1, 8) else tensor
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                broken.append(f"{key} ({int((~torch.isfinite(tensor)).sum())} of {tensor.numel()} values)")
    if broken:
        more = f" and {len(broken) - 1} more tensors" if len(broken) > 1 else ""
        raise AdapterError(
            f"{folder / WEIGHTS_FILE} contains NaN or infinity in {broken[0]}{more}. The training diverged. Train again."
        )
