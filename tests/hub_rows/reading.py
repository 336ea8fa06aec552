"""Reading comprehension: hand-written rows in the hub's columns."""

from typing import Any


def squad_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "id": f"squad-{number}",
        "title": "Ostby",
        "context": f"The lighthouse of Ostby was built in 18{number + 10}. Its keeper was Mara Lind.",
        "question": "Who kept the lighthouse?",
        "answers": {"text": ["Mara Lind"], "answer_start": [60]},
    }
    return row | changes


UNANSWERED = {"text": [], "answer_start": []}

ROW = {"squad_v2": squad_row}
RECIPES = {
    "squad_v2/train": (squad_row, 100),
    "squad_v2/validation": (squad_row, 0),
}
