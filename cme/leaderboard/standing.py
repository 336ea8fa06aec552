"""Where the rows of a table stand: scores with intervals, every paired difference, ranges of ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cme.leaderboard.board import check_comparable, is_reference, is_stale_entry, ranked, samples_path
from cme.leaderboard.panel import Columns, panel_of, read_columns
from cme.leaderboard.reading import check_samples
from cme.leaderboard.recompute import check_hash
from cme.records import Entry
from cme.stats import (
    Comparison,
    Estimate,
    RankRange,
    average_weights,
    compare,
    estimates,
    variance_share,
)
from cme.suite import datasets
from cme.suite.score import ROUGE_FAMILY

__all__ = ["Standing", "make_standing"]


@dataclass(frozen=True)
class Standing:
    """Everything that a table says about its rows beyond what each entry says by itself.

    Attributes:
        rows: the entries that are compared, by average, best first.
        references: rows to read the others by (baselines, a base that was shown examples): they have scores, not ranks.
        stale: entries of an older scorer: neither compared nor ranked.
        averages: the CME average in points by name of the row, references included.
        families: the same for each family.
        datasets: the same for each dataset, in points.
        without_rouge: the average without the summarization family; empty where nothing else was run.
        comparison: every pair of ``rows``; None at tier smoke, with fewer than two rows, or where a dataset has one cluster.
        ranks: by name; empty without a comparison.
        detectable: difference in points that a planned comparison at this tier finds with a probability of 80 %.
        rouge_share: of the variance of ``rows``' averages, the share that the summarization family carries.
    """

    rows: tuple[Entry, ...]
    references: tuple[Entry, ...]
    stale: tuple[Entry, ...]
    averages: dict[str, Estimate]
    families: dict[str, dict[str, Estimate]]
    datasets: dict[str, dict[str, Estimate]]
    without_rouge: dict[str, Estimate]
    comparison: Comparison | None
    ranks: dict[str, RankRange]
    detectable: float | None
    rouge_share: float | None


def make_standing(entries: Sequence[Entry], entries_dir: Path, *, resamples: int = 10_000) -> Standing:
    """Compare entries by their per-sample scores.

    Args:
        entries: comparable ones, in any order.
        entries_dir: where they were read from; the samples lie in ``samples`` beside it.
        resamples: of the paired bootstrap.

    Raises:
        UsageError: the entries cannot stand in one table.
        CMEError: samples are missing, damaged, or not those of the entry.
    """
    check_comparable(entries)
    order = ranked(entries)
    stale = tuple(entry for entry in order if is_stale_entry(entry))
    current = [entry for entry in order if not is_stale_entry(entry)]
    rows = tuple(entry for entry in current if not is_reference(entry))
    references = tuple(entry for entry in current if is_reference(entry))
    if not current:
        return Standing(rows, references, stale, {}, {}, {}, {}, None, {}, None, None)
    family_of = {item.dataset: item.family for item in current[0].scores.datasets}
    counted = {name: family for name, family in family_of.items() if name in datasets()}
    weights = average_weights(counted)
    columns = {entry.name: _columns(entry, entries_dir) for entry in current}
    panel = panel_of(columns)
    with_stderr = current[0].tier != "smoke"

    def by_name(chosen: Mapping[str, float]) -> dict[str, Estimate]:
        return {item.row: item for item in estimates(panel, chosen, with_stderr=with_stderr)} if chosen else {}

    families = list(dict.fromkeys(counted.values()))
    plain = {name: family for name, family in counted.items() if family != ROUGE_FAMILY}
    comparison = None
    if with_stderr and len(rows) > 1 and all(len(sizes) > 1 for sizes in panel.sizes):
        compared = panel_of({entry.name: columns[entry.name] for entry in rows})
        comparison = compare(compared, weights, resamples=resamples)
    means = {entry.name: {item.dataset: item.value for item in entry.scores.datasets} for entry in rows}
    rouge = [name for name in counted if name not in plain]
    return Standing(
        rows=rows,
        references=references,
        stale=stale,
        averages=by_name(weights),
        families={
            family: by_name(average_weights({name: of for name, of in counted.items() if of == family}))
            for family in families
        },
        datasets={name: by_name({name: 100.0}) for name in family_of},
        without_rouge=by_name(average_weights(plain)) if plain else {},
        comparison=comparison,
        ranks=comparison.rank_ranges() if comparison else {},
        detectable=comparison.detectable() if comparison else None,
        rouge_share=variance_share(means, weights, rouge) if rouge and plain else None,
    )


def _columns(entry: Entry, entries_dir: Path) -> list[Columns]:
    """The samples of each run, after it was checked that they are the entry's."""
    found = []
    for k, run in enumerate(entry.runs):
        path = samples_path(entries_dir, entry.name, k)
        check_hash(path, run.samples_sha256, f"entry {entry.name!r}")
        check_samples(path)
        found.append(read_columns(path))
    return found
