"""Packages of the optional extras, and the message if one is missing."""

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from cme.errors import CMEWarning, MissingExtraError

__all__ = ["EXTRAS", "extra_checks", "install_line", "need", "optional"]

EXTRAS = {
    "leaderboard": ("vl-convert-python", "vl_convert", "the page of a leaderboard"),
    "plots": ("matplotlib", "matplotlib", "pictures as SVG and PNG"),
    "images": ("pillow", "PIL", "questions about images"),
    "boards": ("ray", "ray", "boards on a cluster"),
}
"""Maps each extra to its package, the module to import, and its purpose."""


def install_line(extra: str) -> str:
    """Return the command that installs an extra.

    Example:
        >>> install_line("plots")
        'pip install "cme-bench[plots]"'
    """
    return f'pip install "cme-bench[{extra}]"'


def extra_checks() -> list[tuple[str, str, str]]:
    """Return what ``cme doctor`` reports about the extras.

    Returns:
        (package, state, detail) per extra; the state is ``ok`` or ``optional``.
    """
    from importlib.metadata import PackageNotFoundError, version

    checks = []
    for extra, (package, _, purpose) in EXTRAS.items():
        try:
            checks.append((package, "ok", f"{version(package)}, for {purpose}"))
        except PackageNotFoundError:
            checks.append(
                (package, "optional", f"not installed (for {purpose}). Install it with: {install_line(extra)}")
            )
    return checks


def need(module: str, *, extra: str, for_: str) -> ModuleType:
    """Import a module that comes with an extra.

    Args:
        module: name of the module, such as ``matplotlib``.
        extra: the extra that installs it, one of `EXTRAS`.
        for_: the feature that needs it, as the subject of the error message.

    Returns:
        The module.

    Raises:
        MissingExtraError: if the module is not installed. The message has the command that installs it.

    Example:
        >>> need("json", extra="plots", for_="This picture").__name__
        'json'
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
    package = next((package for package, name, _ in EXTRAS.values() if name == module), module)
    raise MissingExtraError(f"{for_} needs {package}, which is not installed. Install it with: {install_line(extra)}.")


@contextmanager
def optional(instead: str) -> Iterator[None]:
    """Skip the rest of the block with a warning if it needs an extra that is not installed.

    Args:
        instead: a sentence that says what the user gets without the extra.

    Example:
        >>> with optional("The same numbers are in overlap.csv."):
        ...     need("matplotlib", extra="plots", for_="overlap.svg")  # doctest: +SKIP
    """
    try:
        yield
    except MissingExtraError as error:
        warnings.warn(f"{error} {instead}", CMEWarning, stacklevel=3)
