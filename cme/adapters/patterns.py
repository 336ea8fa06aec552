"""Regular expressions in an adapter's configuration, tried under a time limit before PEFT applies them.

PEFT matches names of modules by Python's ``re``, which can take years on a pattern such as ``(a+)+b``. The patterns are
therefore matched once in a process of their own, by the same engine, on the same names.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from cme.errors import UsageError

__all__ = ["check_patterns"]

_SECONDS = 10
_MOST_NAMES = 1_000
"""Names in one list, or as many as the base has modules: more cannot all be there, and PEFT compares each with each."""

_ALL_LINEAR = "all-linear"
_LISTS = ("target_modules", "exclude_modules", "target_parameters", "modules_to_save")
_CODE = """
import json, re, sys
wanted = json.load(sys.stdin)
for where, pattern in wanted["patterns"]:
    print(json.dumps(where), flush=True)
    matcher = re.compile(pattern)
    for name in wanted["names"]:
        matcher.match(name)
        matcher.fullmatch(name)
"""


def check_patterns(values: Mapping[str, Any], modules: Iterable[str]) -> None:
    """Try every regular expression of a PEFT configuration on a base's module names.

    Args:
        values: the configuration's fields.
        modules: names of the base's modules.

    Raises:
        UsageError: no regular expression, one that takes longer than ten seconds, or a list of more names than the base has
            modules (and than a thousand).
    """
    modules = list(modules)
    most = max(_MOST_NAMES, len(modules))
    for key in _LISTS:
        names = values.get(key)
        if isinstance(names, list | set | tuple) and len(names) > most:
            raise UsageError(
                f"{key} has {len(names):,} names, but the base has {len(modules):,} modules. Give a list of at most {most:,}."
            )
    patterns = list(_patterns(values))
    if not patterns:
        return
    wanted = json.dumps({"patterns": patterns, "names": modules})
    command = [sys.executable, "-I", "-S", "-c", _CODE]
    try:
        done = subprocess.run(command, input=wanted, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        reached = (output.decode() if isinstance(output, bytes) else output).strip().splitlines()
        where = json.loads(reached[-1]) if reached else patterns[0][0]
        raise UsageError(
            f"{where} takes longer than {_SECONDS} seconds to match the base's module names. Write it without nested "
            "repetitions such as (a+)+, or give a list of names."
        ) from error
    if done.returncode:
        reached = done.stdout.strip().splitlines()
        where = json.loads(reached[-1]) if reached else patterns[0][0]
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it cannot be matched"
        raise UsageError(f"{where} is no regular expression: {reason.partition(': ')[2] or reason}.")


def _patterns(values: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """What PEFT hands to ``re``, and what to call it."""
    for key in ("target_modules", "exclude_modules"):
        pattern = values.get(key)
        if isinstance(pattern, str) and pattern != _ALL_LINEAR:
            yield f"{key}: {_short(pattern)}", pattern
    for key in ("rank_pattern", "alpha_pattern"):
        entries = values.get(key)
        if isinstance(entries, Mapping):
            yield from ((f"{key}: {_short(name)}", rf"(.*\.)?({name})$") for name in entries if isinstance(name, str))
    lists = values.get("layers_pattern")
    for name in [lists] if isinstance(lists, str) else lists or ():
        if isinstance(name, str):
            yield f"layers_pattern: {_short(name)}", rf".*\.{name}\.(\d+)\."


def _short(pattern: str) -> str:
    return repr(pattern if len(pattern) <= 80 else f"{pattern[:77]}...")
