"""Notes under the main table and remarks on single rows."""

from collections import defaultdict

from cme.leaderboard.entries.board import is_reference, is_stale_entry
from cme.leaderboard.entries.retention import retention_of
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.information import LIMITS
from cme.leaderboard.ranking.numbers import listing
from cme.leaderboard.ranking.prompt_variants import spread_of
from cme.leaderboard.ranking.tuned import tuned_notes, tuned_remark
from cme.leaderboard.rendering.answer_notes import answer_notes
from cme.models.embedded import EMBEDDED
from cme.records import Entry
from cme.suite import datasets, notes_on
from cme.suite.baselines import BASELINES
from cme.suite.families import title
from cme.suite.score import SCORER_VERSION, suite_of
from cme.suite.suites import ALL
from cme.suite.tiers import TIERS

__all__ = ["changes_output", "notes", "remarks"]


def notes(standing: Standing) -> list[str]:
    """Return the notes under the main table.

    Args:
        standing: a standing with at least one entry.
    """
    entries = list(standing.entries)
    first = next((entry for entry in entries if not is_reference(entry)), entries[0])
    sentences = [
        _suite(first),
        _rows(first),
        *_certainty(standing),
        *_soft(standing),
        *_information(standing),
        *_rouge(standing),
        *answer_notes(standing),
        *_seeds(standing),
        *_prompt_variants(standing),
    ]
    sentences += tuned_notes(standing)
    sentences += _repeats(standing)
    sentences += _costs(standing)
    sentences += _retention(standing)
    sentences += _drift_texts(standing)
    if any(entry.settings.experts for entry in entries):
        sentences.append(
            "For methods with experts, the rank is that of one expert. Compare methods by their trainable parameters."
        )
    if first.source.partition(":")[0] != "mini":
        sentences.append(_real_rows(first))
        sentences += notes_on(item.dataset for item in first.scores.datasets)
    if same := [entry.name for entry in entries if not changes_output(entry)]:
        sentences.append(f"These adapters do not change the base model's output: {listing(same)}.")
    if standing.partial:
        some = [
            f"{entry.name} ({listing([item.dataset for item in entry.scores.datasets])})" for entry in standing.partial
        ]
        sentences.append(
            f"Some reference rows answer only some of the datasets and appear only in their tables: {', '.join(some)}. They "
            "have no average and no rank."
        )
    if stale := [entry.name for entry in standing.stale]:
        sentences.append(
            f"Stale rows are listed last: {listing(stale)}. Their scorer version is older than "
            f"{SCORER_VERSION}, so they must be evaluated again."
        )
    if missing := _missing(entries):
        sentences.append(f"The source lacks these splits: {listing(missing)}.")
    known = datasets(ALL, beside=True)
    changed = [
        name
        for name, fingerprint in first.task_fingerprints.items()
        if name in known and known[name].fingerprint != fingerprint
    ]
    if changed:
        sentences.append(
            f"The task files of these datasets differ from those of the installed CME: {', '.join(sorted(changed))}."
        )
    return sentences


def remarks(entry: Entry, same_as: str | None = None) -> str:
    """Return the remark of a row, such as a reference, a stale row, an evaluation by lm-eval, or an adapter without effect.

    Args:
        entry: the row.
        same_as: name of the row with the same trainings (`Standing.repeated`); None if there is none.
    """
    marks = []
    if entry.method in BASELINES:
        marks.append(f"reference: {BASELINES[entry.method]}")
    elif entry.method == "base":
        marks.append(f"reference: the base with {entry.shots} examples in the prompt" if entry.shots else "base model")
    trained = [tuned_remark(entry), None if same_as is None else f"the same trainings as {same_as}"]
    if any(trained):
        marks.append(", ".join(filter(None, trained)))
    if any(run.provenance.evaluation.origin == "lm-eval" for run in entry.runs):
        marks.append("evaluated by lm-eval")
    if any(run.provenance.evaluation.run_code == "unsandboxed" for run in entry.runs):
        marks.append("its programs ran without a sandbox")
    if not changes_output(entry):
        marks.append("does not change the base's output")
    if entry.rows is not None and entry.rows.reached is not None and entry.rows.counts != entry.rows.available:
        marks.append(f"its scores chose the rows for ±{entry.rows.half_width:g} points")
    if is_stale_entry(entry):
        marks.append(f"stale: scorer version {entry.scorer_version}")
    return "; ".join(marks)


def changes_output(entry: Entry) -> bool:
    """Return whether the adapters of all runs change the base's output. True for a base, which has no adapter."""
    return all(run.provenance.adapter.changes_output is not False for run in entry.runs)


def _suite(entry: Entry) -> str:
    suite = suite_of(entry.scores)
    families, known = len(entry.scores.families), datasets(suite.name)
    done = sum(item.dataset in known for item in entry.scores.datasets)
    if done == len(known):
        return (
            f"All {len(known)} datasets of the suite were evaluated. The {suite.average} is the unweighted mean of "
            f"the {families} family scores."
        )
    return (
        f"Only {done} of the suite's {len(known)} datasets were evaluated. The {suite.average} covers {families} of "
        f"{len(suite.families)} families and is not comparable with an average over the whole suite."
    )


def _rows(entry: Entry) -> str:
    tier, rows = entry.tier, entry.rows
    if rows is not None and rows.counts != rows.available:
        models = "one model" if len(rows.chosen_by) == 1 else f"{len(rows.chosen_by)} models"
        return (
            f"{rows.total:,} rows of tier {tier} were evaluated ({rows.share:.1f} %): the first ones of each dataset in order. "
            f"Their numbers were chosen for an interval of ±{rows.half_width:g} points, from the scores and the row lengths of "
            f"{models}. All rows of the table share them."
        )
    if tier == "smoke":
        return (
            f"Tier smoke evaluates {TIERS[tier]} samples per dataset, which are too few for a standard error. It shows only "
            "that everything runs. Rows are sorted by their average, but this order is not a ranking."
        )
    samples = TIERS[tier]
    return (
        f"Tier {tier} evaluates {'every sample' if samples is None else f'at most {samples} samples'} of each dataset."
    )


def _certainty(standing: Standing) -> list[str]:
    """Describe the intervals, the significant differences and the detectable difference."""
    if not any(item.low is not None for item in standing.averages.values()):
        return []
    sentences = [
        "Brackets contain 95 % confidence intervals. They account for clusters of samples and, with several seeds, for the "
        "variance between seeds."
    ]
    if _several_seeds(standing):
        sentences.append(
            "The seed variance of a method is its own, raised towards the mean of the table's methods where its own is "
            "smaller. The mean has a weight of 4 degrees of freedom. This assumes that seeds move the methods about alike. The "
            "interval of a much noisier method covers its true score less often."
        )
    if standing.paired:
        sentences.append(
            "The trained rows have the same seeds, and runs of one seed see the same examples in the same order. What a seed "
            "adds to all rows is therefore left out of their differences."
        )
    comparison = standing.comparison
    if comparison is None:
        return sentences
    pairs, significant = len(comparison.differences), sum(item.significant for item in comparison.differences)
    sentences.append(
        f"{significant} of {pairs} {'pair of rows differs' if pairs == 1 else 'pairs of rows differ'} significantly. All other "
        "pairs are tied, whatever their order in the table. The test is a paired cluster bootstrap on the same samples, with "
        f"{comparison.resamples:,} resamples and Holm's correction over all pairs, at level {comparison.alpha:g}."
    )
    sentences.append(
        "The rank range of a row starts at 1 plus the number of significantly better rows. It ends at the number of all rows "
        "minus the number of significantly worse rows."
    )
    if standing.detectable is not None:
        kind = "trained rows" if sum(row.runs[0].seed is not None for row in standing.rows) > 1 else "rows"
        sentences.append(
            f"A planned comparison of two {kind} would detect a difference of {standing.detectable:.2f} points with a power of "
            "80 % (median over their pairs, from the measured standard errors). Smaller differences mostly remain undetected."
        )
    return sentences


def _soft(standing: Standing) -> list[str]:
    if standing.soft is None:
        return []
    sentences = [
        "In the soft average, the probability of the right option counts in place of whether it was chosen. Texts count with "
        "their primary metric. It answers another question than the CME average and has ranks of its own."
    ]
    if comparison := standing.soft.comparison:
        significant = sum(item.significant for item in comparison.differences)
        sentences[0] += (
            f" By it, {significant} of {len(comparison.differences)} "
            f"{'pair of rows differs' if len(comparison.differences) == 1 else 'pairs of rows differ'} significantly."
        )
    return sentences


def _information(standing: Standing) -> list[str]:
    information, sentences = standing.information, list[str]()
    if information is None:
        return sentences
    score, soft = information.average.score, information.average.soft
    if score and soft and score.ratio is not None and soft.ratio is not None:
        sentences.append(
            f"Signal-to-noise (variance between trained rows over variance between seeds, F): {score.ratio:.2f} for the CME "
            f"average and {soft.ratio:.2f} for the soft average. Without differences between rows it is about 1."
        )
    for limit, text in LIMITS.items():
        if names := [title(name) for name in information.uninformative if information.families[name].limit == limit]:
            sentences.append(
                f"The scores of {' and '.join(names)} carry no information about the trained rows, because {text} there."
            )
    return sentences


def _rouge(standing: Standing) -> list[str]:
    if standing.rouge_share is None:
        return []
    families = len(standing.families)
    return [
        f"Summarization (ROUGE) contributes {100 * standing.rouge_share:.0f} % of the variance between the rows' averages. An "
        f"equal share of {families} families would be {100 / families:.0f} %."
        + (
            " A negative share means that it orders the rows in the opposite way to the average."
            if standing.rouge_share < 0
            else ""
        )
    ]


def _seeds(standing: Standing) -> list[str]:
    trained = [row for row in standing.rows if row.runs[0].seed is not None]
    single = [row.name for row in trained if len(row.runs) == 1]
    if not single:
        return []
    if _several_seeds(standing):
        return [
            f"These rows were trained with one seed: {listing(single)}. Their seed variance is taken to be the mean of the "
            "methods with several seeds."
        ]
    return [
        "Every method was trained with one seed. The intervals and differences are about these adapters, not their methods. "
        "Another seed may change the order."
    ]


def _several_seeds(standing: Standing) -> bool:
    return any(len(row.runs) > 1 for row in standing.rows)


def _prompt_variants(standing: Standing) -> list[str]:
    """Describe how much the averages vary between prompt variants."""
    sentences = []
    for row in (*standing.rows, *standing.references):
        if spread := spread_of(row):
            seed = row.prompt_variants[0].seed
            variants = ", ".join(str(item.prompt_variant) for item in row.prompt_variants)
            sentences.append(
                f"Prompt sensitivity of {row.name}{'' if seed is None else f' (seed {seed})'}: over the prompt variants 0, "
                f"{variants}, the average has a standard deviation of {spread.std:.2f} and a range of {spread.range:.2f} points."
            )
    return sentences


def _costs(standing: Standing) -> list[str]:
    if any(row.cost_ratios.train or row.cost_ratios.decode for row in standing.rows):
        return [
            "Ratios to LoRA were measured at equal total rank with cme bench adapters, in turns in one process. They are not "
            "computed from the train times, which depend on the other load of the machine."
        ]
    return []


def _retention(standing: Standing) -> list[str]:
    """Describe drift and Δ loss, and why rows lack them."""
    known = {row.name: retention for row in standing.rows if (retention := retention_of(row))}
    if not known:
        return []
    sentences = [
        "Drift is the mean KL divergence of the adapted model's predictions from those of the base, in nats per token, on 64 "
        "texts that the base wrote. Δ loss is the change of the loss on unrelated text. The number after ± is the standard "
        "error over texts and seeds."
    ]
    texts: dict[str, list[str]] = defaultdict(list)
    remarks: dict[str, list[str]] = defaultdict(list)
    for name, retention in known.items():
        (remarks[retention.remark] if retention.loss is None else texts[retention.text]).append(name)
    if len(texts) > 1:
        of_text = "; ".join(f"{text}: {listing(names)}" for text, names in texts.items())
        sentences.append(f"Values of Δ loss on different texts are not comparable. {of_text}.")
    elif texts:
        sentences.append(f"Δ loss was measured on {next(iter(texts))}.")
    sentences += [f"Δ loss was not measured for {listing(names)}: {remark}." for remark, names in remarks.items()]
    return sentences


def _drift_texts(standing: Standing) -> list[str]:
    """Tell which rows share the texts on which their drift was measured, if not all do."""
    groups: dict[str, list[str]] = defaultdict(list)
    for entry in standing.entries:
        if retention := retention_of(entry):
            groups[retention.drift_texts].append(entry.name)
    if len(groups) < 2:
        return []
    # Not shortened: a reader must know which drifts belong together.
    of_texts = "; ".join(f"{texts}: {', '.join(names)}" for texts, names in groups.items())
    return [
        "Drift was measured on different texts, because every evaluation lets the base write them, and the data type and the "
        f"processor change what it writes. Drifts are comparable between rows with the same texts only. {of_texts}."
    ]


def _missing(entries: list[Entry]) -> list[str]:
    return sorted({split for entry in entries for run in entry.runs for split in run.provenance.missing})


def _real_rows(entry: Entry) -> str:
    sentence = (
        f"The samples come from public datasets (source {entry.source}). It was not checked whether {entry.base} saw them in "
        "pretraining, which would raise its scores."
    )
    if entry.base == EMBEDDED:
        sentence += " A base of this size guesses in most tasks, so the scores say little about larger models."
    return sentence


def _repeats(standing: Standing) -> list[str]:
    """Return why rows are the same trainings as others."""
    adapters = {row.name: {run.provenance.adapter.fingerprint for run in row.runs} for row in standing.shown}
    return [
        (
            f"The choice of {row.name} is that of {first}. Their runs are the same trainings"
            if adapters[row.name] == adapters[first]
            else f"The settings of {row.name} and {first} name the same function of the same parameters. Their runs have the "
            "same scores"
        )
        + f", which are ranked and compared once, as {first}."
        for row in standing.repeats
        for first in [standing.repeated[row.name]]
    ]
