"""The rows that the paper reports: shown beside ours in tables of their own, never among them."""

from pathlib import Path
from typing import ClassVar

from cme.config import Items
from cme.leaderboard.ranking.numbers import points, shown
from cme.leaderboard.rendering.section import Section, make_table
from cme.paths import leaderboards_dir
from cme.records import Artefact, Record, read_record

__all__ = ["Ablation", "Paper", "PaperCost", "PaperFigure", "PaperRow", "load_paper", "reported_sections"]


class PaperRow(Record):
    """One reported row.

    Attributes:
        method: adapter method.
        experts: number of experts; None for a method without any.
        rank: as reported.
        train_hours: reported training time in hours.
        trainable_percent: reported share of trainable parameters, in percent.
        average: reported average, 0 to 100.
        source: which of the paper's tables.
        reported: always true: nobody measured it here.
    """

    method: str
    experts: int | None
    rank: int
    train_hours: float
    trainable_percent: float
    average: float
    source: str
    reported: bool


class Ablation(Record):
    """One reported row of the ablation: which of TeamLoRA's two parts were on, and the average (0 to 100)."""

    collaboration: bool
    competition: bool
    rank: int
    average: float
    source: str
    reported: bool


class PaperCost(Record):
    """One reported ratio of costs, shown beside ``cme bench adapters``.

    Attributes:
        quantity: ``training time`` or ``inference speed``.
        method: above the line.
        reference: below it.
        experts: number of experts; None if it is not stated.
        ratio: as reported.
        source: which part of the paper.
        reported: always true.
    """

    quantity: str
    method: str
    reference: str
    experts: int | None
    ratio: float
    source: str
    reported: bool


class PaperFigure(Record):
    """One further reported number.

    Attributes:
        quantity: what it is.
        method: adapter method; empty if it is about none.
        value: as reported.
        unit: of the value.
        base: base model; empty if it is not stated.
        source: which part of the note.
        reported: always true.
    """

    quantity: str
    method: str
    value: float
    unit: str
    base: str
    source: str
    reported: bool


class Paper(Artefact):
    """What ``leaderboards/paper.json`` holds.

    Attributes:
        reported: always true.
        title: of the paper.
        venue: where it appeared.
        arxiv: its number there.
        base: base model.
        hardware: what it was trained on.
        data: what it was trained and evaluated on.
        adapted: which layers have adapters.
        experts_source: where the numbers of experts come from.
        rows: main results.
        ablation: results with TeamLoRA's parts switched off.
        costs: ratios of times and speeds.
        further: other reported numbers.
        source: where all of these figures come from.
    """

    KIND: ClassVar[str] = "paper"
    SCHEMA_VERSION: ClassVar[int] = 1

    reported: bool
    title: str
    venue: str
    arxiv: str
    base: str
    hardware: str
    data: str
    adapted: str
    experts_source: str
    rows: Items[PaperRow]
    ablation: Items[Ablation]
    costs: Items[PaperCost]
    further: Items[PaperFigure] = ()
    source: str = ""


def load_paper(path: Path | None = None) -> Paper:
    """Read the reported rows.

    Args:
        path: the file; None is the one that travels with CME.

    Raises:
        CMEError: it is missing or malformed.
    """
    return read_record(path or leaderboards_dir() / "paper.json", Paper)


def reported_sections(paper: Paper) -> list[Section]:
    """The reported rows, the ablation and the ratios of costs, under a sentence that says whose numbers they are."""
    rows = [
        [
            row.method,
            shown(row.experts),
            str(row.rank),
            f"{row.train_hours:g} h",
            points(row.trainable_percent),
            points(row.average),
        ]
        for row in paper.rows
    ]
    ablation = [
        [shown(row.collaboration), shown(row.competition), str(row.rank), points(row.average)] for row in paper.ablation
    ]
    costs = [
        [cost.quantity, f"{cost.method} / {cost.reference}", shown(cost.experts), points(cost.ratio), cost.source]
        for cost in paper.costs
    ]
    gaps = [abs(a.average - b.average) for i, a in enumerate(paper.ablation) for b in paper.ablation[i + 1 :]]
    return [
        Section(
            "The paper's rows",
            f"Reported for the paper (arXiv {paper.arxiv}, {paper.venue}), {_marked(paper)}; not comparable with the rows "
            f"above. {paper.source} {paper.experts_source}",
            make_table(["method", "experts", "rank", "train time", "trainable %", "average"], rows),
            source=f"https://arxiv.org/abs/{paper.arxiv}",
        ),
        Section(
            "Ablation",
            f"TeamLoRA's two parts switched on and off, reported, {_marked(paper)}. These rows differ by {min(gaps):.2f} to "
            f"{max(gaps):.2f} points; no error bars are reported.",
            make_table(["collaboration", "competition", "rank", "average"], ablation, text=(0, 1)),
            level=3,
        ),
        Section(
            "Cost",
            f"Ratios as reported, {_marked(paper)}.",
            make_table(["quantity", "ratio of", "experts", "ratio", "where"], costs, text=(0, 1, 4)),
            level=3,
        ),
    ]


def _marked(paper: Paper) -> str:
    return f"{paper.hardware}, {paper.base}, {paper.data}"
