"""Chat templates with a clock, with a thinking mode, with faults."""

import os
import time

import pytest

from cme.errors import UsageError
from cme.prompt import check_format
from cme.prompt.template import TEMPLATE_DATE, chat_context
from tests.prompt.tokenizers import DATED, OTHER_THINKING, THINKING
from tests.tiny import tiny_tokenizer


def templated(template):
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    return tokenizer


def test_the_clock_of_a_template_stands_still(monkeypatch):
    tokenizer = templated(DATED)
    expected = chat_context(tokenizer, "Hi")
    assert "26 July 2024 12:00:00" in expected and TEMPLATE_DATE == "2024-07-26"
    for zone in ("Pacific/Kiritimati", "America/Los_Angeles"):
        monkeypatch.setitem(os.environ, "TZ", zone)
        time.tzset()
        assert chat_context(tokenizer, "Hi") == expected
    monkeypatch.undo()
    time.tzset()
    assert tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False) != expected


@pytest.mark.parametrize("template", [THINKING, OTHER_THINKING])
def test_thinking_is_switched_off(template):
    context = chat_context(templated(template), "Hi")
    assert context.endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")


def test_a_template_without_modes_is_rendered_as_before():
    tokenizer = tiny_tokenizer()
    turn = [{"role": "user", "content": "Hi"}]
    assert chat_context(tokenizer, "Hi") == tokenizer.apply_chat_template(
        turn, tokenize=False, add_generation_prompt=True
    )


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{{ raise_exception('a system prompt is needed') }}", "a system prompt is needed"),
        ("{{ messages[1]['content'] }}", "fails"),
        ("{% for %}", "fails"),
        ("<|im_start|>assistant\n", "omits or changes"),
        ("{{ messages[0]['content'] | upper }}", "omits or changes"),
        ("{{ messages[0]['content'] }} {{ range(99999) | random }}", "several ways"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_before_any_work(template, why):
    with pytest.raises(UsageError, match=why):
        check_format("chat", templated(template))
