"""Early end of generated solutions: nothing that follows the end mark of a solution is scored."""

from collections.abc import Callable
from typing import Any

from cme.suite import datasets
from cme.suite.metrics import solution_end
from cme.suite.suites import ALL

__all__ = ["ends_early", "ends_solution"]


def ends_early(request: Any) -> bool:
    """Return whether the answer to a request is the final number of a solution, so that its text may end at the end mark.

    Args:
        request: lm-eval's request. Only rows of CME's tasks name their dataset.
    """
    doc = getattr(request, "doc", None)
    spec = datasets(ALL, beside=True).get(doc.get("dataset", "")) if isinstance(doc, dict) else None
    return spec is not None and spec.answer == "number"


def ends_solution(decode: Callable[[list[int]], str]) -> Callable[[list[int]], bool]:
    """Return a function that takes the tokens of a text so far and returns whether the solution is complete.

    A solution can only become complete with a line break or a colon (`cme.suite.metrics.solution_end`), so the text is decoded
    only after a token with one of them.

    Args:
        decode: function that decodes tokens as the answers are decoded.
    """

    def test(tokens: list[int]) -> bool:
        last = decode(tokens[-1:])
        return ("\n" in last or ":" in last) and solution_end(decode(tokens)) is not None

    return test
