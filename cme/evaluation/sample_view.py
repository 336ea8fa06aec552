"""Single samples of a result: their rows, with the prompts that the model saw and what it answered."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cme.data.sources import is_mini
from cme.errors import DataError, UsageError
from cme.evaluation import task
from cme.readers.parquet_file import open_parquet, read_rows
from cme.records import Result, read_record
from cme.records.samples import read_samples
from cme.suite import DatasetSpec, dataset
from cme.workdir import claimed

__all__ = ["Single", "choose_samples", "single_samples", "with_ids"]

T = TypeVar("T")


@dataclass(frozen=True)
class Single:
    """One sample.

    Attributes:
        dataset: name.
        part: of the dataset.
        id: the example's.
        prompt: everything before the answer, byte for byte, with the examples of a few-shot prompt.
        options: of a choice task, as they follow the prompt; else none.
        gold: the right option's index; None for free answers.
        accepted: accepted answers; none for a choice task.
        predicted: the chosen option's index; None for free answers.
        logprobs: summed log-probability (nats) of each option; None for free answers, or if only scores were kept.
        text: what the model wrote; None for a choice task, or if only scores were kept.
        score: primary score.
        scores: every per-sample score.
        gold_probability: the right option's probability among the options; None for free answers.
        marks: of ``empty``, ``truncated`` and ``cut``, those that are so.
    """

    dataset: str
    part: str
    id: str
    prompt: str
    options: tuple[str, ...]
    gold: int | None
    accepted: tuple[str, ...]
    predicted: int | None
    logprobs: tuple[float, ...] | None
    text: str | None
    score: float
    scores: dict[str, float]
    gold_probability: float | None
    marks: tuple[str, ...]


def choose_samples(
    samples: Sequence[Mapping[str, Any]], *, first: int = 0, wrong: int = 0, right: int = 0, ids: Sequence[str] = ()
) -> list[Mapping[str, Any]]:
    """Choose samples of one dataset.

    Args:
        samples: rows of ``samples.parquet``.
        first: so many from the start.
        wrong: how many that score below 1: the lowest first, and of equal ones those whose right option is least probable.
        right: how many that score above 0, the other way round.
        ids: these, or those whose id begins so.

    Raises:
        UsageError: an id that no sample has.
    """

    def worth(sample: Mapping[str, Any]) -> tuple[float, float]:
        return sample["score"], sample["gold_probability"] or 0.0

    chosen = [*samples[:first], *sorted((sample for sample in samples if sample["score"] < 1), key=worth)[:wrong]]
    # Ascending by the negatives: equal ones keep the order of the rows, as above.
    best = sorted((sample for sample in samples if sample["score"] > 0), key=lambda s: tuple(-x for x in worth(s)))
    chosen += best[:right]
    chosen += with_ids(samples, ids, lambda sample: sample["id"])
    return list({sample["id"]: sample for sample in chosen}.values())


def with_ids(items: Sequence[T], starts: Sequence[str], id_of: Callable[[T], str]) -> list[T]:
    """Those whose ids begin so, in the order of the beginnings.

    Args:
        items: samples or examples.
        starts: what ids begin with.
        id_of: an item's id.

    Raises:
        UsageError: an id that none has.
    """
    chosen: dict[str, T] = {}
    for start in starts:
        matches = {id_of(item): item for item in items if id_of(item).startswith(start)}
        if not matches:
            raise UsageError(f"no sample's id begins with {start!r}. 'cme show' prints ids after the dataset's name.")
        chosen |= matches
    return list(chosen.values())


def single_samples(
    folder: Path,
    name: str,
    *,
    first: int = 0,
    wrong: int = 0,
    right: int = 0,
    ids: Sequence[str] = (),
    source: str | None = None,
    base: str | None = None,
) -> list[Single]:
    """Single samples of a result.

    The result holds no text of the dataset: rows are read from the source again, and checked to be the same.

    Args:
        folder: what ``cme eval`` wrote.
        name: a dataset of it.
        first: see `choose_samples`.
        wrong: see `choose_samples`.
        right: see `choose_samples`.
        ids: see `choose_samples`.
        source: where the rows come from; None: where the evaluation had them.
        base: the base, whose tokenizer is needed for prompts in ``chat`` and ``teamlora`` and for inputs that were cut to fit
            the model; None: as the result names it.

    Raises:
        UsageError: the dataset was not evaluated, no such id, or the source is not there.
        DataError: the source's rows are not those that were evaluated.
    """
    result = read_record(folder / "result.json", Result)
    spec = dataset(name)
    samples = [sample for sample in read_samples(folder / "samples.parquet") if sample["dataset"] == spec.name]
    if not samples:
        evaluated = ", ".join(item.dataset for item in result.scores.datasets)
        raise UsageError(f"{folder} has no samples of {spec.name}. It has: {evaluated}.")
    chosen = choose_samples(samples, first=first, wrong=wrong, right=right, ids=ids)
    place = source or _source(folder, result)
    if source is None and place != "hub" and not is_mini(place) and not Path(place).expanduser().is_dir():
        raise UsageError(
            f"{folder} was evaluated on the rows of {place!r}, which is not a folder on this machine. "
            "Pass its location with --source."
        )
    rows, shots = _rows(result, spec, place, base or result.base, any(sample["cut"] for sample in samples))
    responses = _responses(folder / "responses.parquet", spec)
    return [_single(sample, rows, shots, responses.get(sample["id"], {}), place) for sample in chosen]


def _source(folder: Path, result: Result) -> str:
    """The source as it was given: a record names a mirror without its path, the folder's marker with it."""
    return str(claimed(folder).get("source") or result.source)


def _rows(
    result: Result, spec: DatasetSpec, source: str, base: str, cut: bool
) -> tuple[dict[str, dict[str, Any]], str]:
    """The evaluated rows by id, rendered as they were, and the few-shot examples before each of them."""
    if result.task_fingerprints.get(spec.name) != spec.fingerprint:
        raise DataError(
            f"{spec.name}: its task file has changed since this result, so the prompts would differ. Evaluate again, or show "
            "the result with the version of CME that made it."
        )
    options: dict[str, Any] = {"cme_format": result.prompt_format or "plain"}
    if options["cme_format"] != "plain" or cut:
        options |= _tokenizer(base)
    splits = task.load(
        cme_dataset=spec.name,
        cme_source=source,
        cme_tier=result.tier,
        cme_shots=result.shots,
        cme_wording=result.prompt_variant,
        cme_allow_missing=bool(result.missing),
        **options,
    )
    then = result.provenance.get(spec.name, {})
    for key in sorted(then.keys() & splits.provenance.keys()):  # training files count where they were read, too
        if then[key] != splits.provenance[key]:
            raise DataError(
                f"{spec.name}: the rows of {source} are not those that were evaluated ({key}: {then[key]} then, "
                f"{splits.provenance[key]} now). Give the source as it was with --source."
            )
    return {row["id"]: row for row in splits["eval"]}, task.shots_text(list(splits["fewshot"]))


def _tokenizer(base: str) -> dict[str, Any]:
    """What `task.load` needs to render and to cut as for this base."""
    from lm_eval.models.utils import resolve_max_length
    from transformers import AutoConfig

    from cme.models.load import load_tokenizer, resolve_base

    folder = resolve_base(base)
    tokenizer = load_tokenizer(folder)
    length = resolve_max_length(AutoConfig.from_pretrained(str(folder)), tokenizer, default=2048)
    return {"tokenizer": tokenizer, "cme_max_length": length}


def _responses(path: Path, spec: DatasetSpec) -> dict[str, dict[str, Any]]:
    """Return the model's responses by sample id, or nothing if only scores were kept."""
    if not path.is_file():
        return {}
    with open_parquet(path, advice="Evaluate again.") as file:
        rows = (row for batch in file.batches() for row in read_rows(batch))
        return {row["id"]: row for row in rows if row["dataset"] == spec.name}


def _single(
    sample: Mapping[str, Any], rows: Mapping[str, Any], shots: str, response: Mapping[str, Any], source: str
) -> Single:
    row = rows.get(sample["id"])
    if row is None or row.get("gold") != sample["gold"] or bool(row["cut"]) != bool(sample["cut"]):
        raise DataError(
            f"{sample['dataset']}: sample {sample['id']} is not among the rows of {source} as it was evaluated. Give the source "
            "that was evaluated with --source, and its base with --base."
        )
    logprobs = response.get("logprobs")
    return Single(
        dataset=sample["dataset"],
        part=sample["part"],
        id=sample["id"],
        prompt=shots + row["prompt"],
        options=tuple(row.get("continuations", ())),
        gold=sample["gold"],
        accepted=tuple(row.get("answers", ())),
        predicted=sample["predicted"],
        logprobs=None if logprobs is None else tuple(logprobs),
        text=response.get("text"),
        score=sample["score"],
        scores=dict(sample["scores"]),
        gold_probability=sample["gold_probability"],
        marks=tuple(mark for mark in ("empty", "truncated", "cut") if sample[mark]),
    )
