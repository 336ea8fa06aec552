"""Shows single samples of a result with their prompts and the answers of the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cme.data.sources import is_mini
from cme.data.sources.named import named_folder
from cme.errors import DataError, UsageError
from cme.evaluation import task
from cme.evaluation.chosen_ids import ChosenIds
from cme.evaluation.row_windows import RowWindows
from cme.readers.parquet_file import open_parquet, read_rows
from cme.records import Result, read_record
from cme.records.samples import read_samples
from cme.suite import DatasetSpec, dataset
from cme.workdir import claimed, noted

__all__ = ["Single", "choose_samples", "single_samples", "with_ids"]

T = TypeVar("T")


@dataclass(frozen=True)
class Single:
    """One sample with its prompt and the model's answer.

    Attributes:
        dataset: name of the dataset.
        part: subset of the dataset.
        id: id of the example.
        prompt: the text before the answer, byte for byte, including few-shot examples.
        options: options of a choice dataset, as they follow the prompt. Empty for other datasets.
        gold: index of the correct option. None for generated answers.
        accepted: accepted answers. Empty for a choice dataset.
        predicted: index of the chosen option. None for generated answers.
        logprobs: summed log-probability (nats) of each option. None for generated answers, or if only scores were kept.
        text: the generated answer. None for a choice dataset, or if only scores were kept.
        score: primary score.
        scores: all scores of the sample, by name.
        gold_probability: probability of the correct option among the options. None for generated answers.
        marks: those of ``empty``, ``truncated`` and ``cut`` that apply to the sample.
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
        first: number of samples from the start.
        wrong: number of samples that score below 1. The lowest scores come first, and among equal scores the samples whose
            correct option is least probable.
        right: number of samples that score above 0, in the opposite order.
        ids: ids, or beginnings of ids, of further samples.

    Returns:
        The chosen samples, each once.

    Raises:
        UsageError: if no sample has one of the ids.
    """

    def worth(sample: Mapping[str, Any]) -> tuple[float, float]:
        return sample["score"], sample["gold_probability"] or 0.0

    chosen = [*samples[:first], *sorted((sample for sample in samples if sample["score"] < 1), key=worth)[:wrong]]
    # Sorting by negated values, not in reverse, keeps equal samples in the order of the rows.
    best = sorted((sample for sample in samples if sample["score"] > 0), key=lambda s: tuple(-x for x in worth(s)))
    chosen += best[:right]
    chosen += with_ids(samples, ids, lambda sample: sample["id"])
    return list({sample["id"]: sample for sample in chosen}.values())


def with_ids(items: Sequence[T], starts: Sequence[str], id_of: Callable[[T], str]) -> list[T]:
    """Return the items whose ids have one of the given beginnings, in the order of the beginnings.

    Args:
        items: samples or examples.
        starts: ids or beginnings of ids.
        id_of: function that returns the id of an item.

    Raises:
        UsageError: if no id has one of the beginnings.
    """
    chosen: dict[str, T] = {}
    for start in starts:
        matches = {id_of(item): item for item in items if id_of(item).startswith(start)}
        if not matches:
            raise UsageError(
                f"no sample has an id that begins with {start!r}. Give an id that 'cme show' prints after the dataset's name."
            )
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
    """Return single samples of a result with their prompts and answers.

    A result contains no text of its datasets. The rows are read from the source again and compared with the evaluated ones.

    Args:
        folder: folder of the result.
        name: name of an evaluated dataset.
        first: see `choose_samples`.
        wrong: see `choose_samples`.
        right: see `choose_samples`.
        ids: see `choose_samples`.
        source: source of the rows. None means the source of the evaluation.
        base: base model whose tokenizer renders the prompts. It is needed for the formats ``chat`` and ``teamlora``, and for
            inputs that were truncated to fit the model. None means the base model of the result.

    Raises:
        UsageError: if the dataset was not evaluated, an id is unknown, or the source does not exist.
        DataError: if the rows of the source differ from the evaluated rows.
    """
    result = read_record(folder / "result.json", Result)
    spec = dataset(name)
    samples = [sample for sample in read_samples(folder / "samples.parquet") if sample["dataset"] == spec.name]
    if not samples:
        evaluated = ", ".join(item.dataset for item in result.scores.datasets)
        raise UsageError(f"{folder} has no samples of {spec.name}. It has: {evaluated}.")
    chosen = choose_samples(samples, first=first, wrong=wrong, right=right, ids=ids)
    place = source or _source(folder, result)
    if source is None and not _is_here(place):
        raise UsageError(
            f"{folder} was evaluated on the rows of {place!r}, which is not a folder on this machine. "
            "Set --source to the folder of these rows."
        )
    rows, shots = _rows(result, spec, place, base or result.base, samples)
    responses = _responses(folder / "responses.parquet", spec)
    own = result.origin != "lm-eval"
    return [_single(sample, rows, shots, responses.get(sample["id"], {}), place, own=own) for sample in chosen]


def _source(folder: Path, result: Result) -> str:
    """Return the source of the evaluation. The marker of the folder has the path of a mirror; the record has its name."""
    return str(noted(folder).get("source") or claimed(folder).get("source") or result.source)


def _is_here(place: str) -> bool:
    named = named_folder(place)
    folder = Path(place).expanduser() if named is None else named.folder
    return place == "hub" or is_mini(place) or folder.is_dir()


def _rows(
    result: Result, spec: DatasetSpec, source: str, base: str, samples: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, dict[str, Any]], str]:
    """Return the evaluated rows by id, rendered as in the evaluation, and the text of the few-shot examples."""
    if result.task_fingerprints.get(spec.name) != spec.fingerprint:
        raise DataError(
            f"{spec.name}: the task file has changed since the evaluation, so the prompts could differ. Evaluate again, or use "
            "the version of CME that made the result."
        )
    options: dict[str, Any] = {"cme_format": result.prompt_format or "plain"}
    # lm-eval leaves out the beginning of a long prompt, and CME words of its long text.
    fitted = result.origin != "lm-eval" and any(sample["cut"] for sample in samples)
    if options["cme_format"] != "plain" or fitted:
        options |= _tokenizer(base)
    if result.ids is not None:
        options["cme_ids"] = ChosenIds.of_samples(samples, "the result")
    elif result.rows is not None:
        windows = options["cme_rows"] = RowWindows()
        windows.set(spec.name, (0, result.rows.counts[spec.name]))
    splits = task.load(
        cme_dataset=spec.name,
        cme_source=source,
        cme_tier=result.tier,
        cme_shots=result.shots,
        cme_prompt_variant=result.prompt_variant,
        cme_allow_missing=bool(result.missing),
        **options,
    )
    then = result.provenance.get(spec.name, {})
    # Only common keys are compared: training files are listed only if they were read for few-shot examples.
    for key in sorted(then.keys() & splits.provenance.keys()):
        if then[key] != splits.provenance[key]:
            raise DataError(
                f"{spec.name}: the rows of {source} have changed since the evaluation ({key}: {then[key]} then, "
                f"{splits.provenance[key]} now). Set --source to the rows that were evaluated."
            )
    return {row["id"]: row for row in splits["eval"]}, task.shots_text(list(splits["fewshot"]))


def _tokenizer(base: str) -> dict[str, Any]:
    """Return the arguments of `task.load` that depend on the base model: its tokenizer and its maximum length."""
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
    sample: Mapping[str, Any],
    rows: Mapping[str, Any],
    shots: str,
    response: Mapping[str, Any],
    source: str,
    *,
    own: bool,
) -> Single:
    row = rows.get(sample["id"])
    # lm-eval cuts the tokens of a prompt and not its row.
    if row is None or row.get("gold") != sample["gold"] or (own and bool(row["cut"]) != bool(sample["cut"])):
        raise DataError(
            f"{sample['dataset']}: sample {sample['id']} is missing from the rows of {source}, or its row has changed. Set "
            "--source and --base to the source and the base model of the evaluation."
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
