"""The paper's rows, in tables of their own."""

from cme.leaderboard.numbers import points, shown
from cme.leaderboard.paper import Paper
from cme.leaderboard.section import Section, make_table

__all__ = ["reported_sections"]


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
            f"Reported by the authors (arXiv {paper.arxiv}, {paper.venue}), {_marked(paper)}; not comparable with the rows "
            f"above. {paper.experts_source}",
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
