"""What the grids of a board choose: the learning rate of each row, and settings that vary beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cme.board.board import Base, Board
from cme.board.rates import Losses, lowest, next_rates
from cme.board.rows import Row

__all__ = ["Facts", "choose", "widens"]

Key = tuple[str, str]
"""The label of a base and the name of a row."""


@dataclass(frozen=True)
class Facts:
    """What is known about the learning rates of a board.

    Attributes:
        losses: losses of each row so far, by the base's label and the row's name. If the grid of a row also chooses settings,
            its cells have losses in place of the row.
    """

    losses: Mapping[tuple[str, str], Losses] = field(default_factory=dict)


def choose(
    board: Board, base: Base, facts: Facts
) -> tuple[dict[Key, tuple[float, ...]], dict[Key, float], dict[Key, Row]]:
    """Determine the rates of each grid on a base, and what the complete grids choose.

    Args:
        board: the board.
        base: the base.
        facts: the losses so far.

    Returns:
        The rates of each row, the learning rate of each row whose grid is complete, and the cell of each row whose complete grid
        also chooses settings.
    """
    groups = [[row for row in board.methods if row.rate_of == row.name]]
    groups += [[row for row in board.of_study(name) if row.rate_of == row.name] for name in board.file.studies]
    rates_of: dict[Key, tuple[float, ...]] = {}
    chosen: dict[Key, float] = {}
    cells: dict[Key, Row] = {}
    for group in groups:
        every = {
            row.name: [(cell, facts.losses.get((base.label, cell.name), {})) for cell, _ in row.parts] for row in group
        }
        losses = {name: lowest([own for _, own in of_row]) for name, of_row in every.items()}
        rates = next_rates(board.file.rates, list(losses.values()), board.file.grid.widen)
        complete = {name: all(rate in own for rate in rates) for name, own in losses.items()}
        if widens(board):
            complete = dict.fromkeys(complete, all(complete.values()))
        for name, of_row in every.items():
            rates_of[base.label, name] = rates
            # The grid takes the first of equal losses, in the order of its runs.
            runs = [(cell, rate, own.get(rate)) for cell, own in of_row for rate in rates]
            trained = [(loss, cell, rate) for cell, rate, loss in runs if loss is not None]
            if complete[name] and trained:
                _, cell, chosen[base.label, name] = min(trained, key=lambda item: item[0])
                if cell.name != name:
                    cells[base.label, name] = cell
    return rates_of, chosen, cells


def widens(board: Board) -> bool:
    """Return whether the grids of a board may be widened, so that each waits for the losses of all rows."""
    return board.file.grid.widen > 0 and len(board.file.rates) > 1
