"""Reading and checking entry files, which may come from anyone.

An entry is data: nothing in it is executed, and no name in it is used as a path. Texts that are not checked here are escaped
where they are shown. The limits are those of `cme.readers.limits`. Names of entries and methods have at most 100 characters
(letters, digits, ``.``, ``_`` and ``-``) and start with a letter or a digit.
"""

import re
import stat
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cme.config import Model
from cme.errors import CMEError, UsageError
from cme.leaderboard.entries.impossible import impossible
from cme.leaderboard.entries.metadata import claims
from cme.readers.limits import ENTRY_BYTES, ENTRY_DEPTH, ENTRY_RUNS, ENTRY_TEXT, SAMPLE_FILES
from cme.readers.parquet_file import open_parquet
from cme.records import Entry, read_record
from cme.suite.baselines import BASELINES
from cme.suite.tiers import TIERS

__all__ = ["MAX_SAMPLES", "MAX_SAMPLES_BYTES", "check_entry", "check_file", "check_name", "check_samples", "read_entry"]

_MAX_NUMBER = 2**63

MAX_SAMPLES = SAMPLE_FILES.rows
"""Rows in one file of samples."""

MAX_SAMPLES_BYTES = SAMPLE_FILES.size or 0
"""Bytes of one file of samples."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WORD = re.compile(r"[a-z0-9_-]{0,32}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_STRANGE = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories of invisible characters and of characters that change the displayed order of a text."""


def read_entry(path: Path) -> Entry:
    """Read an entry's file. `check_entry` checks its values.

    Raises:
        CMEError: The file's name is not a valid entry name, or the file is a link, too large, or not an entry of a schema
            version that this CME reads.
    """
    check_name(path.stem)
    check_file(path, ENTRY_BYTES)
    return read_record(path, Entry)


def check_name(name: str) -> str:
    """Check that an entry's name is safe as a file name, and return it.

    Raises:
        UsageError: The name is not safe.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name[:120]!a} is not a valid name of an entry. Use at most 100 letters, digits, '.', '_' and '-', and start "
            "with a letter or a digit (--name)."
        )
    return name


def check_file(path: Path, largest: int) -> None:
    """Check that a path is a regular file and not too large.

    Raises:
        CMEError: The path is a link or not a file, or the file has more than ``largest`` bytes.
    """
    try:
        status = path.lstat()
    except FileNotFoundError:
        raise CMEError(f"{path} does not exist. Check the name and the folder.") from None
    except OSError as error:
        raise CMEError(f"{path} cannot be read: {error.strerror or error}.") from error
    if not stat.S_ISREG(status.st_mode):
        raise CMEError(f"{path} is a link or not a regular file. Replace it with the file itself.")
    if status.st_size > largest:
        raise CMEError(f"{path} has {status.st_size:,} bytes, but at most {largest:,} are allowed.")


def check_entry(entry: Entry) -> None:
    """Check that an entry's values are possible.

    Raises:
        CMEError: Some are not. The message lists the first problems and counts the others.
    """
    problems = [*_shape(entry), *_values(entry, "", 0)]
    problems = problems or list(claims(entry)) or list(impossible(entry))
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise CMEError(f"entry {entry.name!r}: {'; '.join(problems[:5])}{more}. Submit its results again.")


def check_samples(path: Path) -> None:
    """Check that a file of samples can be read within the limits of `cme.readers.limits.SAMPLE_FILES`.

    Every page is decompressed once. The limits apply to the decompressed data, not to what the file's header states.

    Raises:
        CMEError: The file is a link, too large, or not a Parquet file.
    """
    check_file(path, MAX_SAMPLES_BYTES)
    with open_parquet(path, SAMPLE_FILES, error=CMEError, advice="Put the file back, or evaluate again.") as file:
        for _ in file.batches():
            pass


def _shape(entry: Entry) -> Iterator[str]:
    """Check the fields whose values are names or digests."""
    if not _NAME.fullmatch(entry.method):
        yield f"the method {entry.method[:120]!a} is not a valid name of a method"
    if entry.tier not in TIERS:
        yield f"the tier {entry.tier!r} is not one of {', '.join(TIERS)}"
    if not _WORD.fullmatch(entry.prompt_format):
        yield f"the prompt format {entry.prompt_format[:120]!a} is not a valid name of a format"
    if not 0 <= entry.shots <= 1000:
        yield f"shots is {entry.shots}; expected 0 to 1000"
    if entry.scorer_version < 1:
        yield f"the scorer version is {entry.scorer_version}; the first is 1"
    digests = {"items": entry.items, **{f"task_fingerprints.{key}": of for key, of in entry.task_fingerprints.items()}}
    digests |= {f"runs.{k}.samples_sha256": run.samples_sha256 for k, run in enumerate(entry.runs)}
    if entry.method not in BASELINES:
        digests["base_fingerprint"] = entry.base_fingerprint
    for name, value in digests.items():
        if not _DIGEST.fullmatch(value):
            yield f"{name[:120]!a} is {value[:80]!a}, which is not a SHA-256 digest"
    yield from _runs(entry)


def _runs(entry: Entry) -> Iterator[str]:
    seeds = [run.seed for run in entry.runs]
    if not 1 <= len(seeds) <= ENTRY_RUNS:
        yield f"it has {len(seeds)} runs; expected 1 to {ENTRY_RUNS}"
    elif entry.method == "base" or entry.method in BASELINES:
        if seeds != [None]:
            yield f"a {'base' if entry.method == 'base' else 'baseline'} is not trained, so it must have one run without a seed"
    elif None in seeds or seeds != sorted({seed for seed in seeds if seed is not None}):
        yield f"the seeds of its runs are {seeds}; expected different ones in ascending order"
    if len({run.samples_sha256 for run in entry.runs}) < len(seeds):
        yield "two of its runs have the same per-sample scores"


def _values(value: Any, where: str, depth: int) -> Iterator[str]:
    """Check texts, numbers and the depth of nesting, at any depth."""
    if depth > ENTRY_DEPTH:
        yield f"{where[:80]}… is nested too deeply"
    elif isinstance(value, str):
        if problem := _text_problem(value):
            yield f"{where}: {problem}"
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if problem := _text_problem(key):
                yield f"a key of {where or 'the entry'}: {problem}"
            else:
                yield from _values(item, f"{where}.{key}" if where else key, depth + 1)
    elif isinstance(value, Model):
        # The keys that the file has; defaults are ours.
        yield from _values({key: item for key, item in value if key in value.model_fields_set}, where, depth)
    elif isinstance(value, list | tuple):
        for k, item in enumerate(value):
            yield from _values(item, f"{where}.{k}", depth + 1)
    elif isinstance(value, int | float) and not abs(value) <= _MAX_NUMBER:
        yield f"{where} is {value if isinstance(value, float) else 'a number that is too large'}"


def _text_problem(text: str) -> str | None:
    if len(text) > ENTRY_TEXT:
        return f"the text has {len(text):,} characters, but at most {ENTRY_TEXT:,} are allowed"
    strange = next((sign for sign in text if unicodedata.category(sign) in _STRANGE), None)
    return None if strange is None else f"the text contains the control character {strange!a}"
