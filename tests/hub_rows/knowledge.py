"""Knowledge reasoning: hand-written rows in the hub's columns."""

from typing import Any


def mmlu_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "question": f"Which planet has {number} known moons in the tale of the glass orrery?",
        "subject": "astronomy",
        "choices": [f"Ondra {number}", "Pellis", "Quor", "Ravine"],
        "answer": number % 4,
    }
    return row | changes


def mmlu_train_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    return mmlu_row(number, **{"subject": ""} | changes)


def medmcqa_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "id": f"medmcqa-{number}",
        "question": f"A {number + 20}-year-old sneezes near cats. Which of these is to blame?",
        "opa": f"cat hair {number}",
        "opb": f"sea salt {number}",
        "opc": f"lamp oil {number}",
        "opd": f"rye bread {number}",
        "cop": number % 4,
        "choice_type": "single",
        "exp": "Allergens float in the air of the room.",
        "subject_name": "Medicine",
        "topic_name": None,
    }
    return row | changes


ROW = {"medmcqa": medmcqa_row, "mmlu": mmlu_row}
RECIPES = {
    "medmcqa/train": (medmcqa_row, 100),
    "medmcqa/validation": (medmcqa_row, 0),
    "mmlu/auxiliary_train": (mmlu_train_row, 100),
    "mmlu/test": (mmlu_row, 0),
}
