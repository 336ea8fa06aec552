"""Mathematical reasoning: hand-written rows in the hub's columns."""

from typing import Any


def gsm8k_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    apples = number + 3
    row = {
        "question": f"Mara picks {apples} pears in the morning and twice as many at noon. How many pears does she pick?",
        "answer": f"At noon she picks {apples}*2=<<{apples}*2={2 * apples}>>{2 * apples} pears.\n"
        f"Together she picks {apples}+{2 * apples}=<<{apples}+{2 * apples}={3 * apples}>>{3 * apples} pears.\n#### {3 * apples}",
    }
    return row | changes


def svamp_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "ID": f"chal-{number}",
        "Body": f"Oda had {number + 9} ribbons and 4 buttons. She gave 5 ribbons away",
        "Question": "How many ribbons does she still have?",
        "Equation": f"( {number + 9}.0 - 5.0 )",
        "Answer": f"{number + 4}.0",
        "Type": "Subtraction",
        "question_concat": "",
    }
    return row | changes


def aqua_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "question": f"A cart rolls {number + 2} metres per second. How far does it roll in 3 seconds?",
        "options": [f"{letter}){3 * (number + 2) + k} m" for k, letter in enumerate("ABCDE")],
        "rationale": "Distance is speed times time.\nAnswer: A",
        "correct": "A",
    }
    return row | changes


ROW = {"aqua_rat": aqua_row, "gsm8k": gsm8k_row, "svamp": svamp_row}
RECIPES = {
    "aqua_rat/train": (aqua_row, 100),
    "aqua_rat/test": (aqua_row, 0),
    "gsm8k/train": (gsm8k_row, 100),
    "gsm8k/test": (gsm8k_row, 0),
    "svamp/train": (svamp_row, 100),
    "svamp/test": (svamp_row, 0),
}
