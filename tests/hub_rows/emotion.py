"""Emotion recognition: hand-written rows in the hub's columns."""

from typing import Any


def emotion_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {"text": f"i feel odd whenever ferry number {number} leaves the harbour", "label": number % 6}
    return row | changes


def tweet_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {"text": rf"@user Ferry {number} is late again &amp; nobody says why!\n#ostby", "label": number % 4}
    return row | changes


ROW = {"emotion": emotion_row, "tweet_emotion": tweet_row}
RECIPES = {
    "emotion/train": (emotion_row, 100),
    "emotion/test": (emotion_row, 0),
    "tweet_emotion/train": (tweet_row, 100),
    "tweet_emotion/test": (tweet_row, 0),
}
