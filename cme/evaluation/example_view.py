"""Single examples as a model sees them, without a result."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cme.data.load import load_examples
from cme.data.sources import check_source, open_source
from cme.errors import SourceError, unknown
from cme.evaluation.sample_view import with_ids
from cme.prompt import check_format, cut_words, render
from cme.suite import dataset
from cme.suite.tiers import tier_order

__all__ = ["RenderedExample", "rendered_examples"]


@dataclass(frozen=True)
class RenderedExample:
    """One example in one prompt format.

    Attributes:
        dataset: name.
        split: ``evaluation`` or ``training``.
        id: the example's.
        part: subset of the dataset.
        cluster: what it shares with other questions; else its id.
        format: prompt format.
        context: everything before the answer, byte for byte.
        target: the answer as it follows the context.
        options: of a choice task, as they follow the context; else none.
        accepted: accepted answers; none for a choice task.
        cut: words of the long text that were left out.
    """

    dataset: str
    split: str
    id: str
    part: str
    cluster: str
    format: str
    context: str
    target: str
    options: list[str]
    accepted: list[str]
    cut: int


def rendered_examples(
    name: str,
    *,
    n: int,
    ids: Sequence[str],
    source: str,
    split: str,
    formats: Sequence[str],
    wording: int,
    base: str,
) -> list[RenderedExample]:
    """Examples of a dataset as a model sees them.

    Args:
        name: the dataset.
        n: how many, in tier order.
        ids: those whose ids begin so, instead.
        source: where rows come from.
        split: ``eval`` or ``train``.
        formats: prompt formats.
        wording: index of the instruction.
        base: whose tokenizer renders; read only for other formats than ``plain``.

    Raises:
        CMEError: an unknown name, no such id, or the source lacks the split.
    """
    spec = dataset(name)
    if split not in ("eval", "train"):
        raise unknown("split", split, ("eval", "train"))
    instruction = spec.instruction_at(wording)
    tokenizer = None
    if any(one != "plain" for one in formats):
        from cme.models.load import load_tokenizer, resolve_base

        tokenizer = load_tokenizer(resolve_base(base))
    for one in formats:
        check_format(one, tokenizer)
    rows = open_source(source)
    if missing := check_source(rows, [spec], [split], allow_missing=True):
        lacking = "\n  ".join(missing)
        raise SourceError(f"{rows.place} lacks:\n  {lacking}\nPut it there, or choose another --source or --split.")
    ordered = tier_order(load_examples(spec, split, rows).examples)
    shown = []
    for example in with_ids(ordered, ids, lambda item: item.id) if ids else ordered[:n]:
        worded = replace(example, instruction=instruction)
        short = cut_words(worded, spec.max_input_words)
        for one in formats:
            text = render(short, one, tokenizer)
            shown.append(
                RenderedExample(
                    dataset=spec.name,
                    split="evaluation" if split == "eval" else "training",
                    id=example.id,
                    part=example.subset,
                    cluster=example.cluster,
                    format=one,
                    context=text.context,
                    target=text.target,
                    options=list(text.continuations),
                    accepted=list(example.answers),
                    cut=len(worded.input.split()) - len(short.input.split()),
                )
            )
    return shown
