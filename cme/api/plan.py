"""Plans of comparisons: how many seeds and samples decide a difference."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, path, public
from cme.api.sides import Sides, named_sides
from cme.api.tables import as_html, as_text
from cme.errors import CMEError, UsageError

if TYPE_CHECKING:
    import pandas as pd

    from cme.leaderboard.ranking.planning import Planned
    from cme.stats.planning import Components

__all__ = ["Plan", "plan"]


@dataclass(frozen=True, repr=False)
class Plan:
    """How many seeds and samples a comparison of two methods needs.

    Attributes:
        planned: the variances of the pilot, and the splits between seeds and samples.
        budget_hours: the given budget; None if none was given.
    """

    planned: "Planned"
    budget_hours: float | None = None

    def to_frame(self) -> "pd.DataFrame":
        """Return the splits.

        Returns:
            One row per number of ``seeds``: ``each``, the samples of each dataset, and ``samples`` of all datasets for one run;
            ``tokens`` and ``hours`` for both methods with all seeds; ``training_hours``, the part for training; ``detectable``,
            the difference that all samples detect. Values are missing where all samples do not suffice, and times where they
            are unknown.
        """
        import pandas as pd

        frame = pd.DataFrame([asdict(item) for item in self.planned.splits])
        return frame.astype({"each": "Int64", "samples": "Int64"}).astype(
            dict.fromkeys(("tokens", "training_hours", "hours"), "float64")
        )

    @property
    def notes(self) -> list[str]:
        """What the plan says, in words."""
        from cme.stats.planning import PAIRED_FROM

        planned, best = self.planned, self.planned.best
        what = f"{planned.difference:g} {'point' if planned.difference == 1 else 'points'}"
        power = f"{100 * planned.power:g} %"
        parts = planned.parts
        lines = []
        if best is None or best.each is None or best.samples is None or best.tokens is None:
            lines.append(f"No number of seeds up to 10,000 detects {what} with a power of {power}.")
        else:
            hours = "" if best.hours is None else f" and {best.hours:.1f} hours"
            cheapest = "The cheapest plan" if best.hours is not None else "The plan with the fewest seeds"
            lines.append(
                f"{cheapest} that detects {what} with a power of {power}: {best.seeds} seeds of each method and {best.each:,} "
                f"samples of each dataset ({best.samples:,} for a run). Both methods together take "
                f"{best.tokens / 1e6:.2f} million tokens{hours}."
            )
        lines.append(
            f"In the pilot, seeds move a method's average by {(parts.seeds / 2) ** 0.5:.2f} points (standard deviation; "
            f"{parts.freedom} degrees of freedom from {', '.join(planned.pilot)})."
        )
        if parts.within is not None:
            lines.append(
                f"From {PAIRED_FROM} seeds on, a comparison leaves out what a seed adds to both methods, so train both with the "
                f"same seeds. What is left moves a method's average by {(parts.within.seeds / 2) ** 0.5:.2f} points "
                f"({parts.within.freedom} degrees of freedom)."
            )
        each = best.seeds if best is not None else 3
        if parts.of(each).seeds > 0:
            lines.append(
                f"With {each} seeds of each method, the seeds cause most of the variance from about "
                f"{parts.seeds_outweigh(each):.0f} samples per dataset on."
            )
        if self.budget_hours is not None:
            seeds, samples = planned.budget(self.budget_hours)
            lines.append(
                f"A budget of {self.budget_hours:g} hours for both methods is used best with {seeds:.1f} seeds and {samples:.0f} "
                "samples of each dataset."
            )
        lines.append("One seed compares two adapters and says nothing about their methods.")
        return lines

    def plain(self) -> dict[str, Any]:
        """Return everything as values for JSON."""
        planned, parts = self.planned, self.planned.parts
        budget = None
        if self.budget_hours is not None:
            seeds, samples = planned.budget(self.budget_hours)
            budget = {"hours": self.budget_hours, "seeds": seeds, "each": samples}
        return {
            "difference": planned.difference,
            "power": planned.power,
            "pilot": list(planned.pilot),
            "variance": _plain(parts) | {"within": None if parts.within is None else _plain(parts.within)},
            "available": planned.available,
            "tokens_per_sample": planned.tokens_per_sample,
            "training_seconds": planned.training_seconds,
            "seconds_per_token": planned.seconds_per_token,
            "splits": [asdict(item) for item in planned.splits],
            "best": None if planned.best is None else asdict(planned.best),
            "budget": budget,
            "notes": self.notes,
        }

    def plot(self, file: StrPath) -> Path:
        """Draw the detectable difference by samples and seeds.

        Args:
            file: the figure, with the suffix ``.svg`` or ``.png``.

        Raises:
            CMEError: if the suffix is another one, matplotlib is not installed, or the file cannot be written.
        """
        from cme.api.plan_plot import save

        save(self.planned, path(file))
        return path(file)

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def _shown(self) -> "tuple[str, pd.DataFrame, list[str]]":
        return "Seeds and samples of two methods", self.to_frame(), self.notes


@public
def plan(
    pilot: Sides | None = None,
    *,
    difference: float = 1.0,
    power: float = 80.0,
    entries: StrPath | None = None,
    training_hours: float | None = None,
    budget: float | None = None,
    plot: StrPath | None = None,
) -> Plan:
    """Plan how many seeds and samples decide a difference between two methods: ``cme plan``.

    The variances come from a pilot. The variance of the difference of two methods with S seeds each and n samples of each dataset
    is a/S + b/n + g/(S n): between seeds, shared by seeds, and different between seeds. From five seeds on, the comparison pairs
    equal seeds, and so does the plan if the pilot has enough of them.

    Args:
        pilot: results or entries of at least two methods, one of them with several seeds, as in `compare`. None means the
            entries of a board.
        difference: the difference to detect, in points.
        power: probability of detecting it, in percent.
        entries: folder of the entries of a board, as the pilot. None means the demo board of a checkout.
        training_hours: hours to train one run, if they differ from those of the pilot.
        budget: hours for both methods together. The notes then say which seeds and samples use them best.
        plot: figure to write (`Plan.plot`).

    Returns:
        The plan.

    Raises:
        CMEError: if a number is out of range, or the pilot has too few methods or seeds, cannot be read, or recorded no times for
            a budget.

    Example:
        >>> made = cme.plan(difference=5, entries=f"{DEMO}/entries")
        >>> made.to_frame()["seeds"].tolist()
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    """
    from cme.leaderboard.ranking.planning import plan_from
    from cme.leaderboard.ranking.sides import read_sides

    if pilot is not None and entries is not None:
        raise UsageError("pilot and entries cannot be combined. Give one of them.")
    if pilot is None:
        given = _board(None if entries is None else path(entries))
    else:
        given = {}
        for name, members in named_sides(pilot).items():
            given[name] = [item for item in members if isinstance(item, Path)]
            if other := [item.given for item in members if not isinstance(item, Path)]:
                raise UsageError(
                    f"{other[0]} is not a result or an entry. A plan needs finished evaluations; evaluate it first (cme eval)."
                )
    made = Plan(
        plan_from(read_sides(given), difference=difference, power=power / 100, training_hours=training_hours), budget
    )
    if budget is not None:
        made.planned.budget(budget)
    if plot is not None:
        made.plot(plot)
    return made


def _plain(parts: "Components") -> dict[str, Any]:
    """Return components of the variance as values for JSON."""
    return {
        "seeds": parts.seeds,
        "shared": float(parts.shared.sum()),
        "own": float(parts.own.sum()),
        "freedom": parts.freedom,
        "datasets": {
            name: {"shared": float(shared), "own": float(own)}
            for name, shared, own in zip(parts.datasets, parts.shared, parts.own, strict=True)
        },
    }


def _board(folder: Path | None) -> dict[str, list[Path]]:
    """Return the trained entries of a board, each training once."""
    from cme.leaderboard.entries.agreement import repeats
    from cme.leaderboard.entries.board import entry_files, is_stale_entry, load_entry

    if folder is None:
        from cme.paths import leaderboards_dir

        folder = leaderboards_dir() / "demo" / "entries"
        if not folder.is_dir():
            raise UsageError(
                "there is no pilot. Give results of two methods with several seeds (cme plan a=RESULT,RESULT b=RESULT,RESULT), "
                "or the entries of a board (--entries). The demo board is in a checkout of CME, not in the installed package."
            )
    entries = {file: load_entry(file) for file in entry_files(folder)}
    trained = {
        file: entry for file, entry in entries.items() if entry.runs[0].seed is not None and not is_stale_entry(entry)
    }
    repeated = repeats(list(trained.values()))
    files = [file for file, entry in trained.items() if entry.name not in repeated]
    if not files:
        raise CMEError(f"{folder} has no entries of trained methods. Give the entries of another board, or a pilot.")
    return {f"={file}": [file] for file in files}
