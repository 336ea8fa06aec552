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


ROW = {"anli": anli_row}
RECIPES = {
    "anli/train_r1": (anli_row, 100),
    "anli/train_r2": (anli_row, 200),
    "anli/train_r3": (anli_row, 300),
    "anli/test_r1": (anli_row, 0),
    "anli/test_r2": (anli_row, 20),
    "anli/test_r3": (anli_row, 40),
}
