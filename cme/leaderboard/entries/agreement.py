"""What the entries of one table must agree in, and what no two of them may share: seen only beside each other."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cme.files import digest
from cme.leaderboard.entries.differences import split
from cme.records import Entry
from cme.suite.baselines import BASELINES
from cme.suite.score import Sample

__all__ = ["Answered", "across", "answered", "pins"]

_DIGITS = 6


@dataclass(frozen=True)
class Answered:
    """A file of samples, reduced to what is compared.

    Attributes:
        questions: dataset → digest of the ids with part, cluster, number of options and right option.
        answers: digest of every sample's scores, choice and probability, in no matter what order; None where there are no
            probabilities: texts may well be equal.
    """

    questions: dict[str, str]
    answers: str | None


def answered(samples: Sequence[Sample]) -> Answered:
    """Reduce the samples of one run."""
    groups: dict[str, list[list[Any]]] = defaultdict(list)
    said = []
    for sample in samples:
        asked = [sample[name] for name in ("id", "part", "cluster", "options", "gold")]
        groups[sample["dataset"]].append(asked)
        if (probability := sample["gold_probability"]) is not None:
            said.append([sample["dataset"], sample["id"], sample["predicted"], round(probability, _DIGITS)])
    return Answered(
        {name: digest(sorted(asked, key=lambda item: str(item[0]))) for name, asked in groups.items()},
        digest(sorted(said)) if said else None,
    )


def across(entries: Sequence[Entry], found: Mapping[str, Sequence[Answered]]) -> list[str]:
    """What is wrong between the entries of one table.

    Args:
        entries: comparable ones, none of them stale.
        found: the runs of each, by name.

    Returns:
        One phrase for each: questions with other options, right answers or clusters; data of another revision; bases of one
        fingerprint and two sizes; one adapter or the same answers in two places; names that differ in case alone.
    """
    problems = []
    for name in dict.fromkeys(name for runs in found.values() for run in runs for name in run.questions):
        asked = {
            _label(entry, k): run.questions[name][:12]
            for entry in entries
            for k, run in enumerate(found[entry.name])
            if name in run.questions
        }
        problems += split(f"parts, clusters, options or right answers of {name}", asked)
    places = [(entry, k) for entry in entries for k in range(len(entry.runs))]
    problems += pins({_label(entry, k): entry.runs[k].provenance.data for entry, k in places})
    sizes = {_label(entry, k): entry.runs[k].cost.base_parameters for entry, k in places}
    problems += split("parameters of the base", {key: str(size) for key, size in sizes.items() if size is not None})
    return [*problems, *_same(entries, found)]


def pins(data: Mapping[str, Mapping[str, Mapping[str, str]]]) -> list[str]:
    """One phrase for each revision, file or version of a dataset's rows that is not the same for all who name it.

    Args:
        data: by name of who has it: dataset → what pins its rows.
    """
    values: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for who, of_who in data.items():
        for dataset, pinned in of_who.items():
            for key, value in pinned.items():
                values[dataset, key][who] = value[:12]
    return [phrase for (dataset, key), found in values.items() for phrase in split(f"{key} of {dataset}", found)]


def _same(entries: Sequence[Entry], found: Mapping[str, Sequence[Answered]]) -> Iterator[str]:
    """What is there twice, though no two trainings make it."""
    adapters: dict[str, str] = {}
    answers: dict[str, str] = {}
    unchanged: dict[str, str] = {}
    names: dict[str, str] = {}
    for entry in entries:
        if (other := names.setdefault(entry.name.lower(), entry.name)) != entry.name:
            yield f"nothing but upper and lower case: the names {other} and {entry.name}"
        if entry.method in BASELINES:
            continue
        for k, run in enumerate(entry.runs):
            label, adapter = _label(entry, k), run.provenance.adapter
            fingerprint = adapter.fingerprint or label
            if (other := adapters.setdefault(fingerprint, label)) != label:
                yield f"nothing: {other} and {label} have the same adapter"
                continue
            said = found[entry.name][k].answers
            if said is None:
                continue
            if adapter.changes_output is False:
                unchanged[label] = said
                continue
            if (other := answers.setdefault(said, label)) != label:
                yield f"nothing: {other} and {label} have the same answers to every question"
    bases = {_label(entry, k) for entry in entries if entry.method == "base" for k in range(len(entry.runs))}
    for label, said in unchanged.items():
        # An adapter that changes nothing answers as the base does, and as no adapter that changes something.
        if (twin := answers.get(said, label)) != label and twin not in bases:
            yield f"nothing: {twin} and {label}, which says that it changes nothing, have the same answers to every question"


def _label(entry: Entry, k: int) -> str:
    return entry.name if len(entry.runs) == 1 else f"{entry.name}, seed {entry.runs[k].seed}"
