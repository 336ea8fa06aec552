"""Comparison of adapters, bases, results and entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, chosen_datasets, path, public
from cme.api.sides import Sides, evaluated, named_sides
from cme.api.tables import as_html, as_text

if TYPE_CHECKING:
    import pandas as pd

    from cme.leaderboard.ranking.paired import Paired
    from cme.stats import Difference

__all__ = ["Compared", "compare"]

FILE = "comparison.json"


@dataclass(frozen=True, repr=False)
class Compared:
    """The comparison of some sides, from their per-sample scores.

    Attributes:
        paired: averages, differences and looks.
        file: the written ``comparison.json``; None without an output folder.
    """

    paired: "Paired"
    file: Path | None = None

    @property
    def differences(self) -> "tuple[Difference, ...]":
        """The difference of every pair in points: first minus second."""
        return self.paired.comparison.differences

    @property
    def verdicts(self) -> list[str]:
        """What each difference says, in words."""
        from cme.leaderboard.ranking.verdicts import verdict

        return [verdict(self.paired, k) for k in range(len(self.differences))]

    @property
    def notes(self) -> list[str]:
        """What holds for the comparison as a whole, in words."""
        from cme.leaderboard.ranking.verdicts import notes

        return notes(self.paired)

    def to_frame(self) -> "pd.DataFrame":
        """Return the differences.

        Returns:
            One row per pair: ``first``, ``second``, ``difference`` in points with its interval ``low`` to ``high``, ``stderr``,
            ``p``, ``p_adjusted`` (Holm), ``significant``, and ``seed_share``, the share of the seeds in the variance (missing
            if no side has several seeds).
        """
        import pandas as pd

        return pd.DataFrame([self._pair(item) for item in self.differences]).astype({"seed_share": "float64"})

    def families_frame(self) -> "pd.DataFrame":
        """Return the differences by family.

        Returns:
            One row per family and pair: ``family``, ``first``, ``second``, ``difference`` in points with its interval ``low`` to
            ``high``, which is not corrected for the number of families.
        """
        import pandas as pd

        return pd.DataFrame(
            [{"family": name, **_short(item)} for name, items in self.paired.families.items() for item in items]
        )

    def plain(self) -> dict[str, Any]:
        """Return everything as values for JSON."""
        from cme.leaderboard.ranking.verdicts import narrowing

        paired = self.paired
        first = paired.sides[0]
        pairs = [
            {**self._pair(item), "narrowing": narrowing(item), "one_seed": list(item.one_seed), "verdict": text}
            for item, text in zip(self.differences, self.verdicts, strict=True)
        ]
        for k, pair in enumerate(pairs):
            for what, tables in (("families", paired.families), ("datasets", paired.datasets)):
                pair[what] = {name: _interval(items[k]) for name, items in tables.items()}
        return {
            "kind": "comparison",
            "schema_version": 1,
            "tier": first.tier,
            "source": first.source,
            "alpha": paired.comparison.alpha,
            "resamples": paired.comparison.resamples,
            "samples": paired.samples,
            "tokens": paired.tokens,
            "tokens_recorded": paired.tokens_recorded,
            "rows": [
                {
                    "name": side.name,
                    "runs": [run.label for run in side.runs],
                    "trained": side.trained,
                    "average": item.value,
                    "stderr": item.stderr,
                    "low": item.low,
                    "high": item.high,
                }
                for side, item in zip(paired.sides, paired.averages, strict=True)
            ],
            "pairs": pairs,
            "notes": self.notes,
            "until": None if paired.until is None else paired.until.plain(),
        }

    def _pair(self, item: "Difference") -> dict[str, Any]:
        from cme.leaderboard.ranking.verdicts import seed_share

        return {
            **_short(item),
            "stderr": item.stderr,
            "p": item.p,
            "p_adjusted": item.p_adjusted,
            "significant": item.significant,
            "seed_share": seed_share(self.paired, item),
        }

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def _shown(self) -> "tuple[str, pd.DataFrame, list[str]]":
        names = ", ".join(side.name for side in self.paired.sides)
        return f"Comparison of {names} in points", self.to_frame(), [*self.verdicts, *self.notes]


@public
def compare(
    sides: Sides,
    *,
    until: float | str | None = None,
    source: str | None = None,
    tier: str | None = None,
    out: StrPath | None = None,
    base: str = "smollm2-135m",
    suite: str | None = None,
    datasets: str | Sequence[str] | None = None,
    prompt_format: str = "plain",
    dtype: str = "float32",
    device: str | None = None,
    threads: int | None = None,
) -> Compared:
    """Compare adapters, bases, results and entries, pair by pair, on the samples that they share: ``cme compare``.

    Results and entries are read. Adapters, ``"base"``, other bases and baselines are evaluated first, in ``out``; after an
    interruption the same call continues.

    Args:
        sides: what to compare. A list of folders, entry files, adapters or texts; or a mapping of names to one or several of
            them. Several results under one name are the seeds of a method.
        until: stop early. A half-width such as ``0.5`` evaluates until every interval is within ± 0.5 points, as far as samples
            can make it so. ``"decided:0.5"`` also stops as soon as all differences are significant. Of results and entries, only
            the stored samples are used, in tier order. None compares all samples.
        source: source of the samples, for models that must be evaluated: ``hub``, a mirror folder,
            ``NAME=DIR`` (a mirror folder with a name for tables), or ``mini``.
        tier: samples per dataset for these models. None means ``quick``, or ``full`` with ``until``, which evaluates only as many
            of them as it needs.
        out: folder for the results of these models, and for ``comparison.json``.
        base: base of the adapters.
        suite: ``cme-22`` or ``cme-r``. None means the suite of the named datasets, and ``cme-22`` if none is named.
        datasets: datasets or families on which models are evaluated. None means the whole suite.
        prompt_format: prompt format for models.
        dtype: data type for models.
        device: device for models.
        threads: CPU threads for models.

    Returns:
        The comparison.

    Raises:
        CMEError: if something is neither a result nor a model, results differ in tier, prompts, samples or scorer, two of them
            are identical, what has one name is not several trainings of one method, a dataset has a single cluster, or all
            samples cannot reach the half-width.

    Example:
        >>> compared = cme.compare([f"{DEMO}/entries/lora.json", f"{DEMO}/entries/base.json"])
        >>> [item.significant for item in compared.differences]
        [True]
    """
    from cme.errors import UsageError
    from cme.leaderboard.ranking.paired import compare_sides, stored_looks
    from cme.leaderboard.ranking.sides import read_sides
    from cme.stats.until import Until

    rule = None if until is None else Until.parse(until) if isinstance(until, str) else Until(until)
    members = named_sides(sides)
    if len(members) < 2:
        raise UsageError("a comparison needs at least two sides. Give another result, entry or model.")
    folder = None if out is None else path(out)
    results, looks = evaluated(
        members, folder, rule, base=base, source=source, tier=tier, datasets=chosen_datasets(suite, datasets),
        prompt_format=prompt_format, dtype=dtype, device=device, threads=threads,
    )  # fmt: skip
    read = read_sides(results)
    if rule is not None and looks is None:
        looks = stored_looks(read, rule)
    compared = Compared(compare_sides(read, looks=looks))
    return compared if folder is None else _written(compared, folder / FILE)


def _written(compared: Compared, file: Path) -> Compared:
    from cme.files import cannot_write, write_json

    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(file, error) from error
    write_json(file, compared.plain())
    return Compared(compared.paired, file)


def _short(item: "Difference") -> dict[str, Any]:
    return {"first": item.first, "second": item.second, **_interval(item)}


def _interval(item: "Difference") -> dict[str, float]:
    return {"difference": item.value, "low": item.low, "high": item.high}
