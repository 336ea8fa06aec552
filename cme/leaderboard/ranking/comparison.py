"""The standing of a board's rows: scores with intervals, all paired differences and rank ranges."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cme.leaderboard.entries.agreement import repeats
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
from cme.leaderboard.ranking.example_order import shared_seeds
from cme.leaderboard.ranking.information import Information, make_information
from cme.leaderboard.ranking.score_table import ScoreTable, SoftStanding
from cme.records import Entry, Scores
from cme.stats import Comparison, Estimate, RankRange, average_weights, variance_share
from cme.stats.variance import paired_by_seed
from cme.suite import datasets
from cme.suite.score import suite_of, without_rouge
from cme.suite.suites import ALL, DEFAULT, SUITES, Suite

__all__ = ["Standing", "make_standing", "read_runs"]


@dataclass(frozen=True)
class Standing:
    """What follows from all entries of a board together.

    Attributes:
        rows: the compared entries, sorted by average, best first.
        references: reference rows, which have scores and no rank: baselines, and a base with examples in the prompt.
        partial: baselines that answer only some of the datasets and so have no average, sorted by name.
        stale: entries scored by an older scorer version, which are neither compared nor ranked.
        repeats: rows with the same trainings as one of ``rows`` (`cme.leaderboard.entries.agreement.repeats`). They have
            scores, but count only once: they are neither compared nor ranked.
        averages: average of the suite in points by name of the row, including references.
        families: family scores by family and row, including partial baselines that answer all datasets of the family.
        datasets: dataset scores in points by dataset and row, including partial baselines that answer the dataset.
        without_rouge: average without the summarization family; empty if no other family was run.
        chance_normalised: average after every dataset's score was rescaled to (score − chance) / (1 − chance).
        comparison: all pairs of ``rows``; None at tier smoke, with fewer than two rows, or if a dataset has one cluster.
        ranks: rank ranges by name; empty without a comparison.
        detectable: difference in points that one planned comparison of two trained rows detects with a power of 80 %; of any two
            rows, if fewer than two are trained.
        rouge_share: share of the variance between the averages of ``rows`` that is due to the summarization family.
        soft: the soft scores; None on a board without current rows.
        information: what the scores tell about the trained rows; None with fewer than two of them, and at tier smoke.
        repeated: name of the row with the same trainings, by the name of each of ``repeats``.
        paired: whether what a seed adds to all trained rows is left out of their differences.
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
    soft: SoftStanding | None = None
    information: Information | None = None
    repeats: tuple[Entry, ...] = ()
    repeated: dict[str, str] = field(default_factory=dict)
    paired: bool = False

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All of them in the order of the table: rows, repeats, references, partial baselines, stale ones."""
        return (*self.scored, *self.stale)

    @property
    def shown(self) -> tuple[Entry, ...]:
        """Rows and repeats: what tables describe."""
        return (*self.rows, *self.repeats)

    @property
    def scored(self) -> tuple[Entry, ...]:
        """Rows, repeats, references and partial baselines: what has current scores."""
        return (*self.shown, *self.references, *self.partial)

    @property
    def trainings(self) -> tuple[Entry, ...]:
        """Rows, references, partial baselines and stale rows, without repeats: every training once."""
        return (*self.rows, *self.references, *self.partial, *self.stale)

    @property
    def suite(self) -> Suite:
        """The suite of the entries; CME-22 if there are none."""
        return suite_of(self.entries[0].scores) if self.entries else SUITES[DEFAULT]

    def kind(self, entry: Entry) -> str:
        """``row``, ``repeat``, ``reference``, ``partial`` or ``stale``."""
        if is_stale_entry(entry):
            return "stale"
        if entry.name in self.repeated:
            return "repeat"
        return "row" if not is_reference(entry) else "reference" if self.whole_scores(entry) else "partial"

    def whole_scores(self, entry: Entry) -> Scores | None:
        """Return an entry's scores, or None if it answers only some of the datasets, so that its average is not comparable."""
        return entry.scores if len(entry.scores.datasets) == len(self.datasets) else None


def make_standing(entries: Sequence[Entry], entries_dir: Path, *, resamples: int = 10_000) -> Standing:
    """Compare entries by their per-sample scores.

    Args:
        entries: comparable entries, in any order.
        entries_dir: folder of the entries; the samples are in the folder ``samples`` beside it.
        resamples: number of resamples of the paired bootstrap.

    Raises:
        UsageError: the entries are not comparable.
        CMEError: samples are missing, damaged, or not those of the entry.
    """
    check_comparable(entries)
    if not entries:
        return Standing((), (), (), (), {}, {}, {}, {}, {}, None, {}, None, None)
    some = {entry.name for entry in partial_baselines(entries)}
    whole = [entry for entry in ranked(entries) if entry.name not in some]
    current = [entry for entry in whole if not is_stale_entry(entry)]
    repeated = repeats(current)
    rows = tuple(entry for entry in current if not is_reference(entry) and entry.name not in repeated)
    partial = tuple(entry for entry in partial_baselines(entries) if not is_stale_entry(entry))
    family_of = {item.dataset: item.family for item in whole[0].scores.datasets}
    counted = {name: family for name, family in family_of.items() if name in datasets(ALL)}
    weights = average_weights(counted)
    columns = {entry.name: read_runs(entry, entries_dir) for entry in current}
    untrained = [entry.name for entry in entries if entry.runs[0].seed is None]
    shared = columns.get(whole[0].name) or (read_runs(whole[0], entries_dir) if partial else [])
    of_partial = {entry.name: _matching_runs(entry, entries_dir, shared) for entry in partial}
    with_stderr = whole[0].tier != "smoke"
    seeds = shared_seeds(current)
    table = ScoreTable(columns, of_partial, untrained, with_stderr, repeated, seeds)
    chance = {item.dataset: item.chance for item in whole[0].scores.datasets}
    # Σ w · (score − c) / (1 − c) is a weighted mean of the scores minus a constant, the expected value of guessing.
    rescaled = {name: weight / (1 - chance[name]) for name, weight in weights.items()}
    guessed = sum(weight * chance[name] for name, weight in rescaled.items())
    rouge_free = without_rouge(suite_of(whole[0].scores))
    plain = {name: family for name, family in counted.items() if family in rouge_free}
    names = [entry.name for entry in rows]
    comparison = table.compare(names, weights, resamples)
    means = {entry.name: {item.dataset: item.value for item in entry.scores.datasets} for entry in rows}
    rouge = [name for name in counted if name not in plain]
    of_datasets = table.of_datasets(family_of)
    soft, information = None, None
    if table.panel:
        soft_table = ScoreTable(
            {entry.name: _soft_runs(entry, entries_dir) for entry in current},
            {entry.name: _soft_runs(entry, entries_dir) for entry in partial},
            untrained,
            with_stderr,
            repeated,
            seeds,
        )
        soft = soft_table.soft_standing(names, counted, family_of, resamples)
        if with_stderr and soft_table.panel:
            information = make_information(table.panel, soft_table.panel, of_datasets, family_of=counted, chance=chance)
    return Standing(
        rows=rows,
        references=tuple(entry for entry in current if is_reference(entry)),
        partial=partial,
        stale=tuple(entry for entry in ranked(entries) if is_stale_entry(entry)),
        averages=table.by_name(weights, whole=True),
        families=table.of_families(counted),
        datasets=of_datasets,
        without_rouge=table.by_name(average_weights(plain), whole=True) if plain else {},
        chance_normalised={name: _less(item, guessed) for name, item in table.by_name(rescaled, whole=True).items()},
        comparison=comparison,
        ranks=comparison.rank_ranges() if comparison else {},
        detectable=comparison.detectable(among=_of_interest(rows)) if comparison else None,
        rouge_share=variance_share(means, weights, rouge) if rows and rouge and plain else None,
        soft=soft,
        information=information,
        repeats=tuple(entry for entry in current if entry.name in repeated),
        repeated=repeated,
        paired=table.panel is not None and paired_by_seed(table.panel) is not None,
    )


def _of_interest(rows: Sequence[Entry]) -> list[str] | None:
    """Return the names of the trained rows, which a board compares; None if there are fewer than two of them."""
    trained = [entry.name for entry in rows if entry.runs[0].seed is not None]
    return trained if len(trained) > 1 else None


def _less(item: Estimate, constant: float) -> Estimate:
    low = None if item.low is None else item.low - constant
    high = None if item.high is None else item.high - constant
    return replace(item, value=item.value - constant, low=low, high=high)


def read_runs(entry: Entry, entries_dir: Path) -> list[Columns]:
    """Read the samples of all runs of an entry.

    Raises:
        CMEError: a file is missing, damaged, or not the entry's.
    """
    runs = []
    for k, run in enumerate(entry.runs):
        path = samples_path(entries_dir, entry.name, k)
        check_hash(path, run.samples_sha256, f"entry {entry.name!r}")
        check_samples(path)
        runs.append(read_columns(path))
    return runs


def _soft_runs(entry: Entry, entries_dir: Path) -> list[Columns]:
    """Read the soft scores of an entry whose files `read_runs` has checked."""
    return [read_columns(samples_path(entries_dir, entry.name, k), soft=True) for k in range(len(entry.runs))]


def _matching_runs(entry: Entry, entries_dir: Path, shared: Sequence[Columns]) -> list[Columns]:
    """Read the samples of a partial baseline and check that they are those of the board's other rows."""
    own, names = read_runs(entry, entries_dir), [item.dataset for item in entry.scores.datasets]
    runs = [{name: run[name] for name in names} for run in own]
    panel_of({"": [{name: shared[0][name] for name in names}], entry.name: runs})
    return runs
