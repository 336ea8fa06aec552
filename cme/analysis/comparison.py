"""The table "Experts in use" of several analyses."""

from collections.abc import Sequence

from cme.analysis.texts import has_intervals, share_text
from cme.records.analysis import Analysis
from cme.reports import markdown_table

__all__ = ["experts_in_use"]

_COLUMNS = (
    "run",
    "method",
    "experts",
    "effective experts",
    "entropy / ln k",
    "φ > 0.9",
    "subjects: % of ln k",
    "p",
    "top 1: share of gain",
    "Spearman φ and Shapley",
)


def experts_in_use(records: Sequence[Analysis]) -> str:
    """Return the table as Markdown. Cells of parts that were not done are empty.

    Args:
        records: the analyses, one row each.
    """
    return markdown_table(_COLUMNS, [_row(record) for record in records])


def _row(record: Analysis) -> list[str]:
    row = [record.name, record.adapter.method, f"{record.experts} × {record.rank}"]
    load = record.load
    if load is None:
        row += [""] * 5
    else:
        whole, test = load.prompt[0], load.subjects
        row += [f"{whole.effective:.2f}", f"{whole.entropy:.3f}", f"{100 * whole.confident:.1f} %"]
        row += ["", ""] if test is None else [f"{100 * test.share:.2g}", f"{test.p:.3g}"]
    top = next((item for item in record.redundancy if item.name == "top1"), None)
    row.append("" if top is None else share_text(top.share_of_gain["average"], intervals=has_intervals(record)))
    agreement = None if record.shapley is None else record.shapley.agreement
    if agreement is None or agreement.value is None:
        row.append("")
    elif agreement.low is None or agreement.high is None:
        row.append(f"{agreement.value:z.2f}")
    else:
        row.append(f"{agreement.value:z.2f} ({agreement.low:z.2f} to {agreement.high:z.2f})")
    return row
