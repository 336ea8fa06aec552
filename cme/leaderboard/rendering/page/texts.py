"""Texts of single samples for the page. Only texts of the mini corpus are included; ``cme show`` shows all others."""

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
"""Bytes of the JSON syntax around the texts of one dataset."""


def page_texts(entries: Sequence[Entry], ids: Mapping[str, Sequence[str]], budget: int) -> dict[str, list[list[Any]]]:
    """Generate the texts of the mini corpus's samples again, as far as they fit.

    Args:
        entries: rows that share their samples.
        ids: ids of the samples by dataset.
        budget: most bytes of the texts in the page.

    Returns:
        For each dataset and its first samples: the prompt in format plain, the options, the index of the right option (None
        for free-text answers), and the accepted answers. A dataset is left out if its rows are not from the mini corpus, or if
        its version of the corpus or its task file differs from that of the installed CME.
    """
    if not entries or not is_mini(entries[0].source):
        return {}
    try:
        source = open_source(entries[0].source)
    except UsageError:  # a mini corpus with options of another version of CME
        return {}
    texts: dict[str, list[list[Any]]] = {}
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
        texts[name] = []
        for key in wanted:
            example = examples[key]
            prompt = render(cut_words(example, spec.max_input_words), "plain", None)
            accepted = [] if example.choices else list(example.answers or [example.output])
            texts[name].append([prompt.context, list(prompt.continuations), example.gold, accepted])
    kept = _affordable(texts, budget)
    return {name: of_dataset[:kept] for name, of_dataset in texts.items()} if kept else {}


def _affordable(texts: Mapping[str, Sequence[Any]], budget: int) -> int:
    """Return the largest number of texts per dataset that fits; it may be 0."""
    costs = np.zeros(max((len(of_dataset) for of_dataset in texts.values()), default=0))
    for of_dataset in texts.values():
        costs[: len(of_dataset)] += [len(json_for_html(text)) + 1 for text in of_dataset]
    frames = sum(len(name) + _FRAME for name in texts)
    return int(np.searchsorted(np.cumsum(costs), budget - frames, side="right"))
