"""The three layouts, byte for byte, written out by hand."""

import dataclasses

import pytest

from cme.data.load import normalise_all
from cme.errors import UsageError
from cme.prompt import FORMATS, check_format, prompt_text, render
from cme.suite import dataset
from tests.hub_rows.inference import anli_row
from tests.hub_rows.open_qa import nq_row
from tests.hub_rows.paraphrase import qqp_row
from tests.hub_rows.reading import squad_row
from tests.hub_rows.science import arc_row
from tests.hub_rows.summaries import cnn_row
from tests.tiny import tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def example(name, row):
    (found,) = normalise_all([row], dataset(name)).examples
    return found


QQP = example("qqp", qqp_row(question1="Is it 1?", question2="Is it one?", label=1))
PROMPT = (
    'Do these two questions ask the same thing? Answer "duplicate" or "not duplicate".\n'
    "Question 1: Is it 1?\n"
    "Question 2: Is it one?"
)


def test_plain():
    text = render(QQP, "plain")
    assert text.context == PROMPT + "\n\nAnswer:"
    assert text.target == " duplicate"
    assert text.continuations == (" not duplicate", " duplicate")


def test_chat(tokenizer):
    text = render(QQP, "chat", tokenizer)
    assert text.context == f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n"
    assert text.target == "duplicate"
    assert text.continuations == ("not duplicate", "duplicate")


def test_teamlora(tokenizer):
    text = render(QQP, "teamlora", tokenizer)
    assert text.context == PROMPT + "<|im_end|>"
    assert text.target == "duplicate"
    assert text.continuations == ("not duplicate", "duplicate")


@pytest.mark.parametrize(
    ("name", "row", "context", "target", "continuations"),
    [
        (
            "anli",
            anli_row(premise="It rained.", hypothesis="It was wet.", label=0),
            'Does the premise entail the hypothesis, contradict it, or neither? Answer "entailment", "neutral" or '
            '"contradiction".\nPremise: It rained.\nHypothesis: It was wet.\n\nAnswer:',
            " entailment",
            (" entailment", " neutral", " contradiction"),
        ),
        (
            "arc",
            arc_row(
                question="Which conducts?",
                choices={"text": ["tin", "wax", "oak"], "label": ["1", "2", "3"]},
                answerKey="1",
            ),
            "Answer the science question with the letter of the right option.\n"
            "Which conducts?\nA. tin\nB. wax\nC. oak\n\nAnswer:",
            " A",
            (" A", " B", " C"),
        ),
        (
            "nq_open",
            nq_row(question="who kept the lighthouse", answer=["Mara Lind", "Lind"]),
            "Answer the question with a short phrase.\nQuestion: who kept the lighthouse?\n\nAnswer:",
            " Mara Lind",
            (),
        ),
        (
            "squad_v2",
            squad_row(context="Mara kept it.", question="Who?", answers={"text": [], "answer_start": []}),
            'Answer the question with words from the passage. If the passage does not hold the answer, write "unanswerable".\n'
            "Passage: Mara kept it.\nQuestion: Who?\n\nAnswer:",
            " unanswerable",
            (),
        ),
        (
            "cnn_dailymail",
            cnn_row(article="A ship sank.", highlights="It sank .\nIt was red ."),
            "Summarize the news article in a few sentences.\nArticle: A ship sank.\n\nAnswer:",
            " It sank. It was red.",
            (),
        ),
    ],
)
def test_every_dataset_in_plain(name, row, context, target, continuations):
    text = render(example(name, row))
    assert (text.context, text.target, text.continuations) == (context, target, continuations)


def test_an_example_without_input_is_its_instruction():
    assert prompt_text(dataclasses.replace(QQP, input="", instruction="Say yes.")) == "Say yes."


def test_a_paraphrase_takes_the_instructions_place():
    other = dataclasses.replace(QQP, instruction=dataset("qqp").instructions[3])
    assert render(other).context == render(QQP).context.replace(QQP.instruction, dataset("qqp").instructions[3])


def test_the_target_is_among_the_continuations(tokenizer):
    for name in FORMATS:
        text = render(QQP, name, tokenizer)
        assert text.continuations[QQP.gold] == text.target


def test_formats_that_exist(tokenizer):
    assert FORMATS == ("plain", "chat", "teamlora")
    for name in FORMATS:
        check_format(name, tokenizer)
    check_format("plain")


def test_an_unknown_format_gets_the_nearest(tokenizer):
    with pytest.raises(UsageError, match=r"unknown prompt format 'plane'\. Did you mean 'plain'"):
        check_format("plane", tokenizer)
    with pytest.raises(UsageError, match="unknown prompt format 'alpaca'"):
        render(QQP, "alpaca", tokenizer)


@pytest.mark.parametrize("name", ["chat", "teamlora"])
def test_a_format_that_the_tokenizer_does_not_support_is_reported(name):
    with pytest.raises(UsageError, match=f"'{name}' needs the tokenizer of the model"):
        check_format(name)
    bare = tiny_tokenizer()
    bare.chat_template, bare.eos_token = None, None
    with pytest.raises(UsageError, match=f"'{name}' needs a .* this one has none. Use --format plain"):
        check_format(name, bare)
