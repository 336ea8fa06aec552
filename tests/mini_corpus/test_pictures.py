"""The pictures of the mini corpus: fixed bytes, right answers, and no place of the right option that is more frequent."""

from collections import Counter
from hashlib import sha256
from io import BytesIO

from PIL import Image

from cme.mini_corpus.pictures import SKILLS, picture_rows

COLOURS = {"red": (214, 39, 40), "blue": (31, 96, 200), "green": (34, 139, 34)}
COLOURS |= {"yellow": (240, 200, 20), "purple": (128, 50, 160), "black": (20, 20, 20)}


def seen(row):
    """Find the shapes of a picture from its pixels: {cell: (shape, colour)}."""
    image = Image.open(BytesIO(row.image)).convert("RGB")
    things = {}
    for x in range(3):
        for y in range(3):
            cell = image.crop((32 * x, 32 * y, 32 * x + 32, 32 * y + 32))
            pixels = {(column, line): cell.getpixel((column, line)) for column in range(32) for line in range(32)}
            drawn = {place: value for place, value in pixels.items() if value in COLOURS.values()}
            if drawn:
                (value,) = set(drawn.values())
                colour = next(name for name, own in COLOURS.items() if own == value)
                things[x, y] = (_shape(set(drawn)), colour)
    return things


def _shape(pixels):
    """Tell the shapes by their width at the top, in the middle and at the corners, not by the formula that drew them."""
    lines = Counter(line for _, line in pixels)
    top, middle, widest = lines[min(lines)], lines[16], max(lines.values())
    if len(set(lines.values())) == 1:
        return "square"
    if len(set(lines.values())) == 2:
        return "cross"
    if lines[max(lines)] == widest:
        return "triangle"
    return "diamond" if top == 1 and sum(lines.values()) < 2 * (middle // 2 + 1) ** 2 else "circle"


def answer(row):
    things = seen(row)
    words = row.question.removesuffix("?").split()
    if row.skill == "shape":
        return [shape for shape, colour in things.values() if colour == words[-1]]
    if row.skill == "colour":
        return [colour for shape, colour in things.values() if shape == words[-1]]
    if row.skill == "count":
        name = {"crosses": "cross"}.get(words[2], words[2].removesuffix("s"))
        return [str(sum(shape == name for shape, _ in things.values()))]
    (x, y) = next(place for place, (shape, _) in things.items() if shape == words[-1])
    step = {"left": (-1, 0), "right": (1, 0), "above": (0, -1), "below": (0, 1)}[words[4]]
    return [things[x + step[0], y + step[1]][0]]


def test_the_right_option_is_the_only_answer_that_the_pixels_give():
    for row in picture_rows(160):
        assert answer(row) == [row.choices[row.gold]], row.question
        assert len(set(row.choices)) == 4


def test_skills_and_places_of_the_right_option_are_even():
    rows = list(picture_rows(160))
    assert Counter(row.skill for row in rows) == dict.fromkeys(SKILLS, 40)
    assert Counter((row.skill, row.gold) for row in rows) == {
        (skill, gold): 10 for skill in SKILLS for gold in range(4)
    }
    assert len({(row.image, row.question) for row in rows}) == len(rows)


def test_the_bytes_are_the_same_everywhere():
    rows = list(picture_rows(8))
    assert rows == list(picture_rows(12))[:8] and rows[4:] == list(picture_rows(4, start=4))
    pixels = sha256(b"".join(Image.open(BytesIO(row.image)).tobytes() for row in rows)).hexdigest()
    texts = sha256("".join(f"{row.question}{row.choices}{row.gold}" for row in rows).encode()).hexdigest()
    files = sha256(b"".join(row.image for row in rows)).hexdigest()
    assert (pixels[:16], texts[:16], files[:16]) == ("84f2dc8c3b5cd4ee", "9e373427fe692bc1", "b1ac1f9762277f66")
