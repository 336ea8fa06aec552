"""The examples in the docstrings are run."""

import doctest
import inspect
from pathlib import Path

import pytest

import cme

DEMO = Path(__file__).parents[2] / "leaderboards" / "demo"


def examples():
    for name in cme.__all__:
        function = getattr(cme, name)
        if inspect.isfunction(function):
            found = doctest.DocTestParser().get_examples(function.__doc__ or "")
            if any(not example.options.get(doctest.SKIP) for example in found):
                yield name


@pytest.mark.parametrize("name", list(examples()))
def test_the_example_runs_and_prints_what_it_says(name, tiny_base, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"cme": cme, "BASE": str(tiny_base), "DEMO": str(DEMO)}
    test = doctest.DocTestParser().get_doctest(getattr(cme, name).__doc__, names, f"cme.{name}", None, None)
    said = []
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=said.append)
    assert result.attempted and not result.failed, "".join(said)


def test_most_functions_have_an_example_that_runs():
    functions = [name for name in cme.__all__ if inspect.isfunction(getattr(cme, name))]
    assert len(list(examples())) >= 2 * len(functions) / 3
