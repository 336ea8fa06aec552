"""Rows reported for the paper. They appear in their own tables, never among the measured rows."""

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
        experts: number of experts; None for a method without experts.
        rank: reported rank.
        train_hours: reported training time in hours.
        trainable_percent: reported share of trainable parameters, in percent.
        average: reported average, 0 to 100.
        source: table of the paper.
        reported: always true; the row was not measured with CME.
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
    """One reported row of the ablation: which of TeamLoRA's two modules were on, and the average (0 to 100)."""

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
        method: method in the numerator.
        reference: method in the denominator.
        experts: number of experts; None if it is not stated.
        ratio: reported ratio.
        source: section of the paper.
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
    """Content of ``leaderboards/paper.json``.

    Attributes:
        reported: always true.
        title: title of the paper.
        venue: venue of the paper.
        arxiv: arXiv number.
        base: base model.
        hardware: hardware of the training.
        data: data of the training and the evaluation.
        adapted: layers that have adapters.
        experts_source: source of the numbers of experts.
        rows: main results.
        ablation: results with TeamLoRA's modules switched off.
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
        path: the file; by default the one that is installed with CME.

    Raises:
        CMEError: the file is missing or malformed.
    """
    return read_record(path or leaderboards_dir() / "paper.json", Paper)


def reported_sections(paper: Paper) -> list[Section]:
    """Make the sections of the reported rows, ablation and cost ratios, which state the source of the numbers."""
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
            f"These rows are reported for the paper (arXiv {paper.arxiv}, {paper.venue}; {_marked(paper)}). They were not "
            f"measured with CME and are not comparable with the rows above. {paper.source} {paper.experts_source}",
            make_table(["method", "experts", "rank", "train time", "trainable %", "average"], rows),
            source=f"https://arxiv.org/abs/{paper.arxiv}",
        ),
        Section(
            "Ablation",
            f"These results are reported for TeamLoRA with each of its two modules on or off ({_marked(paper)}). The rows "
            f"differ by {min(gaps):.2f} to {max(gaps):.2f} points. No standard errors are reported.",
            make_table(["collaboration", "competition", "rank", "average"], ablation, text=(0, 1)),
            level=3,
        ),
        Section(
            "Cost",
            f"These ratios are reported for the paper ({_marked(paper)}).",
            make_table(["quantity", "ratio of", "experts", "ratio", "source"], costs, text=(0, 1, 4)),
            level=3,
        ),
    ]


def _marked(paper: Paper) -> str:
    return f"{paper.hardware}, {paper.base}, {paper.data}"
