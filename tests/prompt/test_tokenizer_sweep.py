"""Sweep over tokenizers and formats: prompt and answer are split alike in training and evaluation, or refused before any work."""

import json

import pytest

from cme.data.load import load_examples
from cme.data.sources import open_source
from cme.errors import CMEError, UsageError
from cme.models.load import set_padding
from cme.prompt import FORMATS, check_format, cut_words, encode_pair, render
from cme.prompt.encode import encode
from cme.suite import datasets
from tests.prompt.test_encode import lm_evals_own
from tests.prompt.tokenizers import TOKENIZERS

TENTH = ("adds eos", "merges over the join", "prefix space")
UNTOUCHED = ("plain", "adds bos", "no pad", "template that ends in a colon", "thinking template")
"""Tokenizers with which lm-eval's own split is right: its numbers do not change."""


@pytest.fixture(scope="module")
def examples(hand_mirror):
    found = []
    for spec in datasets().values():
        rows = load_examples(spec, "eval", open_source(str(hand_mirror)), allow_missing=True).examples
        found += [cut_words(example, spec.max_input_words) for example in rows[:2]]
    return found


def in_evaluation(tokenizer):
    """How the engine encodes a pair."""
    from cme.evaluation.engine.plain import PlainLM

    lm = PlainLM.__new__(PlainLM)
    lm.tokenizer, lm.backend, lm.add_bos_token, lm.custom_prefix_token_id = tokenizer, "causal", None, None
    return lm


def text(tokenizer, ids):
    return tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def outcome(name, form, examples):
    """Why a tokenizer is refused in a format; None: all invariants hold."""
    from cme.training.encode import Encoder

    tokenizer = TOKENIZERS[name]()
    set_padding(tokenizer)
    try:
        check_format(form, tokenizer, list(datasets()))
    except UsageError as error:
        return str(error)
    encoder = Encoder(tokenizer, form, 4096) if tokenizer.eos_token_id is not None else None
    lm, reference = in_evaluation(tokenizer), lm_evals_own(tokenizer)
    for example in examples:
        rendered = render(example, form, tokenizer)
        assert rendered == render(example, form, tokenizer)
        context = encode(tokenizer, rendered.context.rstrip())
        split = {}
        for answer in dict.fromkeys([rendered.target, *rendered.continuations]):
            pair = encode_pair(tokenizer, rendered.context, answer)
            assert pair == lm._encode_pair(rendered.context, answer)
            assert pair[0] == context and pair[1]
            assert text(tokenizer, context + pair[1]) == text(tokenizer, encode(tokenizer, rendered.context + answer))
            if name in UNTOUCHED:
                assert pair == reference._encode_pair(rendered.context, answer)
            split[answer] = tuple(pair[1])
        assert len(set(split.values())) == len(split), "options that differ have the same tokens"
        assert not {tokenizer.eos_token_id} & {ids[-1] for ids in split.values()}
        batch, _ = lm.tok_batch_encode([rendered.context.rstrip()])
        assert batch[0].tolist() == context, "texts are generated after another context"
        if encoder:
            made = encoder.example(example)
            assert made.ids[: made.context] == context
            assert tuple(made.ids[made.context :]) == (*split[rendered.target], tokenizer.eos_token_id)
    return None


@pytest.mark.parametrize("name", TENTH)
def test_some_tokenizers(name, examples):
    assert [outcome(name, form, examples[::6]) for form in FORMATS if form != "chat"] == [None, None]


@pytest.mark.long
def test_tokenizers_agree_or_are_refused(examples, capsys):
    refused, agreed = {}, []
    for name in TOKENIZERS:
        for form in FORMATS:
            why = outcome(name, form, examples)
            if why is None:
                agreed.append(f"{name}, {form}")
            else:
                refused[f"{name}, {form}"] = why
    with capsys.disabled():
        print(f"\ntokenizers: {len(agreed)} agree, {len(refused)} refused")
        print(json.dumps({"agree": agreed, "refused": refused}, indent=1))
    assert {f"{name}, plain" for name in TOKENIZERS if name != "few words"} <= set(agreed)
    assert all("Use " in message for message in refused.values())


def test_options_with_the_same_tokens_are_refused_by_name():
    with pytest.raises(
        CMEError, match="arc: the tokenizer of the base model encodes the options ' B' and ' C' with the same tokens"
    ):
        check_format("plain", TOKENIZERS["few words"](), ["arc"])


def test_every_letter_of_a_row_with_more_options_than_most_is_checked():
    from tokenizers import normalizers

    tokenizer = TOKENIZERS["plain"]()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("E", "D")
    check_format("plain", tokenizer, ["mmlu"])
    for name in ("arc", "commonsense_qa"):
        with pytest.raises(UsageError, match=f"{name}: .* the options ' D' and ' E' with the same tokens"):
            check_format("plain", tokenizer, [name])


def test_an_answer_without_tokens_is_refused_by_name():
    from tokenizers import normalizers

    tokenizer = TOKENIZERS["plain"]()
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace("neutral", "")
    with pytest.raises(UsageError, match=r"anli: .*' neutral'"):
        check_format("plain", tokenizer, ["qqp", "anli"])
    check_format("plain", tokenizer, ["qqp"])


def test_training_names_the_row_whose_answer_has_no_tokens(examples):
    from tokenizers import normalizers

    from cme.training.encode import Encoder

    tokenizer = TOKENIZERS["plain"]()
    (example,) = [one for one in examples if one.dataset == "nq_open"][:1]
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(example.output, "")
    with pytest.raises(UsageError, match=f"nq_open, row {example.id}"):
        Encoder(tokenizer, "plain", 512).example(example)


def test_a_token_over_the_border_leaves_the_answer_its_own_tokens():
    tokenizer = TOKENIZERS["merges over the join"]()
    assert tokenizer.tokenize("Answer: A")[-1] == ":ĠA"
    context, answer = encode_pair(tokenizer, "Answer:", " A")
    assert tokenizer.convert_ids_to_tokens(answer) == ["ĠA"]
    assert context == tokenizer.encode("Answer:")
    # Without the fix the answer has no tokens at all.
    assert lm_evals_own(tokenizer)._encode_pair("Answer:", " A")[1] == []


def test_what_a_tokenizer_adds_at_the_end_is_left_out():
    adds, plain = TOKENIZERS["adds eos"](), TOKENIZERS["plain"]()
    assert adds.encode("Answer:")[-1] == adds.eos_token_id
    assert encode(adds, "Answer:") == plain.encode("Answer:")
    assert encode_pair(adds, "Answer:", " A") == encode_pair(plain, "Answer:", " A")
    # An end-of-text token of the text itself stays, as in the format teamlora.
    assert encode(adds, "Question<|im_end|>")[-1] == adds.eos_token_id
    assert len(encode(adds, "Question<|im_end|>")) == len(plain.encode("Question<|im_end|>"))
