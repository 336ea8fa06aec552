"""Reads the headers of safetensors files: names, dtypes, shapes and offsets of the tensors, without their values."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.readers.json_file import parse_json
from cme.readers.limits import TENSORS, TENSORS_HEADER_BYTES

__all__ = ["TensorInfo", "read_tensor_header"]

_BITS = {
    **dict.fromkeys(("F64", "I64", "U64", "C64"), 64),
    **dict.fromkeys(("F32", "I32", "U32"), 32),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 16),
    **dict.fromkeys(("F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ", "I8", "U8", "BOOL"), 8),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}


_DIMENSIONS = 64


@dataclass(frozen=True)
class TensorInfo:
    """Dtype and shape of a tensor in the file.

    Attributes:
        dtype: name of the dtype in the format, such as ``F32`` or ``BF16``.
        shape: sizes of the dimensions.
    """

    dtype: str
    shape: tuple[int, ...]

    @property
    def numel(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def read_tensor_header(path: Path, *, error: type[CMEError] = CMEError) -> dict[str, TensorInfo]:
    """Read the header of a safetensors file.

    The header must describe every byte of the file, so tensors may neither overlap nor leave gaps.

    Args:
        path: the file.
        error: the class of error to raise.

    Returns:
        The tensors by name, in the order of the file.

    Raises:
        CMEError: (or ``error``) if the file is missing, cannot be read, or is not a valid safetensors file.
    """
    try:
        if not path.is_file():
            raise error(f"{path} does not exist or is not a regular file.")
        with path.open("rb") as file:
            total = os.fstat(file.fileno()).st_size
            size = int.from_bytes(file.read(8), "little")
            if total < 8 or size > min(TENSORS_HEADER_BYTES, total - 8):
                raise ValueError(
                    f"its header has {size:,} bytes and the file {total:,}; {TENSORS_HEADER_BYTES:,} are allowed"
                )
            values = parse_json(file.read(size))
        return _tensors(values, total - 8 - size)
    except OSError as problem:
        raise error(f"{path} cannot be read: {problem.strerror or problem}.") from problem
    except ValueError as problem:
        raise error(f"{path} is not a valid safetensors file ({problem}). Copy or write it again.") from problem


def _tensors(values: Any, room: int) -> dict[str, TensorInfo]:
    if not isinstance(values, dict):
        raise ValueError("its header is not a JSON object")
    if len(values) > TENSORS:
        raise ValueError(f"it has {len(values):,} tensors; {TENSORS:,} are allowed")
    tensors, places = {}, []
    for name, value in values.items():
        if name == "__metadata__":
            if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
                raise ValueError("its metadata are not a mapping of strings")
            continue
        tensors[name], place = _tensor(name, value)
        places.append(place)
    end = 0
    for start, stop in sorted(places):
        if start != end:
            raise ValueError("its tensors overlap or leave gaps")
        end = stop
    if end != room:
        raise ValueError(f"its tensors take {end:,} bytes, but the file has {room:,} for them")
    return tensors


def _tensor(name: str, value: Any) -> tuple[TensorInfo, tuple[int, int]]:
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise ValueError(f"the tensor {name[:100]!a} must have dtype, shape and data_offsets, and nothing else")
    dtype, shape, place = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _BITS:
        raise ValueError(f"the tensor {name[:100]!a} has the unknown dtype {str(dtype)[:40]!a}")
    for numbers in (shape, place):
        if not isinstance(numbers, list) or not all(type(item) is int and item >= 0 for item in numbers):
            raise ValueError(f"the shape or the offsets of the tensor {name[:100]!a} are not a list of integers")
    if len(shape) > _DIMENSIONS:
        raise ValueError(f"the tensor {name[:100]!a} has {len(shape):,} dimensions; {_DIMENSIONS} are allowed")
    info = TensorInfo(dtype, tuple(shape))
    if len(place) != 2 or (place[1] - place[0]) * 8 != info.numel * _BITS[dtype]:
        raise ValueError(f"the offsets of the tensor {name[:100]!a} do not fit its shape {str(shape)[:60]}")
    return info, (place[0], place[1])
