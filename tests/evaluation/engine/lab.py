"""A tiny model whose answers depend strongly on every token, and references: lm-eval's answers and plain loops."""

from contextlib import contextmanager
from unittest.mock import patch

import pytest
from lm_eval.api.instance import Instance

import cme.evaluation.engine.tree as tree
from cme.evaluation.engine.lm import PrefixLM
from cme.evaluation.engine.plain import PlainLM
from cme.evaluation.engine.plan import Budget
from tests.tiny import tiny_tokenizer

SMALL = Budget(tokens=96, cache=400, rows=5)
"""Small enough that a few prompts make several batches."""


SHARING = Budget(tokens=96, cache=1600, rows=6)
"""Enough for batches with several passages and for several batches of them."""

_ANIMALS = ("otter", "heron", "badger", "lynx", "swift", "adder", "newt")


def by_passage(passages, questions, *, start=""):
    """Make prompts that ask questions about passages of several lengths."""
    return [
        f"{start}The {_ANIMALS[passage]} "
        + "lives by the river and sleeps " * (passage % 3 + 2)
        + f"in {passage} mills.\nQuestion: "
        + "why does it " * (question % 3 + 1)
        + f"eat {question}?\n\nAnswer:"
        for question in range(questions)
        for passage in range(passages)
    ]


@contextmanager
def share_always():
    """Share passages in the block wherever prompts have one, also if it costs more."""
    with patch.multiple(tree, _WORTH=float("inf")):
        yield


def loop_scores(model, tokenizer, requests):
    """Compute log-probabilities with transformers, one request per pass, without cache and padding.

    As in lm-eval, the last token is not read: some rotary embeddings depend on the length of the pass.
    """
    import torch

    from cme.prompt import encode_pair

    logprobs = []
    for request in requests:
        context, answer = encode_pair(tokenizer, *request.args)
        with torch.no_grad():
            logits = model(torch.tensor([context + answer[:-1]])).logits[0, len(context) - 1 :].float()
        logprobs.append(float(logits.log_softmax(-1).gather(1, torch.tensor(answer)[:, None]).sum()))
    return logprobs


def loop_texts(model, tokenizer, requests):
    """Generate texts with transformers, one prompt at a time."""
    import torch

    generated = []
    for request in requests:
        ids = torch.tensor([tokenizer.encode(request.args[0])])
        with torch.no_grad():
            made = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=request.args[1]["max_gen_toks"],
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
        generated.append(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))
    return generated


def tiny_model(config="llama", seed=0, **changes):
    """Make a model with two layers and large random weights, so that wrong positions or masks change its answers clearly."""
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
"""For adapters on a tied layer. PEFT warns about merging them, but the tests do not merge."""

ADAPTERS = ("lora", "lora on lm_head", "hydralora", "moelora", "moslora", "teamlora")


def adapted_model(kind):
    """Make the tiny model with an adapter that changes its answers strongly."""
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
    """Make lm-eval's own model, which answers each request in a separate pass."""
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
    """Make a request for every continuation of every context."""
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
