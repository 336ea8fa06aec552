"""Extraction of a program from what a model wrote."""

import time

import pytest

from cme.suite.metrics import assemble_program, extract_program

CODE = "def f(x):\n    return x + 1"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (f" {CODE}", CODE),
        (f"\n\n{CODE}\n\n\n", CODE),
        (f"Here is the function:\n\n```python\n{CODE}\n```\nIt adds one.", CODE),
        (f"```\n{CODE}", CODE),
        (f"Run `pip` first:\n```bash\npip install x\n```\nThen:\n```python\n{CODE}\n```", CODE),
        # The model began without a fence, but ended with one.
        (f"\n{CODE}\n```\n\nIn this code, the function f adds one.", CODE),
        (f" {CODE}\n```\nIt adds one.", CODE),
        (f"The answer is below.\n{CODE}\nThis works.", CODE),
        (f"{CODE}\n\nprint(f(1))\n{CODE}", CODE),
        (f"{CODE}\n\nassert f(1) == 2", CODE),
        (f"{CODE}\n\nif __name__ == '__main__':\n    f(1)", CODE),
        (f"import re\nfrom math import sqrt\n\nLIMIT = 3\nNAMES: list[str] = ['a']\n\n@cache\n{CODE}",) * 2,
        (f"{CODE}\n\n\ndef g(x):\n    return f(x)\n\nThe end.", f"{CODE}\n\n\ndef g(x):\n    return f(x)"),
        (f"{CODE}\n# a comment\nTABLE = [\n    1,\n]\nDone.", f"{CODE}\n# a comment\nTABLE = [\n    1,\n]"),
        (f"{CODE}\nx == 1 is true.", CODE),
        (f"import sys\nsys.setrecursionlimit(10000)\nif True:\n    pass\n{CODE}",) * 2,
        (f"from the list we take one, a class of import duties:\n{CODE}", CODE),
        ("class A:\n    pass\n\ndef f():\n    return A()", "class A:\n    pass\n\ndef f():\n    return A()"),
        ("def f(x):\r\n    return x + 1\r\n", CODE),
        ("def f(x):\r    return x + 1\r", CODE),
        ("    return x + 1\n\nprint(f(1))", "    return x + 1"),
        (" return x + 1\n", "    return x + 1"),
        ("    y = x\n    return y + 1\n\ndef", "    y = x\n    return y + 1"),
        ("    return x + 1\n```\nThis returns it.", "    return x + 1"),
        ("", ""),
        (" \n\n ", ""),
        ("```python\n```", ""),
    ],
)
def test_program(text, program):
    assert extract_program(text) == program


def test_words_alone_are_no_valid_program():
    # They look like the body of a function, which then is no valid Python.
    assert extract_program("I do not know.") == "    I do not know."


@pytest.mark.parametrize(
    "text", ["`" * 100_000, "(" * 100_000, "a = " * 50_000, "x " * 100_000, "[\n" * 100_000, "#" * 100_000]
)
def test_hostile_texts_take_linear_time(text):
    started = time.process_time()
    extract_program(text)
    extract_program(f"{CODE}\n{text}")
    assert time.process_time() - started < 5


HEAD = 'import math\n\n\ndef helper(x):\n    return x\n\n\ndef f(x):\n    """Add one."""\n'


@pytest.mark.parametrize("answer", [CODE, "    return x + 1", " return helper(x) + 1", f"```python\n{CODE}\n```"])
def test_a_body_and_a_whole_function_complete_the_head(answer):
    space: dict = {}
    exec(assemble_program(extract_program(answer), "f", HEAD), space)
    assert space["f"](1) == 2
    assert space["helper"](3) == 3


def test_without_a_head_the_program_stands_alone():
    assert assemble_program(CODE, "f", "") == CODE
    assert assemble_program("", "f", HEAD) == ""
