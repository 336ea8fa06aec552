"""What rows cost: their training runs, and ratios to LoRA that were measured side by side."""

from collections import defaultdict

from cme.leaderboard.entries.costs import cost_of, measured, run_ratios, total_rank
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import ABSENT, duration, gib, listing, millions, points, ratio, shown
from cme.leaderboard.rendering.section import Section, make_table
from cme.records import Entry

__all__ = ["measured_section", "runs_section"]

_QUANTITIES = ("train", "prefill", "decode", "memory")


def runs_section(standing: Standing) -> Section | None:
    """What the training runs recorded."""
    trained = [row for row in standing.rows if row.runs[0].cost]
    if not trained:
        return None
    ratios = run_ratios(trained)
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
            found = ratios.get(row.name)
            line += [points(found.value), found.reference] if found else [ABSENT, ABSENT]
        lines.append(line)
    said = (
        "What the training runs themselves recorded: times are means over a row's runs and depend on whatever else the "
        "machine did meanwhile. "
    )
    said += (
        "Run time × LoRA: over that of the LoRA row nearest in parameters, only between rows with the same steps, device, "
        "threads, type and number of processes."
        if ratios
        else "They are not divided by LoRA's: no LoRA row ran with the same steps, device, threads, type and processes."
    )
    return Section("Efficiency: training runs", said, make_table(header, lines, text=(0, 1, 9, 12)))


def measured_section(standing: Standing) -> Section | None:
    """Ratios by ``cme bench adapters``, with the hardware and the command of each measurement."""
    given = [row for row in standing.rows if row.cost_ratios]
    if not given:
        return None
    known = [quantity for quantity in _QUANTITIES if any(measured(row, quantity) for row in given)]
    lines = [[row.name, row.method, *(ratio(measured(row, quantity)) for quantity in known)] for row in given]
    return Section(
        "Efficiency: measured ratios",
        "Time (memory: peak) over that of LoRA of equal total rank, measured side by side by cme bench adapters, each with "
        "the confidence interval of the median; above 1: slower (or more) than LoRA.",
        make_table(["name", "method", *(f"{quantity} × LoRA" for quantity in known)], lines, text=(0, 1)),
        tuple(_measurements(given)),
    )


def _measurements(rows: list[Entry]) -> list[str]:
    groups: dict[str, list[str]] = defaultdict(list)
    for row in rows:
        found = row.cost_ratios
        place = [f"{shown(found.hardware)} ({shown(found.device)}, {shown(found.threads)} threads)"]
        place += [
            f"{name} {shown(value)}"
            for name in ("base", "dtype", "rounds")
            if (value := getattr(found, name)) is not None
        ]
        groups[f"{', '.join(place)}; command: {shown(found.command)}"].append(row.name)
    return [f"{listing(names)} on {what}" for what, names in groups.items()]
