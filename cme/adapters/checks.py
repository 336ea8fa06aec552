"""What can be wrong with a saved adapter before any of it is put on a model."""

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
    """The adapter's configuration as written, if the folder is one of an adapter with safetensors weights.

    Raises:
        AdapterError: no folder, no configuration, no weights, only pickled ones, or no JSON.
    """
    if not folder.is_dir():
        raise AdapterError(f"there is no adapter folder {folder}.")
    if not (folder / CONFIG_FILE).is_file():
        inside = [path.parent.name for path in sorted(folder.glob(f"*/{CONFIG_FILE}"))]
        hint = f" There are adapters in {', '.join(inside)} below it." if inside else ""
        raise AdapterError(f"{folder} is no adapter folder: {CONFIG_FILE} is missing.{hint}")
    if not (folder / WEIGHTS_FILE).is_file():
        pickled = sorted(path.name for path in folder.glob("adapter_model*") if path.suffix in (".bin", ".pt", ".pth"))
        if pickled:
            raise AdapterError(
                f"{folder} has its weights only as a pickle ({pickled[0]}), which can run any code when it is read; "
                f"CME does not open it. Save the adapter as {WEIGHTS_FILE} (save_pretrained does by default)."
            )
        raise AdapterError(f"{folder} is no adapter folder: {WEIGHTS_FILE} is missing.")
    values = read_json(folder / CONFIG_FILE, error=AdapterError)
    if not isinstance(values, dict):
        raise AdapterError(f"{folder / CONFIG_FILE} must hold one JSON object, found a {type(values).__name__}.")
    return values


def known_type(folder: Path, values: dict[str, Any]) -> str:
    """The configuration's ``peft_type``, if PEFT (with CME's methods) knows it.

    Raises:
        AdapterError: it does not.
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
            "If it is another package's method, install that package (the adapter's README.md names it)."
        )
    return str(kind)


def check_shapes(folder: Path, expected: Shapes, base: Shapes, trained_for: str | None) -> None:
    """Compare the tensors in the file with those that the adapter has on the base; only the file's header is read.

    Args:
        folder: the adapter's.
        expected: shape of each tensor that the adapter has on this base, by its name in the file.
        base: shapes of the base's own tensors; PEFT saves embeddings along with some adapters.
        trained_for: the base that the configuration names, for the message.

    Raises:
        AdapterError: a tensor of another shape, a missing or a superfluous one; or the file is damaged.
    """
    found = _header(folder)
    other = f" Was it trained for another base{f' ({trained_for})' if trained_for else ''}?"
    places = base | expected
    wrong = [name for name, shape in places.items() if found.get(name, shape) != shape]
    if wrong:
        module, tensor = _split(wrong[0])
        raise AdapterError(
            f"{folder} does not fit the base model: {module} needs {tensor} of shape {list(places[wrong[0]])}, the "
            f"adapter has {list(found[wrong[0]])} ({len(wrong)} of {len(found)} tensors differ).{other}"
        )
    for names, verb, tail in (
        (expected.keys() - found.keys(), "lacks", "which this base and the adapter's configuration need"),
        (found.keys() - places.keys(), "has", "for which this base and the adapter's configuration have no place"),
    ):
        if names:
            more = f" and {len(names) - 1} more tensors" if len(names) > 1 else ""
            raise AdapterError(f"{folder}: the adapter {verb} {min(names)}{more}, {tail}.{other}")


def check_dtypes(folder: Path, integers: Collection[str]) -> None:
    """Check that every tensor of the file holds real numbers; only the file's header is read.

    PEFT would copy integers and booleans into the adapter as they are, and of complex numbers the real parts.

    Args:
        folder: the adapter's.
        integers: names of the tensors that are integers in this method (indices, say), which may be.

    Raises:
        AdapterError: a tensor of another type, or the file is damaged.
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
    """Module and tensor of a name in the file: ``model.layers.0.mlp.up_proj`` and ``lora_A.weight``."""
    parts = name.removeprefix("base_model.model.").split(".")
    cut = -2 if parts[-1] in ("weight", "bias") and len(parts) > 2 else -1
    return ".".join(parts[:cut]), ".".join(parts[cut:])


def _header(folder: Path) -> Shapes:
    return {key: tensor.shape for key, tensor in read_tensor_header(folder / WEIGHTS_FILE, error=AdapterError).items()}


def check_finite(folder: Path) -> None:
    """Read every tensor of the file once.

    Raises:
        AdapterError: one holds NaN or infinity.
    """
    import torch
    from safetensors import safe_open

    broken = []
    with safe_open(folder / WEIGHTS_FILE, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 (no mapping)
            tensor = file.get_tensor(key)
            # 8-bit types have no test of their own, and large numbers in float64 become infinite when they are loaded.
            tensor = tensor.float() if tensor.is_floating_point() and tensor.element_size() in (1, 8) else tensor
            if tensor.is_floating_point() and not torch.isfinite(tensor).all():
                broken.append(f"{key} ({int((~torch.isfinite(tensor)).sum())} of {tensor.numel()} values)")
    if broken:
        more = f" and {len(broken) - 1} more tensors" if len(broken) > 1 else ""
        raise AdapterError(
            f"{folder / WEIGHTS_FILE} holds NaN or infinity in {broken[0]}{more}. Training diverged; train again."
        )
