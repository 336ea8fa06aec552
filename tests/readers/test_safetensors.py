import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from cme.errors import AdapterError
from cme.readers.safetensors_file import TensorInfo, read_tensor_header


def made(tmp_path, header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def test_what_is_read(tmp_path):
    path = tmp_path / "x.safetensors"
    tensors = {"a": np.zeros((2, 3), np.float32), "b": np.zeros((), np.int64), "c": np.zeros((0, 7), np.float16)}
    save_file(tensors, path, metadata={"format": "np"})
    assert read_tensor_header(path) == {
        "a": TensorInfo("F32", (2, 3)),
        "b": TensorInfo("I64", ()),
        "c": TensorInfo("F16", (0, 7)),
    }


def tensor(dtype="F32", shape=(1,), place=(0, 4)):
    return {"dtype": dtype, "shape": shape, "data_offsets": place}


@pytest.mark.parametrize(
    ("header", "body", "says"),
    [
        (b"", b"", "not valid|Expecting value"),
        (b"[]", b"", "not a JSON object"),
        (b'{"a": ' * 10_000, b"", "nested"),
        ({"a": 3}, b"", "must have dtype, shape and data_offsets"),
        ({"a": tensor(dtype="F33")}, b"xxxx", "unknown dtype"),
        ({"a": tensor(shape=[-1])}, b"xxxx", "are not a list of integers"),
        ({"a": tensor(shape=[1.0])}, b"xxxx", "are not a list of integers"),
        ({"a": tensor(shape=[True])}, b"xxxx", "are not a list of integers"),
        ({"a": tensor(shape=[2])}, b"xxxx", "do not fit its shape"),
        ({"a": tensor(shape=[10**30])}, b"xxxx", "do not fit its shape"),
        ({"a": tensor(shape=[1] * 1000)}, b"xxxx", "dimensions"),
        ({"a": tensor(place=[0, 4, 8])}, b"xxxx", "do not fit its shape"),
        ({"a": tensor(), "b": tensor()}, b"xxxx", "overlap or leave gaps"),
        ({"a": tensor(place=[4, 8])}, b"x" * 8, "overlap or leave gaps"),
        ({"a": tensor()}, b"x" * 9, "take 4 bytes, but the file has 9"),
        ({"a": tensor()}, b"", "take 4 bytes, but the file has 0"),
        ({"__metadata__": {"a": 1}}, b"", "metadata"),
        (b'{"a": %s, "a": %s}' % ((json.dumps(tensor()).encode(),) * 2), b"xxxx", "twice"),
    ],
)
def test_what_is_refused(tmp_path, header, body, says):
    with pytest.raises(AdapterError, match=says) as caught:
        read_tensor_header(made(tmp_path, header, body), error=AdapterError)
    assert "x.safetensors" in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"1234567", b"\xff" * 8, (2**62).to_bytes(8, "little") + b"{}"])
def test_a_header_that_is_longer_than_the_file(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(AdapterError, match="its header has"):
        read_tensor_header(path, error=AdapterError)


def test_no_file(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(AdapterError, match="does not exist or is not a regular file"):
            read_tensor_header(path, error=AdapterError)
