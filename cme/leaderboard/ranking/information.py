"""How much the datasets and families of a board tell about its trained rows: signal-to-noise, and scores at a limit."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cme.stats import Estimate, Panel, average_weights
from cme.stats.signal import CEILING, NEAR_CHANCE, Limit, Signal, limit_of, signal_to_noise

__all__ = ["LIMITS", "Information", "Measure", "make_information"]

LIMITS: dict[Limit, str] = {
    "ceiling": f"all trained rows score {CEILING:g} or more",
    "chance": f"all trained rows are within {NEAR_CHANCE:g} points of chance",
}
"""What it means that the scores of a family or a dataset lie at a limit."""


@dataclass(frozen=True)
class Measure:
    """What one score tells about the trained rows.

    Attributes:
        score: signal-to-noise of the scores; None without several trained rows of which one has several seeds.
        soft: the same of the soft scores.
        limit: ``ceiling`` or ``chance`` if the scores of all trained rows lie there, so that they carry no information.
    """

    score: Signal | None
    soft: Signal | None
    limit: Limit | None


@dataclass(frozen=True)
class Information:
    """What the scores of a board tell about its trained rows.

    Attributes:
        average: the CME average and the soft average.
        families: the families, by name. One whose datasets are all at a limit carries no information either; its limit is then
            that of its first dataset.
        datasets: the datasets, by name.
    """

    average: Measure
    families: dict[str, Measure]
    datasets: dict[str, Measure]

    @property
    def uninformative(self) -> list[str]:
        """Names of the families that carry no information, in the suite's order."""
        return [name for name, measure in self.families.items() if measure.limit]

    def measures(self) -> Iterator[tuple[str, str, Measure]]:
        """Yield kind (``average``, ``family`` or ``dataset``), name and measure of the average, the families and datasets."""
        yield "average", "average", self.average
        yield from (("family", name, measure) for name, measure in self.families.items())
        yield from (("dataset", name, measure) for name, measure in self.datasets.items())


def make_information(
    scores: Panel,
    soft: Panel,
    estimates: Mapping[str, Mapping[str, Estimate]],
    *,
    family_of: Mapping[str, str],
    chance: Mapping[str, float],
) -> Information | None:
    """Compute what the scores tell about the trained rows.

    Args:
        scores: the scores of all rows.
        soft: their soft scores.
        estimates: dataset scores in points by dataset and row.
        family_of: family of each dataset that counts in the average.
        chance: expected score of guessing for each dataset, in [0, 1].

    Returns:
        The information, or None with fewer than two trained rows.
    """
    trained = [row for row, is_trained in zip(scores.rows, scores.trained, strict=True) if is_trained]
    if len(trained) < 2:
        return None

    def measure(weights: Mapping[str, float], limit: Limit | None) -> Measure:
        return Measure(signal_to_noise(scores, weights), signal_to_noise(soft, weights), limit)

    def limit_of_mean(names: Sequence[str]) -> Limit | None:
        means = [sum(estimates[name][row].value for name in names) / len(names) for row in trained]
        return limit_of(means, 100 * sum(chance[name] for name in names) / len(names))

    datasets = {name: measure({name: 100.0}, limit_of_mean([name])) for name in chance}
    families = {}
    for family in dict.fromkeys(family_of.values()):
        members = {name: of for name, of in family_of.items() if of == family}
        limits = [datasets[name].limit for name in members]
        limit = limit_of_mean(list(members)) or (limits[0] if all(limits) else None)
        families[family] = measure(average_weights(members), limit)
    return Information(measure(average_weights(family_of), None), families, datasets)
