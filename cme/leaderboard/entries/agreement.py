"""Checks across the entries of one board: what all of them must share, and what no two of them may share."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cme.files import digest
from cme.leaderboard.entries.differences import split
from cme.records import Entry
from cme.records.method import with_gate_sum
from cme.suite.baselines import BASELINES
from cme.suite.score import Sample

__all__ = ["Answered", "across", "answered", "pins", "repeats"]

_DIGITS = 6


@dataclass(frozen=True)
class Answered:
    """Digests of one file of samples, by which runs are compared.

    Attributes:
        questions: For each dataset, a digest of the sample ids with subset, cluster, number of options and right option.
        answers: A digest of each sample's choice and probability that does not depend on the order of the samples. None if
            no sample has a probability, because generated texts of different models may be equal.
    """

    questions: dict[str, str]
    answers: str | None


def answered(samples: Sequence[Sample]) -> Answered:
    """Compute the digests of one run's samples."""
    groups: dict[str, list[list[Any]]] = defaultdict(list)
    choices = []
    for sample in samples:
        question = [sample[name] for name in ("id", "part", "cluster", "options", "gold")]
        groups[sample["dataset"]].append(question)
        if (probability := sample["gold_probability"]) is not None:
            choices.append([sample["dataset"], sample["id"], sample["predicted"], round(probability, _DIGITS)])
    return Answered(
        {name: digest(sorted(questions, key=lambda item: str(item[0]))) for name, questions in groups.items()},
        digest(sorted(choices)) if choices else None,
    )


def across(entries: Sequence[Entry], answers: Mapping[str, Sequence[Answered]]) -> list[str]:
    """List the problems between the entries of one board.

    Args:
        entries: Comparable entries, none of them stale.
        answers: The digests of each entry's runs, by the entry's name.

    Returns:
        Complete sentences. One lists all differences: questions with other options, right answers or clusters, other
        revisions of the data, and bases with one fingerprint but two sizes. One sentence follows for each adapter that is
        submitted twice, each pair of runs with the same answers, and each pair of names that differ in case only.
    """
    problems = []
    for name in dict.fromkeys(name for runs in answers.values() for run in runs for name in run.questions):
        questions = {
            _label(entry, k): run.questions[name][:12]
            for entry in entries
            for k, run in enumerate(answers[entry.name])
            if name in run.questions
        }
        problems += split(f"parts, clusters, options or right answers of {name}", questions)
    places = [(entry, k) for entry in entries for k in range(len(entry.runs))]
    problems += pins({_label(entry, k): entry.runs[k].provenance.data for entry, k in places})
    sizes = {_label(entry, k): entry.runs[k].cost.base_parameters for entry, k in places}
    problems += split("parameters of the base", {key: str(size) for key, size in sizes.items() if size is not None})
    differences = [f"They differ in {'; in '.join(problems)}."] if problems else []
    return [*differences, *_duplicates(entries, answers)]


def pins(data: Mapping[str, Mapping[str, Mapping[str, str]]]) -> list[str]:
    """List the revisions, files and versions of a dataset's rows that are not the same everywhere.

    Args:
        data: For each entry or folder, by its name: dataset → what pins the dataset's rows.

    Returns:
        One phrase for each difference.
    """
    values: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for name, datasets in data.items():
        for dataset, pinned in datasets.items():
            for key, value in pinned.items():
                values[dataset, key][name] = value[:12]
    return [phrase for (dataset, key), holders in values.items() for phrase in split(f"{key} of {dataset}", holders)]


def repeats(entries: Sequence[Entry]) -> dict[str, str]:
    """Return the rows that repeat the trainings of an earlier row, with the names of those rows.

    Two rows are the same trainings in two cases. They are evidence of one training, so statistics count them once:

    - The grid of a tuned row chose the settings of another row, and the adapters are the same.
    - The settings name the same function, and the scores of every sample are the same with every seed. Without dropout,
      collaboration does not change TeamLoRA's function, and without competition it is MoELoRA (docs/fidelity.md).

    Args:
        entries: Entries of one board.

    Returns:
        The name of the first row with these trainings, by the name of the row that repeats it. Rows that were not tuned come
        first, then tuned rows by name.
    """
    firsts: dict[tuple[str, ...], str] = {}
    functions: dict[str, str] = {}
    found: dict[str, str] = {}
    for entry in sorted(entries, key=lambda entry: (_tuned(entry), entry.name)):
        adapters = tuple(sorted(run.provenance.adapter.fingerprint or "" for run in entry.runs))
        function = _function(entry)
        known = functions.setdefault(function, entry.name) if function else entry.name
        first = firsts.setdefault(adapters, entry.name)
        if first != entry.name and _tuned(entry) and all(adapters):
            found[entry.name] = found.get(first, first)
        elif first == entry.name and known != entry.name:
            found[entry.name] = found.get(known, known)
    return found


def _function(entry: Entry) -> str | None:
    """Return a digest of the trained function, recipe, seeds and scores of a row whose function has several names, or None."""
    if entry.method not in ("moelora", "teamlora") or entry.settings.dropout:
        return None
    settings = with_gate_sum(entry.settings.plain())
    competition = entry.method == "teamlora" and settings.get("competition") is not False
    if not competition and settings.get("gate_sum") == "free":
        settings["gate_sum"] = 1  # what a softmax sums to
    settings = {
        key: value
        for key, value in settings.items()
        if key not in ("method", "competition", "collaboration") and value not in (None, 0, {}, "centred")
    }
    runs = [(run.seed, run.samples_sha256) for run in entry.runs]
    return digest([competition, settings, entry.recipe.plain(), runs])


def _tuned(entry: Entry) -> bool:
    return entry.lr_grid is not None and entry.lr_grid.tuned


def _duplicates(entries: Sequence[Entry], answers: Mapping[str, Sequence[Answered]]) -> Iterator[str]:
    """List what stands on the board twice, although no two trainings can produce it.

    A row may repeat the trainings of another one (`repeats`).
    """
    repeated = repeats(entries)
    adapters: dict[str, str] = {}
    holders: dict[str, str] = {}
    unchanged: dict[str, str] = {}
    names: dict[str, str] = {}
    for entry in entries:
        if (other := names.setdefault(entry.name.lower(), entry.name)) != entry.name:
            yield f"The names {other} and {entry.name} differ in upper and lower case only. Rename one of the entries."
        if entry.method in BASELINES or entry.name in repeated:
            continue
        for k, run in enumerate(entry.runs):
            label, adapter = _label(entry, k), run.provenance.adapter
            fingerprint = adapter.fingerprint or label
            if (other := adapters.setdefault(fingerprint, label)) != label:
                yield f"{other} and {label} have the same adapter weights. Submit each adapter only once."
                continue
            choices = answers[entry.name][k].answers
            if choices is None:
                continue
            if adapter.changes_output is False:
                unchanged[label] = choices
                continue
            if (other := holders.setdefault(choices, label)) != label:
                yield f"{other} and {label} have the same answers to every question. Submit each adapter only once."
    bases = {_label(entry, k) for entry in entries if entry.method == "base" for k in range(len(entry.runs))}
    for label, choices in unchanged.items():
        # An adapter that does not change the output gives the base's answers, and never those of an effective adapter.
        if (twin := holders.get(choices, label)) != label and twin not in bases:
            yield (
                f"{twin} and {label} have the same answers to every question, although {label} states that its adapter does "
                "not change the output."
            )


def _label(entry: Entry, k: int) -> str:
    return entry.name if len(entry.runs) == 1 else f"{entry.name}, seed {entry.runs[k].seed}"
