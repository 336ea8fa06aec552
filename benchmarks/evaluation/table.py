"""Tables of a report for the terminal and as Markdown."""

import statistics
from collections.abc import Iterable, Sequence

from benchmarks.evaluation.agreement import TIE
from benchmarks.evaluation.report import DatasetCost, EvalReport, Side, Total
from benchmarks.evaluation.timing import SIDES
from cme.bench.adapters.table import ABSENT, machine
from cme.reports import markdown_table

__all__ = ["cost_rows", "growth_rows", "markdown", "memory_note", "memory_rows", "notes", "total_rows", "work_rows"]

_SIDES = ["lm-eval s", "cme s", "lm-eval / cme", "max Δ log-prob", "decisions ≠ (ties)", "texts ≠"]
_WORK = (("positions", "positions"), ("tokens", "tokens"), ("passes", "forwards"))

Table = tuple[list[str], list[list[str]]]


def cost_rows(report: EvalReport) -> Table:
    """Return the columns and rows of the costs, with one row per dataset."""
    rows = [[cost.dataset, cost.answers, str(cost.rows), *_cells(cost), *_answers(cost)] for cost in report.datasets]
    return ["dataset", "answers", "rows", *_SIDES], rows


def total_rows(report: EvalReport) -> Table:
    """Return the columns and rows of the totals, with one row per group of datasets."""
    rows = [
        [
            total.name,
            str(total.datasets),
            str(total.rows),
            *_cells(total),
            ABSENT if total.gap is None else f"{total.gap:.1e}",
            ABSENT if total.gap is None else f"{total.decisions} ({total.ties})",
            str(total.texts) if total.gap is None else ABSENT,
        ]
        for total in report.totals
    ]
    return ["together", "datasets", "rows", *_SIDES], rows


def work_rows(report: EvalReport) -> Table:
    """Return the columns and rows of the amount of computation, with one row per dataset and per group."""
    items: list[tuple[str, DatasetCost | Total]] = [(cost.dataset, cost) for cost in report.datasets]
    items += [(f"together: {total.name}", total) for total in report.totals]
    columns = [f"{what} {side}" for what, _ in _WORK for side in SIDES]
    rows = [
        [name, *(f"{getattr(side.counts, field):,}" for _, field in _WORK for side in (item.stock, item.engine))]
        for name, item in items
    ]
    return ["computed", *columns], rows


def growth_rows(report: EvalReport) -> Table:
    """Return the columns and rows of the growth of time, with one row per size."""
    rows = [
        [
            point.axis,
            str(point.size),
            str(point.rows),
            f"{point.stock:.3f}",
            f"{point.engine:.3f}",
            f"{point.stock / point.engine:.2f}",
            f"{1e3 * point.stock / point.rows:.1f}",
            f"{1e3 * point.engine / point.rows:.1f}",
        ]
        for point in report.growth
    ]
    return ["grows", "to", "rows", "lm-eval s", "cme s", "lm-eval / cme", "lm-eval ms/row", "cme ms/row"], rows


def memory_rows(report: EvalReport) -> Table:
    """Return the columns and rows of the peak memory, with one row per side."""
    rows = [
        [
            memory.side,
            f"{memory.peak_bytes / 2**20:,.0f}",
            ABSENT if memory.above_bytes is None else f"{memory.above_bytes / 2**20:,.0f}",
            ", ".join(memory.datasets),
        ]
        for memory in report.memory
    ]
    return ["side", "peak MiB", "above the start MiB", "datasets"], rows


def notes(report: EvalReport) -> list[str]:
    """Return notes that explain the tables, one per line."""
    rounds = report.settings.rounds
    return [
        f"Both sides ran in one process for {rounds} round{'s' * (rounds > 1)}, in alternating order. Times cover everything "
        "from the requests as text to the answers. Times and ratios are medians over the rounds. A ratio above 1 means that "
        "CME is faster. Positions include padding, and tokens do not. Once per round, CME checks its first batches of each kind "
        "against plain passes. Its times and counts include this check, which matters most with few rows.",
        *_batch_notes(report),
        *_differences(report.datasets),
        *(f"{cost.dataset}: CME used lm-eval's own code ({cost.used})." for cost in _plain(report)),
        *([f"Adapter: {report.settings.adapter}."] if report.settings.adapter else []),
    ]


def markdown(report: EvalReport) -> str:
    """Format the whole report as a Markdown page."""
    lines = ["# Cost of an evaluation", ""]
    lines += [f"{note}\n" for note in notes(report)]
    lines += [markdown_table(*total_rows(report)), "", markdown_table(*cost_rows(report))]
    lines += ["", "## Amount of computation", "", markdown_table(*work_rows(report))]
    if report.growth:
        lines += ["", f"## Growth ({report.growth[0].dataset})", ""]
        lines += ["The options are pairs of words from the prompt of the row.", ""]
        lines += [markdown_table(*growth_rows(report))]
    if report.memory:
        lines += ["", f"## Peak memory ({memory_note(report)})", "", markdown_table(*memory_rows(report))]
    lines += ["", machine(report.surroundings) + "."]
    if report.surroundings.command:
        lines += ["", f"Command: `{' '.join(report.surroundings.command)}`"]
    return "\n".join(lines) + "\n"


def memory_note(report: EvalReport) -> str:
    """Describe the figures of memory."""
    if report.memory_kind == "resident set":
        return "maximum resident set of one process per side, on the dataset with the longest prompts of each kind"
    return "maximum of CUDA's allocator over all datasets"


def _cells(cost: DatasetCost | Total) -> list[str]:
    stock, engine = cost.stock, cost.engine
    spread = [one / other for one, other in zip(stock.seconds, engine.seconds, strict=True)]
    extent = f" [{min(spread):.2f}, {max(spread):.2f}]" if len(spread) > 1 else ""
    return [_seconds(stock), _seconds(engine), f"{cost.ratio:.2f}{extent}"]


def _seconds(side: Side) -> str:
    return f"{statistics.median(side.seconds):.2f}"


def _answers(cost: DatasetCost) -> list[str]:
    agreement = cost.agreement
    if agreement.gap is None:
        return [ABSENT, ABSENT, str(len(agreement.texts))]
    ties = sum(item.tie for item in agreement.decisions)
    return [f"{agreement.gap:.1e}", f"{len(agreement.decisions)} ({ties})", ABSENT]


def _batch_notes(report: EvalReport) -> Iterable[str]:
    for choice in report.batches:
        what = "choices" if choice.kind == "choice" else "texts"
        if choice.seconds:
            tried = ", ".join(f"{size}: {seconds:.2f} s" for size, seconds in choice.seconds.items())
            how = f"the fastest on the first rows of {', '.join(choice.datasets)} ({tried})"
        else:
            how = "as requested"
        cached = " Its logits_cache is on." if choice.kind == "choice" else ""
        yield f"lm-eval's batch size for {what} is {choice.size}, {how}.{cached}"


def _differences(costs: Sequence[DatasetCost]) -> Iterable[str]:
    for cost in costs:
        for item in cost.agreement.decisions:
            what = f"a tie within {TIE:.0e}" if item.tie else f"lm-eval's margin is {item.margin:.1e}"
            yield f"{cost.dataset} {item.id}: lm-eval chooses option {item.stock} and CME option {item.engine} ({what})."
        if cost.agreement.texts:
            yield f"{cost.dataset}: the generated texts differ for {', '.join(cost.agreement.texts)}."


def _plain(report: EvalReport) -> Iterable[DatasetCost]:
    return (cost for cost in report.datasets if cost.used != "prefix")
