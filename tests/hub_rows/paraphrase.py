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


def paws_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "id": number,
        "sentence1": f"The ferry number {number} `` Mara '' sails from Ostby to Lund , not to Vik .",
        "sentence2": f"The ferry number {number} `` Mara '' sails from Lund to Ostby , not to Vik .",
        "label": number % 2,
    }
    return row | changes


ROW = {"paws": paws_row, "qqp": qqp_row}
RECIPES = {
    "paws/train": (paws_row, 100),
    "paws/test": (paws_row, 0),
    "qqp/train": (qqp_row, 100),
    "qqp/validation": (qqp_row, 0),
}
