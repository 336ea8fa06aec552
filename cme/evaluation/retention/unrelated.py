"""Text that has nothing to do with an adapter's training: wikitext-2 from the hub, or a file of the user."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cme.data.sources import open_source
from cme.data.sources.hub import HubSource
from cme.errors import CMEError, UsageError
from cme.readers.bounded import read_bounded
from cme.readers.limits import TEXT_BYTES
from cme.suite import DatasetSpec, datasets
from cme.suite.spec import Subset

__all__ = ["WINDOW", "WINDOWS", "UnrelatedText", "find_text", "is_default", "read_text", "windows_of"]

WINDOW = 256
"""Tokens of a window."""

WINDOWS = 64
"""Most windows of a text."""

_FEWEST = 2

_HUB_ID, _CONFIG, _SPLIT = "Salesforce/wikitext", "wikitext-2-raw-v1", "test"


@dataclass(frozen=True)
class UnrelatedText:
    """A text.

    Attributes:
        name: name in results: the name of the file, or of the dataset on the hub with its commit.
        content: the text.
        sha256: SHA-256 of its UTF-8 bytes.
    """

    name: str
    content: str
    sha256: str


def find_text(file: str | None, source: str) -> tuple[UnrelatedText | None, str]:
    """Return the unrelated text of an evaluation, or None and the reason why there is none.

    Args:
        file: a text file of the user. None means the test split of wikitext-2, which is read from the hub.
        source: source of the evaluation. Nothing is read from the hub if the evaluation's rows are not from there either.

    Raises:
        CMEError: the file cannot be read.
    """
    if file is not None:
        return read_text(Path(file)), ""
    if source != "hub":
        # Records and boards have the name of a source, and never its path on this machine.
        shown = open_source(source).name
        return None, f"no unrelated text: the source {shown} has none (give one with --retention-text)"
    try:
        return _wikitext(), ""
    except CMEError as error:
        reason = str(error).strip().splitlines()[0]
        return None, f"no unrelated text: wikitext-2 could not be read ({reason[:200]})"


def is_default(name: str) -> bool:
    """Return whether a text with this name in a result is the default, wikitext-2. Names of files have no slash."""
    return name.startswith(f"{_HUB_ID}/")


def read_text(path: Path) -> UnrelatedText:
    """Read a text file.

    Raises:
        CMEError: the file is missing, larger than 16 MiB, or not UTF-8.
        UsageError: the file is empty.
    """
    data = read_bounded(path.expanduser(), TEXT_BYTES)
    try:
        content = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CMEError(f"{path} is not a text file in UTF-8 (byte {error.start}). Convert it to UTF-8.") from error
    if not content.strip():
        raise UsageError(f"{path} is empty. Give a text of some pages.")
    name = "".join(sign for sign in path.name if sign.isprintable())
    return UnrelatedText(name, content, hashlib.sha256(content.encode()).hexdigest())


def windows_of(text: UnrelatedText, tokenizer: Any, most: int) -> list[list[int]]:
    """Cut a text into windows of equal length, and take up to `WINDOWS` of them, evenly spaced.

    Args:
        text: the text.
        tokenizer: tokenizer of the base. Its tokens before a text, such as a BOS, start every window.
        most: most tokens that the model accepts.

    Returns:
        Token ids of the windows, [N][length].

    Raises:
        UsageError: the text has fewer than two windows.
    """
    start = [token for token in tokenizer("")["input_ids"] if token != tokenizer.eos_token_id]
    length = min(WINDOW, most - len(start))
    tokens = tokenizer(text.content, add_special_tokens=False, verbose=False)["input_ids"]
    count = len(tokens) // length
    if count < _FEWEST:
        raise UsageError(
            f"{text.name} has {len(tokens)} tokens, but the change of the loss needs at least {_FEWEST * length}. Give a longer "
            "text."
        )
    chosen = min(count, WINDOWS)
    places = [index * count // chosen for index in range(chosen)]
    return [[*start, *tokens[place * length : (place + 1) * length]] for place in places]


def _wikitext() -> UnrelatedText:
    source, spec = HubSource(), _spec()
    table = source.table(spec, spec.subsets[0], _SPLIT)
    if "text" not in table.column_names:
        raise CMEError(f"{_HUB_ID} has no column 'text'.")
    content = "".join(table["text"].to_pylist())
    revision = source.provenance(spec).get("revision", "")
    name = f"{_HUB_ID}/{_CONFIG}/{_SPLIT}" + (f"@{revision[:12]}" if revision else "")
    return UnrelatedText(name, content, hashlib.sha256(content.encode()).hexdigest())


def _spec() -> DatasetSpec:
    """Describe wikitext-2 to the source; fields that describe a task of the suite have no effect."""
    subset = Subset(name=_CONFIG, folder="wikitext", config=_CONFIG, train="train", eval=_SPLIT)
    some = next(iter(datasets().values()))
    return replace(
        some, name="wikitext-2", hub_id=_HUB_ID, subsets=(subset,), revision=None, columns={"text": "string"}
    )
