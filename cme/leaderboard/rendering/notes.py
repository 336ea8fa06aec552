"""What a reader must know beside the numbers: one sentence each."""

from cme.leaderboard.entries.board import is_reference, is_stale_entry
from cme.leaderboard.ranking.comparison import Standing
from cme.leaderboard.ranking.numbers import listing
from cme.leaderboard.ranking.prompt_variants import spread_of
from cme.records import Entry
from cme.suite import datasets
from cme.suite.baselines import BASELINES
from cme.suite.families import FAMILIES
from cme.suite.score import SCORER_VERSION
from cme.suite.tiers import TIERS

__all__ = ["changes_output", "notes", "remarks"]


def notes(standing: Standing) -> list[str]:
    """The sentences under the main table.

    Args:
        standing: of at least one entry.
    """
    entries = list(standing.entries)
    first = next((entry for entry in entries if not is_reference(entry)), entries[0])
    found = [
        _suite(first),
        _tier(first.tier),
        *_certainty(standing),
        *_rouge(standing),
        *_seeds(standing),
        *_wordings(standing),
    ]
    found += _costs(standing)
    if any(entry.settings.experts for entry in entries):
        found.append("The rank is that of one expert: compare methods by their trainable parameters, not by rank.")
    if first.source.partition(":")[0] != "mini":
        found.append(_real_rows(first))
    if same := [entry.name for entry in entries if not changes_output(entry)]:
        found.append(f"The output of {listing(same)} equals the base's: the adapter was there, but changes nothing.")
    if standing.partial:
        some = [
            f"{entry.name} ({listing([item.dataset for item in entry.scores.datasets])})" for entry in standing.partial
        ]
        found.append(
            f"Baselines that answer some of the datasets only, in the tables of these: {', '.join(some)}. They have no average "
            "and no rank."
        )
    if stale := [entry.name for entry in standing.stale]:
        found.append(
            f"Stale, listed last: {listing(stale)}. Scored by rules older than scorer version {SCORER_VERSION}: "
            "evaluate again."
        )
    if missing := _missing(entries):
        found.append(f"Splits that the source lacks: {listing(missing)}.")
    known = datasets(beside=True)
    changed = [
        name
        for name, fingerprint in first.task_fingerprints.items()
        if name in known and known[name].fingerprint != fingerprint
    ]
    if changed:
        found.append(f"Evaluated with other task files than this CME has: {', '.join(sorted(changed))}.")
    return found


def remarks(entry: Entry) -> str:
    """What marks a row: the base, a reference, a stale one, one that changes nothing."""
    marks = []
    if entry.method in BASELINES:
        marks.append(f"reference: {BASELINES[entry.method]}")
    elif entry.method == "base":
        marks.append(f"reference: the base with {entry.shots} examples" if entry.shots else "the base")
    if not changes_output(entry):
        marks.append("output equals the base's")
    if is_stale_entry(entry):
        marks.append(f"stale: scorer version {entry.scorer_version}")
    return "; ".join(marks)


def changes_output(entry: Entry) -> bool:
    """Whether the adapters of all runs change the base's output; true for a base, which has none."""
    return all(run.provenance.adapter.changes_output is not False for run in entry.runs)


def _suite(entry: Entry) -> str:
    families, known = len(entry.scores.families), datasets()
    done = sum(item.dataset in known for item in entry.scores.datasets)
    if done == len(known):
        return f"All {len(known)} datasets of the suite: the CME average is the unweighted mean of {families} family scores."
    return (
        f"The suite is incomplete, {done} of {len(known)} datasets: the CME average is that of the {families} families run "
        f"(of {len(FAMILIES)}) and is not comparable with an average over the whole suite."
    )


def _tier(tier: str) -> str:
    if tier == "smoke":
        return (
            f"Tier smoke, {TIERS[tier]} rows per dataset: too few for a standard error. It shows that everything runs. "
            "The order is that of the averages and is no ranking: no row can be called better than another."
        )
    rows = TIERS[tier]
    return f"Tier {tier}: {'every evaluation row' if rows is None else f'at most {rows} rows per dataset'}."


def _certainty(standing: Standing) -> list[str]:
    """What the intervals are, which differences are real, and which could be found at all."""
    if not any(item.low is not None for item in standing.averages.values()):
        return []
    found = [
        "Brackets hold 95 % confidence intervals, from samples that share a cluster together and, with several seeds, from "
        "the seeds."
    ]
    comparison = standing.comparison
    if comparison is None:
        return found
    pairs, real = len(comparison.differences), sum(item.significant for item in comparison.differences)
    found.append(
        "Ranks: from one more than the rows significantly better, to all but those significantly worse. "
        f"{real} of {pairs} {'pair differs' if pairs == 1 else 'pairs differ'} significantly (paired cluster bootstrap over "
        f"the same samples, {comparison.resamples} resamples; Holm's correction over all pairs, level {comparison.alpha:g}); "
        "every other difference is a tie, whatever the order."
    )
    if standing.detectable is not None:
        found.append(
            f"A planned comparison of two rows of this table finds a difference of {standing.detectable:.2f} points with a "
            "probability of 80 % (median over the pairs, from their measured standard errors); smaller ones mostly go unseen."
        )
    return found


def _rouge(standing: Standing) -> list[str]:
    if standing.rouge_share is None:
        return []
    families = len(standing.families)
    return [
        f"Of the variance between the rows' averages, summarization (ROUGE) carries {100 * standing.rouge_share:.0f} %; an "
        f"equal share of {families} families would be {100 / families:.0f} %"
        + (". Below 0: it ranks the rows against the average." if standing.rouge_share < 0 else ".")
    ]


def _seeds(standing: Standing) -> list[str]:
    trained = [row for row in standing.rows if row.runs[0].seed is not None]
    single = [row.name for row in trained if len(row.runs) == 1]
    if not single:
        return []
    which = "Every row was" if len(single) == len(trained) else f"{listing(single)}:"
    return [
        f"{which} trained with one seed only: what is said of it is about this one run, not about the method, and another "
        "seed may change the order."
    ]


def _wordings(standing: Standing) -> list[str]:
    """How far the wording of the prompt moves the average of the rows that were asked in several."""
    found = []
    for row in (*standing.rows, *standing.references):
        if spread := spread_of(row):
            seed = row.wordings[0].seed
            which = ", ".join(str(item.wording) for item in row.wordings)
            found.append(
                f"Spread over paraphrases: standard deviation {spread.std:.2f}, range {spread.range:.2f} points ({row.name}"
                f"{'' if seed is None else f', seed {seed}'}; wordings 0, {which} of every instruction, the same samples)."
            )
    return found


def _costs(standing: Standing) -> list[str]:
    if any(row.cost_ratios.train or row.cost_ratios.decode for row in standing.rows):
        return [
            "Ratios to LoRA are measured side by side at equal total rank (cme bench adapters), not taken from the train "
            "times, which depend on what else the machine did."
        ]
    return []


def _missing(entries: list[Entry]) -> list[str]:
    return sorted({split for entry in entries for run in entry.runs for split in run.provenance.missing})


def _real_rows(entry: Entry) -> str:
    return (
        f"The rows are real ones (source {entry.source}), and nobody has checked whether {entry.base} saw them in its "
        "own training: scores of SmolLM2 on real rows are smoke tests at every tier, and other bases may be flattered "
        "likewise."
    )
