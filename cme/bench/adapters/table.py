"""Tables of a report for the terminal, as Markdown and as CSV."""

from cme.bench.adapters.ratios import LEVEL, Ratio
from cme.bench.adapters.report import AdapterReport, CaseCost, ModeCost, Surroundings
from cme.bench.adapters.reported import Beside
from cme.bench.adapters.settings import BASE
from cme.frames import csv_text
from cme.reports import markdown_table

__all__ = ["ABSENT", "cost_rows", "legend", "machine", "markdown", "ratios_csv", "reported_rows"]

ABSENT = "–"
_CI = f"[{LEVEL:.0%} CI]"

Rows = list[list[str]]


def cost_rows(report: AdapterReport) -> tuple[list[str], Rows]:
    """Return the columns and rows of the costs, with one row per mode and case."""
    columns = ["mode", "case", "rank", "trainable", "GFLOP", "peak MiB", "peak / LoRA", "ms [quartiles]", "tokens/s"]
    columns += [f"time / LoRA {_CI}", f"time / base {_CI}"]
    rows = [
        _row(report, case, cost)
        for mode in report.settings.modes
        for case in report.cases
        for cost in case.modes
        if cost.mode == mode
    ]
    return columns, rows


def _row(report: AdapterReport, case: CaseCost, cost: ModeCost) -> list[str]:
    seconds = cost.seconds
    lora = _peak(report, "lora", cost.mode)
    return [
        cost.mode,
        case.name,
        ABSENT if case.rank is None else str(case.rank),
        f"{case.trainable:,} ({case.trainable_percent:.2f} %)",
        ABSENT if cost.flops is None else f"{cost.flops / 1e9:.2f}",
        f"{cost.peak_bytes / 2**20:,.1f}",
        f"{cost.peak_bytes / lora:.3f}" if lora else ABSENT,
        f"{1e3 * seconds.median:.2f} [{1e3 * seconds.low:.2f}, {1e3 * seconds.high:.2f}]",
        f"{cost.tokens_per_second:,.0f}",
        *(ratio_text(report.ratio(cost.mode, case.name, reference)) for reference in ("lora", BASE)),
    ]


def _peak(report: AdapterReport, name: str, mode: str) -> int | None:
    peaks = (cost.peak_bytes for case in report.cases if case.name == name for cost in case.modes if cost.mode == mode)
    return next(peaks, None)


def ratio_text(ratio: Ratio | None) -> str:
    """Format the median of a ratio and its interval, such as ``1.014 [0.988, 1.030]``."""
    if ratio is None:
        return ABSENT
    middle, interval = f"{ratio.quartiles.median:.3f}", ratio.interval
    return f"{middle} [{interval.low:.3f}, {interval.high:.3f}]" if interval else middle


def ratios_csv(report: AdapterReport) -> str:
    """Format the ratios of times as CSV, with one line per mode, case and reference.

    Args:
        report: The report of the measurement.

    Returns:
        The text of the file. ``low`` and ``high`` are the ends of the interval of the median at the level `LEVEL`. They are
        empty if there were too few rounds.
    """
    rows = [
        (
            ratio.mode,
            ratio.case,
            ratio.reference,
            ratio.quartiles.median,
            ratio.interval and ratio.interval.low,
            ratio.interval and ratio.interval.high,
            ratio.quartiles.low,
            ratio.quartiles.high,
            ratio.rounds,
        )
        for ratio in report.ratios
    ]
    columns = ["mode", "case", "reference", "median", "low", "high", "first_quartile", "third_quartile", "rounds"]
    return csv_text(columns, rows)


def reported_rows(report: AdapterReport) -> tuple[list[str], Rows]:
    """Return the columns and rows of the reported ratios, with one row per ratio, mode and number of experts."""
    forms = list(dict.fromkeys(item.forms for item in report.reported))
    grouped: dict[tuple[str, str, int, str], dict[tuple[str, str], Beside]] = {}
    for item in report.reported:
        figure = item.reported
        what = f"{figure.quantity}, {figure.method} / {figure.reference}"
        grouped.setdefault((what, item.mode, item.experts, f"{figure.ratio:.2f}"), {})[item.forms] = item
    columns = ["what", "mode", "experts", "paper (reported)", *(f"here: {above} / {below}" for above, below in forms)]
    rows = [
        [what, mode, str(experts), value]
        + [ratio_text(items[form].measured) if form in items else ABSENT for form in forms]
        for (what, mode, experts, value), items in grouped.items()
    ]
    return columns, rows


def legend(report: AdapterReport) -> str:
    """Describe the measurement in one paragraph."""
    settings = report.settings
    return (
        f"Every method has a total rank of {settings.total_rank}: each of k experts has 1/k of it, and it is the initial rank of "
        f"AdaLoRA. A batch has {settings.batch} rows. A row has {settings.train_length} tokens in training, of which the last "
        f"{settings.answer_tokens} are the answer, and {settings.infer_length} tokens in prefill. Decode adds one token to every "
        f"row, with a cache of the prompt. There are {settings.rounds} rounds after {settings.warmup} warm-up rounds, and every "
        "case runs once per round, in random order. A ratio is the median of the ratios of the rounds. Its interval comes from "
        "order statistics. The training step of the base computes gradients through every layer, but trains no parameters."
    )


def machine(place: Surroundings) -> str:
    """Describe the machine, the libraries and the base in one line."""
    libraries = ", ".join(f"{name} {place.versions[name]}" for name in ("torch", "peft", "transformers"))
    size = f" ({place.device_bytes / 2**30:.0f} GiB)" if place.device_bytes else ""
    return (
        f"{place.hardware}{size}, {place.cpus} CPUs, torch threads {place.threads}, {place.dtype}, {libraries}, base "
        f"{place.base} ({place.base_parameters:,} parameters, {place.weights} weights)"
    )


def markdown(report: AdapterReport) -> str:
    """Format the whole report as a Markdown page."""
    lines = ["# Costs of adapters", "", legend(report), "", markdown_table(*cost_rows(report))]
    if report.reported:
        lines += ["", "## Comparison with the paper", "", "The paper's ratios are reported, not measured here.", ""]
        lines += [markdown_table(*reported_rows(report))]
    lines += ["", machine(report.surroundings) + "."]
    if report.surroundings.command:
        lines += ["", f"Command: `{' '.join(report.surroundings.command)}`"]
    return "\n".join(lines) + "\n"
