"""Untrusted names and regular expressions are handled within seconds, without a hang or a traceback."""

import json

import pytest

from cme.adapters import build_config, load_adapter, settings_from
from cme.errors import AdapterError, UsageError
from cme.patterns import check_patterns
from tests.adapters.conftest import make_base


def test_fifty_thousand_names():
    names = [f"no_such_layer_{number}" for number in range(50_000)]
    with pytest.raises(UsageError, match=r"target_modules has 50,000 names, but the base has \d+ modules"):
        build_config(settings_from({"method": "lora", "target_modules": names}), make_base())
    check_patterns({"target_modules": names}, names)  # as a base of so many modules may have them
    with pytest.raises(UsageError, match="has no module 'no_such_layer_0'"):
        build_config(settings_from({"method": "lora", "target_modules": names[:1000]}), make_base())


@pytest.fixture
def saved(adapted, tmp_path):
    adapted("lora").save_pretrained(tmp_path)

    def edit(**values):
        path = tmp_path / "adapter_config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | values))
        return tmp_path

    return edit


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target_modules": "("}, r"target_modules: '\(' is not a valid regular expression"),
        ({"rank_pattern": {"[": 2}}, r"rank_pattern: '\[' is not a valid regular expression"),
        ({"r": 10**12}, "needs lora_A.weight of shape|cannot be loaded onto this base"),
        ({"r": 10**19}, "cannot be loaded onto this base|does not fit"),
        ({"r": -1}, "cannot be loaded onto this base"),
        ({"r": "eight"}, "cannot be loaded onto this base|does not fit"),
        ({"target_modules": [f"x{number}" for number in range(50_000)]}, "has 50,000 names"),
        ({"layer_replication": [[0, 99]]}, "cannot be loaded onto this base|lacks"),
        ({"target_modules": 5}, "cannot be loaded onto this base|does not fit"),
        ({"layers_to_transform": ["a"]}, "cannot be loaded onto this base|does not fit|has"),
        ({"lora_alpha": "x"}, "cannot be loaded onto this base|does not fit"),
        ({"lora_dropout": 7}, "cannot be loaded onto this base|does not fit"),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.filterwarnings("ignore")
def test_a_strangers_configuration(saved, values, message):
    with pytest.raises(AdapterError, match=message):
        load_adapter(make_base(), saved(**values))


@pytest.mark.parametrize("rank", [10**9, 10**12, 10**19])
def test_a_rank_with_too_many_zeros_is_refused_before_training(tmp_path, rank):
    from cme.training.model import check_fit
    from tests.tiny import save_tiny_base, tiny_tokenizer

    save_tiny_base(tmp_path)
    for method in ("lora", "teamlora"):
        with pytest.raises(UsageError, match=r"would train .* parameters|does not fit this base"):
            check_fit(tmp_path, settings_from({"method": method, "rank": rank}), tiny_tokenizer(), None)


@pytest.mark.parametrize("kind", ["float8_e4m3fn", "float8_e5m2", "float16", "bfloat16"])
def test_other_types_of_tensors_are_read(saved, tokens, kind):
    """The values are rounded to the stored dtype and then converted to the adapter's dtype, as in PEFT."""
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file, save_file

    from tests.adapters.conftest import logits

    folder = saved()
    path = folder / "adapter_model.safetensors"
    tensors = {name: tensor.to(getattr(torch, kind)) for name, tensor in load_file(path).items()}
    save_file(tensors, path)
    model = load_adapter(make_base(), folder)
    assert torch.equal(logits(model, tokens), logits(PeftModel.from_pretrained(make_base(), folder).eval(), tokens))
    if kind != "float8_e4m3fn":
        return
    next(iter(tensors.values())).view(torch.uint8).fill_(0x7F)  # this type's NaN
    save_file(tensors, path)
    with pytest.raises(AdapterError, match="NaN or infinity"):
        load_adapter(make_base(), folder)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        *(("int8", "I8"), ("int16", "I16"), ("int32", "I32"), ("int64", "I64"), ("uint8", "U8"), ("uint16", "U16")),
        *(("bool", "BOOL"), ("complex64", "C64")),
    ],
)
def test_tensors_that_are_no_real_numbers(saved, kind, dtype):
    import torch
    from safetensors.torch import load_file, save_file

    path = saved() / "adapter_model.safetensors"
    tensors = load_file(path)
    name = next(iter(tensors))
    save_file(tensors | {name: torch.ones(tensors[name].shape).to(getattr(torch, kind))}, path)
    with pytest.raises(AdapterError) as caught:
        load_adapter(make_base(), path.parent)
    assert str(caught.value) == (
        f"{path}: the tensor {name} has the dtype {dtype}, which is not a floating-point type. "
        "Save the adapter again with its weights in float32, float16 or bfloat16."
    )


def test_float64_is_read_unless_it_overflows(saved, tokens):
    import torch
    from peft import PeftModel
    from safetensors.torch import load_file, save_file

    from tests.adapters.conftest import logits

    folder = saved()
    path = folder / "adapter_model.safetensors"
    tensors = {name: tensor.double() for name, tensor in load_file(path).items()}
    save_file(tensors, path)
    model = load_adapter(make_base(), folder)
    assert torch.equal(logits(model, tokens), logits(PeftModel.from_pretrained(make_base(), folder).eval(), tokens))
    next(iter(tensors.values()))[0, 0] = 1e300
    save_file(tensors, path)
    with pytest.raises(AdapterError, match="NaN or infinity"):
        load_adapter(make_base(), folder)
