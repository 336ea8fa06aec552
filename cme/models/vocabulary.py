"""Whether a tokenizer and a model belong together."""

from typing import Any

from cme.errors import SourceError

__all__ = ["check_vocabulary"]


def check_vocabulary(model: Any, tokenizer: Any) -> None:
    """Check that the model has an embedding for every token. A model that has more than the tokenizer (padding) is fine.

    Args:
        model: the base model; its weights may be on the meta device.
        tokenizer: that is used with it.

    Raises:
        SourceError: the tokenizer has tokens that the model does not know.
    """
    ends = (model.get_input_embeddings(), model.get_output_embeddings())
    size = min(len(end.weight) for end in ends if end is not None)
    vocabulary = tokenizer.get_vocab()
    beyond = sorted(token for token, number in vocabulary.items() if number >= size)
    if beyond:
        raise SourceError(
            f"{tokenizer.name_or_path}: the tokenizer has {len(vocabulary)} tokens, the model has embeddings for {size}: none "
            f"for {beyond[0]!r}{f' and {len(beyond) - 1} more' if len(beyond) > 1 else ''}. CME never resizes embeddings: "
            "give the tokenizer that belongs to this model."
        )
