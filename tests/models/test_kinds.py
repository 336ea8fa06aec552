"""Vision-language bases are loaded, and other kinds of models are refused in one sentence."""

import json

import pytest
from transformers import BertConfig, BertForMaskedLM, LlamaForSequenceClassification

from cme.errors import SourceError
from cme.models.kinds import auto_class, auto_class_name, check_kind, is_vision_language
from cme.models.language import language_prefix, other_parts, outside_language
from cme.models.load import context_length, load_model, load_tokenizer, resolve_base
from tests.vision import VISION, save_base, save_llava, vision_language


@pytest.fixture(scope="module")
def llava(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("llava")
    save_llava(folder, tiny_base)
    return folder


def one_sentence(error):
    text = str(error.value)
    return "\n" not in text and len(text) < 500


def test_a_llava_is_loaded_and_its_language_model_is_known(llava, tiny_base):
    model = load_model(llava, device="cpu")
    assert auto_class_name(llava) == "AutoModelForImageTextToText"
    assert auto_class_name(tiny_base) == "AutoModelForCausalLM"
    assert context_length(llava) == context_length(tiny_base) == context_length(model.config) == 2048
    assert language_prefix(model) == "model.language_model"
    assert other_parts(model) == ["model.vision_tower", "model.multi_modal_projector"]
    names = [name for name, _ in model.named_parameters()]
    outside = outside_language(model, names)
    assert outside and all(name.startswith(tuple(other_parts(model))) for name in outside)
    assert outside_language(model, ["lm_head", "model.language_model", "model.language_model_2.up"]) == [
        "model.language_model_2.up"
    ]


def test_a_language_model_has_no_other_parts(tiny_base):
    model = load_model(tiny_base, device="cpu")
    assert language_prefix(model) is None and other_parts(model) == [] and outside_language(model, ["a"]) == []
    assert not is_vision_language(model.config)


@pytest.mark.parametrize("kind", VISION)
def test_the_saved_class_is_loaded(kind):
    config = vision_language(kind)
    config.architectures = [auto_class(config)._model_mapping[type(config)].__name__]
    assert is_vision_language(config)


def test_a_text_model_with_the_configuration_of_its_family_stays_one():
    """Llama-4 has one configuration for the vision-language model, and both classes are mapped to it."""
    from transformers import Llama4Config

    config = Llama4Config()
    assert not is_vision_language(config)
    config.architectures = ["Llama4ForConditionalGeneration"]
    assert is_vision_language(config)


def test_a_llava_needs_no_processor_but_a_tokenizer(llava, tiny_base, tmp_path):
    assert not [*llava.glob("*processor*")]
    assert load_tokenizer(llava).get_vocab() == load_tokenizer(tiny_base).get_vocab()
    save_llava(tmp_path, tiny_base, tokenizer=False)
    with pytest.raises(
        SourceError, match=r"there is no tokenizer file such as tokenizer\.json\..*A processor is not"
    ) as caught:
        load_tokenizer(tmp_path)
    assert one_sentence(caught)


def test_an_adapter_is_not_a_base(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    with pytest.raises(SourceError, match=r"is an adapter and not a base\. Give it with --adapter") as caught:
        resolve_base(str(tmp_path))
    assert one_sentence(caught)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (LlamaForSequenceClassification, "is a LlamaForSequenceClassification, which classifies texts and does not"),
        (BertForMaskedLM, "is a BertForMaskedLM, which fills gaps in a text that it reads in both directions"),
    ],
)
def test_models_with_other_heads_are_refused(cls, message, tiny_base, tmp_path):
    """A classifier with tied embeddings would otherwise be loaded as a language model without a word."""
    if cls is BertForMaskedLM:
        config = BertConfig(
            vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
        )
    else:
        config = load_model(tiny_base, device="cpu").config
    save_base(config, tmp_path, cls)
    for check in (check_kind, load_model):
        with pytest.raises(SourceError, match=message) as caught:
            check(tmp_path)
        assert one_sentence(caught)


def test_a_masked_model_that_is_a_decoder_is_not_refused_by_its_class(tmp_path):
    values = BertConfig(is_decoder=True).to_dict() | {"architectures": ["BertForMaskedLM"]}
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert check_kind(tmp_path).is_decoder


@pytest.mark.parametrize("kind", ["florence2", "t5gemma2", "vision-encoder-decoder"])
def test_encoder_decoders_that_see_are_refused(kind, tmp_path):
    from transformers import AutoConfig, VisionEncoderDecoderConfig, ViTConfig

    config = (
        VisionEncoderDecoderConfig.from_encoder_decoder_configs(ViTConfig(), BertConfig())
        if kind == "vision-encoder-decoder"
        else AutoConfig.for_model(kind)
    )
    config.save_pretrained(tmp_path)
    with pytest.raises(SourceError, match="is an encoder-decoder model") as caught:
        check_kind(tmp_path)
    assert one_sentence(caught)


@pytest.mark.parametrize(
    ("kind", "key", "choice"),
    [
        ("mixtral", "num_local_experts", "num_experts_per_tok"),
        ("qwen2_moe", "num_experts", "num_experts_per_tok"),
        ("deepseek_v3", "n_routed_experts", "num_experts_per_tok"),
        ("gemma4_text", "num_experts", "top_k_experts"),
    ],
)
def test_a_mixture_that_chooses_more_experts_than_it_has_is_refused(tmp_path, kind, key, choice):
    """Otherwise PyTorch fails in the first forward pass, with a message about an index."""
    config = {"model_type": kind, key: 2, choice: 2}
    (tmp_path / "config.json").write_text(json.dumps(config))
    check_kind(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {choice: 3}))
    with pytest.raises(
        SourceError, match=rf"chooses 3 experts for a token \({choice}\) but has 2 \(.*experts\)"
    ) as error:
        check_kind(tmp_path)
    assert one_sentence(error)
