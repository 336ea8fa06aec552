"""Closed-book facts that follow from the last word of a name.

It tells where a town lies, what an animal eats, when a feast is, what a shop sells, what a club does and what a band plays.

The rules hold everywhere in the world, so a model can learn them from some names and use them on others. The last words
speak a little for themselves, as English ones do, and are words of their own because a tokeniser cuts endings anyhow.
"""

__all__ = ["DIETS", "GOODS", "INSTRUMENTS", "LANDSCAPES", "SEASONS", "SPORTS"]

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

GOODS = {
    "Oven": "bread",
    "Petal": "flowers",
    "Sole": "shoes",
    "Page": "books",
    "Hive": "honey",
    "Dairy": "cheese",
}
"""Last word of a shop's name → what it sells."""

SPORTS = {
    "Oars": "rowing",
    "Saddles": "riding",
    "Boots": "hiking",
    "Blades": "skating",
    "Wheels": "cycling",
    "Fins": "swimming",
}
"""Last word of a club's name → its sport."""

INSTRUMENTS = {
    "Strings": "violins",
    "Keys": "pianos",
    "Sticks": "drums",
    "Brass": "trumpets",
}
"""Last word of a band's name → what it plays."""
