"""Computes the fingerprint of a tokenizer: its files, its chat template, and the tokens that end a text."""

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
"""Entries of the tokenizer's configuration that do not affect encoding, such as its path."""


def tokenizer_fingerprint(folder: Path, template_date: str | None = None) -> str:
    """Compute the SHA-256 of all files that determine the tokens of a prompt and the end of a text.

    Args:
        folder: folder of the base model.
        template_date: date that the chat template receives. None means that the template is not used, so it is left out.
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
    except CMEError:
        # Loading the tokenizer raises an error if the file is needed.
        return {}
    return values if isinstance(values, dict) else {}
