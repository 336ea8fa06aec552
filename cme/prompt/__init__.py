"""Rendering of examples as text, shared by tasks, mixes, training and evaluation."""

from cme.prompt.check import check_format
from cme.prompt.cut import count_words, cut_to_tokens, cut_words
from cme.prompt.encode import AnswerError, encode_pair
from cme.prompt.formats import FORMATS, Rendered, prompt_text, render
from cme.prompt.template import TEMPLATE_DATE

__all__ = [
    "FORMATS",
    "TEMPLATE_DATE",
    "AnswerError",
    "Rendered",
    "check_format",
    "count_words",
    "cut_to_tokens",
    "cut_words",
    "encode_pair",
    "prompt_text",
    "render",
]
