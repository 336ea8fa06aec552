"""Extraction of the answer from a generated text, and its scores."""

from collections.abc import Sequence

from cme.suite.metrics.answers import exact_match, normalise_answer, normalise_squad, normalise_triviaqa, token_f1
from cme.suite.metrics.numbers import final_number, number_scores
from cme.suite.metrics.program import extract_program
from cme.suite.metrics.rouge import rouge
from cme.suite.spec import DatasetSpec

__all__ = ["extract", "score_generated"]

_NORMALISE = {"squad": normalise_squad, "triviaqa": normalise_triviaqa, "unicode": normalise_answer}


def extract(text: str, spec: DatasetSpec) -> str:
    """Extract the answer from a generated text.

    The answer is the first line. For summaries it is all lines up to the first empty line, joined by spaces. A line of spaces is
    not empty. White space before the answer is ignored, and an empty text gives an empty answer. For worked solutions it is the
    final number (`cme.suite.metrics.numbers`), or an empty answer if there is none. For programs see `extract_program`.
    """
    if spec.answer == "program":
        return extract_program(text)
    if spec.answer == "number":
        found = final_number(text)
        return "" if found is None else found.text
    lines = [line.strip() for line in text.strip().split("\n\n")[0].split("\n")]
    return lines[0] if spec.answer == "first_line" else " ".join(line for line in lines if line)


def score_generated(text: str, accepted: Sequence[str], spec: DatasetSpec) -> dict[str, float]:
    """Compute all per-sample scores of a generated text, each in [0, 1].

    Args:
        text: the generated text.
        accepted: the accepted answers, or the reference summary; ``("",)`` if the question has no answer.
        spec: the dataset.
    """
    if spec.answer == "number":
        return number_scores(text, accepted)
    answer = extract(text, spec)
    if spec.primary_metric.startswith("rouge"):
        # rougeLsum takes lines for sentences; the other three metrics ignore line breaks.
        lines = "\n".join(line.strip() for line in text.strip().split("\n\n")[0].split("\n") if line.strip())
        return {name: value for name, value in rouge(lines, accepted[0]).items() if name in spec.metrics}
    normalise = _NORMALISE[spec.answer_normalisation]
    if spec.unanswerable:
        if normalise(answer) == normalise(spec.unanswerable):
            answer = ""
        # The official script of SQuAD 2.0 ignores accepted answers that are empty after normalisation.
        accepted = [gold for gold in accepted if normalise(gold)] or [""]
    both_empty = 0.0 if spec.answer_normalisation == "triviaqa" else 1.0
    return {
        "exact_match": exact_match(answer, accepted, normalise),
        "f1": token_f1(answer, accepted, normalise, both_empty=both_empty),
    }
