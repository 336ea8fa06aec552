"""The world's materials: the last word of a material's name tells what it does."""

from dataclasses import dataclass

from cme.mini_corpus import names

__all__ = ["LAWS", "STUFFS", "Law", "stuff"]


@dataclass(frozen=True)
class Law:
    """What every material of a sort does.

    Attributes:
        ending: last word of the material's name.
        does: what it does, in the present.
        will: what it will do in a trial.
        need: what somebody wants who should take it.
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
"""In alphabetical order of what they do."""
STUFFS = names.MATERIALS * len(LAWS)
"""How many materials there are."""


def stuff(index: int) -> tuple[str, Law]:
    """Material number ``index`` (below ``STUFFS``) and its law."""
    front, back = divmod(index, len(LAWS))
    return f"{names.material(front, 'shared')} {LAWS[back].ending}", LAWS[back]
