"""Reads the files that lm-eval writes with ``--log_samples --output_path``. Sizes are limited because files can be untrusted."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.errors import CMEError, DataError, UsageError

__all__ = ["LoggedRun", "LoggedTask", "newest_tasks", "read_samples_log"]

_DATE = r"(\d{4}-\d\d-\d\dT[0-9.\-]+)"
_RESULTS = re.compile(rf"results_{_DATE}\.json")
_SAMPLES = re.compile(rf"samples_(cme_\w+?)_{_DATE}\.jsonl")

_MOST_RESULT_BYTES = 64 * 2**20
_MOST_LINE_BYTES = 4 * 2**20
_MOST_LINES = 200_000
"""Larger than any evaluation split of the suite."""


@dataclass(frozen=True)
class LoggedRun:
    """One run of lm-eval.

    Attributes:
        file: the file ``results_<date>.json``.
        values: content of the file.
    """

    file: Path
    values: Mapping[str, Any]

    def part(self, *keys: str) -> Any:
        """Return a nested value, or None if one of the keys is missing."""
        value: Any = self.values
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of the model (``--model_args``) as strings."""
        given = self.part("config", "model_args")
        if isinstance(given, str):
            pairs = (item.partition("=") for item in given.split(",") if item.strip())
            return {key.strip(): value.strip() for key, _, value in pairs}
        return {str(key): str(value) for key, value in given.items()} if isinstance(given, Mapping) else {}

    @property
    def adapter(self) -> str | None:
        """The folder or id of the adapter, or None if the model had none."""
        given = self.arguments
        return given.get("peft") or given.get("lora_local_path") or given.get("delta") or None

    @property
    def model(self) -> tuple[Any, Any]:
        """What the run evaluated: lm-eval's kind of model, and its arguments."""
        return self.part("config", "model"), self.part("config", "model_args")


@dataclass(frozen=True)
class LoggedTask:
    """The newest log of one task.

    Attributes:
        task: name of the task, such as ``cme_qqp``.
        samples: the file ``samples_<task>_<date>.jsonl``.
        run: the run that wrote the file.
    """

    task: str
    samples: Path
    run: LoggedRun


def newest_tasks(folder: Path) -> list[LoggedTask]:
    """Return the newest log of every CME task of one model.

    Args:
        folder: folder given to lm-eval as ``--output_path``, or the subfolder of one model.

    Raises:
        CMEError: if the folder does not exist or has no samples of CME tasks, or if a file is damaged or too large.
        UsageError: if the folder has logs of several models, or of several runs of one task with different models.
    """
    if not folder.is_dir():
        raise CMEError(f"{folder} is not a folder. Give the folder that was set as lm-eval's --output_path.")
    home = _home(folder)
    runs: dict[str, Path] = {match[1]: file for file in home.iterdir() if (match := _RESULTS.fullmatch(file.name))}
    logs: dict[str, tuple[str, Path]] = {}
    dates: dict[str, set[str]] = {}
    for file in home.iterdir():
        if match := _SAMPLES.fullmatch(file.name):
            task, date = match.groups()
            dates.setdefault(task, set()).add(date)
            if task not in logs or date > logs[task][0]:
                logs[task] = (date, file)
    if not logs:
        raise CMEError(
            f"{home} has no samples of cme_* tasks (samples_cme_….jsonl). Run lm-eval again with --log_samples."
        )
    if lacking := [file.name for date, file in logs.values() if date not in runs]:
        raise CMEError(
            f"{home}: the file results_….json that belongs to {sorted(lacking)[0]} is missing. Copy it to this folder."
        )
    needed = {date for of in dates.values() for date in of if date in runs}
    read = {date: LoggedRun(runs[date], _read_results(runs[date])) for date in needed}
    for task, (newest, _) in logs.items():
        for date in sorted(dates[task] & read.keys()):
            # lm-eval names the folder by the model, also if an adapter was given as lora_local_path.
            if read[date].model != read[newest].model:
                raise UsageError(
                    f"{home} has runs of {task} with different models ({runs[date].name} and {runs[newest].name} differ in "
                    "model_args). Move the logs of each model to a separate folder."
                )
    return [LoggedTask(task, file, read[date]) for task, (date, file) in sorted(logs.items())]


def _home(folder: Path) -> Path:
    """Return the folder that holds the logs: the given one or one of its subfolders."""
    homes = sorted({file.parent for file in (*folder.glob("samples_*.jsonl"), *folder.glob("*/samples_*.jsonl"))})
    homes = homes or sorted(
        {file.parent for file in (*folder.glob("results_*.json"), *folder.glob("*/results_*.json"))}
    )
    if len(homes) > 1:
        raise UsageError(
            f"{folder} has logs of several models ({', '.join(home.name for home in homes[:5])}). Give the folder of one model."
        )
    if not homes:
        raise CMEError(
            f"{folder} has no logs of lm-eval (results_….json, samples_….jsonl). Run lm-eval with --log_samples."
        )
    return homes[0]


def _read_results(file: Path) -> Mapping[str, Any]:
    if file.stat().st_size > _MOST_RESULT_BYTES:
        raise DataError(
            f"{file} has {file.stat().st_size:,} bytes; at most {_MOST_RESULT_BYTES:,} are allowed. Give lm-eval's own file."
        )
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file} is not readable JSON ({type(error).__name__}). Copy it again.") from error
    if not isinstance(values, Mapping):
        raise DataError(f"{file} is not a results file of lm-eval: it is not a JSON object. Copy it again.")
    return values


def read_samples_log(file: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the samples of one log.

    Raises:
        DataError: if a line is not a sample, or if there are too many lines or too long ones.
    """
    try:
        with file.open("rb") as lines:
            for number in range(1, _MOST_LINES + 2):
                line = lines.readline(_MOST_LINE_BYTES + 1)
                if not line:
                    return
                if number > _MOST_LINES or len(line) > _MOST_LINE_BYTES:
                    raise DataError(
                        f"{file}, line {number}: at most {_MOST_LINES:,} lines of {_MOST_LINE_BYTES:,} bytes are allowed. Give "
                        "lm-eval's own file."
                    )
                yield _sample(line, file, number)
    except OSError as error:
        raise DataError(f"{file} could not be read: {error.strerror or error}. Check the file.") from error


def _sample(line: bytes, file: Path, number: int) -> Mapping[str, Any]:
    try:
        values = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}, line {number} is not valid JSON. Copy the log again.") from error
    if not isinstance(values, Mapping) or not isinstance(values.get("doc"), Mapping):
        raise DataError(
            f"{file}, line {number} is not a sample of lm-eval: the key doc is missing. Copy the log again."
        )
    return values
