"""Writes the tables and figures of an analysis."""

from pathlib import Path

from cme.analysis.figures import LayerLoad, figures
from cme.analysis.load_tables import LOAD_TABLE, layer_phi
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
        for name, draw in figures(record, _distinguishing_layer(record, out)).items():
            for suffix in ("svg", "png"):
                write_figure(draw, out / f"{name}.{suffix}")


def _distinguishing_layer(record: Analysis, out: Path) -> LayerLoad | None:
    """Return the load of the layer whose router distinguishes subjects most; None without subjects."""
    if record.load is None or record.load.subjects is None:
        return None
    information = record.load.subjects.by_layer
    layer = record.load.layers[information.index(max(information))]
    return LayerLoad(layer, layer_phi(out / LOAD_TABLE, layer))
