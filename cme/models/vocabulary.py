"""Checks that a tokenizer fits a model."""

from typing import Any

from cme.errors import SourceError

__all__ = ["check_vocabulary"]


def check_vocabulary(model: Any, tokenizer: Any) -> None:
    """Check that the model has an embedding for every token. Additional embeddings, which serve as padding, are allowed.

    Args:
        model: the base model. Its weights can be on the meta device.
        tokenizer: tokenizer of the model.

    Raises:
        SourceError: if the tokenizer has tokens without an embedding.
    """
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    size = min(len(end.weight) for end in ends if end is not None)
    vocabulary = tokenizer.get_vocab()
    beyond = sorted(token for token, number in vocabulary.items() if number >= size)
    if beyond:
        raise SourceError(
            f"{tokenizer.name_or_path}: the tokenizer has {len(vocabulary)} tokens, but the model has {size} embeddings and none "
            f"for {beyond[0]!r}{f' and {len(beyond) - 1} more' if len(beyond) > 1 else ''}. Use the tokenizer of this model; "
            "CME never resizes embeddings."
        )
