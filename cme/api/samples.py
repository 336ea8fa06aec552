"""Examples and samples exactly as a model sees them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cme.api.call import StrPath, names, path, public
from cme.errors import UsageError

if TYPE_CHECKING:
    from cme.evaluation.example_view import RenderedExample
    from cme.evaluation.sample_view import Single

__all__ = ["show_examples", "show_samples"]

_BASE = "smollm2-135m"


@public
def show_examples(
    dataset: str,
    *,
    n: int = 3,
    ids: str | Sequence[str] | None = None,
    source: str | None = None,
    split: str = "eval",
    prompt_format: str | Sequence[str] = "plain",
    prompt_variant: int = 0,
    base: str | None = None,
) -> "list[RenderedExample]":
    """Return examples of a dataset exactly as a model sees them: ``cme show``.

    Args:
        dataset: name of the dataset.
        n: number of examples, in tier order.
        ids: prefixes of ids. If given, the examples with these ids are returned. On the command line: ``--id``.
        source: source of the rows. None means ``hub``.
        split: ``eval`` or ``train``.
        prompt_format: one or several of ``plain``, ``chat``, ``teamlora``.
        prompt_variant: index of the instruction: 0 is the canonical one, 1 to 6 are its variants.
        base: whose tokenizer renders; None: ``smollm2-135m``.

    Returns:
        One object per example and format with ``context``, ``target``, ``options``, ``accepted`` and more.

    Raises:
        CMEError: if a name or id is unknown, or the source lacks the split.

    Example:
        >>> (example,) = cme.show_examples("rte", n=1, source="mini")
        >>> example.context.endswith("Answer:")
        True
    """
    from cme.evaluation.example_view import rendered_examples

    if n < 1:
        raise UsageError(f"n is {n}. It must be at least 1.")
    return rendered_examples(
        dataset,
        n=n,
        ids=names(ids) or (),
        source=source or "hub",
        split=split,
        formats=names(prompt_format) or ("plain",),
        prompt_variant=prompt_variant,
        base=base or _BASE,
    )


@public
def show_samples(
    result: StrPath,
    dataset: str,
    *,
    n: int = 3,
    wrong: int = 0,
    right: int = 0,
    ids: str | Sequence[str] | None = None,
    source: str | None = None,
    base: str | None = None,
) -> "list[Single]":
    """Return samples of a result with their prompts, the model's responses and their scores: ``cme show RESULT``.

    Args:
        result: the result or its folder.
        dataset: name of an evaluated dataset.
        n: number of samples, in tier order. Ignored if ``wrong``, ``right`` or ``ids`` is given.
        wrong: number of samples with the lowest scores.
        right: number of samples with the highest scores.
        ids: prefixes of ids. On the command line: ``--id``.
        source: source of the rows. None means the source of the evaluation.
        base: base whose tokenizer is used. None means the result's base.

    Returns:
        One object per sample with ``prompt``, ``options``, ``gold``, ``predicted``, ``text``, ``score`` and more.

    Raises:
        CMEError: if the dataset was not evaluated, an id is unknown, or the source has different rows.

    Example:
        >>> result = cme.evaluate(baseline="majority", source="mini", tier="smoke", datasets="rte")
        >>> [sample.score for sample in cme.show_samples(result, "rte", wrong=1)]
        [0.0]
    """
    from cme.evaluation.sample_view import single_samples

    if n < 1 or wrong < 0 or right < 0:
        raise UsageError(f"n={n}, wrong={wrong}, right={right}: n must be at least 1, wrong and right at least 0.")
    prefixes = names(ids) or ()
    first = 0 if wrong or right or prefixes else n
    return single_samples(
        path(result), dataset, first=first, wrong=wrong, right=right, ids=prefixes, source=source, base=base
    )
