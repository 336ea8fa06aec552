"""The identity of what turns text into tokens: a base's tokenizer files, its chat template, and what ends a text."""

import hashlib
import json
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.files import digest, read_json, sha256_file

__all__ = ["tokenizer_fingerprint"]

_CONFIG = "tokenizer_config.json"
_FILES = (
    "tokenizer.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "tekken.json",
    "*.model",
    "*.tiktoken",
)
_TEMPLATES = ("chat_template.jinja", "chat_template.json", "additional_chat_templates/*.jinja")
_VOLATILE = {"chat_template", "name_or_path", "is_local", "local_files_only", "transformers_version", "backend"}
"""Entries of the tokenizer's configuration that encode nothing: where it was read from, and by what."""


def tokenizer_fingerprint(folder: Path, template_date: str | None = None) -> str:
    """SHA-256 over what decides the tokens of a prompt and where a text ends, besides configuration and weights.

    Args:
        folder: the base's folder.
        template_date: the date that the chat template is given; None: the template is not used and does not count.
    """
    template = template_date is not None
    total = hashlib.sha256()
    for file in _matching(folder, (*_FILES, *(_TEMPLATES if template else ()))):
        total.update(f"{file.relative_to(folder)}:{sha256_file(file)}\n".encode())
    config = _mapping(folder / _CONFIG)
    kept = {key: value for key, value in config.items() if key not in _VOLATILE}
    if template:
        kept["chat_template"] = config.get("chat_template")
    ends = _mapping(folder / "generation_config.json").get("eos_token_id")
    total.update(digest({"config": json.dumps(kept, sort_keys=True), "ends": ends, "date": template_date}).encode())
    return total.hexdigest()


def _matching(folder: Path, patterns: tuple[str, ...]) -> list[Path]:
    return sorted({file for pattern in patterns for file in folder.glob(pattern) if file.is_file()})


def _mapping(file: Path) -> dict[str, Any]:
    try:
        values = read_json(file)
    except CMEError:  # not there, or no JSON: whoever needs it says so
        return {}
    return values if isinstance(values, dict) else {}
