"""``cme doctor``: what works here, and what to do about the rest."""

import os
from typing import Annotated

import typer

from cme.cli.app import emit_json, verb
from cme.cli.options import Json
from cme.cli.tables import show_table

__all__ = ["doctor"]

_Check = tuple[str, str, str]


@verb("doctor", epilog="Example: cme doctor")
def doctor(
    source: Annotated[
        str | None, typer.Option("--source", help="Also look through this source: mini or a mirror folder.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say what works here.

    Checks versions, sources and the base model; exit code 1 if something that CME needs is missing.
    """
    checks = [*_libraries(), *_machine(), _base(), *_sources(source)]
    if as_json:
        emit_json([{"what": what, "state": state, "detail": detail} for what, state, detail in checks])
    else:
        show_table(["what", "state", "detail"], checks)
    if any(state == "missing" for _, state, _ in checks):
        raise typer.Exit(1)


def _libraries() -> list[_Check]:
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    import cme

    checks: list[_Check] = [("cme", "ok", cme.__version__)]
    for text in requires("cme") or []:
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
            "HF_HUB_OFFLINE is set" if offline else "not asked here; 'cme build-data' will",
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
