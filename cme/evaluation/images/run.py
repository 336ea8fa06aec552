"""Evaluates a vision-language model on questions about images. An interrupted evaluation can be resumed."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path
from typing import Any

from cme.adapters.load import adapter_fingerprint, check_effect, load_adapter
from cme.errors import CMEError, NotFiniteError, SourceError, UsageError
from cme.evaluation.adapters import adapter_name, resolve_adapter
from cme.evaluation.guards import check_trained_on
from cme.evaluation.images.prompts import load_processor, make_inputs, prompt_text
from cme.evaluation.images.rows import ImageRow, ImageRows, RowFacts, open_rows, read_rows
from cme.evaluation.images.score import score_options
from cme.evaluation.store import Lines
from cme.files import atomic_path, digest, sha256_file
from cme.locks import locks_released
from cme.models.causal import check_causal
from cme.models.kinds import check_kind, is_vision_language
from cme.models.load import base_fingerprint, context_length, load_model, pick_device, resolve_base, set_padding
from cme.models.tokenizer_files import tokenizer_fingerprint
from cme.models.vocabulary import check_vocabulary
from cme.progress import bar
from cme.prompt import TEMPLATE_DATE
from cme.records import AdapterInfo, versions
from cme.records.base import write_record
from cme.records.images import ImageResult, SkillScore
from cme.stats.clustered import clustered_stderr
from cme.suite.metrics import choose
from cme.workdir import claim, finish

__all__ = ["ANSWERS", "RECORD", "ImageSettings", "evaluate_images"]

RECORD = "image-result.json"
ANSWERS = "answers.parquet"
_WORK = "answers.jsonl"
_PROCESSOR = ("*processor_config.json", "chat_template.*")


@dataclass(frozen=True)
class ImageSettings:
    """Settings of an evaluation on questions about images.

    Attributes:
        base: the base: a hub id or a folder.
        adapter: folder or hub id of an adapter; None for the base alone.
        source: ``mini``, or a folder with Parquet files (`cme.evaluation.images.rows`).
        rows: maximum number of rows.
        name: name in tables. By default that of the adapter, or of the base.
        dtype: data type of the weights.
        device: device of the model; None means a GPU if there is one.
    """

    base: str
    adapter: str | None = None
    source: str = "mini"
    rows: int = 400
    name: str | None = None
    dtype: str = "float32"
    device: str | None = None


@locks_released()
def evaluate_images(settings: ImageSettings, out: Path) -> ImageResult:
    """Evaluate a model and write ``image-result.json`` and ``answers.parquet``.

    Args:
        settings: the settings, with a resolved dtype.
        out: output folder: new, or unfinished work with the same settings.

    Raises:
        UsageError: the base is not a vision-language model, or a value is out of range.
        SourceError: the base has no processor or does not fit it, or the source has no rows.
        CMEError: a row, an image or the adapter is damaged, or the folder holds something else.
    """
    if settings.rows < 1:
        raise UsageError(f"rows: must be at least 1, found {settings.rows}.")
    folder = resolve_base(settings.base)
    if not is_vision_language(check_kind(folder)):
        raise UsageError(
            f"{settings.base} is a language model without images. Give a vision-language model, such as LLaVA."
        )
    processor = load_processor(folder)
    set_padding(processor.tokenizer)
    most = context_length(folder)
    # All inputs are made before the model is loaded, so that a broken image or a long question stops no evaluation halfway.
    rows = read_rows(settings.source, settings.rows, lambda row: make_inputs(processor, row, most))
    first = next(open_rows(settings.source, 1))
    fingerprint, adapter = base_fingerprint(folder), settings.adapter and resolve_adapter(settings.adapter)
    own = adapter_fingerprint(adapter) if adapter else None
    if adapter:
        check_trained_on(adapter, settings.base, fingerprint)
    device = pick_device(settings.device)
    identity = {
        "base": fingerprint,
        "processor": _processor_fingerprint(folder),
        "adapter": own,
        "rows": rows.fingerprint,
        "dtype": settings.dtype,
        "device": device.partition(":")[0],
        **_spaced(processor, first),
    }
    claim(out, "eval-images", identity)
    done = _stored(out / _WORK, digest(identity))
    model = load_model(folder, dtype=settings.dtype, device=device)
    check_vocabulary(model, processor.tokenizer)
    with _readable(first, device):
        check_causal(model, make_inputs(processor, first, most).tensors)
    info = None
    if adapter and settings.adapter:
        model = load_adapter(model.requires_grad_(False), adapter)
        info = _adapter_info(model, processor.tokenizer, settings.adapter, own or "", device)
    work = _Work(processor, most, Lines(out / _WORK), digest(identity))
    answers = _answers(model, settings, rows, done, work)
    result = _result(settings, rows.rows, answers).replace(
        base_fingerprint=fingerprint,
        processor_fingerprint=identity["processor"],
        adapter=info,
        rows_fingerprint=rows.fingerprint,
        without_image=rows.without_image,
        device=_device_name(device),
    )
    _write_answers(out / ANSWERS, rows.rows, answers)
    write_record(out / RECORD, result)
    (out / _WORK).unlink()
    finish(out)
    return result


@dataclass(frozen=True)
class _Work:
    """What every answer needs: the processor, the number of tokens that the base can read, and where answers are stored."""

    processor: Any
    most: int | None
    file: Lines
    key: str


def _answers(
    model: Any, settings: ImageSettings, rows: ImageRows, done: dict[str, dict[str, Any]], work: _Work
) -> dict[str, dict[str, Any]]:
    """Return the answer to every row by its id. Each is stored as soon as it is computed."""
    with bar("Questions about images", total=len(rows.rows)) as progress:
        # Images are read again, because all together may need more memory than there is.
        for facts, row in zip_longest(rows.rows, open_rows(settings.source, settings.rows)):
            if row is None or facts is None or (facts.id, facts.gold) != (row.id, row.gold):
                raise CMEError(
                    f"{settings.source}: the questions have changed since the command started. Run it again."
                )
            if row.id not in done:
                started = time.perf_counter()
                with _readable(row, str(model.device)):
                    scores = score_options(model, make_inputs(work.processor, row, work.most))
                answer = {
                    "key": work.key,
                    "id": row.id,
                    "logprobs": [value for value, _ in scores],
                    "seconds": time.perf_counter() - started,
                }
                work.file.append(answer)
                done[row.id] = answer
            progress.advance()
    return done


@contextmanager
def _readable(row: ImageRow, device: str) -> Iterator[None]:
    """Raise errors of a model that reads a question as errors of CME, with the place of the row."""
    import torch

    try:
        yield
    except NotFiniteError as error:
        raise NotFiniteError(f"{row.place}: {error}") from error
    except torch.OutOfMemoryError as error:
        raise CMEError(
            f"{row.place}: {device} is out of memory. Close other programs that use it, or set --dtype bfloat16 or another "
            "--device."
        ) from error
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
        raise SourceError(
            f"{row.place}: the base cannot read what its processor made of the question ({first}). Use the processor that was "
            "saved with this model."
        ) from error


def _stored(path: Path, key: str) -> dict[str, dict[str, Any]]:
    return {line["id"]: line for line in Lines.read(path) if line["key"] == key} if path.is_file() else {}


def _result(settings: ImageSettings, rows: Sequence[RowFacts], answers: dict[str, dict[str, Any]]) -> ImageResult:
    right = [float(choose(answers[row.id]["logprobs"]) == row.gold) for row in rows]
    skills: dict[str, list[tuple[float, float]]] = {}
    for row, value in zip(rows, right, strict=True):
        if row.skill:
            skills.setdefault(row.skill, []).append((value, 1 / row.options))
    return ImageResult(
        name=settings.name or adapter_name(settings.adapter or settings.base),
        base=settings.base,
        base_fingerprint="",
        processor_fingerprint="",
        adapter=None,
        source=settings.source,
        rows_fingerprint="",
        n=len(rows),
        without_image=0,
        value=_mean(right),
        stderr=clustered_stderr(right, [row.picture for row in rows]),
        chance=_mean([1 / row.options for row in rows]),
        skills={
            name: SkillScore(n=len(of), value=_mean([v for v, _ in of]), chance=_mean([c for _, c in of]))
            for name, of in sorted(skills.items())
        },
        dtype=settings.dtype,
        device="",
        seconds=round(sum(answers[row.id]["seconds"] for row in rows), 3),
        versions=versions(),
        finished=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _write_answers(path: Path, rows: Sequence[RowFacts], answers: dict[str, dict[str, Any]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table(
        {
            "id": [row.id for row in rows],
            "skill": [row.skill for row in rows],
            "gold": pa.array([row.gold for row in rows], pa.int32()),
            "chosen": pa.array([choose(answers[row.id]["logprobs"]) for row in rows], pa.int32()),
            "logprobs": pa.array([answers[row.id]["logprobs"] for row in rows], pa.list_(pa.float64())),
        }
    )
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def _adapter_info(model: Any, tokenizer: Any, adapter: str, fingerprint: str, device: str) -> AdapterInfo:
    import torch

    kind = model.peft_config[model.active_adapters[0]].peft_type
    probe = torch.tensor([tokenizer.encode("What does the image show?")], device=device)
    return AdapterInfo(
        path=adapter,
        method=str(getattr(kind, "value", kind)).lower(),
        fingerprint=fingerprint,
        changes_output=check_effect(model, probe) > 0,
    )


def _spaced(processor: Any, row: ImageRow) -> dict[str, Any]:
    """Return what sets answers with a space after a chat template apart, because earlier versions of CME had none there."""
    between = prompt_text(processor, row)[1]
    return {"before_letter": between} if between and getattr(processor, "chat_template", None) else {}


def _processor_fingerprint(folder: Path) -> str:
    files = sorted({file for pattern in _PROCESSOR for file in folder.glob(pattern)})
    return digest(
        {
            "tokenizer": tokenizer_fingerprint(folder, TEMPLATE_DATE),
            "processor": {file.name: sha256_file(file) for file in files},
        }
    )


def _device_name(device: str) -> str:
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    import platform

    return f"{device} ({platform.machine()})"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
