"""Bases of other kinds are refused by ``cme train`` and ``cme eval`` in one sentence, and nothing is written."""

import shutil

import pytest

from tests.training.conftest import mix  # noqa: F401 (a fixture)
from tests.vision import save_base, save_llava


def t5(folder, tiny_base):
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=400, d_model=16, d_ff=24, num_layers=2, num_heads=2, d_kv=8, decoder_start_token_id=0)
    save_base(config, folder, T5ForConditionalGeneration)
    return "is an encoder-decoder model (model_type 't5')"


def bert(folder, tiny_base):
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=400, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=24
    )
    save_base(config, folder, BertForMaskedLM)
    return "is a BertForMaskedLM, which fills gaps in a text that it reads in both directions"


def classifier(folder, tiny_base):
    from transformers import AutoConfig, LlamaForSequenceClassification

    save_base(AutoConfig.from_pretrained(tiny_base), folder, LlamaForSequenceClassification)
    return "is a LlamaForSequenceClassification, which classifies texts"


def adapter(folder, tiny_base):
    folder.mkdir()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    return "is an adapter and not a base. Give it with --adapter, and its base with --base."


def no_tokenizer(folder, tiny_base):
    save_llava(folder, tiny_base, tokenizer=False)
    return "there is no tokenizer file such as tokenizer.json"


def no_tower(folder, tiny_base):
    """A LLaVA whose file lost the weights of its projector."""
    from safetensors.torch import load_file, save_file

    save_llava(folder, tiny_base)
    weights = load_file(folder / "model.safetensors")
    save_file(
        {name: weight for name, weight in weights.items() if "projector" not in name}, folder / "model.safetensors"
    )
    return "lacks 4 weights that its config.json requires"


@pytest.mark.parametrize("make", [t5, bert, classifier, adapter, no_tokenizer, no_tower])
@pytest.mark.filterwarnings("ignore:.*the base is a vision-language model")
def test_other_kinds_are_refused(cme, mix, tiny_base, tmp_path, make):  # noqa: F811 (the fixture)
    folder = tmp_path / "base"
    message = make(folder, tiny_base)
    options = ("--steps", 1, "--batch-size", 2, "--max-length", 256, "--threads", 1)
    calls = {
        "train": ("train", "--method", "lora", "--base", folder, "--data", mix, *options),
        "eval": ("eval", "--base", folder, "--source", "mini", "--tier", "smoke", "--datasets", "qqp"),
    }
    for name, arguments in calls.items():
        outcome = cme(*arguments, "--out", tmp_path / name)
        assert outcome.exit_code in (1, 2) and message in outcome.stderr, outcome.output
        text = outcome.stderr.replace(str(folder), "BASE")
        assert "Traceback" not in text and len(text.strip().splitlines()) == 1 and len(text) < 400
        assert (
            not (tmp_path / name / "adapter_model.safetensors").exists()
            and not (tmp_path / name / "result.json").exists()
        )
    shutil.rmtree(folder)
