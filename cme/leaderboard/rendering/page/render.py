"""Rendering of the page: template, style, scripts, plotting library and data in one file."""

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from cme.leaderboard.entries.chosen_rows import tier_text
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.rendering.page.data import page_data
from cme.leaderboard.rendering.page.experts import page_experts
from cme.leaderboard.rendering.page.library import library
from cme.leaderboard.rendering.page.pack import json_for_html
from cme.leaderboard.rendering.page.samples import page_samples
from cme.leaderboard.rendering.page.texts import page_texts
from cme.leaderboard.rendering.paper import Paper
from cme.suite.suites import DEFAULT
from cme.templates import environment

__all__ = ["LIMIT", "render_page"]

_ASSETS = Path(__file__).parent / "assets"
_SCRIPTS: tuple[str, ...] = ("core", "table", "ranking", "scores", "plots", "samples", "details", "start")
"""Scripts in the order in which they run."""

_EXPERTS = "experts"
"""Script and style of the section about experts, which only boards with analyses have."""

LIMIT = 2_000_000
"""Most bytes of a page. Single samples are included as far as they fit, and then the texts of samples."""

_SPARE = 100


def render_page(standing: Standing, entries_dir: Path, paper: Paper) -> str:
    """Render the page.

    Args:
        standing: the compared rows.
        entries_dir: folder of the entries; the samples are in the folder ``samples`` beside it.
        paper: the reported rows.

    Returns:
        A complete HTML document that needs no network. Equal entries give identical bytes.

    Raises:
        CMEError: a samples file is missing or damaged.
    """
    values, experts = page_data(standing), page_experts(standing)
    names, style = _SCRIPTS, _asset("page.css")
    if experts is not None:
        values["experts"] = experts
        names, style = (*_SCRIPTS, _EXPERTS), style + _asset(f"{_EXPERTS}.css")
    app = standing.suite.named(_app(names))
    parts = {
        "shared": _shared(standing),
        "rows": len(standing.rows),
        "paper": paper if standing.suite.name == DEFAULT else None,
        "experts": experts is not None,
        "style": style,
        "app": app,
        "library": library(),
        "hashes": [_csp_hash(app), _csp_hash(library())],
    }
    page = environment(_ASSETS, autoescape=True).get_template("page.html.j2")

    def bytes_left() -> int:
        return LIMIT - len(page.render(**parts, data=json_for_html(values)).encode()) - _SPARE

    current = [*standing.rows, *standing.repeats, *standing.references]
    values["samples"] = page_samples(current, entries_dir, bytes_left())
    shown = {name: item["ids"] for name, item in values["samples"]["datasets"].items()}
    values["samples"]["texts"] = page_texts(current, shown, bytes_left())
    return standing.suite.named(page.render(**parts, data=json_for_html(values)))


def _app(names: Sequence[str]) -> str:
    """Return the page's scripts in one function scope, apart from the global names of the plotting library."""
    return "(() => {\n" + "\n".join(_asset(f"{name}.js") for name in names) + "})();\n"


def _asset(name: str) -> str:
    return (_ASSETS / name).read_text(encoding="utf-8")


def _shared(standing: Standing) -> dict[str, str]:
    """Return the settings of the ranked rows, by their names on the page."""
    entries = standing.entries
    if not entries:
        return {}
    first = entries[0]
    return {
        "base": f"{first.base} ({first.base_fingerprint[:12]})" if first.base else "none",
        "tier": tier_text(first),
        "source": first.source,
        "prompt format": first.prompt_format or "none",
        "shots": str(first.shots),
        "scorer version": str(first.scorer_version),
    }


def _csp_hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
