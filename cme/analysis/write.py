"""Writes the tables and figures of an analysis."""

from functools import partial
from pathlib import Path

from cme.analysis.figures import figures
from cme.analysis.markdown import analysis_markdown
from cme.extras import optional
from cme.files import write_text
from cme.records.analysis import Analysis
from cme.reports import write_figure

__all__ = ["write_report"]


def write_report(record: Analysis, out: Path) -> None:
    """Write ``analysis.md`` and the figures as SVG and PNG. Without matplotlib, the figures are left out with a warning.

    Args:
        record: the analysis.
        out: the output folder.
    """
    write_text(out / "analysis.md", analysis_markdown(record))
    with optional("The same numbers are in analysis.json and analysis.md."):
        for name, draw in figures(record).items():
            for suffix in ("svg", "png"):
                write_figure(partial(draw, record), out / f"{name}.{suffix}")
