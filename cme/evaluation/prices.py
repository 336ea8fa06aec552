"""The price of a row in tokens, which decides how many rows of each dataset are worth evaluating."""

from collections.abc import Mapping, Sequence
from typing import Any

from cme.prompt import encode_pair
from cme.prompt.encode import encode

__all__ = ["row_price"]


def row_price(tokenizer: Any, records: Sequence[Mapping[str, Any]]) -> float:
    """Return the mean number of tokens that a row needs: its prompt, and the options or the generated text.

    The beginning that all prompts share is left out, because it is computed once. The price depends on the rows, the tokenizer
    and the answers only. It does not depend on the engine, the machine or interruptions, so equal evaluations choose equal rows.

    Args:
        tokenizer: tokenizer of the base model.
        records: lm-eval's sample records of at least one row.
    """
    prompts = [encode(tokenizer, record["doc"]["prompt"]) for record in records]
    # The common prefix of all of them is that of the first and the last in sorted order.
    first, last = min(prompts), max(prompts)
    differing = (place for place, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    shared = next(differing, min(len(first), len(last))) if len(prompts) > 1 else 0
    tokens = sum(len(prompt) - shared for prompt in prompts)
    for record in records:
        doc = record["doc"]
        if "continuations" in doc:
            pairs = (encode_pair(tokenizer, doc["prompt"], option) for option in doc["continuations"])
            tokens += sum(len(option) for _, option in pairs)
        else:
            tokens += len(encode(tokenizer, record["filtered_resps"][0]))
    return max(1.0, tokens / len(records))
