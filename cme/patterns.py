"""Regular expressions that strangers wrote: matched in a process of their own, with a time limit and a memory limit.

A pattern such as ``(a+)+$`` takes longer than anybody waits, and Python's engine cannot be interrupted by another thread. The
patterns are those of PEFT, which matches them with Python's ``re``: another engine would find other names.
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
"""Names in one list, or as many as the base has modules: more cannot all be there, and PEFT compares each with each."""

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
    """Find the names that a regular expression matches from end to end, as PEFT does.

    Args:
        pattern: for Python's ``re``.
        names: of modules.
        where: what the pattern is, for the message, such as ``"target_modules"``.
        seconds: most time for all names together.
        error: the class of error to raise.

    Returns:
        The names that match, in their order.

    Raises:
        UsageError: (or ``error``) it is no regular expression, is too long, or takes too long or too much memory.
    """
    if re.escape(pattern) == pattern and len(pattern) <= PATTERN_CHARACTERS:
        # Without any special character it matches itself alone.
        return [name for name in names if name == pattern]
    return _matches([(where, pattern, pattern)], names, seconds, error)[0]


def check_pattern(pattern: str, where: str, *, error: type[CMEError] = UsageError) -> None:
    """Check that a text is a regular expression that can be compiled.

    Raises:
        UsageError: (or ``error``) it is not.
    """
    full_matches(pattern, [], where, error=error)


def check_patterns(values: Mapping[str, Any], modules: Iterable[str], *, seconds: float = PATTERN_SECONDS) -> None:
    """Try every regular expression of a PEFT configuration on a base's module names.

    Args:
        values: the configuration's fields.
        modules: names of the base's modules.
        seconds: most time for all patterns and names together.

    Raises:
        UsageError: one is no regular expression, is too long, or takes too long or too much memory; or a list has more names
            than the base has modules (and than a thousand).
    """
    modules = list(modules)
    most = max(_LIST_NAMES, len(modules))
    for key in _LISTS:
        names = values.get(key)
        if isinstance(names, list | set | tuple) and len(names) > most:
            raise UsageError(
                f"{key} has {len(names):,} names, but the base has {len(modules):,} modules. Give a list of at most {most:,}."
            )
    if patterns := list(_patterns(values)):
        _matches(patterns, modules, seconds, UsageError)


def _patterns(values: Mapping[str, Any]) -> Iterable[tuple[str, str, str]]:
    """The expressions of a PEFT configuration: the field, the text in it, and what PEFT makes of that text."""
    for key in ("target_modules", "exclude_modules"):
        pattern = values.get(key)
        if isinstance(pattern, str) and pattern != _ALL_LINEAR:
            yield key, pattern, pattern
    for key in ("rank_pattern", "alpha_pattern"):
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
    """For each expression (field, text, what to compile) the names that it matches from end to end."""
    for where, text, _ in patterns:
        if len(text) > PATTERN_CHARACTERS or len(names) > PATTERN_NAMES:
            raise error(
                f"{where}: a pattern of {len(text):,} characters for {len(names):,} names; {PATTERN_CHARACTERS:,} characters "
                f"and {PATTERN_NAMES:,} names are allowed. Give a list of names."
            )
    command = [sys.executable, "-I", "-S", "-c", _CHILD, str(PATTERN_MEMORY)]
    question = json.dumps([[pattern for _, _, pattern in patterns], list(names)]).encode()
    late = False
    try:
        output = subprocess.run(command, input=question, capture_output=True, timeout=seconds, check=False).stdout
    except subprocess.TimeoutExpired as expired:
        output, late = expired.stdout or b"", True
    # What was being written when the process ended is no line yet.
    answers = [json.loads(line) for line in output[: output.rfind(b"\n") + 1].splitlines()]
    for (where, text, _), answer in zip(patterns, answers, strict=False):
        if "problem" in answer:
            raise error(f"{where}: {text[:100]!a} is not a valid regular expression: {answer['problem'][:200]}.")
    if len(answers) < len(patterns):
        where, text, _ = patterns[len(answers)]
        if late:
            raise error(
                f"{where}: the pattern {text[:100]!a} takes more than {seconds:g} s for {len(names):,} names. Write it without "
                "repetitions inside of repetitions, or give a list of names."
            )
        raise error(f"{where}: the pattern {text[:100]!a} takes too much memory. Give a list of names.")
    return [[names[k] for k in answer["matches"]] for answer in answers]
