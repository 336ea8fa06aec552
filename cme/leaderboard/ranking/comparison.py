"""Where the rows of a table stand: scores with intervals, every paired difference, ranges of ranks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cme.leaderboard.entries.board import (
    check_comparable,
    is_reference,
    is_stale_entry,
    partial_baselines,
    ranked,
    samples_path,
)
from cme.leaderboard.entries.files import check_samples
from cme.leaderboard.entries.scores import check_hash
from cme.leaderboard.ranking.aligned_scores import Columns, panel_of, read_columns
from cme.records import Entry, Scores
from cme.stats import (
    Comparison,
    Estimate,
    Panel,
    RankRange,
    average_weights,
    compare,
    estimates,
    variance_share,
)
from cme.suite import datasets
from cme.suite.score import ROUGE_FAMILY

__all__ = ["Standing", "make_standing", "read_runs"]


@dataclass(frozen=True)
class Standing:
    """Everything that a table says about its rows beyond what each entry says by itself.

    Attributes:
        rows: the entries that are compared, by average, best first.
        references: rows to read the others by (baselines, a base that was shown examples): they have scores, not ranks.
        partial: baselines that answer some of the datasets only: they have no average; by name.
        stale: entries of an older scorer: neither compared nor ranked.
        averages: the CME average in points by name of the row, references included.
        families: the same for each family, with the partial baselines that answer all of its datasets.
        datasets: the same for each dataset, in points, with the partial baselines that answer it.
        without_rouge: the average without the summarization family; empty where nothing else was run.
        chance_normalised: the average with every dataset rescaled to (score − chance) / (1 − chance).
        comparison: every pair of ``rows``; None at tier smoke, with fewer than two rows, or where a dataset has one cluster.
        ranks: by name; empty without a comparison.
        detectable: difference in points that a planned comparison at this tier finds with a probability of 80 %.
        rouge_share: of the variance of ``rows``' averages, the share that the summarization family carries.
    """

    rows: tuple[Entry, ...]
    references: tuple[Entry, ...]
    partial: tuple[Entry, ...]
    stale: tuple[Entry, ...]
    averages: dict[str, Estimate]
    families: dict[str, dict[str, Estimate]]
    datasets: dict[str, dict[str, Estimate]]
    without_rouge: dict[str, Estimate]
    chance_normalised: dict[str, Estimate]
    comparison: Comparison | None
    ranks: dict[str, RankRange]
    detectable: float | None
    rouge_share: float | None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them in the order of the table: rows, references, partial baselines, stale ones."""
        return (*self.rows, *self.references, *self.partial, *self.stale)

    def kind(self, entry: Entry) -> str:
        """``row``, ``reference``, ``partial`` or ``stale``."""
        if is_stale_entry(entry):
            return "stale"
        return "row" if not is_reference(entry) else "reference" if self.whole_scores(entry) else "partial"

    def whole_scores(self, entry: Entry) -> Scores | None:
        """An entry's scores; None if it answers some of the datasets only: its averages are over other things."""
        return entry.scores if len(entry.scores.datasets) == len(self.datasets) else None


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
    if not entries:
        return Standing((), (), (), (), {}, {}, {}, {}, {}, None, {}, None, None)
    some = {entry.name for entry in partial_baselines(entries)}
    whole = [entry for entry in ranked(entries) if entry.name not in some]
    current = [entry for entry in whole if not is_stale_entry(entry)]
    rows = tuple(entry for entry in current if not is_reference(entry))
    partial = tuple(entry for entry in partial_baselines(entries) if not is_stale_entry(entry))
    family_of = {item.dataset: item.family for item in whole[0].scores.datasets}
    counted = {name: family for name, family in family_of.items() if name in datasets()}
    weights = average_weights(counted)
    columns = {entry.name: read_runs(entry, entries_dir) for entry in current}
    panels = [panel_of(columns)] if current else []
    asked = columns.get(whole[0].name) or (read_runs(whole[0], entries_dir) if partial else [])
    parts = [_panel_of_some(entry, read_runs(entry, entries_dir), asked) for entry in partial]
    with_stderr = whole[0].tier != "smoke"

    def by_name(chosen: Mapping[str, float], of: Sequence[Panel]) -> dict[str, Estimate]:
        fitting = [panel for panel in of if chosen and set(chosen) <= set(panel.datasets)]
        return {item.row: item for panel in fitting for item in estimates(panel, chosen, with_stderr=with_stderr)}

    chance = {item.dataset: item.chance for item in whole[0].scores.datasets}
    # Σ w · (score − c) / (1 − c) is a weighted mean of the scores less what guessing gives.
    rescaled = {name: weight / (1 - chance[name]) for name, weight in weights.items()}
    guessed = sum(weight * chance[name] for name, weight in rescaled.items())
    families = list(dict.fromkeys(counted.values()))
    plain = {name: family for name, family in counted.items() if family != ROUGE_FAMILY}
    comparison = None
    if with_stderr and len(rows) > 1 and all(len(sizes) > 1 for sizes in panels[0].sizes):
        compared = panel_of({entry.name: columns[entry.name] for entry in rows})
        comparison = compare(compared, weights, resamples=resamples)
    means = {entry.name: {item.dataset: item.value for item in entry.scores.datasets} for entry in rows}
    rouge = [name for name in counted if name not in plain]
    return Standing(
        rows=rows,
        references=tuple(entry for entry in current if is_reference(entry)),
        partial=partial,
        stale=tuple(entry for entry in ranked(entries) if is_stale_entry(entry)),
        averages=by_name(weights, panels),
        families={
            family: by_name(
                average_weights({name: of for name, of in counted.items() if of == family}), [*panels, *parts]
            )
            for family in families
        },
        datasets={name: by_name({name: 100.0}, [*panels, *parts]) for name in family_of},
        without_rouge=by_name(average_weights(plain), panels) if plain else {},
        chance_normalised={name: _less(item, guessed) for name, item in by_name(rescaled, panels).items()},
        comparison=comparison,
        ranks=comparison.rank_ranges() if comparison else {},
        detectable=comparison.detectable() if comparison else None,
        rouge_share=variance_share(means, weights, rouge) if rows and rouge and plain else None,
    )


def _less(item: Estimate, constant: float) -> Estimate:
    low = None if item.low is None else item.low - constant
    high = None if item.high is None else item.high - constant
    return replace(item, value=item.value - constant, low=low, high=high)


def read_runs(entry: Entry, entries_dir: Path) -> list[Columns]:
    """The samples of each of an entry's runs.

    Raises:
        CMEError: a file is missing, damaged, or not the entry's.
    """
    found = []
    for k, run in enumerate(entry.runs):
        path = samples_path(entries_dir, entry.name, k)
        check_hash(path, run.samples_sha256, f"entry {entry.name!r}")
        check_samples(path)
        found.append(read_columns(path))
    return found


def _panel_of_some(entry: Entry, own: Sequence[Columns], asked: Sequence[Columns]) -> Panel:
    """The scores of a partial baseline alone, after its samples were found to be the table's on the datasets it answers."""
    names = [item.dataset for item in entry.scores.datasets]
    panel_of({"": [{name: asked[0][name] for name in names}], entry.name: own})
    return panel_of({entry.name: [{name: run[name] for name in names} for run in own]})
