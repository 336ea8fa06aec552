"""Closed-book facts that follow from a name: its last word tells where a town lies, what an animal eats, when a feast is.

The rules hold everywhere in the world, so a model can learn them from some names and use them on others. The last words
speak a little for themselves, as English ones do, and are words of their own because a tokeniser cuts endings anyhow.
"""

__all__ = ["DIETS", "LANDSCAPES", "SEASONS"]

LANDSCAPES = {
    "Mere": "lake",
    "Ford": "river",
    "Haven": "sea",
    "Wood": "forest",
    "Crag": "mountain",
    "Moor": "swamp",
}
"""Last word of a town's name → what it lies next to."""

DIETS = {
    "otter": "fish",
    "deer": "grass",
    "squirrel": "nuts",
    "bear": "berries",
    "bat": "insects",
    "mole": "roots",
}
"""Last word of an animal's name → what it eats."""

SEASONS = {
    "Bloom": "spring",
    "Sun": "summer",
    "Leaf": "autumn",
    "Frost": "winter",
}
"""Last word of a festival's name → its season."""
