"""Per-sample scores in [0, 1], as defined by the official scripts of the datasets, and corpus-level scores."""

from cme.suite.metrics.answers import exact_match, normalise_answer, normalise_squad, normalise_triviaqa, token_f1
from cme.suite.metrics.choice import choose, gold_probability
from cme.suite.metrics.corpus import binary_f1, macro_f1
from cme.suite.metrics.generated import extract, score_generated
from cme.suite.metrics.numbers import final_number, number_scores, same_number, solution_end
from cme.suite.metrics.program import assemble_program, extract_program, program_ended
from cme.suite.metrics.rouge import rouge

__all__ = [
    "assemble_program",
    "binary_f1",
    "choose",
    "exact_match",
    "extract",
    "extract_program",
    "final_number",
    "gold_probability",
    "macro_f1",
    "normalise_answer",
    "normalise_squad",
    "normalise_triviaqa",
    "number_scores",
    "program_ended",
    "rouge",
    "same_number",
    "score_generated",
    "solution_end",
    "token_f1",
]
