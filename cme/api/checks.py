"""Checks of the installation and of sources, and the download of a mirror."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cme.api.call import StrPath, chosen_datasets, names, path, public
from cme.errors import CMEError, UsageError, unknown
from cme.extras import extra_checks
from cme.paths import DISTRIBUTION

if TYPE_CHECKING:
    import pandas as pd

    from cme.data.sources.download import Downloaded
    from cme.data.sources.survey import Survey

__all__ = ["Checkup", "DataCheckup", "Download", "doctor", "doctor_data", "download"]

_BAD = ("missing", "wrong")
_KINDS = ("train", "eval")


@dataclass(frozen=True)
class Checkup:
    """The checks of an installation.

    Attributes:
        checks: tuples (what, state, detail). The state is ``ok``, ``off``, ``optional`` or ``missing``.
    """

    checks: tuple[tuple[str, str, str], ...]

    @property
    def ok(self) -> bool:
        """Whether everything that CME needs is there."""
        return all(state != "missing" for _, state, _ in self.checks)

    def to_frame(self) -> "pd.DataFrame":
        """Return one row per check with ``what``, ``state`` and ``detail``."""
        import pandas as pd

        return pd.DataFrame(self.checks, columns=["what", "state", "detail"])


@dataclass(frozen=True)
class DataCheckup:
    """The checks of a source.

    Attributes:
        surveys: what the source has of each dataset.
    """

    surveys: tuple["Survey", ...]

    @property
    def ok(self) -> bool:
        """Whether all files and columns are there and correct. Unexpected numbers of rows are warnings only."""
        return all(item.state not in _BAD for item in self.surveys)

    @property
    def problems(self) -> list[str]:
        """What is missing or wrong. Each item starts with the dataset's name."""
        return [f"{item.dataset}: {problem}" for item in self.surveys for problem in item.problems]

    @property
    def warnings(self) -> list[str]:
        """Differences from the published data that may be intended. Each item starts with the dataset's name."""
        return [f"{item.dataset}: {warning}" for item in self.surveys for warning in item.warnings]


@dataclass(frozen=True)
class Download(DataCheckup):
    """A mirror folder after a download.

    Attributes:
        surveys: what the folder has of each dataset.
        splits: the files of each split.
    """

    splits: tuple["Downloaded", ...] = ()


@public
def doctor(*, source: str | None = None) -> Checkup:
    """Check versions, sources and the base model: ``cme doctor``.

    Args:
        source: a source to check as well: ``mini``, a mirror folder or ``NAME=DIR``.

    Returns:
        The checks.

    Raises:
        CMEError: if the source does not exist.

    Example:
        >>> cme.doctor().ok
        True
    """
    return Checkup((*_libraries(), *extra_checks(), *_machine(), _sandbox(), _base(), *_sources(source)))


@public
def doctor_data(*, source: str = "hub", suite: str | None = None) -> DataCheckup:
    """Check the splits, columns, rows and commit of every dataset in a source: ``cme doctor data``.

    Nothing is downloaded.

    Args:
        source: ``hub``, a mirror folder or ``NAME=DIR``.
        suite: ``cme-22``, ``cme-r`` or ``all``. None means ``cme-22``.

    Returns:
        The checks.

    Raises:
        CMEError: if the source or the suite does not exist.

    Example:
        >>> cme.doctor_data(source="mirror/").problems  # doctest: +SKIP
    """
    from cme.data.sources import is_mini, open_source
    from cme.data.sources.hub import HubSource
    from cme.data.sources.lock import Lock
    from cme.data.sources.mirror import MirrorSource
    from cme.data.sources.survey import survey
    from cme.env import lock_file
    from cme.progress import bar
    from cme.suite import datasets
    from cme.suite.suites import DEFAULT, check_suite

    chosen = check_suite(suite or DEFAULT)
    if is_mini(source):
        raise UsageError("the source 'mini' has no files to check. Give 'hub' or a mirror folder as source.")
    opened = open_source(source) if source != "hub" else HubSource(Lock.read(lock_file()).in_memory())
    assert isinstance(opened, HubSource | MirrorSource)
    specs = datasets(chosen, beside=True).values()
    surveys = []
    with bar("Checking", total=len(specs)) as shown:
        for spec in specs:
            shown.describe(f"Checking {spec.name}")
            surveys.append(survey(spec, opened))
            shown.advance()
    return DataCheckup(tuple(surveys))


@public
def download(
    out: StrPath,
    *,
    suite: str | None = None,
    datasets: str | Sequence[str] | None = None,
    splits: str | Sequence[str] = "train,eval",
    update_lock: bool = False,
) -> Download:
    """Fetch the suite's files from the hub into a mirror folder that works offline: ``cme download``.

    After an interruption the same call continues.

    Args:
        out: mirror folder. Files that it already has are not fetched again.
        suite: ``cme-22``, ``cme-r`` or ``all``. None means the suite of the named datasets, and ``cme-22`` if none is named.
        datasets: dataset or family names, as a list or separated by commas. None means all of the suite.
        splits: ``train``, ``eval`` or both.
        update_lock: first update ``cme.lock`` to the current commits on the hub.

    Returns:
        The files of the folder, and what it has of each dataset.

    Raises:
        CMEError: if a name is unknown, or the hub cannot be reached.

    Example:
        >>> cme.download("mirror", datasets="qqp,arc").ok  # doctest: +SKIP
    """
    from cme.data.sources.download import download as fetch
    from cme.data.sources.lock import Lock
    from cme.data.sources.mirror import MirrorSource
    from cme.data.sources.survey import survey
    from cme.env import lock_file
    from cme.suite import datasets as suite_datasets
    from cme.suite import select
    from cme.suite.suites import DEFAULT

    kinds = names(splits) or ()
    for kind in kinds:
        if kind not in _KINDS:
            raise unknown("split", kind, _KINDS)
    folder, chosen = path(out), chosen_datasets(suite, datasets)
    specs = select(chosen) if datasets else list(suite_datasets(suite or DEFAULT, beside=True).values())
    files = fetch(folder, specs, kinds, Lock.read(lock_file()), update=update_lock)
    mirror = MirrorSource(folder)
    return Download(tuple(survey(spec, mirror, kinds) for spec in specs), tuple(files))


def _libraries() -> list[tuple[str, str, str]]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    import cme

    checks = [(DISTRIBUTION, "ok", cme.__version__)]
    try:
        requirements = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        hint = f"{cme.__version__}, not installed but run from its source; its requirements were not checked"
        return [(DISTRIBUTION, "ok", hint)]
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            checks.append((requirement.name, "missing", f"pip install '{requirement}'"))
            continue
        fits = requirement.specifier.contains(installed, prereleases=True)
        detail = (
            installed if fits else f"{installed}, but CME needs {requirement.specifier}: pip install '{requirement}'"
        )
        checks.append((requirement.name, "ok" if fits else "missing", detail))
    return checks


def _sandbox() -> tuple[str, str, str]:
    from cme.sandbox import RUN_CODE, open_isolation

    try:
        open_isolation(RUN_CODE[0])
    except CMEError as error:
        return ("sandbox", "optional", f"only for --run-code (mbpp, humaneval): {error}")
    return ("sandbox", "ok", "bubblewrap, for --run-code (mbpp, humaneval)")


def _machine() -> list[tuple[str, str, str]]:
    from cme.env import cache_dir

    try:
        import torch
    except ImportError:
        return []
    if torch.cuda.is_available():
        device = f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(0)}"
    else:
        device = f"CPU, {torch.get_num_threads()} threads; no GPU (enough for the mini corpus and small bases)"
    return [("device", "ok", device), ("cache", "ok", f"{cache_dir()} (CME_CACHE)")]


def _base() -> tuple[str, str, str]:
    from cme.models.embedded import EMBEDDED, INSTALL_HINT, gguf_file

    file = gguf_file()
    what = f"base {EMBEDDED}"
    return (what, "ok", str(file)) if file else (what, "optional", f"not installed; get it with: {INSTALL_HINT}")


def _sources(source: str | None) -> list[tuple[str, str, str]]:
    from cme.data.sources import open_source
    from cme.env import data_source
    from cme.suite import datasets

    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    checks = [
        ("source mini", "ok", "the synthetic corpus; no network is used"),
        (
            "source hub",
            "off" if offline else "ok",
            "HF_HUB_OFFLINE is set" if offline else "not contacted; 'cme doctor data' checks it",
        ),
        ("source of plain lm_eval", "ok", f"{data_source()} (CME_DATA_SOURCE)"),
    ]
    if source:
        opened = open_source(source)
        for spec in datasets().values():
            lacking = [*opened.missing(spec, "train").values(), *opened.missing(spec, "eval").values()]
            detail = f"lacks {', '.join(lacking)}" if lacking else "has all splits"
            checks.append((f"{source}: {spec.name}", "missing" if lacking else "ok", detail))
    return checks
