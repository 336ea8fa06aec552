"""What decides, together with the seed, in which order a training sees its examples."""

from collections.abc import Iterable, Sequence

from cme.records import Entry, EntryRun

__all__ = ["example_order", "same_order", "shared_seeds"]


def example_order(entry: Entry, run: EntryRun) -> str | None:
    """Describe what `cme.training.order` computes the order from, beside the seed.

    These are the lengths of the examples (base, mix, prompt format and longest example), the number of all examples, and that of
    one step. Two runs with equal descriptions and seeds see the same examples in the same order.

    Args:
        entry: the row.
        run: a run of it.

    Returns:
        The description, or None if there was no training or the entry does not record all of it.
    """
    recipe, training = entry.recipe, run.provenance.training
    batches = (recipe.batch_size, recipe.gradient_accumulation, training.world_size)
    parts = (
        entry.base_fingerprint,
        training.mix_fingerprint,
        recipe.prompt_format,
        recipe.max_length,
        training.examples,
    )
    if run.seed is None or None in batches or None in parts:
        return None
    per_step = 1
    for count in batches:
        per_step *= count or 1
    return repr((*parts, per_step))


def same_order(orders: Iterable[str | None]) -> bool:
    """Return whether runs with equal seeds see the same examples in the same order.

    Args:
        orders: the descriptions of all trained runs (`example_order`).
    """
    known = set(orders)
    return len(known) == 1 and None not in known


def shared_seeds(entries: Sequence[Entry]) -> dict[str, list[int | None]] | None:
    """Return the seeds of the runs by row, or None if a seed stands for other orders of examples in different rows.

    Args:
        entries: the rows; those without training have no order.
    """
    if not same_order(example_order(entry, run) for entry in entries for run in entry.runs if run.seed is not None):
        return None
    return {entry.name: [run.seed for run in entry.runs] for entry in entries}
