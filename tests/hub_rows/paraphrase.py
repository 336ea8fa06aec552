"""Paraphrase detection: hand-written rows in the hub's columns."""

from typing import Any


def qqp_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "question1": f"How long does bread number {number} bake?",
        "question2": f"What is the baking time of bread {number}?",
        "label": number % 2,
        "idx": number,
    }
    return row | changes


ROW = {"qqp": qqp_row}
RECIPES = {
    "qqp/train": (qqp_row, 100),
    "qqp/validation": (qqp_row, 0),
}
