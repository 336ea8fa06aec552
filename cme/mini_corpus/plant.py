"""Planted rows in training splits, in known numbers: duplicates, copies of evaluation rows, and rows without a label.

Their positions depend only on the row number, so they can be counted without generating rows.
"""

import random
import re

from cme.mini_corpus.draw import Row, permute, stream
from cme.mini_corpus.renderer import Renderer

__all__ = ["LEAKED", "count", "level", "row"]

LEAKED = 512
"""Leaks are copies of this many first rows of the evaluation split, each at most once."""

# Positions modulo 100 are distinct and not adjacent, so a row has one role, and no two planted rows are neighbours.
_DUPLICATE = (200, 199)
_LEAK = (400, 150)
_UNLABELLED = (500, 77)


def _before(n: int, place: tuple[int, int]) -> int:
    every, at = place
    return max(0, (n - at - 1) // every + 1)


def count(renderer: Renderer, n: int) -> dict[str, int]:
    """Count the rows of each role among the first ``n`` rows of a training split."""
    return {
        "duplicates": _before(n, _DUPLICATE),
        "leaks": min(LEAKED, _before(n, _LEAK)),
        "unlabelled": _before(n, _UNLABELLED) if renderer.unlabelled is not None else 0,
    }


def _role(renderer: Renderer, index: int) -> str:
    if index % _DUPLICATE[0] == _DUPLICATE[1]:
        return "duplicate"
    if index % _LEAK[0] == _LEAK[1] and index // _LEAK[0] < LEAKED:
        return "leak"
    if renderer.unlabelled is not None and index % _UNLABELLED[0] == _UNLABELLED[1]:
        return "unlabelled"
    return ""


def _respell(text: str, style: int, marks: tuple[str, ...]) -> str:
    if marks:
        pieces = re.split(f"({'|'.join(map(re.escape, marks))})", text)
        return "".join(piece if piece in marks else _respell(piece, style, ()) for piece in pieces)
    if style == 1:
        return text.replace(" ", "  ")
    if style == 2:
        return text.lower()
    return text.upper() if style == 3 else text


def _copy(renderer: Renderer, source: Row, rng: random.Random) -> Row:
    style = rng.randrange(2 if renderer.lower else 4)
    copy = {
        name: _respell(value, style, renderer.marks) if name in renderer.texts else value
        for name, value in source.items()
    }
    if renderer.swap is not None and rng.random() < 0.5:
        first, second = renderer.swap
        copy[first], copy[second] = copy[second], copy[first]
    return copy


def row(
    renderer: Renderer, split: str, index: int, seed: int, *, long: bool, hard: bool = False, graded: bool = False
) -> Row:
    """Return row ``index`` of a split, planted or not."""
    slot = renderer.slot(split, index, seed, long=long, hard=hard, graded=graded)
    role = _role(renderer, index) if slot.training else ""
    source_split, number = _source(renderer, role, split, index, seed)
    source = renderer.make(renderer.slot(source_split, number, seed, long=long, hard=hard, graded=graded))
    if role in ("leak", "duplicate"):
        source = _copy(renderer, source, stream(seed, renderer.folder, split, index, "copy"))
    return {**source, **(renderer.unlabelled or {} if role == "unlabelled" else {}), **renderer.identify(slot)}


def level(renderer: Renderer, split: str, index: int, seed: int) -> int:
    """Return the level of a graded row. A planted copy has the level of its source."""
    role = _role(renderer, index) if renderer.training(split) else ""
    return renderer.level(*_source(renderer, role, split, index, seed), seed)[0]


def _source(renderer: Renderer, role: str, split: str, index: int, seed: int) -> tuple[str, int]:
    """Return the split and number of the row that a row copies, or its own if it is not a copy."""
    if role == "leak":
        number = permute(index // _LEAK[0], LEAKED, seed=seed, key=f"leak/{renderer.folder}/{split}")
        return renderer.leaks[split], number
    if role == "duplicate":
        number = stream(seed, renderer.folder, split, index, "source").randrange(index)
        return split, number - bool(_role(renderer, number))
    return split, index
