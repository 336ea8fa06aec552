"""Synthetic questions about pictures: shapes, colours, counts and relations. Their bytes are the same everywhere."""

import io
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from cme.extras import need

__all__ = ["SKILLS", "PictureRow", "picture_rows"]

T = TypeVar("T", str, tuple[int, int])

_CELL, _CELLS = 32, 3
_SIZE = _CELL * _CELLS
_OPTIONS = 4
_BACKGROUND = (245, 245, 240)

_COLOURS = {
    "red": (214, 39, 40),
    "blue": (31, 96, 200),
    "green": (34, 139, 34),
    "yellow": (240, 200, 20),
    "purple": (128, 50, 160),
    "black": (20, 20, 20),
}

_SHAPES: dict[str, Callable[[int, int], bool]] = {
    "circle": lambda x, y: x * x + y * y <= 144,
    "square": lambda x, y: abs(x) <= 10 and abs(y) <= 10,
    "triangle": lambda x, y: -11 <= y <= 11 and 2 * abs(x) <= y + 11,
    "diamond": lambda x, y: abs(x) + abs(y) <= 13,
    "cross": lambda x, y: min(abs(x), abs(y)) <= 4 and max(abs(x), abs(y)) <= 12,
}
"""Whether a pixel belongs to a shape, by its distance from the centre to the right and downwards."""

_RELATIONS: dict[str, tuple[int, int]] = {
    "left of": (-1, 0),
    "right of": (1, 0),
    "above": (0, -1),
    "below": (0, 1),
}


@dataclass(frozen=True)
class PictureRow:
    """A question about a picture.

    Attributes:
        image: the picture as a PNG file of 96 × 96 pixels.
        question: the question.
        choices: the four options.
        gold: index of the right option.
        skill: one of `SKILLS`.
    """

    image: bytes
    question: str
    choices: tuple[str, ...]
    gold: int
    skill: str


@dataclass(frozen=True)
class _Thing:
    shape: str
    colour: str
    place: tuple[int, int]


def picture_rows(count: int, *, start: int = 0) -> Iterator[PictureRow]:
    """Yield the first rows of an endless sequence. The skills take turns.

    Args:
        count: number of rows.
        start: number of rows that are skipped.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    need("PIL", extra="images", for_="the pictures of the mini corpus")
    for number in range(start, start + count):
        skill = tuple(_MAKERS)[number % len(_MAKERS)]
        things, question, answer, others = _MAKERS[skill](random.Random(f"cme pictures 1 {number}"))
        choices = [*others[: _OPTIONS - 1]]
        # The right option is at every place equally often for each skill.
        gold = number // len(_MAKERS) % _OPTIONS
        choices.insert(gold, answer)
        yield PictureRow(_png(things), question, tuple(choices), gold, skill)


def _shape(draw: random.Random) -> tuple[list[_Thing], str, str, list[str]]:
    things = _things(draw, draw.randint(2, 4))
    others = _shuffled(draw, set(_SHAPES) - {things[0].shape})
    return things, f"Which shape is {things[0].colour}?", things[0].shape, others


def _colour(draw: random.Random) -> tuple[list[_Thing], str, str, list[str]]:
    things = _things(draw, draw.randint(2, 4))
    others = _shuffled(draw, set(_COLOURS) - {things[0].colour})
    return things, f"What colour is the {things[0].shape}?", things[0].colour, others


def _count(draw: random.Random) -> tuple[list[_Thing], str, str, list[str]]:
    number = draw.randint(1, 6)
    shape, *rest = draw.sample(sorted(_SHAPES), 3)
    shapes = [shape] * number + [draw.choice(rest) for _ in range(draw.randint(0, 8 - number))]
    places = draw.sample([(x, y) for x in range(_CELLS) for y in range(_CELLS)], len(shapes))
    things = [_Thing(s, draw.choice(sorted(_COLOURS)), place) for s, place in zip(shapes, places, strict=True)]
    near = sorted({*range(1, 8)} - {number}, key=lambda other: (abs(other - number), draw.random()))[: _OPTIONS - 1]
    return (
        things,
        f"How many {shape}{'e' if shape == 'cross' else ''}s are there?",
        str(number),
        _shuffled(draw, {str(other) for other in near}),
    )


def _relation(draw: random.Random) -> tuple[list[_Thing], str, str, list[str]]:
    relation = draw.choice(sorted(_RELATIONS))
    x, y = _RELATIONS[relation]
    centre = (1, 1)
    shapes, colours = draw.sample(sorted(_SHAPES), 5), draw.sample(sorted(_COLOURS), 5)
    sides = [(x, y), *_shuffled(draw, set(_RELATIONS.values()) - {(x, y)})]
    places = [centre, *((centre[0] + dx, centre[1] + dy) for dx, dy in sides)]
    things = [_Thing(*values) for values in zip(shapes, colours, places, strict=True)]
    question = f"Which shape is directly {relation} the {shapes[0]}?"
    return things, question, shapes[1], _shuffled(draw, set(shapes[2:]))


_MAKERS = {"shape": _shape, "colour": _colour, "count": _count, "relation": _relation}
SKILLS = tuple(_MAKERS)
"""What the questions ask about."""


def _things(draw: random.Random, number: int) -> list[_Thing]:
    """Draw things with different shapes, colours and places."""
    places = draw.sample([(x, y) for x in range(_CELLS) for y in range(_CELLS)], number)
    shapes, colours = draw.sample(sorted(_SHAPES), number), draw.sample(sorted(_COLOURS), number)
    return [_Thing(*values) for values in zip(shapes, colours, places, strict=True)]


def _shuffled(draw: random.Random, values: set[T]) -> list[T]:
    # Sets of texts have no fixed order.
    return draw.sample(sorted(values), len(values))


def _png(things: list[_Thing]) -> bytes:
    """Draw things and return a PNG file. It is stored uncompressed, because compression depends on the version of zlib."""
    from PIL import Image

    pixels = bytearray(bytes(_BACKGROUND) * (_SIZE * _SIZE))
    half = _CELL // 2
    for thing in things:
        inside, colour = _SHAPES[thing.shape], bytes(_COLOURS[thing.colour])
        for y in range(_CELL):
            for x in range(_CELL):
                if inside(x - half, y - half):
                    at = 3 * ((thing.place[1] * _CELL + y) * _SIZE + thing.place[0] * _CELL + x)
                    pixels[at : at + 3] = colour
    file = io.BytesIO()
    Image.frombytes("RGB", (_SIZE, _SIZE), bytes(pixels)).save(file, "PNG", compress_level=0)
    return file.getvalue()
