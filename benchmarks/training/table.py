"""Tables of a measurement of trainings."""

import statistics

from benchmarks.training.run import TrainReport
from benchmarks.training.settings import CME, SIDES
from cme.reports import markdown_table

__all__ = ["cost_rows", "legend", "machine", "markdown"]


def cost_rows(report: TrainReport) -> tuple[list[str], list[list[str]]]:
    """Return the columns and rows of the costs, with one row per side. Numbers are medians over the rounds."""
    columns = [
        "side",
        "tokens",
        "s per step",
        "tokens/s",
        "CME's speed / this",
        "peak MiB",
        "peak / CME",
        "first loss",
        "last loss",
    ]
    own = report.trainings[CME]
    rows = []
    for side, trainings in report.trainings.items():
        rate = statistics.median(one.tokens / one.seconds for one in trainings)
        peak = statistics.median(one.peak_bytes for one in trainings)
        losses = trainings[0].losses
        rows.append(
            [
                side,
                f"{trainings[0].tokens:,}",
                f"{statistics.median(one.seconds / one.steps for one in trainings):.3f}",
                f"{rate:,.0f}",
                "1" if side == CME else _ratio(report, side),
                f"{peak / 2**20:,.0f}",
                f"{peak / statistics.median(one.peak_bytes for one in own):.2f}",
                f"{losses[0]:.3f}" if losses else "–",
                f"{losses[-1]:.3f}" if losses else "–",
            ]
        )
    return columns, rows


def _ratio(report: TrainReport, side: str) -> str:
    ratio = next((ratio for ratio in report.ratios if ratio.case == side), None)
    if ratio is None:
        one, own = report.trainings[side][0], report.trainings[CME][0]
        return f"{(one.seconds / one.tokens) / (own.seconds / own.tokens):.2f}"
    spread = ratio.interval or ratio.quartiles
    return f"{ratio.quartiles.median:.2f} [{spread.low:.2f}, {spread.high:.2f}]"


def legend(report: TrainReport) -> str:
    """Describe the measurement in a few sentences."""
    settings = report.settings
    sides = "; ".join(f"{side}: {SIDES[side]}" for side in settings.sides)
    between = "confidence intervals" if settings.rounds >= 6 else "quartiles"
    return (
        f"LoRA of rank {settings.rank} on the feed-forward projections of {settings.base}, {settings.dtype}, {settings.steps} "
        f"steps of {settings.batch_size} rows of at most {settings.max_length} tokens, from {settings.source}. Every side trains "
        f"once on the same rows in each of {settings.rounds} rounds, in a process of its own, in alternating order. Tokens "
        f"exclude padding. Times are those of the training loop. Brackets hold {between} of the ratios within rounds. Memory is "
        f"the peak of the process, or of the GPU's allocator. Sides: {sides}."
    )


def machine(report: TrainReport) -> str:
    """Describe the machine and the libraries in one line."""
    known = ", ".join(f"{name} {report.versions[name]}" for name in ("torch", "transformers", "peft", "trl"))
    threads = report.settings.threads or "default"
    return f"{report.hardware}, {report.cpus} CPUs, torch threads {threads}, {known}"


def markdown(report: TrainReport) -> str:
    """Format the whole report as a Markdown page."""
    lines = [
        "# Cost of a training",
        "",
        legend(report),
        "",
        markdown_table(*cost_rows(report)),
        "",
        f"{machine(report)}.",
    ]
    if report.command:
        lines += ["", f"Command: `{' '.join(report.command)}`"]
    return "\n".join(lines) + "\n"
