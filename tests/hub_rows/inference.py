"""Natural language inference: hand-written rows in the hub's columns."""

from typing import Any


def anli_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "uid": f"uid-{number}",
        "premise": f"The ferry number {number} left the harbour of Ostby at dawn. It carried {number + 3} passengers.",
        "hypothesis": "The ferry left in the morning.",
        "label": number % 3,
        "reason": "SECRET: dawn is in the morning",
    }
    return row | changes


def mnli_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "premise": f"yeah well the {number} kilns of Ostby are uh still burning.",
        "hypothesis": f"Ostby has {number} kilns that burn.",
        "label": number % 3,
        "idx": number,
    }
    return row | changes


ROW = {"anli": anli_row, "mnli": mnli_row, "mnli_mismatched": mnli_row}
RECIPES = {
    "anli/train_r1": (anli_row, 100),
    "anli/train_r2": (anli_row, 200),
    "anli/train_r3": (anli_row, 300),
    "anli/test_r1": (anli_row, 0),
    "anli/test_r2": (anli_row, 20),
    "anli/test_r3": (anli_row, 40),
    "mnli/train": (mnli_row, 100),
    "mnli/validation_matched": (mnli_row, 0),
    "mnli/validation_mismatched": (mnli_row, 20),
}
