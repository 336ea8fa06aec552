"""Commonsense reasoning: hand-written rows in the hub's columns."""

from typing import Any


def winogrande_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "sentence": f"The ladder of {number} rungs did not reach the shelf because the _ was too short.",
        "option1": f"ladder {number}",
        "option2": f"shelf {number}",
        "answer": "1",
    }
    return row | changes


def csqa_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "id": f"csqa-{number}",
        "question": f"Where would {number + 2} sailors dry their wet socks at sea?",
        "question_concept": "washing line",
        "choices": {
            "label": ["A", "B", "C", "D", "E"],
            "text": [f"anchor {number}", "compass", "rail", "keel", "harbour office"],
        },
        "answerKey": "C",
    }
    return row | changes


ROW = {"commonsense_qa": csqa_row, "winogrande": winogrande_row}
RECIPES = {
    "commonsense_qa/train": (csqa_row, 100),
    "commonsense_qa/validation": (csqa_row, 0),
    "winogrande/train": (winogrande_row, 100),
    "winogrande/validation": (winogrande_row, 0),
}
