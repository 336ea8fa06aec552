"""A tiny model whose answers depend strongly on every token, and lm-eval's plain answers to compare with."""

import pytest
from lm_eval.api.instance import Instance

from cme.evaluation.engine.lm import PrefixLM
from cme.evaluation.engine.plain import PlainLM
from cme.evaluation.engine.plan import Budget
from tests.tiny import tiny_tokenizer

SMALL = Budget(tokens=96, cache=400, rows=5)
"""Small enough that a few prompts make several batches."""


def tiny_model(config="llama", seed=0, **changes):
    """A model of two layers with large random weights: a wrong position or mask moves log-probabilities by far."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    tokenizer = tiny_tokenizer()
    values = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": True,
        "initializer_range": 0.3,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        **changes,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return AutoModelForCausalLM.from_config(AutoConfig.for_model(config, **values)).eval()


TIED = pytest.mark.filterwarnings("ignore:Model has `tie_word_embeddings=True`:UserWarning")
"""For adapters on a tied layer: peft warns of merging them, which nobody does here."""

ADAPTERS = ("lora", "lora on lm_head", "hydralora", "moelora", "moslora", "teamlora")


def adapted_model(kind):
    """The tiny model with an adapter that changes much."""
    import torch
    from peft import get_peft_model

    from cme.adapters import AdapterSettings, build_config, register_all

    register_all()
    targets = ("lm_head",) if "lm_head" in kind else ("up_proj", "down_proj")
    base = tiny_model()
    model = get_peft_model(
        base, build_config(AdapterSettings(kind.split()[0], rank=4, target_modules=targets), base)
    ).eval()
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for weight in model.parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=0.4)
    return model


def plain(model, tokenizer=None, batch_size=1, **attributes):
    """lm-eval's own answers, each from a pass of its own."""
    lm = PlainLM(model, tokenizer or tiny_tokenizer(), batch_size=batch_size)
    lm.logits_cache = False
    return _with(lm, attributes)


def engine(model, tokenizer=None, budget=SMALL, **attributes):
    return _with(PrefixLM(model, tokenizer or tiny_tokenizer(), batch_size=3, budget=budget), attributes)


def _with(lm, attributes):
    for name, value in attributes.items():
        setattr(lm, name, value)
    return lm


def choices(*items):
    """Requests for every continuation of every (context, continuations)."""
    return [
        Instance("loglikelihood", {}, (context, continuation), index)
        for index, (context, continuations) in enumerate(items)
        for continuation in continuations
    ]


def texts(contexts, **kwargs):
    values = {"until": [], "max_gen_toks": 12, "do_sample": False, **kwargs}
    return [Instance("generate_until", {}, (context, dict(values)), index) for index, context in enumerate(contexts)]


class RecordingCacheHook:
    """A cache hook that records the answers it receives."""

    def __init__(self):
        self.answers = []

    def add_partial(self, attr, request, answer):
        self.answers.append((request, answer))
