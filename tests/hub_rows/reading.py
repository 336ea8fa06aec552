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


def race_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "example_id": f"middle{number}.txt",
        "article": f"On day {number} the ferry was late.\nPia walked home over the bridge instead.",
        "answer": "B",
        "question": f"On day {number} Pia went home   _  .",
        "options": [f"by ferry {number}", "on foot", "by car", "on a horse"],
    }
    return row | changes


UNANSWERED = {"text": [], "answer_start": []}

ROW = {"race": race_row, "squad_v2": squad_row}
RECIPES = {
    "race/train": (race_row, 100),
    "race/test": (race_row, 0),
    "squad_v2/train": (squad_row, 100),
    "squad_v2/validation": (squad_row, 0),
}
