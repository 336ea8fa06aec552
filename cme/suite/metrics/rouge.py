"""ROUGE F-measures through the rouge-score package."""

from functools import lru_cache
from typing import Any

__all__ = ["ROUGE", "rouge"]

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")


@lru_cache(maxsize=1)
def _scorer() -> Any:
    from rouge_score import rouge_scorer

    return rouge_scorer.RougeScorer(list(ROUGE), use_stemmer=True)


def rouge(answer: str, reference: str) -> dict[str, float]:
    """Compute the F-measures of rouge1, rouge2, rougeL and rougeLsum in [0, 1], with Porter stemming.

    Args:
        answer: the summary, with one sentence per line for rougeLsum.
        reference: the reference summary, with one sentence per line for rougeLsum. The other metrics ignore line breaks.

    Source: https://aclanthology.org/W04-1013, as implemented by Google's rouge-score.
    """
    return {name: float(score.fmeasure) for name, score in _scorer().score(reference, answer).items()}
