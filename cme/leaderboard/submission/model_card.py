"""Scores of a row on the model cards of its adapters: a table, and ``model-index`` metadata for the hub."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cme.errors import CMEError
from cme.leaderboard.entries.chosen_rows import tier_text
from cme.leaderboard.entries.escape import for_markdown
from cme.records import Entry, EntryRun, Run, read_record
from cme.records.card import update_card
from cme.suite.families import title
from cme.suite.score import suite_of
from cme.suite.suites import DEFAULT, SUITES, Suite
from cme.templates import render_markdown

__all__ = ["update_cards"]

_CARD = "README.md"
_TEMPLATE = Path(__file__).parent / "templates" / "scores.md.j2"
_FIRST = SUITES[DEFAULT]
"""The suite whose scores have had their names on cards before there were others."""


def update_cards(entry: Entry, runs: Sequence[Path]) -> list[str]:
    """Write the scores of each run on its adapter's model card (``README.md``).

    The scores replace earlier ones of the same suite, and all other text stays. A card that cannot be written does not stop the
    others.

    Args:
        entry: the row.
        runs: folders of its training runs, in any order.

    Returns:
        One message for each card that was changed or could not be written.

    Raises:
        CMEError: a folder has no run record.
    """
    run_of = {item.provenance.adapter.fingerprint: item for item in entry.runs}
    messages = []
    for folder in dict.fromkeys(runs):
        item = run_of.get(read_record(folder / "run.json", Run).adapter_fingerprint)
        if item is None:
            continue
        if not os.access(folder, os.W_OK):
            messages.append(
                f"The scores were not written to the model card, because the folder {folder} is not writable."
            )
            continue
        try:
            if _update(folder / _CARD, entry, item):
                messages.append(f"The scores were written to the model card {folder / _CARD}.")
        except CMEError as error:
            messages.append(f"The scores were not written to the model card: {error}")
    return messages


def _update(card: Path, entry: Entry, item: EntryRun) -> bool:
    name, suite = card.parent.resolve().name, suite_of(item.scores)
    return update_card(
        card,
        "scores" if suite == _FIRST else f"scores-{suite.name}",
        _body(entry, item),
        lambda metadata: metadata | {"model-index": _index(metadata.get("model-index"), name, entry, item)},
        title=" ".join(name.split()),
    )


def _index(there: Any, name: str, entry: Entry, item: EntryRun) -> list[dict[str, Any]]:
    """Return the ``model-index`` with this run's results in place of earlier ones of their suite; all other results stay."""
    from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

    if there is not None:
        try:
            model_index_to_eval_results(there)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise CMEError(
                f"its model-index is not valid for the Hugging Face hub ({error!r}). Correct or remove it."
            ) from error
    (ours,) = eval_results_to_model_index(name, _results(entry, item))
    own = _dataset_type(suite_of(item.scores))
    models = [
        model | {"results": [result for result in model["results"] if result["dataset"]["type"] != own]}
        for model in there or []
    ]
    if not models:
        return [ours]
    # They keep their place, so that a repeated submission does not change the file.
    kept = models[0]["results"]
    place = next((at for at, result in enumerate(there[0]["results"]) if result["dataset"]["type"] == own), len(kept))
    kept[place:place] = ours["results"]
    return models


def _results(entry: Entry, item: EntryRun) -> list[Any]:
    from huggingface_hub import EvalResult

    scores = item.scores
    suite = suite_of(scores)
    average = suite.average if scores.complete else f"average over {len(scores.datasets)} datasets of {_title(suite)}"
    rows = [(f"{suite.group}_average", average, scores.average, scores.average_stderr)]
    rows += [("cme_family", title(family.family), family.value, family.stderr) for family in scores.families]
    return [
        EvalResult(
            task_type="text-generation",
            dataset_type=_dataset_type(suite),
            dataset_name=f"{_title(suite)}, tier {tier_text(entry)}, source {entry.source}",
            dataset_config=entry.tier,
            dataset_args={"source": entry.source, "prompt_format": entry.prompt_format, "shots": entry.shots},
            metric_type=kind,
            metric_name=name,
            metric_value=round(value, 4),
            metric_args=None if stderr is None else {"stderr": round(stderr, 4)},
            verified=False,
        )
        for kind, name, value, stderr in rows
    ]


def _dataset_type(suite: Suite) -> str:
    """Return the dataset type of a suite's results in a ``model-index``."""
    return "cme" if suite == _FIRST else suite.name


def _title(suite: Suite) -> str:
    return "CME" if suite == _FIRST else suite.title


def _body(entry: Entry, item: EntryRun) -> str:
    values = {
        "heading": "Scores" if suite_of(item.scores) == _FIRST else f"Scores on {suite_of(item.scores).title}",
        "title": _title(suite_of(item.scores)),
        "entry": entry,
        "rows": "" if tier_text(entry) == entry.tier else tier_text(entry).removeprefix(entry.tier),
        "run": item,
        "scores": item.scores,
        "families": [
            (for_markdown(title(family.family)), _with_error(family.value, family.stderr))
            for family in item.scores.families
        ],
        "average_name": suite_of(item.scores).average,
        "average": _with_error(item.scores.average, item.scores.average_stderr),
        "mean": _with_error(entry.scores.average, entry.scores.average_stderr),
    }
    return render_markdown(_TEMPLATE, values).rstrip("\n")


def _with_error(value: float, stderr: float | None) -> str:
    return f"{value:.2f}" if stderr is None else f"{value:.2f} ± {stderr:.2f}"
