"""Regular expressions that strangers wrote: matched in a process of their own, with a time limit and a memory limit.

A pattern such as ``(a+)+$`` takes longer than anybody waits, and Python's engine cannot be interrupted by another thread. The
patterns are those of PEFT, which matches them with Python's ``re``: another engine would find other names.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence

from cme.errors import CMEError, UsageError
from cme.readers.limits import PATTERN_CHARACTERS, PATTERN_MEMORY, PATTERN_NAMES, PATTERN_SECONDS

__all__ = ["check_pattern", "full_matches"]

_CHILD = """
import json, re, sys
try:
    import resource
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
except (ImportError, OSError, ValueError):
    pass
pattern, names = json.load(sys.stdin)
try:
    compiled = re.compile(pattern)
    print(json.dumps({"matches": [k for k, name in enumerate(names) if compiled.fullmatch(name)]}))
except (re.error, RecursionError, OverflowError, MemoryError) as error:
    print(json.dumps({"problem": str(error) or type(error).__name__}))
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
    if len(pattern) > PATTERN_CHARACTERS or len(names) > PATTERN_NAMES:
        raise error(
            f"{where}: a pattern of {len(pattern):,} characters for {len(names):,} names; {PATTERN_CHARACTERS:,} characters and "
            f"{PATTERN_NAMES:,} names are allowed. Give a list of names."
        )
    if re.escape(pattern) == pattern:
        # Without any special character it matches itself alone.
        return [name for name in names if name == pattern]
    command = [sys.executable, "-I", "-S", "-c", _CHILD, str(PATTERN_MEMORY)]
    try:
        done = subprocess.run(
            command,
            input=json.dumps([pattern, list(names)]).encode(),
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise error(
            f"{where}: the pattern {pattern[:100]!a} takes more than {seconds:g} s for {len(names):,} names. Write it without "
            "repetitions inside of repetitions, or give a list of names."
        ) from None
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise error(f"{where}: the pattern {pattern[:100]!a} takes too much memory. Give a list of names.") from None
    if "problem" in answer:
        raise error(f"{where}: {pattern[:100]!a} is not a valid regular expression: {answer['problem'][:200]}.")
    return [names[k] for k in answer["matches"]]


def check_pattern(pattern: str, where: str, *, error: type[CMEError] = UsageError) -> None:
    """Check that a text is a regular expression that can be compiled.

    Raises:
        UsageError: (or ``error``) it is not.
    """
    full_matches(pattern, [], where, error=error)
