"""The rows on which load is measured, as token ids of prompt and right answer."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from cme.data.example import Example
from cme.data.load import load_examples
from cme.data.sources import Source
from cme.errors import SourceError
from cme.prompt import cut_to_tokens, cut_words, encode_pair, render
from cme.suite import DatasetSpec
from cme.suite.tiers import tier_order, tier_rows

__all__ = ["MOST_ROWS", "SUBJECT_ROWS", "LoadRow", "batched", "load_rows"]

MOST_ROWS = 500
"""Most rows of a dataset whose load is measured, at any tier."""

SUBJECT_ROWS = 20
"""Default number of rows of each subject of a dataset with subjects (MMLU), at any tier."""


@dataclass(frozen=True)
class LoadRow:
    """A row as the model reads it.

    Attributes:
        id: id of the example.
        cluster: cluster of the example.
        subject: subject if the dataset has subjects; otherwise empty.
        ids: token ids of prompt and answer.
        context: number of tokens of the prompt.
    """

    id: str
    cluster: str
    subject: str
    ids: tuple[int, ...]
    context: int


def load_rows(
    spec: DatasetSpec,
    source: Source,
    tokenizer: Any,
    *,
    tier: str,
    prompt_format: str,
    max_length: int,
    subject_rows: int = SUBJECT_ROWS,
    allow_missing: bool = False,
) -> list[LoadRow]:
    """Read and encode the rows of a dataset.

    Args:
        spec: the dataset.
        source: where the rows come from.
        tokenizer: tokenizer of the base.
        tier: the tier, whose rows are used up to `MOST_ROWS`.
        prompt_format: prompt format.
        max_length: maximum number of tokens of a row. Longer ones are cut; those that cannot be cut are left out.
        subject_rows: rows of each subject, if the dataset has subjects. The tier does not matter then.
        allow_missing: whether to continue without splits that the source lacks.

    Raises:
        CMEError: rows are missing or damaged, or no row fits.
    """
    examples = tier_order(load_examples(spec, "eval", source, allow_missing=allow_missing).examples)
    if spec.subset_column:
        chosen: list[Example] = []
        counts: dict[str, int] = defaultdict(int)
        for example in examples:
            counts[example.subset] += 1
            if counts[example.subset] <= subject_rows:
                chosen.append(example)
    else:
        chosen = examples[: min(tier_rows(tier) or MOST_ROWS, MOST_ROWS)]
    encoded = [_row(example, spec, tokenizer, prompt_format, max_length) for example in chosen]
    rows = [row for row in encoded if row is not None]
    if not rows:
        raise SourceError(
            f"{spec.name}: {source.place} has no evaluation rows of at most {max_length} tokens. Leave the dataset out."
        )
    return rows


class _Row(Protocol):
    @property
    def ids(self) -> tuple[int, ...]: ...


def batched(rows: Sequence[_Row], budget: int) -> list[list[int]]:
    """Group rows of similar length into batches.

    Args:
        rows: the rows.
        budget: maximum number of positions of a batch with padding. A batch has at least one row.

    Returns:
        The numbers of the rows of each batch.
    """
    batches: list[list[int]] = []
    for row in sorted(range(len(rows)), key=lambda place: len(rows[place].ids)):
        if batches and (len(batches[-1]) + 1) * len(rows[row].ids) <= budget:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches


def _row(example: Example, spec: DatasetSpec, tokenizer: Any, name: str, max_length: int) -> LoadRow | None:
    def encoded(candidate: Example) -> tuple[list[int], list[int]]:
        text = render(candidate, name, tokenizer)
        return encode_pair(tokenizer, text.context, text.target)

    def fits(candidate: Example) -> bool:
        context, answer = encoded(candidate)
        return len(context) + len(answer) <= max_length

    fitted = cut_to_tokens(cut_words(example, spec.max_input_words), fits)
    if fitted is None:
        return None
    context, answer = encoded(fitted)
    subject = example.subset if spec.subset_column else ""
    return LoadRow(example.id, example.cluster, subject, (*context, *answer), len(context))
