"""Texts that a base model writes itself, by seeded sampling from short prompts. They need no data and no network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import CMEError, NotFiniteError, UsageError
from cme.files import digest, read_json, write_json

__all__ = ["TEXTS", "TOKENS", "OwnTexts", "read_texts", "store_texts", "write_texts"]

TEXTS = 64
"""Number of texts."""

TOKENS = 128
"""Tokens of a text, without its prompt."""

_MOST_PROMPT = 6
_SEED = 0

PROMPTS = (
    "The first thing to know about",
    "When the rain stopped, the children",
    "In this chapter we describe how",
    "She opened the letter and read",
    "The main difference between the two",
    "To make a simple soup, start",
    "Most people who live near the",
    "The committee decided on Tuesday that",
    "Once upon a time there was",
    "A good way to learn is",
    "The results of the experiment show",
    "My grandfather used to tell us",
    "The city was founded in the",
    "If you want to change the",
    "The engine is made of several",
    "He said that he had never",
    "There are three reasons why the",
    "Water is one of the most",
    "Our company offers a wide range",
    "The film tells the story of",
    "During the winter months, many birds",
    "The function returns a list of",
    "Yesterday evening a small group of",
    "Before you begin, make sure that",
    "The price of bread has risen",
    "Scientists have long wondered whether the",
    "On the other side of the",
    "The teacher asked the class to",
    "It is often said that music",
    "The law applies to all persons",
    "After a long journey, the ship",
    "Dear Sir or Madam, I am",
)
"""Beginnings of the texts. Every prompt begins the same number of texts."""


@dataclass(frozen=True)
class OwnTexts:
    """Texts of a base.

    Attributes:
        prompt: number of tokens of the prompt at the beginning of each text.
        tokens: token ids of the texts with their prompts, [`TEXTS`][prompt + `TOKENS`].
    """

    prompt: int
    tokens: list[list[int]]

    @property
    def sha256(self) -> str:
        """SHA-256 of the tokens."""
        return digest(self.tokens)


def write_texts(model: Any, tokenizer: Any, most: int) -> OwnTexts:
    """Let a base model write texts. Each token is drawn from the model's distribution, without its end and special tokens.

    Prompts are cut to the number of tokens of the shortest, so that all texts form one batch without padding. The random numbers
    come from a generator on the CPU and change no global state.

    Args:
        model: the base model, in evaluation mode.
        tokenizer: its tokenizer.
        most: most tokens that the model accepts.

    Raises:
        UsageError: the model accepts too few tokens.
        NotFiniteError: a logit is NaN or infinite.
    """
    import torch

    from cme.evaluation.engine.greedy import end_tokens

    encoded = [[token for token in tokenizer(text)["input_ids"] if token != tokenizer.eos_token_id] for text in PROMPTS]
    length = min(_MOST_PROMPT, *map(len, encoded))
    if length + TOKENS > most:
        raise UsageError(
            f"retention needs {length + TOKENS} tokens, but the base accepts {most}. Leave --retention out."
        )
    prompts = [tokens[:length] for tokens in encoded] * (TEXTS // len(PROMPTS))
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(_SEED)
    ids = torch.tensor(prompts, device=device)
    excluded = sorted({*end_tokens(model, tokenizer), *tokenizer.all_special_ids})
    step, past = ids, None
    with torch.inference_mode():
        for _ in range(TOKENS):
            out = model(input_ids=step, past_key_values=past, use_cache=True)
            logits = out.logits[:, -1].float().cpu()
            if bool(logits.isnan().any() or logits.isposinf().any()):
                raise NotFiniteError(
                    "the base model computes logits that are not finite, so it cannot write texts. Set --dtype float32, or use "
                    "another base."
                )
            logits[:, [token for token in excluded if token < logits.shape[-1]]] = -torch.inf
            drawn = torch.multinomial(logits.softmax(-1), 1, generator=generator).to(device)
            ids, past = torch.cat([ids, drawn], dim=1), getattr(out, "past_key_values", None)
            step = ids if past is None else drawn
    return OwnTexts(length, ids.tolist())


def read_texts(file: Path, key: str) -> OwnTexts | None:
    """Read stored texts, or return None if there are none of this base.

    Args:
        file: the file.
        key: digest of everything that determines the texts.
    """
    try:
        values = read_json(file)
    except CMEError:
        return None
    if not isinstance(values, dict) or values.get("key") != key or not {"prompt", "tokens"} <= values.keys():
        return None
    return OwnTexts(values["prompt"], values["tokens"])


def store_texts(file: Path, key: str, texts: OwnTexts) -> None:
    """Store texts, so that a resumed evaluation uses the same ones.

    Raises:
        CMEError: the file cannot be written.
    """
    write_json(file, {"key": key, "prompt": texts.prompt, "tokens": texts.tokens})
