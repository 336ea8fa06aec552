"""A vision-language base is trained on text exactly as its language model alone."""

import json

import pytest

from cme.adapters import AdapterSettings, load_adapter, settings_from
from cme.errors import CMEWarning, UsageError
from cme.models.load import load_model, load_tokenizer
from cme.training import train
from tests.vision import save_base, save_llava, vision_language

PATTERN = "model.language_model.layers.*.mlp.{}_proj"


@pytest.fixture(scope="module")
def llava(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llava")
    save_llava(folder, base)
    return folder


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "adapter_model.safetensors")


def logits(model, tokenizer):
    import torch

    with torch.no_grad():
        return model(input_ids=torch.tensor([tokenizer.encode("Where is the river?")])).logits


@pytest.mark.parametrize("method", ["lora", "teamlora"])
def test_the_same_losses_weights_and_logits_as_the_language_model_alone(settings, base, llava, tmp_path, method):
    import torch

    balance = {"balance_weight": 0.1} if method == "teamlora" else {}
    adapter = AdapterSettings(method, rank=4, **balance)
    alone = train(settings(steps=3), adapter, out=tmp_path / "alone")
    with pytest.warns(CMEWarning) as caught:
        whole = train(settings(steps=3, base=str(llava)), adapter, out=tmp_path / "whole")
    (note,) = {str(warning.message) for warning in caught if issubclass(warning.category, CMEWarning)}
    assert note == (
        f"{method}: the base is a vision-language model, and the adapter is on its language model only: mlp.gate_proj (2), "
        "mlp.up_proj (2), mlp.down_proj (2). model.vision_tower, model.multi_modal_projector are not adapted."
    )
    assert whole.losses == alone.losses and whole.validation_loss == alone.validation_loss
    assert whole.trainable_parameters == alone.trainable_parameters and whole.base_parameters > alone.base_parameters
    own, other = weights(tmp_path / "alone"), weights(tmp_path / "whole")
    assert all(
        torch.equal(tensor, other[name.replace("layers.", "language_model.layers.")]) for name, tensor in own.items()
    )
    assert len(own) == len(other)
    tokenizer = load_tokenizer(base)
    pairs = ((base, tmp_path / "alone"), (llava, tmp_path / "whole"))
    models = [load_adapter(load_model(folder, device="cpu"), out) for folder, out in pairs]
    assert torch.equal(*(logits(model, tokenizer) for model in models))

    record = json.loads((tmp_path / "whole" / "run.json").read_text())
    assert record["adapted"] == {PATTERN.format(name): 2 for name in ("gate", "up", "down")}
    missing = record["not_adapted"]
    assert missing["model.language_model.layers.*.self_attn.q_proj"] == 2 and missing["lm_head"] == 1
    assert missing["model.multi_modal_projector.linear_1"] == 1
    assert missing["model.vision_tower.encoder.layers.*.mlp.fc1"] == 2
    assert alone.adapted == {key.replace("language_model.", ""): 2 for key in record["adapted"]}
    card = (tmp_path / "whole" / "README.md").read_text()
    assert "from transformers import AutoModelForImageTextToText" in card
    assert "from transformers import AutoModelForCausalLM" in (tmp_path / "alone" / "README.md").read_text()


@pytest.mark.filterwarnings("ignore::cme.errors.CMEWarning")
def test_with_gradient_checkpointing_and_in_bfloat16_it_is_the_language_model_too(
    settings, base, llava, tmp_path, caplog
):
    runs = [
        train(
            settings(steps=2, base=str(folder), gradient_checkpointing=True, dtype="bfloat16"),
            AdapterSettings("moelora", rank=2),
            out=tmp_path / name,
        )
        for name, folder in (("alone", base), ("whole", llava))
    ]
    assert runs[0].losses == runs[1].losses and runs[0].validation_loss == runs[1].validation_loss
    assert not [record for record in caplog.records if "use_cache" in record.getMessage()]


@pytest.mark.filterwarnings("ignore::cme.errors.CMEWarning")
@pytest.mark.parametrize("targets", [("q_proj", "up_proj"), "all-linear"])
def test_names_that_the_tower_has_too_mean_the_language_model(settings, llava, tmp_path, targets):
    run = train(
        settings(steps=2, base=str(llava)),
        AdapterSettings("lora", rank=4, target_modules=targets),
        out=tmp_path / "run",
    )
    assert all(name.startswith("model.language_model.") for name in run.adapted)
    kinds = {name.rpartition(".")[2] for name in run.adapted}
    assert kinds == (
        set(targets)
        if isinstance(targets, tuple)
        else {f"{x}_proj" for x in ("q", "k", "v", "o", "gate", "up", "down")}
    )
    assert all(count == 2 for count in run.adapted.values())
    loaded = load_adapter(load_model(llava, device="cpu"), tmp_path / "run")
    assert sum(hasattr(module, "base_layer") for module in loaded.modules()) == 2 * len(kinds)


@pytest.mark.parametrize("targets", [("fc1",), r".*(vision_tower|language_model).*q_proj", ("linear_1", "up_proj")])
def test_layers_that_text_never_reaches_are_refused(settings, llava, tmp_path, targets):
    with pytest.raises(UsageError, match=r"\d adapted layers are outside of the language model \(model\.") as caught:
        train(settings(base=str(llava)), AdapterSettings("lora", target_modules=targets), out=tmp_path / "run")
    assert "\n" not in str(caught.value) and not (tmp_path / "run").exists()


@pytest.mark.parametrize("options", [{"modules_to_save": ["multi_modal_projector"]}, {"bias": "all"}])
def test_weights_that_text_never_reaches_are_refused(settings, llava, tmp_path, options):
    adapter = AdapterSettings("peft", target_modules=("up_proj",), options={"peft_type": "LORA", **options})
    with pytest.raises(UsageError, match=r"\d trained weights are outside of the language model \(model\."):
        train(settings(base=str(llava)), adapter, out=tmp_path / "run")
    assert not (tmp_path / "run" / "adapter_model.safetensors").exists()


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("kind", ["qwen2_5_vl", pytest.param("qwen2_vl", marks=pytest.mark.long), "gemma3", "idefics3"])
def test_other_families_train_and_are_loaded_as_they_were(settings, tmp_path, kind):
    save_base(vision_language(kind), tmp_path / "base")
    adapter = AdapterSettings("teamlora", rank=2)
    with pytest.warns(CMEWarning, match="on its language model only: mlp.gate_proj"):
        run = train(settings(steps=3, base=str(tmp_path / "base")), adapter, out=tmp_path / "run")
    assert sum(run.adapted.values()) == 6 and run.saved_check.changed == run.saved_check.trainable
    assert run.saved_check.cme < 1e-4 and run.saved_check.peft < 1e-4 < run.saved_check.effect


def test_fully_fine_tuned_only_the_language_model_changes(settings, base, llava, tmp_path):
    import torch

    (llava / "preprocessor_config.json").write_text("{}")
    with pytest.warns(
        CMEWarning, match=r"Only its language model is trained.*model\.vision_tower and model\.multi_modal"
    ):
        run = train(settings(steps=2, base=str(llava)), AdapterSettings("full"), out=tmp_path / "run")
    alone = train(settings(steps=2), AdapterSettings("full"), out=tmp_path / "alone")
    assert run.losses == alone.losses and run.trainable_parameters == alone.trainable_parameters < run.base_parameters
    assert run.adapted is None
    before, after, language = (
        load_model(folder, device="cpu") for folder in (llava, tmp_path / "run", tmp_path / "alone")
    )
    tower = before.model.vision_tower.state_dict()
    assert all(torch.equal(tower[name], tensor) for name, tensor in after.model.vision_tower.state_dict().items())
    tokenizer = load_tokenizer(tmp_path / "run")
    assert torch.equal(logits(after, tokenizer), logits(language, tokenizer))
    assert (tmp_path / "run" / "preprocessor_config.json").is_file()
    assert "AutoModelForImageTextToText.from_pretrained" in (tmp_path / "run" / "README.md").read_text()


def test_the_count_without_weights_is_the_trained_one(settings, base, llava):
    from cme.adapters import count

    for method in ("lora", "full"):
        whole, alone = (count(folder, settings_from({"method": method})) for folder in (llava, base))
        assert whole.trainable == alone.trainable and whole.total_base > alone.total_base
