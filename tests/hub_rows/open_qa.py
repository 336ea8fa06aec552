"""Open-domain QA: hand-written rows in the hub's columns."""

from typing import Any


def nq_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {"question": f"who painted the {number} bridges of ostby", "answer": ["Mara Lind", "M. Lind"]}
    return row | changes


ROW = {"nq_open": nq_row}
RECIPES = {
    "nq_open/train": (nq_row, 100),
    "nq_open/validation": (nq_row, 0),
}
