"""Renders examples of a dataset exactly as a model receives them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cme.data.load import load_examples
from cme.data.sources import check_source, open_source
from cme.errors import SourceError, UsageError, unknown
from cme.evaluation.sample_view import with_ids
from cme.prompt import check_format, cut_words, render
from cme.suite import dataset
from cme.suite.tiers import tier_order

__all__ = ["RenderedExample", "rendered_examples"]


@dataclass(frozen=True)
class RenderedExample:
    """One example in one prompt format.

    Attributes:
        dataset: name of the dataset.
        split: ``evaluation`` or ``training``.
        id: id of the example.
        part: subset of the dataset.
        cluster: id of the passage, article or premise that it shares with other examples, or its own id.
        format: prompt format.
        context: the text before the answer, byte for byte.
        target: the correct answer, as it follows the context.
        options: options of a choice dataset, as they follow the context. Empty for other datasets.
        accepted: accepted answers. Empty for a choice dataset.
        cut: number of words that were removed from the long text.
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
    prompt_variant: int,
    base: str,
) -> list[RenderedExample]:
    """Render examples of a dataset exactly as a model receives them.

    Args:
        name: name of the dataset.
        n: number of examples, in tier order.
        ids: ids, or beginnings of ids, of the examples. If there are any, ``n`` has no effect.
        source: source of the rows.
        split: ``eval`` or ``train``.
        formats: prompt formats.
        prompt_variant: index of the instruction.
        base: base model whose tokenizer renders the prompts. It is loaded only for formats other than ``plain``.

    Returns:
        One object per example and format.

    Raises:
        CMEError: if a name or an id is unknown, or the source lacks the split.
    """
    spec = dataset(name)
    if split not in ("eval", "train"):
        raise unknown("split", split, ("eval", "train"))
    if split == "train" and not spec.trains:
        raise UsageError(f"{name} has no training rows. Leave --split out.")
    instruction = spec.instruction_at(prompt_variant)
    tokenizer = None
    if any(one != "plain" for one in formats):
        from cme.models.load import load_tokenizer, resolve_base

        tokenizer = load_tokenizer(resolve_base(base))
    for one in formats:
        check_format(one, tokenizer)
    rows = open_source(source)
    if missing := check_source(rows, [spec], [split], allow_missing=True):
        lacking = "\n  ".join(missing)
        raise SourceError(f"{rows.place} lacks:\n  {lacking}\nAdd what is missing, or set another --source or --split.")
    ordered = tier_order(load_examples(spec, split, rows).examples)
    shown = []
    for example in with_ids(ordered, ids, lambda item: item.id) if ids else ordered[:n]:
        instructed = replace(example, instruction=instruction)
        short = cut_words(instructed, spec.max_input_words)
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
                    cut=len(instructed.input.split()) - len(short.input.split()),
                )
            )
    return shown
