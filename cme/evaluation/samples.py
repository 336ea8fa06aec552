"""Turns lm-eval's sample records into per-sample scores, which may be published, and responses, which stay with the user."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.files import atomic_path
from cme.suite import DatasetSpec
from cme.suite.metrics import choose, extract, gold_probability, program_ended, solution_end

__all__ = ["join_responses", "response_row", "sample_row", "write_responses"]


def sample_row(record: Mapping[str, Any], spec: DatasetSpec, tokenizer: Any, *, limited: bool = True) -> dict[str, Any]:
    """Make one row of ``samples.parquet``. It contains scores and no text of the dataset.

    Args:
        record: lm-eval's record, with the row that `cme.evaluation.task.load` made, the answers and the scores.
        spec: the dataset.
        tokenizer: tokenizer that counts the tokens of a generated answer, to detect truncated ones. Without it, ``truncated``
            is None, which means unknown, unless what follows the text could not change its answer.
        limited: whether answers had a token limit. Without one, none was truncated.
    """
    doc = record["doc"]
    row = {
        "id": doc["id"],
        "dataset": spec.name,
        "family": spec.family,
        "part": doc["part"],
        "cluster": doc["cluster"],
        "score": float(record["cme_score"]),
        "scores": {name: float(record[name]) for name in spec.metrics},
        "cut": doc["cut"],
    }
    if spec.kind == "choice":
        logprobs = _logprobs(record)
        return row | {
            "options": len(logprobs),
            "gold": int(doc["gold"]),
            "predicted": choose(logprobs),
            "gold_probability": gold_probability(logprobs, int(doc["gold"])),
            "empty": False,
            "truncated": False,
        }
    text = record["filtered_resps"][0]
    return row | {
        "options": 0,
        "gold": None,
        "predicted": None,
        "gold_probability": None,
        "empty": not extract(text, spec),
        "truncated": limited and _ran_on(text, spec, tokenizer),
    }


def _ran_on(text: str, spec: DatasetSpec, tokenizer: Any) -> bool | None:
    """Return whether a generated text was truncated at the token limit; None if that is unknown."""
    if _has_ended(text, spec):
        return False
    if tokenizer is None:
        return None
    return len(tokenizer.encode(text, add_special_tokens=False)) >= spec.max_gen_toks


def _has_ended(text: str, spec: DatasetSpec) -> bool:
    """Return whether what follows a generated text could not change its answer."""
    if spec.answer == "number":
        # The line break after a marked number completes it.
        return solution_end(text) is not None
    if spec.answer == "program":
        return program_ended(text)
    # A summary ends at the first empty line. A line of spaces is not empty.
    text = text.strip()
    return ("\n" if spec.answer == "first_line" else "\n\n") in text


def response_row(record: Mapping[str, Any], spec: DatasetSpec) -> dict[str, Any]:
    """Make one row of ``responses.parquet``: the log-probabilities of the options in nats, or the generated text."""
    choice = spec.kind == "choice"
    return {
        "id": record["doc"]["id"],
        "dataset": spec.name,
        "logprobs": _logprobs(record) if choice else None,
        "text": None if choice else record["filtered_resps"][0],
    }


def _logprobs(record: Mapping[str, Any]) -> Sequence[float]:
    return [float(answer[0]) for answer in record["filtered_resps"]]


def write_responses(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of `response_row` to ``responses.parquet``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fields = {"id": pa.string(), "dataset": pa.string(), "logprobs": pa.list_(pa.float64()), "text": pa.string()}
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=pa.schema(fields)), temporary, compression="zstd")


def join_responses(parts: Sequence[Path], path: Path) -> None:
    """Concatenate several ``responses.parquet`` into one file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with atomic_path(path) as temporary:
        pq.write_table(pa.concat_tables([pq.read_table(part) for part in parts]), temporary, compression="zstd")
