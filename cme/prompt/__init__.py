"""Example → exact text. The one implementation that tasks, mix, training and evaluation use."""

from cme.prompt.cut import count_words, cut_to_tokens, cut_words
from cme.prompt.encode import encode_pair
from cme.prompt.formats import FORMATS, Rendered, check_format, prompt_text, render

__all__ = [
    "FORMATS",
    "Rendered",
    "check_format",
    "count_words",
    "cut_to_tokens",
    "cut_words",
    "encode_pair",
    "prompt_text",
    "render",
]
