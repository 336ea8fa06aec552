"""Names and regular expressions of strangers: an answer within seconds, never a hang or a traceback."""

import json

import pytest

from cme.adapters import build_config, load_adapter, settings_from
from cme.adapters.patterns import check_patterns
from cme.errors import AdapterError, UsageError
from tests.adapters.conftest import make_base

NAMES = [f"model.layers.{number}.mlp.up_proj" for number in range(30)]
BOMB = r"(([a-z]|\.|[0-9]|_)+)+!"


@pytest.mark.parametrize(
    "values",
    [
        {"target_modules": r".*\.mlp\..*_proj"},
        {"target_modules": "all-linear"},
        {"target_modules": ["up_proj"], "exclude_modules": r".*\.0\..*"},
        {"rank_pattern": {"up_proj": 4, r".*\.3\.mlp\.up_proj": 2}, "alpha_pattern": {}},
        {"layers_pattern": ["layers", "h"]},
        {"layers_pattern": None, "rank_pattern": None},
    ],
)
def test_usual_ones(values):
    check_patterns(values, NAMES)


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"target_modules": "("}, "target_modules: '('"),
        ({"exclude_modules": "*"}, r"exclude_modules: '\*'"),
        ({"rank_pattern": {"up_proj": 1, "[": 2}}, r"rank_pattern: '\['"),
        ({"alpha_pattern": {"(?P<": 2}}, r"alpha_pattern: '\(\?P<'"),
        ({"layers_pattern": "("}, r"layers_pattern: '\('"),
    ],
)
def test_no_regular_expression(values, place):
    with pytest.raises(
        UsageError, match=f"^{place.replace(chr(39) + '(' + chr(39), chr(39) + '[(]' + chr(39))} is no regular"
    ):
        check_patterns(values, NAMES)


@pytest.mark.long
@pytest.mark.parametrize(
    "values",
    [{"target_modules": BOMB}, {"exclude_modules": BOMB}, {"rank_pattern": {BOMB: 2}}, {"layers_pattern": BOMB}],
    ids=["target_modules", "exclude_modules", "rank_pattern", "layers_pattern"],
)
def test_a_bomb(values):
    with pytest.raises(UsageError, match=f"{next(iter(values))}: .* takes longer than 10 seconds"):
        check_patterns(values, NAMES)


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
        ({"target_modules": "("}, r"target_modules: '\(' is no regular expression"),
        ({"rank_pattern": {"[": 2}}, r"rank_pattern: '\[' is no regular expression"),
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
    """As PEFT reads them: rounded to that type, then on in the adapter's own."""
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
