"""Open-domain QA: hand-written rows in the hub's columns."""

from typing import Any


def nq_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {"question": f"who painted the {number} bridges of ostby", "answer": ["Mara Lind", "M. Lind"]}
    return row | changes


def trivia_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    row = {
        "question": f"Who won the {number + 1}th regatta of Ostby?",
        "question_id": f"tc_{number}",
        "question_source": "hand-written",
        "entity_pages": {"doc_source": [], "filename": [], "title": [], "wiki_context": []},
        "search_results": {
            "description": [],
            "filename": [],
            "rank": [],
            "title": [],
            "url": [],
            "search_context": [],
        },
        "answer": trivia_answer("Mara Lind", "Mara B. Lind", "Lind, Mara"),
    }
    return row | changes


def trivia_answer(value: str, *others: str) -> dict[str, Any]:
    """An answer whose aliases are its value, not in the first place, and others."""
    return {
        "aliases": [*others, value],
        "normalized_aliases": ["mara b lind", "lind mara", "mara lind"],
        "matched_wiki_entity_name": "",
        "normalized_matched_wiki_entity_name": "",
        "normalized_value": "mara lind",
        "type": "FreeForm",
        "value": value,
    }


UNLABELLED = trivia_answer("<unk>") | {"aliases": [], "normalized_aliases": [], "normalized_value": "<unk>"}
"""An answer of TriviaQA's test split."""

ROW = {"nq_open": nq_row, "trivia_qa": trivia_row}
RECIPES = {
    "nq_open/train": (nq_row, 100),
    "nq_open/validation": (nq_row, 0),
    "trivia_qa/train": (trivia_row, 100),
    "trivia_qa/validation": (trivia_row, 0),
}
