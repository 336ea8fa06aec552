"""The choice of datasets by suite, for commands and functions that take ``--suite`` and ``--datasets``."""

from collections.abc import Iterable

from cme.errors import UsageError
from cme.paths import tasks_dir
from cme.suite.spec import DatasetSpec, datasets, select, with_training_rows
from cme.suite.suites import ALL, DEFAULT, SUITES, check_suite

__all__ = ["by_suite", "in_suite", "select_for_training", "selection", "suites_of"]


def in_suite(suite: str | None, names: Iterable[str] | None) -> tuple[str, ...] | None:
    """Return the names that `select` takes for datasets of a suite.

    Args:
        suite: name of a suite, or ``all``. None means the suites of the named datasets, and CME-22 without names.
        names: names of datasets or families, or None.

    Returns:
        The names as given; the families of the suite if none are given; None for the whole CME-22.

    Raises:
        UsageError: there is no such suite, or it does not have a named dataset.
    """
    given = None if names is None else tuple(names)
    if suite is None or (check_suite(suite) == ALL and given is not None):
        return given
    if given is not None:
        if other := [spec for spec in select(given) if spec.suite != suite]:
            raise UsageError(
                f"{other[0].name} is a dataset of {other[0].suite}, not of {suite}. Leave out the suite, or the dataset."
            )
        return given
    if suite == DEFAULT:
        return None
    chosen = tuple(dict.fromkeys(spec.family for spec in datasets(suite).values()))
    if not chosen:
        raise UsageError(f"{suite} has no datasets in {tasks_dir()}.")
    return chosen


def select_for_training(names: Iterable[str] | None) -> list[DatasetSpec]:
    """Return the chosen datasets that have training rows for a mix.

    Args:
        names: names of datasets or families; None for CME-22. Datasets without training rows are left out of families.

    Raises:
        UsageError: a name is neither a dataset nor a family, or a named dataset is for evaluation only.
    """
    given = None if names is None else tuple(names)
    known = datasets(ALL, beside=True)
    if without := [name for name in dict.fromkeys(given or ()) if name in known and not _in_mixes(known[name])]:
        verb, them = ("is", "it") if len(without) == 1 else ("are", "them")
        raise UsageError(
            f"{' and '.join(without)} {verb} for evaluation only, so no mix has training rows of {them}. Leave {them} out of the "
            "datasets of the mix."
        )
    return with_training_rows(select(given))


def _in_mixes(spec: DatasetSpec) -> bool:
    return spec.trains and not spec.beside


def by_suite(names: Iterable[str] | None) -> dict[str, tuple[str, ...]]:
    """Return the names of the chosen datasets of each suite, in the order of the suites.

    Args:
        names: names of datasets or families of any suites; see `in_suite`.
    """
    specs = select(names)
    return {suite: tuple(spec.name for spec in specs if spec.suite == suite) for suite in suites_of(specs)}


def selection(names: Iterable[str]) -> list[str]:
    """Return the options of a command that choose these datasets; none for the whole CME-22."""
    given = list(names)
    for suite in (*SUITES, ALL):
        if set(given) == set(datasets(suite)):
            return [] if suite == DEFAULT else ["--suite", suite]
    return ["--datasets", ",".join(given)]


def suites_of(specs: Iterable[DatasetSpec]) -> list[str]:
    """Return the names of the suites of some datasets, in the order of the suites."""
    present = {spec.suite for spec in specs}
    return [name for name in SUITES if name in present]
