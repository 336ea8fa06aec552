"""Closed-book facts that follow from the last word of a name.

The last word determines the location of a town, the food of an animal, the season of a festival, the goods of a shop, the sport
of a club and the instrument of a band.

The rules hold in the whole corpus, so a model can learn them from some names and apply them to others. The last words hint
at their meaning, as English words do. They are separate words because a tokeniser may split endings.
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
"""Maps the last word of a town's name to what the town is next to."""

DIETS = {
    "otter": "fish",
    "deer": "grass",
    "squirrel": "nuts",
    "bear": "berries",
    "bat": "insects",
    "mole": "roots",
}
"""Maps the last word of an animal's name to what the animal eats."""

SEASONS = {
    "Bloom": "spring",
    "Sun": "summer",
    "Leaf": "autumn",
    "Frost": "winter",
}
"""Maps the last word of a festival's name to its season."""

GOODS = {
    "Oven": "bread",
    "Petal": "flowers",
    "Sole": "shoes",
    "Page": "books",
    "Hive": "honey",
    "Dairy": "cheese",
}
"""Maps the last word of a shop's name to what the shop sells."""

SPORTS = {
    "Oars": "rowing",
    "Saddles": "riding",
    "Boots": "hiking",
    "Blades": "skating",
    "Wheels": "cycling",
    "Fins": "swimming",
}
"""Maps the last word of a club's name to its sport."""

INSTRUMENTS = {
    "Strings": "violins",
    "Keys": "pianos",
    "Sticks": "drums",
    "Brass": "trumpets",
}
"""Maps the last word of a band's name to what the band plays."""
