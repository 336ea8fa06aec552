"""What a comparison says, in sentences."""

import math
from collections.abc import Sequence

from cme.leaderboard.ranking.paired import Paired
from cme.leaderboard.ranking.sides import Side
from cme.stats import Difference
from cme.stats.sequential import Sequential
from cme.stats.until import LOOKS

__all__ = ["narrowing", "notes", "seed_share", "verdict"]

_MOST = 0.5
"""From this share in the variance on, seeds are what limits a comparison."""


def verdict(paired: Paired, index: int) -> str:
    """Describe one difference: which side is above the other, or how far apart they are at most, and what limits it.

    Args:
        paired: the comparison.
        index: index of the pair.
    """
    item = paired.comparison.differences[index]
    return " ".join(text for text in (_claim(paired, item, index), _limits(item)) if text)


def notes(paired: Paired) -> list[str]:
    """Describe what holds for the comparison as a whole."""
    lines = []
    if paired.until is not None:
        lines.append(_stop(paired, paired.until))
    elif any(run.by_decision for side in paired.sides for run in side.runs):
        lines.append(
            "A decision could stop the evaluation of these samples, so the differences are exaggerated and the intervals are too "
            "narrow. The comparison that chose the samples is valid (comparison.json)."
        )
    single = [side.name for side in paired.sides if side.trained and len(side.runs) == 1]
    if single and any(len(side.runs) > 1 for side in paired.sides):
        have = "has" if len(single) == 1 else "have"
        lines.append(f"{_listed(single)} {have} one seed, so the seed variance is that of the other methods.")
    elif single:
        adapters = all(run.kind == "adapter" for side in paired.sides if side.name in single for run in side.runs)
        what, count = "adapter" if adapters else "model", "two " if len(single) == 2 else ""
        these = (
            f"these {count}{what}s, not about their methods"
            if len(single) > 1
            else f"this {what}, not about its method"
        )
        lines.append(f"The comparison is about {these}: training with other seeds may change it.")
    return [*lines, *_assumed(paired.sides), *_conditions(paired.sides)]


def _assumed(sides: Sequence[Side]) -> list[str]:
    """Tell which models count as trained although nothing tells whether they were."""
    return [
        f"It is not known whether {side.name} was trained: it is not the base of another side, and no run.json of it was found "
        "in its folder. It counts as trained with one seed."
        for side in sides
        if side.assumed
    ]


def _conditions(sides: Sequence[Side]) -> list[str]:
    """Tell how the evaluations of the sides differ."""
    texts = []
    for what in dict.fromkeys(name for side in sides for run in side.runs for name in run.evaluated):
        names: dict[str, list[str]] = {}
        for side in sides:
            values = dict.fromkeys(run.evaluated[what] for run in side.runs if what in run.evaluated)
            for value in values:
                names.setdefault(value, []).append(side.name)
        if len(names) > 1:
            texts.append(f"{what}: " + ", ".join(f"{value} ({', '.join(of)})" for value, of in names.items()))
    if not texts:
        return []
    return [
        f"The evaluations differ in {'; in '.join(texts)}. This can change answers, so a part of the difference may come from it."
    ]


def seed_share(paired: Paired, item: Difference) -> float | None:
    """Return the share of the seeds in the variance of a difference; None if no side has several seeds to tell."""
    return item.seed_share if not item.one_seed or any(len(side.runs) > 1 for side in paired.sides) else None


def narrowing(item: Difference) -> float:
    """Return the share by which more samples can narrow an interval at most, from 0 to 1. The rest is due to seeds."""
    return 1 - math.sqrt(item.seed_share)


def _claim(paired: Paired, item: Difference, index: int) -> str:
    if not item.significant:
        return (
            f"{item.first} and {item.second} do not differ significantly. The {100 * (1 - paired.comparison.alpha):g} % interval "
            f"of {item.first} − {item.second} is [{item.low:.2f}, {item.high:.2f}] points."
        )
    above, below = (item.first, item.second) if item.value > 0 else (item.second, item.first)
    low, high = (item.low, item.high) if item.value > 0 else (-item.high, -item.low)
    text = f"{above} is above {below} by {abs(item.value):.2f} points [{low:.2f}, {high:.2f}]"
    if paired.until is None or not paired.until.until.decided:
        return f"{text}."
    look = paired.until.looks[(paired.until.last.items[index].decided_at or 1) - 1]
    share = _share(sum(look.rows.values()), paired.until)
    return (
        f"{text}, decided at look {look.number} of at most {LOOKS} after {sum(look.rows.values()):,} samples ({share})."
    )


def _limits(item: Difference) -> str:
    share = item.seed_share
    if share <= 0:
        return ""
    if share < _MOST:
        return f"Samples cause {100 * (1 - share):.0f} % of the variance of this difference, and seeds cause the rest."
    return (
        f"Seeds cause {100 * share:.0f} % of the variance of this difference. More samples could narrow its interval by at most "
        f"{100 * narrowing(item):.0f} %, so train more seeds."
    )


def _stop(paired: Paired, looks: Sequential) -> str:
    count = sum(looks.last.rows.values())
    half = max(item.half_width for item in looks.last.items)
    every = "every interval that is not decided" if looks.until.decided else "every interval"
    why = {
        "decided": "all differences are decided",
        "precise": f"the samples' part of {every} is within ±{looks.until.half_width:g} points",
        "exhausted": f"all samples are used, and they give ±{half:.2f} points",
        "last look": f"the last look is reached, and its samples give ±{half:.2f} points",
    }[looks.reason or "exhausted"]
    tokens = f"{'' if paired.tokens_recorded else 'about '}{paired.tokens / 1e6:.2f} million tokens"
    text = f"Stopped after {count:,} samples ({_share(count, looks)}), {tokens} for each model: {why}."
    if looks.until.decided:
        text += " The chance of any wrong claim over all looks is at most 5 %."
    return text


def _share(count: int, looks: Sequential) -> str:
    share = 100 * count / sum(looks.available.values())
    return f"{share:.0f} % of all" if share >= 1 else "less than 1 % of all"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
