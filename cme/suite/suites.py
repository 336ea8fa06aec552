"""The suites: which families belong together, and what their average is called.

Every family belongs to exactly one suite, so the suite of a dataset, a result or an entry follows from its datasets. Averages and
tables never mix suites.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cme.errors import UsageError, unknown
from cme.suite.families import FAMILIES, REASONING_FAMILIES

__all__ = ["ALL", "DEFAULT", "SUITES", "Suite", "check_suite", "suite_of_families", "suite_of_family"]

DEFAULT = "cme-22"
"""The suite that is meant if none is named."""

ALL = "all"
"""What stands for every suite where several can be chosen."""


@dataclass(frozen=True)
class Suite:
    """A set of families with an average of its own.

    Attributes:
        name: name on the command line, such as ``cme-22``.
        title: name in texts, such as ``CME-22``.
        families: its families, in the order of tables.
        group: lm-eval's group of all its tasks.
        average: what its average is called in tables.
    """

    name: str
    title: str
    families: tuple[str, ...]
    group: str
    average: str

    def named(self, text: str) -> str:
        """Return a text about the CME average with the name of this suite's average in its place."""
        return text.replace(SUITES[DEFAULT].average, self.average)


SUITES = {
    "cme-22": Suite("cme-22", "CME-22", FAMILIES, "cme", "CME average"),
    "cme-r": Suite("cme-r", "CME-R", REASONING_FAMILIES, "cme_r", "CME-R average"),
}
"""The suites by name. A row of the mix is compared with the evaluation rows of its own suite and of the suites before it."""


def check_suite(name: str, *, several: bool = True) -> str:
    """Return the name of a suite, if it exists.

    Args:
        name: name of a suite, or ``all``.
        several: whether ``all`` may be chosen.

    Raises:
        UsageError: there is no such suite. The message offers the nearest name.
    """
    known = [*SUITES, *([ALL] if several else [])]
    if name == ALL and not several:
        raise UsageError(f"suite is 'all', but one suite is needed here. Choose {' or '.join(SUITES)}.")
    if name not in known:
        raise unknown("suite", name, known)
    return name


def suite_of_family(family: str) -> Suite:
    """Return the suite of a family.

    Raises:
        UsageError: there is no such family.
    """
    for suite in SUITES.values():
        if family in suite.families:
            return suite
    raise unknown("family", family, [family for suite in SUITES.values() for family in suite.families])


def suite_of_families(families: Iterable[str]) -> Suite:
    """Return the one suite of some families.

    Args:
        families: at least one family, all of one suite.

    Raises:
        UsageError: the families belong to several suites.
    """
    suites = list({suite.name: suite for suite in map(suite_of_family, families)}.values())
    if len(suites) != 1:
        titles = " and ".join(suite.title for suite in suites) or "no suite"
        raise UsageError(f"the datasets are of {titles}, whose averages are never mixed. Choose datasets of one suite.")
    return suites[0]
