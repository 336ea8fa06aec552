"""``cme doctor``: what works here, and what to do about the rest."""

import os
from collections.abc import Mapping
from typing import Annotated

import typer

from cme.cli.app import emit_json, note, verb
from cme.cli.options import Json
from cme.cli.tables import show_table
from cme.errors import UsageError, unknown
from cme.extras import extra_checks
from cme.paths import DISTRIBUTION

__all__ = ["doctor"]

_Check = tuple[str, str, str]


@verb("doctor", epilog="Example: cme doctor data --source mirror/")
def doctor(
    what: Annotated[
        str | None, typer.Argument(help="data: every dataset's splits, columns, rows and commit.", show_default=False)
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--source", help="Also look through this source: mini or a mirror folder; with data: hub (default) too."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what works here.

    Checks versions, sources and the base model, or with 'data' all that the suite reads; exit code 1 if something that CME
    needs is missing or wrong. Another number of rows than published is told, but is no error: a mirror may hold a sample.
    """
    if what is not None:
        if what != "data":
            raise unknown("argument of doctor", what, ["data"])
        _data(source or "hub", as_json=as_json)
        return
    checks = [*_libraries(), *extra_checks(), *_machine(), _base(), *_sources(source)]
    if as_json:
        emit_json([{"what": what, "state": state, "detail": detail} for what, state, detail in checks])
    else:
        show_table(["what", "state", "detail"], checks)
    if any(state == "missing" for _, state, _ in checks):
        raise typer.Exit(1)


def _data(name: str, *, as_json: bool) -> None:
    """What a source has of every dataset; nothing is downloaded or locked by asking."""
    from dataclasses import asdict

    from cme.data.sources import is_mini, open_source
    from cme.data.sources.hub import HubSource
    from cme.data.sources.lock import Lock
    from cme.data.sources.mirror import MirrorSource
    from cme.data.sources.survey import survey
    from cme.env import lock_file
    from cme.progress import bar
    from cme.suite import datasets

    if is_mini(name):
        raise UsageError("the mini corpus has no files to look through. Give --source hub or a mirror folder.")
    source = open_source(name) if name != "hub" else HubSource(Lock.read(lock_file()).in_memory())
    assert isinstance(source, HubSource | MirrorSource)
    specs = datasets(beside=True).values()
    surveys = []
    with bar("Looking through", total=len(specs)) as shown:
        for spec in specs:
            shown.describe(f"Looking through {spec.name}")
            surveys.append(survey(spec, source))
            shown.advance()
    if as_json:
        emit_json([asdict(item) for item in surveys])
    else:
        columns = ["dataset", "state", "commit", "fixed by", "splits", "columns", "train rows", "eval rows"]
        rows = [
            [
                item.dataset,
                item.state,
                item.revision[:12],
                item.pinning,
                ", ".join(item.splits),
                len(item.columns),
                _of(item.rows, item.published, "train"),
                _of(item.rows, item.published, "eval"),
            ]
            for item in surveys
        ]
        show_table(columns, rows)
        for item in surveys:
            for problem in item.problems:
                note(f"{item.dataset}: {problem}")
        if others := sum(bool(item.warnings) for item in surveys):
            note(f"{others} datasets have more or fewer rows than published: a sample, or the hub has moved on.")
    if any(item.state in ("missing", "wrong") for item in surveys):
        raise typer.Exit(1)


def _of(rows: Mapping[str, int], published: Mapping[str, int], kind: str) -> str:
    return f"{rows.get(kind, 0):,} of {published[kind]:,}" if kind in published else ""


def _libraries() -> list[_Check]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    import cme

    checks: list[_Check] = [(DISTRIBUTION, "ok", cme.__version__)]
    try:
        requirements = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        hint = f"{cme.__version__}, run from its source and not installed: its requirements were not checked"
        return [(DISTRIBUTION, "ok", hint)]
    for text in requirements:
        requirement = Requirement(text)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(requirement.name)
        except PackageNotFoundError:
            checks.append((requirement.name, "missing", f"pip install '{requirement}'"))
            continue
        fits = requirement.specifier.contains(found, prereleases=True)
        detail = found if fits else f"{found}, but CME needs {requirement.specifier}: pip install '{requirement}'"
        checks.append((requirement.name, "ok" if fits else "missing", detail))
    return checks


def _machine() -> list[_Check]:
    from cme.env import cache_dir

    try:
        import torch
    except ImportError:
        return []
    if torch.cuda.is_available():
        device = f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(0)}"
    else:
        device = f"CPU, {torch.get_num_threads()} threads (no GPU: fine for the mini corpus and small bases)"
    return [("device", "ok", device), ("cache", "ok", f"{cache_dir()} (CME_CACHE)")]


def _base() -> _Check:
    from cme.models.embedded import EMBEDDED, INSTALL_HINT, gguf_file

    file = gguf_file()
    what = f"base {EMBEDDED}"
    return (what, "ok", str(file)) if file else (what, "optional", f"not installed; get it with: {INSTALL_HINT}")


def _sources(source: str | None) -> list[_Check]:
    from cme.data.sources import open_source
    from cme.env import data_source
    from cme.suite import datasets

    offline = os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")
    checks: list[_Check] = [
        ("source mini", "ok", "the invented corpus, no network"),
        (
            "source hub",
            "off" if offline else "ok",
            "HF_HUB_OFFLINE is set" if offline else "not asked here; 'cme doctor data' does",
        ),
        ("plain lm_eval reads", "ok", f"{data_source()} (CME_DATA_SOURCE)"),
    ]
    if source:
        opened = open_source(source)
        for spec in datasets().values():
            lacking = [*opened.missing(spec, "train").values(), *opened.missing(spec, "eval").values()]
            detail = f"lacks {', '.join(lacking)}" if lacking else "all splits are there"
            checks.append((f"{source}: {spec.name}", "missing" if lacking else "ok", detail))
    return checks
