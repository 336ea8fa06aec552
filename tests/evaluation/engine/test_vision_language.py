"""Vision-language bases score and generate text like plain transformers, and LLaVA like its language model alone."""

import pytest
import torch

from cme.evaluation.engine.lm import PrefixLM
from cme.evaluation.engine.plain import PlainLM
from cme.models.causal import check_causal
from cme.models.load import load_model, load_tokenizer
from tests.evaluation.engine.lab import (
    SHARING,
    SMALL,
    by_passage,
    choices,
    loop_scores,
    loop_texts,
    share_always,
    texts,
)
from tests.evaluation.engine.test_choice import LABELS, SHOTS, rows
from tests.vision import VISION, save_base, save_llava, vision_language

CONTEXTS = [*rows(start=SHOTS, count=4), *rows(count=2), *by_passage(2, 2)]
CHOICES = choices(*[(row, [*LABELS[:2], " A", " <image> B"]) for row in CONTEXTS])
TEXTS = texts(CONTEXTS, max_gen_toks=8)


def lms(model, tokenizer):
    return [
        PrefixLM(model, tokenizer, batch_size=4, budget=SMALL),
        PrefixLM(model, tokenizer, batch_size=4, budget=SHARING),
        PlainLM(model, tokenizer, batch_size=4),
    ]


def answers(lm):
    with share_always():
        return [value for value, _ in lm.loglikelihood(CHOICES)], lm.generate_until(TEXTS)


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("kind", VISION)
def test_text_is_answered_as_by_plain_transformers(kind, tmp_path):
    save_base(vision_language(kind), tmp_path)
    model, tokenizer = load_model(tmp_path, device="cpu"), load_tokenizer(tmp_path)
    check_causal(model)
    scores, written = loop_scores(model, tokenizer, CHOICES), loop_texts(model, tokenizer, TEXTS)
    for lm in lms(model, tokenizer):
        own, made = answers(lm)
        assert own == pytest.approx(scores, abs=2e-3), lm.used
        assert made == written, lm.used
    used = PrefixLM(model, tokenizer, batch_size=4)
    # Gemma-3 has layers with a window of 8 tokens, which the requests exceed.
    assert used.obstacle is None and used.window == (8 if kind == "gemma3" else None)


def test_a_llava_answers_exactly_as_its_language_model_alone(tiny_base, tmp_path):
    save_llava(tmp_path, tiny_base)
    tokenizer = load_tokenizer(tmp_path)
    language, whole = (load_model(folder, device="cpu") for folder in (tiny_base, tmp_path))
    for one, other in zip(lms(language, tokenizer), lms(whole, tokenizer), strict=True):
        assert answers(one) == answers(other)
        assert one.used == other.used and one.work == other.work
    assert whole.model.language_model.layers[0].mlp.up_proj.weight.dtype == torch.float32
