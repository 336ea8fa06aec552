"""Tokens as lm-eval has them: what training sees is what evaluation scores."""

import os

import pytest

from cme.data.load import load_examples
from cme.data.sources import open_source
from cme.env import cache_dir
from cme.models.embedded import EMBEDDED, gguf_file
from cme.models.load import load_tokenizer
from cme.prompt import FORMATS, cut_words, encode_pair, render
from cme.prompt.encode import encode
from cme.suite import datasets
from tests.tiny import tiny_tokenizer

PER_DATASET = 25


def lm_evals_own(tokenizer):
    """lm-eval's HFLM around a tokenizer, without a model."""
    from lm_eval.models.huggingface import HFLM

    class Bare(HFLM):
        def __init__(self):
            # What its own constructor sets by default.
            self.tokenizer, self.backend = tokenizer, "causal"
            self.add_bos_token = self.custom_prefix_token_id = None

    return Bare()


def smollm():
    """SmolLM2's tokenizer out of the embedded base, if that is here."""
    converted = sorted((cache_dir() / "models").glob(f"{EMBEDDED}-*/tokenizer.json"))
    if converted:
        return load_tokenizer(converted[0].parent)
    if file := gguf_file():
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(str(file.parent), gguf_file=file.name)
    pytest.skip(f"the embedded base {EMBEDDED} is not installed")


TOKENIZERS = {
    "tiny": tiny_tokenizer,
    "tiny that adds bos": lambda: tiny_tokenizer(adds_bos=True),
    "smollm2": smollm,
}


@pytest.fixture(scope="module", params=list(TOKENIZERS))
def tokenizer(request):
    return TOKENIZERS[request.param]()


@pytest.fixture(scope="module")
def examples(hand_mirror):
    """Real rows where there are some, else the hand-written ones; of each dataset the longest and some others."""
    folder = os.environ.get("CME_DATA_DIR") or hand_mirror
    found = []
    for spec in datasets().values():
        rows = load_examples(spec, "eval", open_source(str(folder)), allow_missing=True).examples
        rows.sort(key=lambda example: len(example.input))
        found += [
            cut_words(example, spec.max_input_words)
            for example in rows[:: max(1, len(rows) // PER_DATASET)] + rows[-1:]
        ]
    assert {example.dataset for example in found} == set(datasets())
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_pairs_are_split_as_lm_eval_splits_them(tokenizer, examples, name):
    reference = lm_evals_own(tokenizer)
    for example in examples:
        text = render(example, name, tokenizer)
        for continuation in {text.target, *text.continuations}:
            ours = encode_pair(tokenizer, text.context, continuation)
            assert ours == reference._encode_pair(text.context, continuation)
            assert ours[1], "an answer of no tokens cannot be scored"


@pytest.mark.parametrize("name", FORMATS)
def test_no_token_spans_the_border_in_our_formats(tokenizer, examples, name):
    # So what the model sees is the text as it would be encoded in one piece.
    for example in examples[::7]:
        text = render(example, name, tokenizer)
        for continuation in {text.target, *text.continuations}:
            context, answer = encode_pair(tokenizer, text.context, continuation)
            assert context + answer == encode(tokenizer, text.context + continuation)


@pytest.mark.parametrize(
    ("context", "continuation"),
    [
        ("Answer:", " B"),
        ("Answer: ", "B"),
        ("Answer:\n\n ", "B"),
        ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "not duplicate"),
        ("What is it?<|im_end|>", "entailment"),
        ("<|im_end|>What is it?", " x"),
        ("über", "all"),
        ("日本", "語"),
        ("x", " "),
    ],
)
def test_odd_pairs(tokenizer, context, continuation):
    assert encode_pair(tokenizer, context, continuation) == lm_evals_own(tokenizer)._encode_pair(context, continuation)


@pytest.mark.parametrize("special", [{"bos_token": None}, {"bos_token": None, "eos_token": None}])
def test_tokenizers_without_special_tokens(special):
    bare = tiny_tokenizer(adds_bos=True)
    reference = lm_evals_own(bare)
    for name, value in special.items():
        setattr(bare, name, value)
    texts = ["plain text", "<|im_start|>user", "<|im_end|>text"]
    if "eos_token" in special:
        # lm-eval itself needs one of the two.
        assert [encode(bare, text)[0] for text in texts] == [0, 0, 0]
    else:
        assert [encode(bare, text) for text in texts] == [reference.tok_encode(text) for text in texts]


def test_bos_comes_once_at_most():
    adds = tiny_tokenizer(adds_bos=True)
    bos = adds.bos_token_id
    assert encode(adds, "text")[0] == bos
    assert encode(adds, "<|im_start|>user\ntext").count(bos) == 1
    assert bos not in encode(tiny_tokenizer(), "text")
    context, target = encode_pair(adds, "text", " more")
    assert (context + target).count(bos) == 1 and context[0] == bos


def test_white_space_before_the_answer_belongs_to_the_answer():
    tokenizer = tiny_tokenizer()
    assert encode_pair(tokenizer, "Answer: ", "B") == encode_pair(tokenizer, "Answer:", " B")
    assert tokenizer.decode(encode_pair(tokenizer, "Answer:\n", "B")[1]) == "\nB"
