"""Sentiment analysis: hand-written rows in the hub's columns."""

from typing import Any


def imdb_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "text": f"I saw the ferry film number {number} in Ostby.<br /><br />The captain sings & the dog sleeps.",
        "label": number % 2,
    }
    return row | changes


def yelp_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "text": rf'The caf\u00e9 at pier {number} calls itself \""quick\"".\n\nWe waited for an hour.',
        "label": number % 2,
    }
    return row | changes


ROW = {"imdb": imdb_row, "yelp_polarity": yelp_row}
RECIPES = {
    "imdb/train": (imdb_row, 100),
    "imdb/test": (imdb_row, 0),
    "yelp_polarity/train": (yelp_row, 100),
    "yelp_polarity/test": (yelp_row, 0),
}
