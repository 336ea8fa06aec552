"""Generated text → answer → scores, per dataset."""

from collections.abc import Sequence

from cme.suite.metrics.answers import exact_match, normalise_answer, normalise_squad, normalise_triviaqa, token_f1
from cme.suite.metrics.rouge import rouge
from cme.suite.spec import DatasetSpec

__all__ = ["extract", "score_generated"]

_NORMALISE = {"squad": normalise_squad, "triviaqa": normalise_triviaqa, "unicode": normalise_answer}


def extract(text: str, spec: DatasetSpec) -> str:
    """The answer in a generated text: its first line, or its lines up to a blank one, joined by spaces for summaries.

    White space before the answer is dropped; an empty text gives the empty answer.
    """
    lines = [line.strip() for line in text.strip().split("\n\n")[0].split("\n")]
    return lines[0] if spec.answer == "first_line" else " ".join(line for line in lines if line)


def score_generated(text: str, accepted: Sequence[str], spec: DatasetSpec) -> dict[str, float]:
    """All per-sample scores of a generated text, each in [0, 1].

    Args:
        text: as generated.
        accepted: the accepted answers, or the reference summary; ``("",)`` where the question has no answer.
        spec: the dataset.
    """
    answer = extract(text, spec)
    if spec.primary_metric.startswith("rouge"):
        # For rougeLsum the lines that the model wrote are its sentences; the other three do not see line breaks.
        lines = "\n".join(line.strip() for line in text.strip().split("\n\n")[0].split("\n") if line.strip())
        return {name: value for name, value in rouge(lines, accepted[0]).items() if name in spec.metrics}
    normalise = _NORMALISE[spec.answer_normalisation]
    if spec.unanswerable:
        if normalise(answer) == normalise(spec.unanswerable):
            answer = ""
        # As the official script of SQuAD 2.0: an accepted answer of which nothing is left after normalisation is none.
        accepted = [gold for gold in accepted if normalise(gold)] or [""]
    both_empty = 0.0 if spec.answer_normalisation == "triviaqa" else 1.0
    return {
        "exact_match": exact_match(answer, accepted, normalise),
        "f1": token_f1(answer, accepted, normalise, both_empty=both_empty),
    }
