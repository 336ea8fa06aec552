"""Groups of layers: the first, the middle and the last third of a model's blocks."""

from collections.abc import Sequence

__all__ = ["block_of", "layer_groups"]

_NAMES = {2: ("first", "last"), 3: ("first", "middle", "last")}


def block_of(layer: str) -> str:
    """Return the block of a layer: its name up to the first number, such as ``model.layers.3``.

    A layer without a number is a block of its own.
    """
    steps = layer.split(".")
    number = next((place for place, step in enumerate(steps) if step.isdigit()), len(steps) - 1)
    return ".".join(steps[: number + 1])


def layer_groups(layers: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Divide the layers into the first, the middle and the last third of their blocks.

    The thirds differ by at most one block. Two blocks make two groups, and a single block none.

    Args:
        layers: names of the layers in the order of the model.

    Returns:
        The layers of each group by its name.
    """
    blocks = list(dict.fromkeys(map(block_of, layers)))
    count = min(len(blocks), 3)
    if count < 2:
        return {}
    place_of = {block: place * count // len(blocks) for place, block in enumerate(blocks)}
    return {
        name: tuple(layer for layer in layers if place_of[block_of(layer)] == place)
        for place, name in enumerate(_NAMES[count])
    }
