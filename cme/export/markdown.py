"""The report of an export, ``export.md``."""

from cme.records.analysis import Interval
from cme.records.export import Export, Measured, MeasuredExport, PlainExport
from cme.reports import markdown_table
from cme.suite.families import title
from cme.suite.suites import suite_of_families

__all__ = ["export_markdown"]

_QUANTITIES = {"average": "CME average", "soft": "soft average", "drift": "drift", "loss": "loss on other text"}


def export_markdown(record: Export) -> str:
    """Return the report of an export as Markdown.

    Args:
        record: the record.
    """
    sections = [
        f"# Plain LoRA of {record.name}",
        f"{record.adapter.method} with {record.experts} experts of rank {record.expert_rank} on {record.base}. The exports were "
        f"computed from {record.rows:,} validation rows of the training mix ({record.tokens:,} tokens). The divergence is "
        f"KL(routed ‖ plain) in nats, averaged over the {record.answer_tokens:,} tokens of their answers.",
        markdown_table(
            ("export", "rank", "adapters", "parameters", "divergence"), [_export_row(item) for item in record.exports]
        ),
    ]
    if fitted := [f"`{item.how}`" for item in record.exports if item.how in ("fit", "distil")]:
        sections.append(
            f"The fit was computed from the same rows, so the divergence there flatters {' and '.join(fitted)}."
        )
    if any(item.how == "family" for item in record.exports):
        sections.append(
            "`family` has one adapter for each family. The caller must know the task of each request, so it is not a replacement "
            "for the router. Its divergence uses the adapter of each row's family."
        )
    if record.measured is not None:
        sections += _lost(record.measured)
    text = "\n\n".join(sections) + "\n"
    if record.measured is None:
        return text
    return suite_of_families(record.measured.exports[0].families).named(text)


def _export_row(item: PlainExport) -> list[str]:
    parameters = next(iter(item.adapters.values())).parameters
    each = " each" if len(item.adapters) > 1 else ""
    return [item.how, str(item.rank), str(len(item.adapters)), f"{parameters:,}{each}", f"{item.divergence:.4g}"]


def _lost(measured: Measured) -> list[str]:
    shown = [name for name in _QUANTITIES if name in measured.routed]
    columns = ["model", *(part for name in shown for part in (_QUANTITIES[name], "difference"))]
    rows = [["routed", *(part for name in shown for part in (_number(measured.routed[name], name), ""))]]
    rows += [[item.how, *(part for name in shown for part in _pair(item, name))] for item in measured.exports]
    smoke = measured.tier == "smoke"
    sections = [
        "## What is lost",
        f"{measured.samples:,} samples of the source {measured.source} at tier {measured.tier}, the same for all. A difference "
        "is the export minus the routed adapter. Averages are in points. Drift and loss are in nats per token, and lower is "
        "better. "
        + (
            "Tier smoke is too small for intervals of scores, so differences may be noise."
            if smoke
            else "Intervals are 95 %, paired, over clusters of samples or over texts. They contain no variance of training seeds."
        ),
        markdown_table(columns, rows),
    ]
    if any(item.how == "family" for item in measured.exports):
        sections.append(
            "`family`: the samples of each dataset were answered by the adapter of its family, as if the task of every request "
            "were known. No single adapter answers all, so there is no retention."
        )
    sections += _worth(measured)
    hows = [item.how for item in measured.exports]
    names = list(measured.exports[0].families)
    if len(names) > 1:
        table = [[title(name), *(_signed(item.families[name]) for item in measured.exports)] for name in names]
        sections += ["## Difference by family", markdown_table(["family", *hows], table)]
    return sections


def _worth(measured: Measured) -> list[str]:
    if not measured.worth:
        return []
    parts = [
        f"{_signed(measured.worth[name])} points of the {_QUANTITIES[name]} (the best is `{measured.best[name]}`)"
        for name in measured.worth
    ]
    single = [item.how for item in measured.exports if item.how != "family"]
    choice = " The interval covers that the best was chosen on the same samples." if len(single) > 1 else ""
    return [
        "## What the router is worth",
        f"The routed adapter minus the best export with a single adapter: {' and '.join(parts)}.{choice} A negative value means "
        "that the plain adapter scores higher.",
    ]


def _pair(item: MeasuredExport, name: str) -> tuple[str, str]:
    if name not in item.score:
        return "", ""
    return _number(item.score[name], name), _signed(item.difference[name], name)


def _number(item: Interval, name: str) -> str:
    digits = 2 if name in ("average", "soft") else 4
    return f"{item.value:.{digits}f}"


def _signed(item: Interval, name: str = "average") -> str:
    digits = 2 if name in ("average", "soft") else 4
    value = f"{item.value:+z.{digits}f}"
    if item.low is None or item.high is None:
        return value
    return f"{value} ({item.low:+z.{digits}f} to {item.high:+z.{digits}f})"
