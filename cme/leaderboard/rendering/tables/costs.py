"""Tables of costs: recorded costs of the training runs, and cost ratios measured against LoRA."""

from collections import defaultdict

from cme.leaderboard.entries.costs import cost_of, measured, run_ratios, total_rank
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import ABSENT, duration, gib, listing, millions, points, ratio, shown
from cme.leaderboard.rendering.section import Section, make_table
from cme.records import Entry

__all__ = ["measured_section", "runs_section"]

_QUANTITIES = ("train", "prefill", "decode", "memory")


def runs_section(standing: Standing) -> Section | None:
    """Make the table of the costs that the training runs recorded."""
    trained = [row for row in standing.shown if row.runs[0].cost]
    if not trained:
        return None
    ratios = run_ratios([row for row in trained if row not in standing.repeats])
    header = ["name", "method", "total rank", "trainable (M)", "trainable %", "saved (M)", "train time", "tokens/s"]
    header += ["peak GiB", "device", "threads"] + ["run time × LoRA", "LoRA row"] * bool(ratios)
    lines = []
    for row in trained:
        cost = cost_of(row)
        line = [
            row.name,
            row.method,
            shown(total_rank(row)),
            millions(cost.trainable),
            points(cost.trainable_percent),
            millions(cost.saved),
            duration(cost.seconds),
            ABSENT if cost.tokens_per_second is None else f"{cost.tokens_per_second:.0f}",
            gib(cost.peak_bytes),
            shown(cost.device),
            shown(cost.threads),
        ]
        if ratios:
            own = ratios.get(row.name)
            line += [points(own.value), own.reference] if own else [ABSENT, ABSENT]
        lines.append(line)
    paragraph = (
        "The training runs recorded these costs. Times are means over a row's runs. They depend on what else the machine "
        "did, and include pauses. "
    )
    paragraph += (
        "The column run time × LoRA shows the time relative to the LoRA row with the nearest number of parameters. It is "
        "computed only for rows without a measured ratio, between rows with an equal mix, steps, batches, longest example, "
        "device, threads, data type and number of processes."
        if ratios
        else "They are not shown relative to LoRA, because all rows have a measured ratio."
        if all(measured(row, "train") for row in trained)
        else "No time is shown relative to LoRA. Either a row has a measured ratio, or no LoRA row was trained alike. Alike "
        "means the same mix, steps, batches, longest example, device, threads, data type and number of processes."
    )
    return Section("Efficiency: training runs", paragraph, make_table(header, lines, text=(0, 1, 9, 12)))


def measured_section(standing: Standing) -> Section | None:
    """Make the table of the ratios from ``cme bench adapters``, with the hardware and command of each measurement."""
    given = [row for row in standing.shown if row.cost_ratios]
    if not given:
        return None
    known = [quantity for quantity in _QUANTITIES if any(measured(row, quantity) for row in given)]
    lines = [[row.name, row.method, *(ratio(measured(row, quantity)) for quantity in known)] for row in given]
    return Section(
        "Efficiency: measured ratios",
        "The table shows time and peak memory relative to LoRA of equal total rank. cme bench adapters measures all methods in "
        "turns in one process. Each ratio is a median with its 95 % confidence interval. A value above 1 means that the method "
        "is slower than LoRA or needs more memory.",
        make_table(["name", "method", *(f"{quantity} × LoRA" for quantity in known)], lines, text=(0, 1)),
        tuple(_measurements(given)),
    )


def _measurements(rows: list[Entry]) -> list[str]:
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        measurement = row.cost_ratios
        place = [f"{shown(measurement.hardware)} ({shown(measurement.device)}, {shown(measurement.threads)} threads)"]
        place += [
            f"{name} {shown(value)}"
            for name in ("base", "dtype", "rounds")
            if (value := getattr(measurement, name)) is not None
        ]
        groups[f"{', '.join(place)}. Command: {shown(measurement.command)}"].append(row.name)
    return [f"Measured together: {listing(names)}. Hardware: {what}" for what, names in groups.items()]
