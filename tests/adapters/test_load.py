"""Invalid saved adapters, and the error messages for users."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from cme.adapters import adapter_fingerprint, check_effect, load_adapter
from cme.errors import AdapterError
from tests.adapters.conftest import logits, make_base, make_config
from tests.adapters.variants import every_method

FIRST_A = {
    "lora": ("lora_A.weight", 3),
    "adalora": ("lora_A", 3),
    "moslora": ("moslora_A", 3),
    "moelora": ("moelora_A", 12),
    "hydralora": ("hydralora_A", 3),
    "teamlora": ("teamlora_A", 12),
    "mola": ("mola_A", 12),
    "adamole": ("adamole_A", 12),
    "comol": ("comol_A", 3),
    "smora": ("smora_A", 12),
    "flylora": ("flylora_A", 12),
}
"""Name and rows of each method's first tensor in a layer."""


@pytest.fixture
def saved(adapted, tmp_path) -> Callable[..., Path]:
    def make(method: str = "teamlora", **fields) -> Path:
        folder = tmp_path / method
        adapted(method, **fields).save_pretrained(folder)
        return folder

    return make


def edit_config(folder: Path, **values) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def edit_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], None]) -> str:
    """Change the tensors in place, and return the name of the first one."""
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    first = min(tensors)
    change(tensors)
    save_file(tensors, path)
    return first


def refused(folder: Path, base=None) -> str:
    """Load an adapter, return the error message, and check that the base is unchanged."""
    base = base if base is not None else make_base()
    names = [name for name, _ in base.named_parameters()]
    with pytest.raises(AdapterError) as caught:
        load_adapter(base, folder)
    assert [name for name, _ in base.named_parameters()] == names
    return str(caught.value)


@every_method
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_good_adapter_is_loaded(adapted, saved, tokens, method, dtype):
    folder = saved(method)
    model = load_adapter(make_base().to(dtype), folder)
    assert not model.training and not any(weight.requires_grad for weight in model.parameters())
    if dtype == torch.float32:
        assert torch.equal(logits(model, tokens), logits(adapted(method), tokens))


def test_adapters_are_swapped_on_one_base(adapted, saved, tokens):
    first = adapted()
    model = load_adapter(make_base(), saved(), name="one")
    other = load_adapter(model, saved(experts=2), name="two")
    assert other is model and model.active_adapter == "two"
    assert torch.equal(logits(model, tokens), logits(adapted(experts=2), tokens))
    model.set_adapter("one", inference_mode=True)
    assert torch.equal(logits(model, tokens), logits(first, tokens))
    with pytest.raises(AdapterError, match="already has an adapter named 'one'"):
        load_adapter(model, saved(), name="one")


@every_method
def test_the_effect_is_measured(saved, tokens, method):
    model = load_adapter(make_base(), saved(method)).train()
    effect = check_effect(model, tokens)
    assert model.training and not any(weight.requires_grad for weight in model.parameters())
    own = logits(model.eval(), tokens)
    with model.disable_adapter():
        assert effect == pytest.approx(float((own - logits(model, tokens)).abs().max()))
    assert effect > 0.01


def test_an_untrained_adapter_has_no_effect(adapted, tokens, tmp_path):
    adapted(trained=False).save_pretrained(tmp_path)
    assert check_effect(load_adapter(make_base(), tmp_path), tokens) == 0


def test_an_effect_that_is_not_finite_is_refused(adapted, tokens):
    model = adapted()
    with torch.no_grad():
        model.base_model.model.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(AdapterError, match="not finite"):
        check_effect(model, tokens)
    assert not model.training


def test_no_folder(tmp_path):
    assert "nowhere does not exist" in refused(tmp_path / "nowhere")
    with pytest.raises(AdapterError, match=r"the adapter folder .* does not exist"):
        adapter_fingerprint(tmp_path / "nowhere")


def test_an_adapter_one_level_down_is_pointed_at(saved):
    assert "adapter_config.json is missing. Its subfolders with adapters are: teamlora." in refused(saved().parent)


def test_no_weights(saved):
    folder = saved()
    (folder / "adapter_model.safetensors").unlink()
    assert "adapter_model.safetensors is missing" in refused(folder)
    (folder / "adapter_model.bin").write_bytes(b"")
    assert "has pickled weights only (adapter_model.bin), which CME does not open" in refused(folder)


@pytest.mark.parametrize(("text", "message"), [("{", "not valid JSON"), ("[]", "must hold a JSON object")])
def test_a_broken_configuration(saved, text, message):
    folder = saved()
    (folder / "adapter_config.json").write_text(text)
    assert message in refused(folder)


def test_an_unknown_method_and_the_nearest_one(saved):
    folder = saved()
    edit_config(folder, peft_type="TEMLORA")
    message = refused(folder)
    assert "unknown peft_type 'TEMLORA'. Did you mean 'TEAMLORA'?" in message and "ADALORA" in message
    edit_config(folder, peft_type=None)
    assert "unknown peft_type None" in refused(folder)


def test_a_configuration_that_the_method_refuses(saved):
    folder = saved()
    edit_config(folder, experts=0)
    assert "does not fit the method TEAMLORA: experts must be at least 1" in refused(folder)


@every_method
def test_another_base(saved, method):
    folder = saved(method)
    edit_config(folder, base_model_name_or_path="its/own-base")
    message = refused(folder, make_base(hidden_size=32))
    tensor, rows = FIRST_A[method]
    shapes = f"{tensor} of shape [{rows}, 32], but the adapter has [{rows}, 24]"
    assert f"does not fit the base model: model.layers.0.mlp.gate_proj needs {shapes}" in message
    assert "Was it trained for another base (its/own-base)?" in message


@every_method
def test_a_base_with_more_layers_or_fewer(saved, method):
    folder = saved(method)
    assert "the adapter lacks base_model.model.model.layers.2.mlp." in refused(folder, make_base(num_hidden_layers=3))
    assert "the adapter has base_model.model.model.layers.1.mlp." in refused(folder, make_base(num_hidden_layers=1))


def test_a_base_without_the_layers(saved):
    folder = saved()
    edit_config(folder, target_modules=["no_such_proj"])
    assert "cannot be loaded onto this base" in refused(folder) and "no_such_proj" in refused(folder)


@every_method
def test_missing_and_superfluous_tensors(saved, method):
    folder = saved(method)
    shutil.copytree(folder, folder.with_name("copy"))
    first = edit_weights(folder, lambda tensors: tensors.pop(min(tensors)))
    assert f"the adapter lacks {first}, which its configuration requires on this base" in refused(folder)
    edit_weights(folder.with_name("copy"), lambda tensors: tensors.update(extra=torch.ones(1)))
    assert "the adapter has extra, which its configuration does not use" in refused(folder.with_name("copy"))


def test_a_configuration_of_other_sizes_than_the_weights(saved):
    folder = saved()
    edit_config(folder, experts=2)
    assert "of shape [6, 24], but the adapter has [12, 24]" in refused(folder)


@every_method
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_values_that_are_not_finite(saved, method, value):
    folder = saved(method)
    first = edit_weights(folder, lambda tensors: tensors[min(tensors)].view(-1)[2:4].fill_(value))
    assert f"NaN or infinity in {first} (2 of " in refused(folder)


def test_a_cut_file(saved):
    path = saved() / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "is not a valid safetensors file" in refused(path.parent)


def test_embeddings_saved_along_are_let_through(adapted, tokens, tmp_path):
    model = adapted()
    model.save_pretrained(tmp_path, save_embedding_layers=True)
    assert any("embed_tokens" in key for key in load_file(tmp_path / "adapter_model.safetensors"))
    assert torch.equal(logits(load_adapter(make_base(), tmp_path), tokens), logits(model, tokens))
    assert "model needs embed_tokens.weight of shape [70, 24], but the adapter has [61, 24]" in refused(
        tmp_path, make_base(vocab_size=70)
    )


def test_a_config_object_is_not_changed_by_the_check(saved):
    base = make_base()
    load_adapter(base, saved(target_modules=None))
    assert make_config().target_modules is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"init_lora_weights": "pissa_niter_4"},
            "changes the base at random or by data, and the adapter does not hold",
        ),
        ({"init_lora_weights": "lora_ga"}, "path_initial_model_for_weight_conversion"),
        ({"peft_type": "LILY"}, "gate weights depend on other rows and later tokens"),
    ],
)
def test_adapters_whose_scores_would_not_be_those_of_the_trained_model_are_refused(saved, changes, message):
    folder = saved("lora")
    edit_config(folder, **changes)
    assert message in refused(folder)
