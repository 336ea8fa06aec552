"""The tables of an analysis as Markdown."""

from collections.abc import Sequence
from itertools import combinations

from cme.analysis.load_tables import groups_of
from cme.analysis.texts import has_intervals, interval_text, mask_title, share_text, suite_of
from cme.analysis.validation_markdown import training_sections, validation_sections
from cme.records.analysis import (
    Analysis,
    ExpertValues,
    GateAgreement,
    GroupLoad,
    LayerCompetition,
    LoadAnalysis,
    ShapleyAnalysis,
    SimilarityAnalysis,
)
from cme.reports import markdown_table
from cme.suite.families import title

__all__ = ["analysis_markdown", "mask_title", "share_text"]

_INTERVALS = (
    "Intervals are 95 %, paired, over clusters of samples. They do not contain the variance between training seeds."
)


def analysis_markdown(record: Analysis) -> str:
    """Return the text of ``analysis.md``."""
    sections = [
        f"# Experts of {record.name}",
        f"{record.adapter.method}, {record.experts} experts of rank {record.rank}, on {record.base}. Tier {record.tier}, source "
        f"{record.source}, format {record.prompt_format}, {record.dtype}.{_about_intervals(record)}",
    ]
    if record.load is not None:
        sections += _load(record.load)
    if record.without_top1 is not None:
        sections.append(f"Top 1 is undefined for {record.adapter.method}: {record.without_top1}.")
    if record.redundancy:
        sections += _redundancy(record)
    if record.shapley is not None:
        competition = () if record.similarity is None else record.similarity.competition
        sections += _shapley(record.shapley, competition)
    if record.similarity is not None:
        sections += _similarity(record.similarity)
    sections += validation_sections(record)
    if record.training is not None:
        sections += training_sections(record.training)
    if record.evaluations or record.passes:
        sections.append(
            f"This analysis cost {record.evaluations or 0} scored evaluations and {record.passes or 0} passes over validation "
            "rows."
        )
    return suite_of(record).named("\n\n".join(sections) + "\n")


def _about_intervals(record: Analysis) -> str:
    if not record.redundancy and record.shapley is None:
        losses = record.validation
        return f" {_INTERVALS}" if losses is not None and losses.masks[0].loss.low is not None else ""
    if record.tier == "smoke":
        return " Tier smoke is too small for intervals of scores, so differences of scores may be noise."
    if not has_intervals(record):
        return (
            " Averages have no intervals, because a dataset has a single cluster of samples and thus no known variance. "
            "Differences may be noise."
        )
    return f" {_INTERVALS}"


def _load(load: LoadAnalysis) -> list[str]:
    columns = (
        "rows",
        "effective experts",
        "entropy / ln k",
        "largest / mean",
        "variation",
        "ω < 0",
        "token entropy / ln k",
        "φ > 0.9",
        "top ω ≠ top φ",
    )
    whole = next(item for item in load.prompt if not (item.family or item.dataset))
    answers = next(item for item in load.answer if not (item.family or item.dataset))
    rows = [_load_row("all, prompts", whole), _load_row("all, answers", answers)]
    rows += [_load_row(title(name), item) for name, item in groups_of(load.prompt, "family").items()]
    sections = [
        "## Load",
        "Each figure is computed per layer and averaged over layers. Families count equally.",
        markdown_table(columns, rows),
    ]
    if (test := load.subjects) is not None:
        sections.append(
            f"Subjects: the mutual information of expert and MMLU subject is {_small(test.information)} nats, against "
            f"{_small(test.null_mean)} nats if subjects are assigned to rows at random. The difference is "
            f"{_small(test.corrected)} nats, or {100 * test.share:.2g} % of ln k (p = {test.p:.3g} from "
            f"{test.permutations} permutations; {test.subjects} subjects, {test.rows} rows, at least {test.fewest} per subject). "
            f"The mean Jensen–Shannon divergence of two subjects is {_small(test.divergence)} nats, against "
            f"{_small(test.divergence_null)} nats at random."
        )
    return sections


def _load_row(name: str, item: GroupLoad) -> list[str]:
    shares = [f"{100 * value:.1f} %" for value in (item.negative,)]
    last = [f"{100 * value:.1f} %" for value in (item.confident, item.disagreement)]
    return [
        name,
        f"{item.effective:.2f}",
        f"{item.entropy:.3f}",
        f"{item.largest:.2f}",
        f"{item.variation:.2f}",
        *shares,
        f"{item.token_entropy:.3f}",
        *last,
    ]


def _redundancy(record: Analysis) -> list[str]:
    intervals = has_intervals(record)
    columns = (
        "experts",
        "CME average",
        "share of score",
        "share of gain",
        "chance-normalised",
        "soft",
        "soft: share of gain",
    )
    rows = [
        [
            mask_title(item.name, record.experts),
            interval_text(item.score["average"]),
            share_text(item.share_of_score["average"], intervals=intervals),
            share_text(item.share_of_gain["average"], intervals=intervals),
            interval_text(item.score["chance_normalised"]),
            interval_text(item.score["soft"]),
            share_text(item.share_of_gain["soft"], intervals=intervals),
        ]
        for item in record.redundancy
    ]
    undefined = " Its interval is undefined if the gain does not differ from 0." if intervals else ""
    return [
        "## What remains if experts are masked",
        "The share of the score contains the base, which needs no adapter. The share of the gain is (masked − base) / (full − "
        f"base).{undefined} Expert 0 of one layer has nothing to do with expert 0 of another, so an expert alone is an arbitrary "
        "bundle.",
        markdown_table(columns, rows),
    ]


def _shapley(shapley: ShapleyAnalysis, competition: Sequence[LayerCompetition]) -> list[str]:
    average, soft = shapley.average, shapley.soft
    rows = [
        [
            str(expert),
            interval_text(average.values[expert]),
            interval_text(soft.values[expert]),
            "" if average.gates is None else f"{average.gates[expert]:.3f}",
        ]
        for expert in range(len(average.values))
    ]
    sections = [
        "## Shapley values",
        "The Shapley value of an expert is its mean contribution when the experts join in a random order. The values sum to the "
        "gain over the base. Intervals contain the noise of the samples only.",
        markdown_table(("expert", "CME average", "soft average", "mean φ"), rows),
        "The interaction of two experts is positive if they add more together than separately."
        + (" Beside it: the mean of their two elements of M over the layers." if competition else ""),
        _pairs(average, soft, competition),
    ]
    for item, label in ((shapley.agreement, "the score"), (shapley.soft_agreement, "the soft score")):
        if item is not None:
            sections.append(_agreement(item, label))
    return sections


def _pairs(average: ExpertValues, soft: ExpertValues, competition: Sequence[LayerCompetition]) -> str:
    rows = []
    for first, second in combinations(range(len(average.values)), 2):
        name = f"{first}-{second}"
        row = [
            f"{first} and {second}",
            interval_text(average.interactions[name]),
            interval_text(soft.interactions[name]),
        ]
        if competition:
            both = [(item.matrix[first][second] + item.matrix[second][first]) / 2 for item in competition]
            row.append(f"{sum(both) / len(both):z.3f}")
        rows.append(row)
    columns = ("experts", "CME average", "soft average", *(("M",) if competition else ()))
    return markdown_table(columns, rows)


def _agreement(item: GateAgreement, label: str) -> str:
    if item.value is None:
        return f"The mean φ and the Shapley values of {label} cannot be compared, because one of them does not vary."
    interval = "no interval" if item.low is None else f"95 % {item.low:z.2f} to {item.high:z.2f}, datasets drawn whole"
    return (
        f"Spearman's correlation of mean φ and Shapley values of {label}, over pairs of dataset and expert within datasets, is "
        f"{item.value:z.2f} ({interval}; {item.datasets} datasets)."
    )


def _similarity(similarity: SimilarityAnalysis) -> list[str]:
    layers, untrained = similarity.layers, similarity.untrained or {}
    left_out = (
        f" {sum(untrained.values())} experts in {len(untrained)} layers were never trained (B is zero) and are in no mean."
        if untrained
        else ""
    )
    if not layers:
        return ["## Similarity of experts", f"No layer has two trained experts.{left_out}"]
    shared = layers[0].down is None
    rows = [
        ["cosine of ΔW of two experts", _over([item.cosine for item in layers]), "0"],
        ["largest cosine", _over([item.cosine_largest for item in layers]), ""],
        [
            "overlap of rows of A",
            "shared" if shared else _over([item.down or 0.0 for item in layers]),
            "" if shared else _over([item.down_chance for item in layers]),
        ],
        [
            "overlap of columns of B",
            _over([item.up for item in layers]),
            _over([item.up_chance for item in layers]),
        ],
        ["stable rank of ΔW", _over([item.stable_rank for item in layers]), ""],
    ]
    sections = [
        "## Similarity of experts",
        f"Mean over {len(layers)} layers, with the smallest and the largest layer in brackets. Chance is that of random spaces."
        f"{left_out}",
        markdown_table(("figure", "value", "chance"), rows),
    ]
    if competition := similarity.competition:
        rows = [
            ["diagonal", _over([item.diagonal for item in competition]), "1"],
            ["distance of the diagonal from 1", _over([item.moved for item in competition]), "0"],
            ["off the diagonal: mean", _over([item.off_diagonal for item in competition]), "0"],
            ["off the diagonal: root mean square", _over([item.spread for item in competition]), "0.058"],
            ["off the diagonal: share above 0", _over([item.positive for item in competition]), "0.5"],
            ["off the diagonal: share beyond ±0.1", _over([item.outside for item in competition]), "0"],
        ]
        caution = (
            "Each value is computed per layer and averaged over layers. The figure `competition` averages the elements of M by "
            "the numbers of the experts. Expert 0 of one layer has nothing to do with expert 0 of another, so its mean matrix is "
            "one of many arbitrary ones."
        )
        sections += ["## Interaction matrix M", caution, markdown_table(("figure", "value", "at the start"), rows)]
    return sections


def _over(values: Sequence[float]) -> str:
    mean = sum(values) / len(values)
    return f"{mean:z.3f} ({min(values):z.3f} to {max(values):z.3f})"


def _small(value: float) -> str:
    return f"{value:.2g}"
