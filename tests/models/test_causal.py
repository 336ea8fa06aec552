"""A base model whose predictions depend on later tokens is refused."""

import pytest
import torch

from cme.errors import SourceError
from cme.models.causal import check_causal
from cme.models.kinds import check_kind
from tests.evaluation.engine.architectures import save_architecture
from tests.evaluation.engine.lab import tiny_model


@pytest.mark.parametrize("name", ["bert without a mask", "xlnet"])
def test_bidirectional_models_are_refused(name, tmp_path):
    from cme.models.load import load_model

    save_architecture(name, tmp_path)
    with pytest.raises(SourceError, match="depend on later tokens"):
        check_causal(load_model(tmp_path, device="cpu"))


@pytest.mark.parametrize("name", ["bert", "rwkv", "recurrent_gemma", "mistral with a window"])
def test_causal_models_are_accepted(name, tmp_path):
    from cme.models.load import load_model

    save_architecture(name, tmp_path)
    check_causal(load_model(tmp_path, device="cpu"))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_rounding_is_not_reported(dtype):
    check_causal(tiny_model().to(dtype))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("t5", "an encoder-decoder model (model_type 't5')"),
        ("bart", "an encoder-decoder model (model_type 'bart')"),
        ("marian", "an encoder-decoder model (model_type 'marian')"),
        ("vit", "not a causal language model (model_type 'vit')"),
        ("clip", "not a causal language model (model_type 'clip')"),
    ],
)
def test_models_of_another_kind_are_refused_in_a_sentence(kind, message, tmp_path):
    from transformers import AutoConfig

    from cme.models.load import load_model

    AutoConfig.for_model(kind).save_pretrained(tmp_path)
    for check in (check_kind, load_model):
        with pytest.raises(SourceError) as caught:
            check(tmp_path)
        assert message in str(caught.value) and len(str(caught.value)) < 200 + len(str(tmp_path))
