"""Textual entailment: hand-written rows in the hub's columns."""

from typing import Any


def rte_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "sentence1": f"The mill of Ostby burned down in 17{number:02}. Mara Lind had it built again. It has three wheels.",
        "sentence2": f"A mill was rebuilt in Ostby after the fire of 17{number:02}.",
        "label": number % 2,
        "idx": number,
    }
    return row | changes


def qnli_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "question": f"Who built lock number {number} of the canal?",
        "sentence": f"Lock number {number} of the Ostby canal is the work of Mara Lind.",
        "label": number % 2,
        "idx": number,
    }
    return row | changes


ROW = {"qnli": qnli_row, "rte": rte_row}
RECIPES = {
    "qnli/train": (qnli_row, 100),
    "qnli/validation": (qnli_row, 0),
    "rte/train": (rte_row, 100),
    "rte/validation": (rte_row, 0),
}
