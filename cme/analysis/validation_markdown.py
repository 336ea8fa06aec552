"""The tables of the validation loss, and of the load during the training, as Markdown."""

from cme.analysis.texts import interval_text, mask_title, share_text
from cme.analysis.validation import FEWEST_CLUSTERS
from cme.records.analysis import Analysis, TrainingLoad
from cme.records.validation import BundleTest, ValidationAnalysis
from cme.reports import markdown_table

__all__ = ["training_sections", "validation_sections"]

_DIGITS = 3


def validation_sections(record: Analysis) -> list[str]:
    """Return the sections of the validation loss: tables, or the reason why there are none.

    Args:
        record: the analysis.
    """
    title = "## Validation loss"
    if record.validation is None:
        return [] if record.without_validation is None else [title, f"Not measured: {record.without_validation}"]
    measured = record.validation
    intervals = measured.masks[0].loss.low is not None
    rows = [
        [
            mask_title(item.name, record.experts),
            interval_text(item.loss, _DIGITS),
            interval_text(item.difference, _DIGITS),
            share_text(item.share_of_gain, intervals=intervals),
        ]
        for item in measured.masks
    ]
    sections = [
        title,
        f"Mean loss in nats per answer token on {measured.rows} rows of the mix's validation split ({measured.clusters} "
        f"clusters, {measured.tokens} answer tokens). Each row counts once. The share of the gain is "
        f"(base − masked) / (base − full). {_about_intervals(measured)}",
        markdown_table(("experts", "loss", "minus that of all experts", "share of gain"), rows),
    ]
    if measured.guarded:
        sections.append(
            f"Top 1 could not be renormalised for {100 * measured.guarded:.2g} % of the gate weights, whose sum is near 0 or has "
            "another sign. They count as without renormalisation."
        )
    if measured.shapley is not None:
        sections += _values(measured)
    if measured.bundles is not None:
        sections += _bundles(measured.bundles)
    return sections


def training_sections(training: TrainingLoad) -> list[str]:
    """Return the section of the load during the training.

    Args:
        training: the load at the checkpoints.
    """
    rows = [
        [
            str(item.step),
            f"{item.effective:.2f}",
            f"{item.entropy:.3f}",
            f"{item.token_entropy:.3f}",
            f"{100 * item.confident:.1f} %",
            "undefined" if item.top1 is None else f"{100 * item.top1:.1f} %",
        ]
        for item in training.steps
    ]
    columns = ("step", "effective experts", "entropy / ln k", "token entropy / ln k", "φ > 0.9", "top-1 share")
    return [
        "## Load during the training",
        f"On the same {training.rows} rows ({training.tokens} prompt tokens) at every step. Each figure is computed per layer "
        "and averaged over layers. Families count equally.",
        markdown_table(columns, rows),
    ]


def _about_intervals(measured: ValidationAnalysis) -> str:
    if measured.masks[0].loss.low is None:
        return (
            f"There are no intervals, because {measured.clusters} clusters of rows are too few for them (at least "
            f"{FEWEST_CLUSTERS}). Differences may be noise."
        )
    return "Intervals are 95 %, over clusters of rows. That of a share is undefined if the gain does not differ from 0."


def _values(measured: ValidationAnalysis) -> list[str]:
    assert measured.shapley is not None
    columns = ["expert", "all layers", *(f"{group.name} {_blocks(group.blocks)}" for group in measured.groups)]
    rows = [
        [
            str(expert),
            interval_text(value, _DIGITS),
            *(interval_text(group.values.values[expert], _DIGITS) for group in measured.groups),
        ]
        for expert, value in enumerate(measured.shapley.values)
    ]
    base = next(item for item in measured.masks if item.name == "base")
    gains = [
        interval_text(base.difference, _DIGITS),
        *(interval_text(group.gain, _DIGITS) for group in measured.groups),
    ]
    return [
        "Shapley values for minus the validation loss, in nats. In the game of a group of layers, all other layers keep all "
        "experts. Expert 0 of one layer has nothing to do with expert 0 of another, so these are values of bundles.",
        markdown_table(columns, [*rows, ["sum", *gains]]),
    ]


def _blocks(count: int) -> str:
    return f"{count} blocks" if count > 1 else "block"


def _bundles(test: BundleTest) -> list[str]:
    drawn = [loss for draw in test.losses for loss in draw]
    rows = [
        [str(expert), f"{loss:.{_DIGITS}f}", f"{100 * below:.0f} %"]
        for expert, (loss, below) in enumerate(zip(test.observed, test.below, strict=True))
    ]
    return [
        f"Is expert i in every layer more than an arbitrary bundle? In {test.draws} draws, the experts of every layer got new "
        f"numbers at random. One expert per layer alone then has a mean loss of {test.mean:.{_DIGITS}f} "
        f"({min(drawn):.{_DIGITS}f} to {max(drawn):.{_DIGITS}f}). The losses with equal numbers differ from these with "
        f"p = {test.p:.3g}.",
        markdown_table(("expert alone", "loss", "drawn bundles with a lower loss"), rows),
    ]
