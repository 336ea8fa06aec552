"""Makes the inputs of a vision-language model from a question about an image, with the processor of the base."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import CMEError, SourceError
from cme.evaluation.images.rows import LETTERS, ImageRow
from cme.prompt.encode import encode_pair
from cme.readers.image_file import read_image

__all__ = ["Inputs", "load_processor", "make_inputs", "prompt_text"]

_QUESTION = "{hint}{question}\n{options}\n\nAnswer with the letter of the right option."
_HINT = "Context: {hint}\n"
_KINDS = ("image", "video", "audio", "vision", "boi", "eoi")
"""Parts of the names of tokens that stand for a picture or its borders."""


@dataclass(frozen=True)
class Inputs:
    """The inputs of a model for one question.

    Attributes:
        tensors: what the processor returned for the prompt with its image, such as ``input_ids`` [1, length] and
            ``pixel_values``.
        answers: tokens of each option's letter after the prompt.
    """

    tensors: dict[str, Any]
    answers: tuple[tuple[int, ...], ...]


def load_processor(folder: Path) -> Any:
    """Load the processor of a base.

    Args:
        folder: folder of the base.

    Raises:
        SourceError: the folder has no processor for images, or a package that it needs is missing.
    """
    from transformers import AutoProcessor
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    # Without torchvision, transformers uses Pillow, and says so in a log message.
    logging.set_verbosity_error()
    try:
        processor = AutoProcessor.from_pretrained(str(folder))
    except (ImportError, OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise SourceError(
            f"{folder}: the processor could not be loaded ({first}). Questions about images need the files that the processor of "
            "this model wrote with save_pretrained."
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    if getattr(processor, "image_processor", None) is None:
        raise SourceError(
            f"{folder} has no processor for images, such as preprocessor_config.json. Save the processor of this model there."
        )
    return processor


def prompt_text(processor: Any, row: ImageRow) -> tuple[str, str]:
    """Return the prompt with a placeholder for the image, and the text between the prompt and a letter.

    The chat template of the processor makes the prompt. Without a template for images, the placeholder, the question and
    ``Answer:`` follow each other. A hint is placed before the question.

    A space separates the prompt and the letter, as a model writes it after ``ASSISTANT:``. There is none if the prompt ends with
    white space or a special token, after which a model starts with the letter.

    Args:
        processor: the processor of the base.
        row: the question.

    Raises:
        SourceError: there is no template for images, and the processor has no placeholder for them.
    """
    options = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, row.choices, strict=False))
    hint = _HINT.format(hint=row.hint) if row.hint else ""
    question = _QUESTION.format(hint=hint, question=row.question, options=options)
    text = _chat(processor, question)
    if text is None:
        return f"{_placeholder(processor)}\n{question}\nAnswer:", " "
    special = tuple(str(token) for token in processor.tokenizer.added_tokens_decoder.values() if token.special)
    return text, "" if text != text.rstrip() or text.endswith(special) else " "


def _placeholder(processor: Any) -> str:
    """Return the text that stands for an image.

    Raises:
        SourceError: the processor has none.
    """
    token = getattr(processor, "image_token", None)
    if not token:
        raise SourceError(
            f"{type(processor).__name__} has no placeholder for images in a text, so it cannot make a prompt with an image. Give "
            "another vision-language model, such as LLaVA or Qwen-VL."
        )
    return str(token)


def _chat(processor: Any, question: str) -> str | None:
    """Return the prompt of the chat template, or None if there is no template, or the template is made for text alone."""
    if not getattr(processor, "chat_template", None):
        return None
    content = [{"type": "image"}, {"type": "text", "text": question}]
    try:
        text = str(processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True))
    except Exception:  # a template can raise any error for a content that is not text
        return None
    marks = [getattr(processor, name, None) for name in ("image_token", "boi_token")]
    return text if any(mark and mark in text for mark in marks) else None


def _marks(processor: Any) -> set[str]:
    """Return the texts that the processor or its tokenizer reads as a part of a picture."""
    named = [*vars(processor).items(), *processor.tokenizer.special_tokens_map.items()]
    return {str(token) for name, token in named if token and name.endswith("_token") and any(k in name for k in _KINDS)}


def make_inputs(processor: Any, row: ImageRow, most: int | None) -> Inputs:
    """Make the inputs of a model for one question.

    Args:
        processor: the processor of the base.
        row: the question.
        most: number of tokens that the base can read, or None.

    Raises:
        CMEError: the image is damaged, the question contains a placeholder of images, or the prompt is too long.
        SourceError: the processor has no placeholder for images.
    """
    image = read_image(row.image, row.place)
    text, between = prompt_text(processor, row)
    bos = processor.tokenizer.bos_token
    for mark in sorted({_placeholder(processor), *_marks(processor)}):
        if any(mark in part for part in (row.question, row.hint, *row.choices)):
            raise CMEError(f"{row.place}: the question contains {mark}, which stands for an image. Remove it.")
    # White space at the end belongs to the answer, as in `encode_pair` and in lm-eval.
    prompt = text.rstrip()
    # A chat template can start with a BOS, which must not be doubled.
    special = {"add_special_tokens": False} if bos and prompt.startswith(bos) else {}
    try:
        tensors = dict(processor(images=[image], text=[prompt], return_tensors="pt", **special))
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        width, height = image.size
        raise CMEError(
            f"{row.place}: the processor refuses the image of {width} × {height} pixels ({first}). Remove the row."
        ) from error
    answers = tuple(
        tuple(encode_pair(processor.tokenizer, text, between + letter)[1]) for letter in LETTERS[: len(row.choices)]
    )
    length = tensors["input_ids"].shape[1] + max(map(len, answers))
    if most is not None and length > most:
        raise CMEError(f"{row.place}: the prompt has {length:,} tokens, but the base reads {most:,}. Remove the row.")
    return Inputs(tensors, answers)
