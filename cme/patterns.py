"""Matches untrusted regular expressions in a separate process with limits on time and memory.

A pattern such as ``(a+)+$`` can take exponential time, and a thread cannot interrupt Python's ``re``. PEFT matches its patterns
with ``re``, so another engine could match other names.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cme.errors import CMEError, UsageError
from cme.readers.limits import PATTERN_CHARACTERS, PATTERN_MEMORY, PATTERN_NAMES, PATTERN_SECONDS

__all__ = ["check_pattern", "check_patterns", "full_matches"]

_ALL_LINEAR = "all-linear"
_LISTS = ("target_modules", "exclude_modules", "target_parameters", "modules_to_save")
_LIST_NAMES = 1_000
"""Maximum number of names in a list, or the number of modules if that is larger. PEFT compares every name with every module."""

_CHILD = """
import json, re, sys
try:
    import resource
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
except (ImportError, OSError, ValueError):
    pass
patterns, names = json.load(sys.stdin)
for pattern in patterns:
    try:
        compiled = re.compile(pattern)
        matches = [k for k, name in enumerate(names) if compiled.match(name) and compiled.fullmatch(name)]
        answer = {"matches": matches}
    except (re.error, RecursionError, OverflowError, MemoryError) as error:
        answer = {"problem": str(error) or type(error).__name__}
    sys.stdout.write(json.dumps(answer) + "\\n")
    sys.stdout.flush()
"""


def full_matches(
    pattern: str,
    names: Sequence[str],
    where: str,
    *,
    seconds: float = PATTERN_SECONDS,
    error: type[CMEError] = UsageError,
) -> list[str]:
    """Return the names that a regular expression matches completely, as in PEFT.

    Args:
        pattern: a pattern for Python's ``re``.
        names: names of modules.
        where: description of the pattern for messages, such as ``"target_modules"``.
        seconds: maximum time for all names.
        error: the class of error to raise.

    Returns:
        The names that match, in their order.

    Raises:
        UsageError: (or ``error``) if the pattern is not a regular expression, is too long, or takes too much time or memory.
    """
    if re.escape(pattern) == pattern and len(pattern) <= PATTERN_CHARACTERS:
        # A pattern without special characters matches only itself.
        return [name for name in names if name == pattern]
    return _matches([(where, pattern, pattern)], names, seconds, error)[0]


def check_pattern(pattern: str, where: str, *, error: type[CMEError] = UsageError) -> None:
    """Check that a text is a valid regular expression.

    Raises:
        UsageError: (or ``error``) if it is not.
    """
    full_matches(pattern, [], where, error=error)


def check_patterns(values: Mapping[str, Any], modules: Iterable[str], *, seconds: float = PATTERN_SECONDS) -> None:
    """Check every regular expression and list of names in a PEFT configuration.

    Args:
        values: fields of the configuration.
        modules: names of the base model's modules.
        seconds: maximum time for all patterns and names.

    Raises:
        UsageError: if a pattern is not a regular expression, is too long, or takes too much time or memory, or if a list has
            more names than the base model has modules and more than 1,000.
    """
    modules = list(modules)
    most = max(_LIST_NAMES, len(modules))
    for key in _LISTS:
        names = values.get(key)
        if isinstance(names, list | set | tuple) and len(names) > most:
            raise UsageError(
                f"{key} has {len(names):,} names, but the base has {len(modules):,} modules. Set it to at most {most:,} names."
            )
    if patterns := list(_patterns(values)):
        _matches(patterns, modules, seconds, UsageError)


def _patterns(values: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """Yield the patterns of a PEFT configuration: the field, its text, and the pattern that PEFT makes from the text."""
    for key in ("target_modules", "exclude_modules"):
        pattern = values.get(key)
        if isinstance(pattern, str) and pattern != _ALL_LINEAR:
            yield key, pattern, pattern
    for key in ("rank_pattern", "alpha_pattern", "experts_pattern"):
        entries = values.get(key)
        if isinstance(entries, Mapping):
            yield from ((key, name, rf"(.*\.)?({name})$") for name in entries if isinstance(name, str))
    lists = values.get("layers_pattern")
    for name in [lists] if isinstance(lists, str) else lists or ():
        if isinstance(name, str):
            yield "layers_pattern", name, rf".*\.{name}\.(\d+)\."


def _matches(
    patterns: Sequence[tuple[str, str, str]], names: Sequence[str], seconds: float, error: type[CMEError]
) -> list[list[str]]:
    """Return the names that each pattern (field, text, pattern to compile) matches completely."""
    for where, text, _ in patterns:
        if len(text) > PATTERN_CHARACTERS or len(names) > PATTERN_NAMES:
            raise error(
                f"{where}: the pattern has {len(text):,} characters and is matched with {len(names):,} names, but only "
                f"{PATTERN_CHARACTERS:,} characters and {PATTERN_NAMES:,} names are allowed. Use a list of names."
            )
    command = [sys.executable, "-I", "-S", "-c", _CHILD, str(PATTERN_MEMORY)]
    question = json.dumps([[pattern for _, _, pattern in patterns], list(names)]).encode()
    late = False
    try:
        output = subprocess.run(command, input=question, capture_output=True, timeout=seconds, check=False).stdout
    except subprocess.TimeoutExpired as expired:
        output, late = expired.stdout or b"", True
    # The last line is incomplete if the process ended while it was writing.
    answers = [json.loads(line) for line in output[: output.rfind(b"\n") + 1].splitlines()]
    for (where, text, _), answer in zip(patterns, answers, strict=False):
        if "problem" in answer:
            raise error(f"{where}: {text[:100]!a} is not a valid regular expression: {answer['problem'][:200]}.")
    if len(answers) < len(patterns):
        where, text, _ = patterns[len(answers)]
        if late:
            raise error(
                f"{where}: the pattern {text[:100]!a} takes more than {seconds:g} s for {len(names):,} names. Remove nested "
                "repetitions, or use a list of names."
            )
        raise error(f"{where}: the pattern {text[:100]!a} takes too much memory. Use a list of names.")
    return [[names[k] for k in answer["matches"]] for answer in answers]
