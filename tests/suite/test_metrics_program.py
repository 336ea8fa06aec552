"""Extraction of a program from what a model wrote."""

import ast
import json

import pytest

from cme.data.load import normalise_all
from cme.suite import dataset
from cme.suite.metrics import assemble_program, extract_program, program_ended
from tests.data.real import loaded
from tests.hub_rows.code import humaneval

CODE = "def f(x):\n    return x + 1"
HEAD = 'import math\n\n\ndef helper(x):\n    return x\n\n\ndef f(x):\n    """Add one."""\n'


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
        (f"{CODE}\n\nprint(f(1))", CODE),
        (f"{CODE}\n\nfor x in (1, 2):\n    print(f(x))\n\ntest_f()", CODE),
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


def test_words_alone_stay_as_they_are():
    # They are no valid Python, so their outcome is an error.
    assert extract_program("I do not know.") == extract_program("I do not know.", ["f"], HEAD) == "I do not know."


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (f"X = 3\n{CODE}",) * 2,
        (f"{CODE}\n\nX = 3\nfor i in range(3):\n    X += i\n\ndef g(x):\n    return X",) * 2,
        (f"try:\n    import numpy\nexcept ImportError:\n    numpy = None\nwith open('a') as a:\n    b = a\n{CODE}",)
        * 2,
        ("f = lambda x: x + 1",) * 2,
        ("if True:\n    f = abs",) * 2,
        (f"import re\nHere is the function:\n{CODE}", f"import re\n{CODE}"),
        (f"import re\nSure\n\nNote: works\n{CODE}", f"import re\n\n{CODE}"),
        (f"Sure\n{CODE}", CODE),
        (f"def g(x):\n    return x\n\nIt is used here.\n{CODE}", f"def g(x):\n    return x\n\n{CODE}"),
        # The last definition is unfinished. It is left out if the function is there without it.
        (f"{CODE}\n\n\ndef g(x):\n    y = x\n    return y + (", CODE),
        (f"{CODE}\n\n\n{CODE.replace('+ 1', '+ (')}", CODE),
        ("def f(x):\n    y = x\n    return y + (", "def f(x):\n    y = x"),
        (f"{CODE}\n    This returns it.", CODE),
        (f"    {CODE}".replace("\n", "\n    "), CODE),
        (f"1. This:\n   ```python\n   {CODE}\n   ```".replace("\n    r", "\n       r"), CODE),
        (f"Call it so:\n```\nf(1)\n```\n```python\n{CODE}\n```", CODE),
        (f"```python\n{CODE}\n\n>>> f(1)\n2\n```", CODE),
        (f"Answer\n```python\n{CODE}\n```", CODE),
        (f"{CODE}\x00\x1b\ud800", CODE),
    ],
)
def test_a_program_with_a_known_function(text, program):
    assert extract_program(text, ["f"]) == program
    assert assemble_program(text, ["f"]) == program
    assert assemble_program(text, ["f"], HEAD).startswith(HEAD.rstrip() + "\n\n\n")


BODY = "    return x + 1"


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (f"{BODY}\n\n\ndef check(candidate):\n    assert candidate(1) == 2",) * 2,
        (f"{BODY}\n\n\nimport os\n\n\nclass A:\n    pass",) * 2,
        ("    return g(x) + 1\n\n\ndef g(x):\n    return x",) * 2,
        (" return x + 1\n\n\ndef g(x):\n    return x", f"{BODY}\n\n\ndef g(x):\n    return x"),
        (f"{BODY}\n\n\ndef g(x):\n    return (", BODY),
        # The function is complete, so it is not defined again.
        (f"{BODY}\n\n\ndef f(x):\n    return 0", BODY),
        (f"{BODY}\nThis adds one.\n\ndef f(x):\n    return 0", BODY),
        (f"{BODY}\n    This adds one.", BODY),
        (f"{BODY}\n\ncheck(f)", BODY),
        (f"{BODY}\nDone", BODY),
        ("  y = x\n  return y + 1", "    y = x\n    return y + 1"),
        ("\ty = x\n\treturn y + 1", "    y = x\n    return y + 1"),
        ("     y = x\n    return y + 1", "    y = x\n    return y + 1"),
        (" y = x\n    return y + 1", "    y = x\n    return y + 1"),
        (
            "    def f(y):\n        return y + 1\n    return f(x)",
            "    def f(y):\n        return y + 1\n    return f(x)",
        ),
        ("```python\nreturn x + 1\n```", BODY),
        (f"{BODY}\n```\nIt adds one.\n```\n{CODE}\n```", BODY),
    ],
)
def test_a_body_follows_the_head(text, body):
    assert extract_program(text, ["f"], HEAD) == body
    assert assemble_program(text, ["f"], HEAD) == f"{HEAD.rstrip()}\n{body}\n"
    space: dict = {}
    exec(assemble_program(text, ["f"], HEAD), space)
    assert space["f"](1) == 2


def test_all_names_of_the_tests_are_looked_for():
    one, other = "class A:\n    pass", "def f(a):\n    return a"
    assert extract_program(f"{one}\n\nWords.\n\n{other}\n\nWords.", ["A", "f"]) == f"{one}\n\n{other}"
    assert extract_program(f"```\n{one}\n```\n```\n{one}\n{other}\n```", ["A", "f"]) == f"{one}\n{other}"
    # A name that is nowhere costs nothing that is there.
    assert extract_program(f"{one}\n\nWords.\n\n{other}", ["f", "math"]) == f"{one}\n\n{other}"


def test_nothing_is_executed(capsys):
    text = f"print('executed')\nraise SystemExit\n{CODE}"
    assert extract_program(text, ["f"]) == text
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "ended"),
    [
        (CODE, False),
        (f"{CODE}\n\ndef g(x):\n    return (", False),
        (f"{CODE}\n\nimport", False),
        ("def f(x):\n    return (", False),
        (f"{CODE}\nThis adds", True),
        (f"{BODY}\nThis adds", True),
        (BODY, False),
        (f"```python\n{CODE}", False),
        (f"```python\n{CODE}\n```\nThis", True),
        (f"{CODE}\n```\nThis", True),
        ("I do not know", False),
    ],
)
def test_a_program_ends_before_words_that_follow(text, ended):
    assert program_ended(text) is ended


FORMS = {
    "body": lambda head, body: body,
    "body, then another function": lambda head, body: f"{body}\n\n\ndef check(candidate):\n    assert candidate",
    "body, then a class and words": lambda head, body: f"{body}\n\n\nclass A:\n    x = 1\n\nThat is all.",
    "body without its first indentation": lambda head, body: f" {body.strip()}",
    "whole": lambda head, body: head + body,
    "whole, then words": lambda head, body: f" {head.strip()}\n{body.rstrip()}\nThis is the function.",
    "words, fence": lambda head, body: f"Here it is:\n\n```python\n{head}{body}\n```\nIt works.",
    "whole, then cut": lambda head, body: f"{head}{body}\n\n\ndef g(x):\n    y = [x\n",
}


def check_forms(example):
    given = json.loads(example.answers[0])
    head, names = given["head"], given["names"]
    solution = f"{head}{example.output[len(head.strip(chr(10))) :]}"
    body = example.output[len(head.strip("\n")) :].lstrip("\n")
    expected = ast.dump(ast.parse(solution).body[-1])
    for name, form in FORMS.items():
        made = ast.parse(assemble_program(form(head, body), names, head))
        functions = [item for item in made.body if isinstance(item, ast.FunctionDef) and item.name == names[0]]
        assert ast.dump(functions[-1]) == expected, (example.id, name)


def test_each_form_of_a_solution_gives_the_same_function():
    for example in normalise_all([humaneval(number) for number in range(4)], dataset("humaneval")).examples:
        check_forms(example)


def test_each_form_of_the_published_solutions_gives_the_same_function(real_data):
    examples = loaded(real_data, "humaneval", "eval").examples
    assert len(examples) == 164
    for example in examples:
        check_forms(example)


@pytest.mark.parametrize(
    "text",
    [
        *("`" * 100_000, "(" * 100_000, "a = " * 50_000, "x " * 100_000, "[\n" * 100_000, "#" * 100_000),
        *("@a\n" * 30_000, "if a:\n" * 20_000, "a b\n" * 30_000, "-" * 100_000, "a." * 50_000, "\n" * 100_000),
    ],
)
def test_of_hostile_texts_little_is_parsed(text, monkeypatch):
    parsed = []
    parse = ast.parse
    monkeypatch.setattr(ast, "parse", lambda source: parsed.append(len(source)) or parse(source))
    found = []
    for call in (
        lambda: extract_program(text),
        lambda: extract_program(f"{CODE}\n{text}", ["f"]),
        lambda: assemble_program(f"    return x\n{text}", ["f"], HEAD),
    ):
        parsed.clear()
        found.append(call())
        # Without a limit, decorators without a function would be parsed once for each of their lines.
        assert sum(parsed) <= 500_000
    assert found[1].startswith(CODE)


@pytest.mark.parametrize("answer", [CODE, "    return x + 1", " return helper(x) + 1", f"```python\n{CODE}\n```"])
def test_a_body_and_a_whole_function_complete_the_head(answer):
    space: dict = {}
    exec(assemble_program(answer, ["f"], HEAD), space)
    assert space["f"](1) == 2
    assert space["helper"](3) == 3


def test_without_a_head_the_program_stands_alone():
    assert assemble_program(CODE, ["f"]) == CODE
    assert assemble_program("", ["f"], HEAD) == ""
