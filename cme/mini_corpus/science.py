"""Materials. The last word of a material's name determines its effect."""

from dataclasses import dataclass

from cme.mini_corpus import names

__all__ = ["LAWS", "STUFFS", "Law", "stuff"]


@dataclass(frozen=True)
class Law:
    """The effect of all materials with the same last word.

    Attributes:
        ending: last word of the material's name.
        does: effect, in the present tense.
        will: effect in a trial, in the future tense.
        need: the need of a person who should use it.
    """

    ending: str
    does: str
    will: str
    need: str


LAWS = (
    Law("rubber", "bounces on the floor", "It will bounce.", "a ball that jumps high"),
    Law("cork", "floats on water", "It will float.", "a boat that does not sink"),
    Law("moss", "glows in the dark", "It will glow.", "a lamp for the night"),
    Law("wax", "melts in the sun", "It will melt.", "a candle that turns soft"),
    Law("soap", "smells of roses", "It will smell nice.", "a gift with a sweet smell"),
    Law("iron", "sticks to a magnet", "It will stick to a magnet.", "a hook for a magnet"),
)
"""Laws in alphabetical order of their effects."""
STUFFS = names.MATERIALS * len(LAWS)
"""Number of materials."""


def stuff(index: int) -> tuple[str, Law]:
    """Return material number ``index`` (below ``STUFFS``) and its law."""
    front, back = divmod(index, len(LAWS))
    return f"{names.material(front, 'shared')} {LAWS[back].ending}", LAWS[back]
