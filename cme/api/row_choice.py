"""Which rows an evaluation computes: those of a tier, given numbers, those of another result, or as many as a precision needs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cme.api.call import StrPath, path
from cme.errors import UsageError, unknown

if TYPE_CHECKING:
    from cme.evaluation.row_rules import RowRule
    from cme.evaluation.settings import EvalSettings
    from cme.records import Result

__all__ = ["RowChoice", "row_choice"]

_COUNT = re.compile(r"([\w-]+)\s*=\s*(\d+)")


@dataclass(frozen=True)
class RowChoice:
    """The rows to evaluate.

    Attributes:
        tier: the tier that bounds the rows.
        datasets: names of the datasets; None for the whole suite.
        rule: the rule that chooses the rows; None for all rows of the tier.
        like: the result whose rows they are, with its folder.
        ids: file of row ids whose rows they are.
    """

    tier: str
    datasets: tuple[str, ...] | None
    rule: "RowRule | None" = None
    like: "tuple[Result, Path] | None" = None
    ids: str | None = None

    def checked(self, settings: "EvalSettings", *, loaded: bool = True) -> "RowRule | None":
        """Return the rule after checking the settings against the result whose rows are evaluated.

        Args:
            settings: settings of the evaluation.
            loaded: whether CME loads the model, which is in memory otherwise.

        Raises:
            UsageError: if the evaluation would have other rows or prompts.
        """
        if self.like is not None:
            from cme.evaluation.shared_rows import check_rows_of

            settings.check()
            check_rows_of(*self.like, settings, loaded=loaded)
        return self.rule


def row_choice(
    until: float | str | None,
    rows: Mapping[str, int] | str | None,
    rows_of: StrPath | None,
    tier: str | None,
    datasets: tuple[str, ...] | None,
    baseline: str | None,
    *,
    ids: StrPath | None = None,
    kept: bool = True,
) -> RowChoice:
    """Read the arguments that choose rows.

    Args:
        until: half-width in points.
        rows: number of rows of each dataset.
        rows_of: folder of a result.
        tier: the tier; None for the default.
        datasets: names of datasets or families.
        baseline: name of a baseline.
        ids: file of row ids.
        kept: whether the output folder is kept after an error.

    Raises:
        UsageError: if a value is invalid, or arguments exclude each other.
        CMEError: if the result is missing or damaged.
    """
    given = {"until": until, "rows": rows, "rows_of": rows_of, "ids": ids}
    several = [name for name, value in given.items() if value is not None]
    if not several:
        return RowChoice(tier or "quick", datasets)
    if len(several) > 1:
        raise UsageError(
            f"{' and '.join(several)} cannot be combined, because each of them chooses the rows. Give one of them."
        )
    if until is not None:
        return RowChoice(tier or "full", datasets, _until(until, tier, baseline, kept))
    if datasets is not None:
        raise UsageError(
            f"datasets cannot be combined with {several[0]}, which names the datasets itself. Leave it out."
        )
    if rows is not None:
        from cme.evaluation.row_rules import GivenRows

        counts = _counts(rows)
        return RowChoice(tier or "full", tuple(counts), GivenRows(counts))
    return _like(path(rows_of or ""), tier) if ids is None else _of_ids(path(ids), tier)


def _until(until: float | str, tier: str | None, baseline: str | None, kept: bool) -> "RowRule":
    from cme.evaluation.row_rules import until_precise
    from cme.stats.until import Until

    rule = Until.parse(str(until))
    if rule.decided:
        raise UsageError(
            f"until={until} compares several models, but an evaluation has one. Compare them with cme compare, or give a "
            f"half-width alone, such as {rule.half_width:g}."
        )
    if baseline is not None:
        raise UsageError(
            f"until cannot be combined with the baseline {baseline}, which costs no tokens. Evaluate a tier, or the rows of a "
            "model's result with rows_of."
        )
    if tier == "smoke":
        raise UsageError(
            "until cannot be combined with tier smoke, which is too small for an interval. Set a larger tier."
        )
    return until_precise(rule.half_width, kept=kept)


def _counts(rows: Mapping[str, int] | str) -> dict[str, int]:
    """Return the numbers of rows by dataset.

    Raises:
        UsageError: if a text has another form, a dataset is unknown or named twice, or a number is not above 0.
    """
    from cme.suite import datasets
    from cme.suite.suites import ALL

    if isinstance(rows, str):
        counts = {}
        for part in rows.split(","):
            match = _COUNT.fullmatch(part.strip())
            if match is None:
                raise UsageError(
                    f"rows holds {part!r}. Give DATASET=NUMBER, separated by commas, such as rte=100,qqp=300."
                )
            if match[1] in counts:
                raise UsageError(f"rows names {match[1]} more than once. Give one number of rows for each dataset.")
            counts[match[1]] = int(match[2])
    else:
        counts = dict(rows)
    known = datasets(ALL, beside=True)
    for name, count in counts.items():
        if name not in known:
            raise unknown("dataset in rows:", name, known)
        if count < 1:
            raise UsageError(f"rows has {count} rows of {name}. Give a number above 0, or leave the dataset out.")
    if not counts:
        raise UsageError("rows is empty. Give the number of rows of at least one dataset.")
    return counts


def _of_ids(file: Path, tier: str | None) -> RowChoice:
    from cme.evaluation.chosen_ids import chosen_ids

    chosen = chosen_ids(str(file))
    own = "full" if chosen.evaluation is None else chosen.evaluation.tier
    if tier is not None and tier != own:
        raise UsageError(f"the rows of {file} are of tier {own}, but tier is {tier}. Leave it out.")
    return RowChoice(own, tuple(chosen.counts), ids=str(file))


def _like(folder: Path, tier: str | None) -> RowChoice:
    from cme.evaluation.shared_rows import rows_of

    result, rule = rows_of(folder)
    if tier is not None and tier != result.tier:
        raise UsageError(f"the rows of {folder} are of tier {result.tier}, but tier is {tier}. Leave it out.")
    return RowChoice(result.tier, tuple(rule.counts), rule, (result, folder))
