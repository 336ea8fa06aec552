"""Writing the files of a report."""

from pathlib import Path

from cme.bench.adapters.plot import save
from cme.bench.adapters.report import AdapterReport
from cme.bench.adapters.table import markdown, ratios_csv
from cme.extras import optional
from cme.files import write_json, write_text

__all__ = ["write_report"]


def write_report(report: AdapterReport, out: Path) -> None:
    """Write ``report.json`` and ``table.md``, and the files ``ratios.csv``, ``ratios.svg`` and ``ratios.png`` of the ratios.

    A report without ratios has only the first two files. Without matplotlib (extra ``plots``), the figures are left out with a
    warning.

    Args:
        report: The report of the measurement.
        out: The output folder.
    """
    write_json(out / "report.json", report.to_dict())
    write_text(out / "table.md", markdown(report))
    if not report.ratios:
        return
    write_text(out / "ratios.csv", ratios_csv(report))
    with optional("The same numbers are in ratios.csv."):
        for name in ("ratios.svg", "ratios.png"):
            save(report, out / name)
