"""Models whose layers attend to a limited number of tokens: the engine answers as long as no row reaches the limit."""

import pytest

from cme.evaluation.engine.support import window_length
from tests.evaluation.engine.lab import choices, engine, plain, texts, tiny_model
from tests.evaluation.engine.test_choice import LABELS, SHOTS, rows

CONTEXTS = [*rows(start=SHOTS, count=5), *rows(count=3)]
REQUESTS = choices(*[(row, LABELS[:2]) for row in CONTEXTS])
TEXTS = texts(CONTEXTS, max_gen_toks=6)
WINDOWS = {
    "mistral": {"sliding_window": 240},
    "gemma2": {"sliding_window": 240, "head_dim": 8},
    "gemma3_text": {"sliding_window": 240, "head_dim": 8},
    "cohere2": {"sliding_window": 240},
    "gpt_oss": {"sliding_window": 240, "head_dim": 8, "num_local_experts": 4},
    "llama4_text": {"attention_chunk_size": 240, "head_dim": 8, "intermediate_size_mlp": 64, "num_local_experts": 2},
}


def width(lm):
    """The most positions that a row of the choice requests can take."""
    encoded = [lm._encode_pair(*request.args) for request in REQUESTS]
    return max(len(context) for context, _ in encoded) + max(len(answer) for _, answer in encoded)


def scores(lm, requests=REQUESTS):
    return [value for value, _ in lm.loglikelihood(requests)]


@pytest.mark.parametrize("config", WINDOWS)
def test_rows_within_the_window_are_answered_as_by_plain_passes(config):
    model = tiny_model(config, **WINDOWS[config])
    lm, other = engine(model, _max_length=200), plain(model, _max_length=200)
    assert lm.window == 240
    assert scores(lm) == pytest.approx(scores(other), abs=1e-4) and lm.used == "prefix"
    assert lm.generate_until(TEXTS) == other.generate_until(TEXTS) and lm.used == "prefix"


@pytest.mark.parametrize("config", ["mistral", "gemma3_text"])
def test_the_engine_answers_up_to_the_window_and_not_beyond(config):
    most = width(engine(tiny_model(config, **WINDOWS[config]), _max_length=200))
    for window, used in ((most, "prefix"), (most - 1, "hf: attention is limited")):
        model = tiny_model(config, **WINDOWS[config] | {"sliding_window": window})
        lm = engine(model, _max_length=200)
        assert scores(lm) == pytest.approx(scores(plain(model, _max_length=200)), abs=1e-4)
        assert lm.used.startswith(used)
    assert (
        f"attention is limited to {most - 1} tokens in some layers, and requests can take {most} positions" in lm.used
    )


def test_texts_beyond_the_window_are_generated_by_lm_eval():
    model = tiny_model("mistral", sliding_window=20)
    lm = engine(model, _max_length=200)
    assert lm.generate_until(TEXTS) == plain(model, _max_length=200).generate_until(TEXTS)
    assert "attention is limited to 20 tokens" in lm.used


def test_without_the_limit_padding_would_change_scores(monkeypatch):
    """The window counts positions, so padding between a common prefix and a short row pushes tokens out of it."""
    uneven = choices(*[(SHOTS + "a word " * count, LABELS[:2]) for count in (1, 12, 4)])
    model = tiny_model("mistral", sliding_window=20)
    lm = engine(model, _max_length=200)
    lm.window = None
    monkeypatch.setattr("cme.evaluation.engine.lm.answers_fault", lambda *_: None)
    wanted = scores(plain(model, _max_length=200), uneven)
    assert scores(lm, uneven) != pytest.approx(wanted, abs=1e-2) and lm.used == "prefix"
    lm.window = 20
    assert scores(lm, uneven) == pytest.approx(wanted, abs=1e-4)


def test_models_without_a_limit(tmp_path):
    assert window_length(tiny_model()) is None and window_length(tiny_model("mistral", sliding_window=None)) is None
    assert window_length(tiny_model("mistral", sliding_window=8)) == 8


def test_a_window_does_not_share_passages():
    lm = engine(tiny_model("mistral", sliding_window=240), _max_length=200)
    flat = object()
    lm.share_passages = True
    assert lm._improved(flat, "choice") is flat
