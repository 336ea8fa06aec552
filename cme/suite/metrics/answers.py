"""Scores of short answers: exact match and token F1."""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

__all__ = ["exact_match", "normalise_answer", "normalise_squad", "normalise_triviaqa", "token_f1"]

_ARTICLES = re.compile(r"\b(?:a|an|the)\b", re.UNICODE)
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACES_FOR_PUNCTUATION = str.maketrans(dict.fromkeys(string.punctuation + "‘’´", " "))


def normalise_squad(text: str) -> str:
    """Convert to lower case, delete ASCII punctuation and the articles a, an and the, and collapse white space.

    Source: the official evaluation of SQuAD 1.1 and 2.0 (https://arxiv.org/abs/1606.05250, https://arxiv.org/abs/1806.03822).
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split())


def normalise_answer(text: str) -> str:
    """Apply Unicode decomposition (NFD) and then SQuAD's normalisation, as for Natural Questions (open).

    Source: ORQA (https://arxiv.org/abs/1906.00300), which introduced Natural Questions (open).
    """
    return normalise_squad(unicodedata.normalize("NFD", text))


def normalise_triviaqa(text: str) -> str:
    """Convert to lower case, replace ASCII punctuation and ‘ ’ ´ by spaces, delete articles, and collapse white space.

    Unlike SQuAD's normalisation, it splits words at hyphens and initials at full stops, which can create articles: "U.S.A."
    becomes "u s".

    Source: the official evaluation of TriviaQA (https://arxiv.org/abs/1705.03551).
    """
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_SPACES_FOR_PUNCTUATION)).split())


def exact_match(answer: str, accepted: Sequence[str], normalise: Callable[[str], str] = normalise_squad) -> float:
    """Return 1.0 if the answer equals an accepted answer after normalisation, else 0.0."""
    ours = normalise(answer)
    return float(any(ours == normalise(gold) for gold in accepted))


def token_f1(
    answer: str,
    accepted: Sequence[str],
    normalise: Callable[[str], str] = normalise_squad,
    *,
    both_empty: float = 1.0,
) -> float:
    """Compute the harmonic mean of token precision and recall, and return the best value over the accepted answers.

    Args:
        answer: the model's answer.
        accepted: the accepted answers.
        normalise: normalisation of both texts.
        both_empty: score if both texts are empty after normalisation. It is 1.0 in the official script of SQuAD 2.0, and 0.0
            in that of TriviaQA, which requires a common token. If one text is empty, the score is 0.0.
    """
    ours = normalise(answer).split()
    return max(_f1(ours, normalise(gold).split(), both_empty) for gold in accepted)


def _f1(ours: list[str], gold: list[str], both_empty: float) -> float:
    if not ours and not gold:
        return both_empty
    common = (Counter(ours) & Counter(gold)).total()
    if common == 0:
        return 0.0
    precision, recall = common / len(ours), common / len(gold)
    return 2 * precision * recall / (precision + recall)
