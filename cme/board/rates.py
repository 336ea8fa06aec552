"""The learning rates of a board: the grid that all its methods share, and when it is widened."""

from collections.abc import Mapping, Sequence

__all__ = ["Losses", "lowest", "next_rates"]

Losses = Mapping[float, float | None]
"""Validation loss by learning rate. None stands for training that diverged. Rates that were not trained are absent."""


def next_rates(rates: Sequence[float], losses: Sequence[Losses], most: int) -> tuple[float, ...]:
    """Return the rates of a grid, widened where the best rate of a method is at an edge.

    All methods share the rates, so an edge that one method needs is added for all. A new rate continues the ratio of its two
    neighbours.

    Args:
        rates: the rates of the board.
        losses: losses of each method so far.
        most: how often the grid may be widened.

    Returns:
        The rates in increasing order. The grid is complete if all of them have a loss for all methods.

    Example:
        >>> next_rates([1e-3, 2e-3], [{1e-3: 0.7, 2e-3: 0.6}], 1)
        (0.001, 0.002, 0.004)
        >>> next_rates([1e-3, 2e-3], [{1e-3: 0.7, 2e-3: 0.6}, {}], 1)
        (0.001, 0.002, 0.004)
        >>> next_rates([1e-3, 2e-3], [{1e-3: 0.7}], 1)
        (0.001, 0.002)
    """
    current = sorted(rates)
    for _ in range(most if len(current) > 1 else 0):
        # What one method needs is added for all, so the others are not awaited. A new row may have no losses yet.
        best = [_best(own, current) for own in losses if all(rate in own for rate in current)]
        low = [_next(current[1], current[0])] if current[0] in best else []
        high = [_next(current[-2], current[-1])] if current[-1] in best else []
        if not low and not high:
            break
        current = [*low, *current, *high]
    return tuple(current)


def lowest(losses: Sequence[Losses]) -> Losses:
    """Return the lowest loss at each rate for which all of several losses are known.

    Example:
        >>> lowest([{1e-3: 0.7, 2e-3: 0.6}, {1e-3: 0.5}])
        {0.001: 0.5}
    """
    known = [rate for rate in losses[0] if all(rate in own for own in losses)]
    trained = {rate: [loss for own in losses if (loss := own[rate]) is not None] for rate in known}
    return {rate: min(of_rate, default=None) for rate, of_rate in trained.items()}


def _best(losses: Losses, rates: Sequence[float]) -> float | None:
    trained = [(loss, rate) for rate in rates if (loss := losses[rate]) is not None]
    return min(trained)[1] if trained else None


def _next(inner: float, edge: float) -> float:
    return float(f"{edge * edge / inner:.6g}")
