"""Rows of the programming datasets."""

from typing import Any

__all__ = ["RECIPES", "ROW"]


def mbpp(k: int, **changes: Any) -> dict[str, Any]:
    name = f"times_{k}"
    return {
        "task_id": k,
        "text": f"Write a function that multiplies every item of a list by {k} and keeps the order of its {k + 3} items.",
        "code": f"def {name}(items):\r\n    return [item * {k} for item in items]",
        "test_list": [f"assert {name}([1, 2]) == [{k}, {2 * k}]", f"assert {name}([]) == []"],
        "test_setup_code": "",
        "challenge_test_list": [f"assert {name}([5]) == [{5 * k}]"],
        **changes,
    }


def humaneval(k: int, **changes: Any) -> dict[str, Any]:
    name = f"plus_{k}"
    text = f"Return the number that is {k} above the given number, as {name} says."
    asserts = f"    assert candidate(1) == {1 + k}\n    assert candidate(-{k}) == 0\n"
    return {
        "task_id": f"HumanEval/{k}",
        "prompt": f'def {name}(number: int) -> int:\n    """{text}\n    >>> {name}(1)\n    {1 + k}\n    """\n',
        "canonical_solution": f"    return number + {k}\n",
        "test": f"METADATA = {{}}\n\n\ndef check(candidate):\n{asserts}",
        "entry_point": name,
        **changes,
    }


ROW = {"mbpp": mbpp, "humaneval": humaneval}
RECIPES = {"mbpp/train": (mbpp, 600), "mbpp/test": (mbpp, 11), "humaneval/test": (humaneval, 0)}
