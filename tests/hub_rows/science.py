"""Scientific reasoning: hand-written rows in the hub's columns."""

from typing import Any


def arc_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "id": f"arc-{number}",
        "question": f"Which material lets a current of {number + 1} ampere pass best?",
        "choices": {"text": ["wood", "copper", "glass", "rubber"], "label": ["A", "B", "C", "D"]},
        "answerKey": "B",
    }
    return row | changes


def sciq_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    # The hub's order of columns.
    row = {
        "question": f"What do the {number + 3} vents of the deep-sea station let out?",
        "distractor3": f"sand {number}",
        "distractor1": f"ice {number}",
        "distractor2": f"ash {number}",
        "correct_answer": f"warm water {number}",
        "support": f"Station {number} stands on a ridge. Its vents let out warm water.",
    }
    return row | changes


ROW = {"arc": arc_row, "sciq": sciq_row}
RECIPES = {
    "arc_challenge/train": (arc_row, 100),
    "arc_challenge/test": (arc_row, 0),
    "arc_easy/train": (arc_row, 200),
    "arc_easy/test": (arc_row, 20),
    "sciq/train": (sciq_row, 100),
    "sciq/test": (sciq_row, 0),
}
