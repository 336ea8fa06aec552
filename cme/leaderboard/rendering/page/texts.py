"""Texts of single samples for the page: of the mini corpus only, which is our own; others are shown by ``cme show``."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cme.data.load import load_examples
from cme.data.sources import is_mini, open_source
from cme.errors import UsageError
from cme.leaderboard.rendering.page.pack import json_for_html
from cme.prompt import cut_words, render
from cme.records import Entry
from cme.suite import dataset

__all__ = ["page_texts"]

_FRAME = 6
"""Bytes of JSON around a dataset's texts."""


def page_texts(entries: Sequence[Entry], ids: Mapping[str, Sequence[str]], budget: int) -> dict[str, list[list[Any]]]:
    """The texts of samples of the mini corpus, as far as they can be made again and fit.

    Args:
        entries: rows that share their samples.
        ids: the samples by dataset.
        budget: bytes that the texts may take in the page.

    Returns:
        By dataset, for the first of its samples: the prompt in format plain, the options, the right option's index (None for
        free answers), and the accepted answers. No dataset whose rows are not of the mini corpus, or of another world or
        task file than this CME's.
    """
    if not entries or not is_mini(entries[0].source):
        return {}
    try:
        source = open_source(entries[0].source)
    except UsageError:  # options that this CME does not know
        return {}
    found: dict[str, list[list[Any]]] = {}
    for name, wanted in ids.items():
        spec = dataset(name)
        holder = next(entry for entry in entries if name in entry.task_fingerprints)
        pinned = holder.runs[0].provenance.data.get(name, {})
        if (
            holder.task_fingerprints[name] != spec.fingerprint
            or pinned.get("world") != source.provenance(spec)["world"]
        ):
            continue
        examples = {example.id: example for example in load_examples(spec, "eval", source).examples}
        if not examples.keys() >= set(wanted):
            continue
        found[name] = []
        for key in wanted:
            example = examples[key]
            text = render(cut_words(example, spec.max_input_words), "plain", None)
            accepted = [] if example.choices else list(example.answers or [example.output])
            found[name].append([text.context, list(text.continuations), example.gold, accepted])
    kept = _affordable(found, budget)
    return {name: texts[:kept] for name, texts in found.items()} if kept else {}


def _affordable(found: Mapping[str, Sequence[Any]], budget: int) -> int:
    """The largest number of texts of each dataset that fits; it may be 0."""
    costs = np.zeros(max((len(texts) for texts in found.values()), default=0))
    for texts in found.values():
        costs[: len(texts)] += [len(json_for_html(text)) + 1 for text in texts]
    frames = sum(len(name) + _FRAME for name in found)
    return int(np.searchsorted(np.cumsum(costs), budget - frames, side="right"))
