"""Decoding is greedy regardless of the base model's generation_config.json."""

import pytest

from tests.evaluation.engine.lab import adapted_model, engine, plain, texts, tiny_model
from tests.evaluation.engine.test_choice import rows
from tests.tiny import tiny_tokenizer

LIKELY = 33
SETTINGS = {
    "repetition_penalty": 0.01,
    "no_repeat_ngram_size": 1,
    "encoder_repetition_penalty": 2.0,
    "bad_words_ids": [[number] for number in range(20, 200)],
    "suppress_tokens": list(range(20, 200)),
    "begin_suppress_tokens": list(range(20, 200)),
    "forced_bos_token_id": LIKELY,
    "forced_eos_token_id": LIKELY,
    "min_length": 500,
    "min_new_tokens": 12,
    "num_beams": 3,
    "num_beam_groups": 3,
    "penalty_alpha": 0.6,
    "dola_layers": "high",
    "guidance_scale": 3.0,
    "sequence_bias": [[[LIKELY], 50.0]],
    "exponential_decay_length_penalty": [1, 5.0],
    "renormalize_logits": True,
    "remove_invalid_values": True,
    "do_sample": True,
    "temperature": 3.0,
    "top_k": 3,
    "cache_implementation": "static",
    "prompt_lookup_num_tokens": 3,
    "stop_strings": ["e", "a"],
    "max_time": 1e-6,
    "token_healing": True,
    "watermarking_config": {"bias": 50.0},
    "use_cache": False,
    "unheard_of": 7,
}
"""Fields of a generation configuration, each with a value that would change texts."""


@pytest.fixture(scope="module")
def expected():
    return plain(tiny_model()).generate_until(requests())


def requests():
    return texts(rows(count=3))


def configured(**values):
    model = tiny_model()
    for name, value in values.items():
        setattr(model.generation_config, name, value)
    return model


@pytest.mark.parametrize("name", SETTINGS)
def test_no_setting_of_the_base_changes_a_text(name, expected):
    model = configured(**{name: SETTINGS[name]})
    lm = engine(model)
    assert lm.generate_until(requests()) == expected
    assert lm.used == "prefix"
    assert plain(model, batch_size=3).generate_until(requests()) == expected
    assert getattr(model.generation_config, name) == SETTINGS[name], "the model is not the evaluation's to change"


@pytest.mark.parametrize("name", ["repetition_penalty", "suppress_tokens", "forced_eos_token_id", "sequence_bias"])
def test_these_settings_would_change_texts(name):
    import torch

    ids = torch.tensor([tiny_tokenizer().encode(rows(count=1)[0])])
    made = [
        model.generate(ids, max_new_tokens=12, do_sample=False, pad_token_id=1).tolist()
        for model in (configured(), configured(**{name: SETTINGS[name]}))
    ]
    assert made[0] != made[1]


def test_with_an_adapter():
    model = adapted_model("lora")
    expected = plain(model).generate_until(requests())
    model.get_base_model().generation_config.repetition_penalty = 1.7
    assert engine(model).generate_until(requests()) == expected
    assert plain(model).generate_until(requests()) == expected


def test_the_tokens_that_end_a_text_still_do():
    model = configured()
    (longest,) = plain(model).generate_until(requests()[:1])
    tokens = tiny_tokenizer().encode(longest, add_special_tokens=False)
    model.generation_config.eos_token_id = [1, tokens[2]]
    shorter = plain(model).generate_until(requests()[:1])
    assert shorter == engine(model).generate_until(requests()[:1]) != [longest]
