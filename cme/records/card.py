"""Model cards (``README.md``) that several programs and people edit.

Each program writes its text between two marks, and its metadata under its own keys. Everything else stays byte for byte.
"""

import re
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from cme.errors import CMEError
from cme.files import write_text
from cme.readers.yaml_file import CardLoader, parse_yaml

__all__ = ["update_card"]

Metadata = dict[str, Any]


def update_card(
    card: Path, block: str, body: str, change: Callable[[Metadata], Mapping[str, Any]], *, title: str = "Model card"
) -> bool:
    """Write one marked block of a card and change its metadata. Repeating the call does not change the file.

    Args:
        card: path of ``README.md``, which is created if it does not exist.
        block: name of the block, of letters and hyphens.
        body: Markdown of the block. Comment marks in it are escaped, so that no name can end the block.
        change: function from the old metadata to the new metadata.
        title: heading of a new card.

    Returns:
        Whether the file has changed.

    Raises:
        CMEError: the card's metadata are not valid for the hub, or the file cannot be read or written.
    """
    before = _read(card)
    text = f"# {title}\n" if before is None else before
    newline = "\r\n" if "\r\n" in text else "\n"
    front, rest = _parts(text)
    written = _with_metadata(front, card, change, newline) + _with_block(rest, block, body, newline)
    if written == before:
        return False
    write_text(card, written)
    return True


def _read(card: Path) -> str | None:
    try:
        # `read_text` would change the line ends.
        return card.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise CMEError(f"{card} cannot be read: {error}") from error


def _parts(text: str) -> tuple[str, str]:
    """Split a card into its metadata, with the lines around them, and the rest, as the hub's client does."""
    place = _pattern().search(text)
    return (text[: place.end()], text[place.end() :]) if place else ("", text)


def _pattern() -> re.Pattern[str]:
    from huggingface_hub.repocard import REGEX_YAML_BLOCK

    return REGEX_YAML_BLOCK


def _with_metadata(text: str, card: Path, change: Callable[[Metadata], Mapping[str, Any]], newline: str) -> str:
    place = _pattern().search(text)
    front = place.group(2) if place else ""
    old = _metadata(front, card)
    wanted = {key: value for key, value in change(dict(old)).items() if value is not None}
    if wanted == old:
        return text
    changed = {key: value for key, value in wanted.items() if key not in old or old[key] != value}
    new = _without(front, {*changed, *(old.keys() - wanted.keys())}, newline) + _dumped(changed, newline)
    if not _says(new, wanted):  # the keys cannot be removed one by one, as in {a: 1}
        new = _dumped(wanted, newline)
    new = new.removesuffix(newline)
    if place:
        return text[: place.start(2)] + new + text[place.end(2) :]
    return newline.join(["---", new, "---", "", ""])


def _metadata(front: str, where: object) -> Metadata:
    metadata = parse_yaml(front, f"the metadata of {where}", loader=CardLoader)
    if not isinstance(metadata, dict | None):
        raise CMEError(f"{where}: its metadata is not a mapping.")
    return metadata or {}


def _says(front: str, wanted: Metadata) -> bool:
    try:
        return bool(_metadata(front, "") == wanted)
    except CMEError:
        return False


def _without(front: str, keys: set[str], newline: str) -> str:
    """Remove some top-level keys from the YAML; comments before the next key stay."""
    root = yaml.compose(front)
    nodes = root.value if isinstance(root, yaml.MappingNode) and not root.flow_style else []
    places = [(key.value, key.start_mark.index) for key, _ in nodes] + [("", len(front))]
    kept = [front[: places[0][1]]]
    for (key, start), (_, stop) in pairwise(places):
        lines = front[start:stop].splitlines(keepends=True)
        if key in keys:
            last = max(k for k, line in enumerate(lines) if line.strip() and not line.startswith("#"))
            lines = lines[last + 1 :]
        kept += lines
    text = "".join(kept)
    return text if not text or text.endswith("\n") else text + newline


def _dumped(values: Mapping[str, Any], newline: str) -> str:
    if not values:
        return ""
    text = yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True)
    if not _says(text, dict(values)):  # PyYAML writes U+0085 unescaped and reads it as a line end
        text = yaml.safe_dump(dict(values), sort_keys=False, default_style='"')
    return text.replace("\n", newline)


def _with_block(text: str, block: str, body: str, newline: str) -> str:
    start, end = f"<!-- cme:{block} -->", f"<!-- /cme:{block} -->"
    whole = "\n".join([start, body.replace("<!--", "&lt;!--").strip(), end]).replace("\n", newline)
    # The match starts at the last start mark before an end mark, in case an end mark was deleted.
    match = re.search(f"{re.escape(start)}(?:(?!{re.escape(start)}).)*?{re.escape(end)}", text, re.DOTALL)
    if match:
        return text[: match.start()] + whole + text[match.end() :]
    return text + newline * (1 if text.endswith("\n") else 2) + whole + newline
