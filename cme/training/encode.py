"""Encoding of the rows of a mix: the text that evaluation scores, followed by the end-of-text token."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cme.data.example import Dropped, Example
from cme.errors import UsageError
from cme.mix import example_from_row
from cme.prompt import AnswerError, check_format, cut_to_tokens, cut_words, encode_pair, render
from cme.suite import dataset

__all__ = ["Encoded", "Encoder"]


@dataclass(frozen=True)
class Encoded:
    """Token ids of one training example.

    Attributes:
        ids: Token ids of the context, the target and the end of text.
        context: Number of tokens of the context.
        cut: Whether the long text was cut below its dataset's word limit to fit.
    """

    ids: list[int]
    context: int
    cut: bool


class Encoder:
    """Encode the rows of a mix for one tokenizer, prompt format and maximum length.

    Args:
        tokenizer: The base's tokenizer.
        prompt_format: One of `cme.prompt.FORMATS`.
        max_length: Maximum number of tokens of an example, including the end-of-text token.
        datasets: Names of the datasets in the mix.

    Raises:
        UsageError: The tokenizer has no end-of-text token, or does not support the format or an answer of the datasets.
    """

    def __init__(self, tokenizer: Any, prompt_format: str, max_length: int, datasets: Collection[str] = ()) -> None:
        check_format(prompt_format, tokenizer, datasets)
        if tokenizer.eos_token_id is None:
            raise UsageError(
                "the base's tokenizer has no end-of-text token, so the model cannot learn where an answer ends. "
                "Set eos_token in its tokenizer_config.json, or use another base."
            )
        self.tokenizer, self.prompt_format, self.max_length = tokenizer, prompt_format, max_length

    def row(self, row: Mapping[str, Any]) -> Encoded | Dropped:
        """Encode a row of a mix. See `example`."""
        return self.example(example_from_row(row))

    def example(self, example: Example) -> Encoded | Dropped:
        """Encode an example. It is dropped if it does not fit even with its long text cut to one word.

        Raises:
            UsageError: The tokenizer has no tokens for the answer.
        """
        example = cut_words(example, dataset(example.dataset).max_input_words)
        tried: dict[str, tuple[list[int], list[int]]] = {}

        def fits(candidate: Example) -> bool:
            tried[candidate.input] = pair = self._pair(candidate)
            return len(pair[0]) + len(pair[1]) <= self.max_length

        chosen = cut_to_tokens(example, fits)
        if chosen is None:
            return Dropped("longer than max_length")
        context, target = tried[chosen.input]
        return Encoded(context + target, len(context), chosen is not example)

    def _pair(self, example: Example) -> tuple[list[int], list[int]]:
        rendered = render(example, self.prompt_format, self.tokenizer)
        try:
            context, target = encode_pair(self.tokenizer, rendered.context, rendered.target)
        except AnswerError as error:
            raise UsageError(
                f"{example.dataset}, row {example.id}: {error}. Use another --format, another base, or a mix without "
                "this dataset."
            ) from error
        end = self.tokenizer.eos_token_id
        # The text of an answer may already end with the end-of-text token.
        return context, target if target[-1] == end else [*target, end]
