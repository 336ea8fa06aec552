"""Runs the programs that a model wrote, and turns what became of them into scores. Stored outcomes are never computed again."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.errors import UsageError
from cme.evaluation.store import Lines
from cme.sandbox import OUTCOMES, Outcome, Program, open_isolation, run_programs
from cme.suite import DatasetSpec, datasets, select
from cme.suite.metrics import assemble_program
from cme.suite.suites import SUITES

__all__ = [
    "LATER",
    "NOT_RUN",
    "checked_run_code",
    "left_out_programs",
    "outcome_scores",
    "program_of",
    "run_answer",
    "run_records",
    "without_programs",
]

LATER = "later"
"""Value of ``cme_run_code`` with which `process_generation` does not run the programs. They run together afterwards."""

NOT_RUN = (
    "Add --run-code, which runs it in a sandbox. This requires bubblewrap (Debian, Ubuntu: apt install bubblewrap)."
)
"""What to do if a dataset needs code to run."""

_OUTCOMES = "outcomes.jsonl"


def checked_run_code(specs: Sequence[DatasetSpec], run_code: str | None) -> list[DatasetSpec]:
    """Return the datasets to evaluate. Those that run code are left out unless that is allowed.

    Args:
        specs: the chosen datasets.
        run_code: how code may run (`cme.sandbox.RUN_CODE`), or None.

    Raises:
        UsageError: no dataset remains, or code cannot run here.
    """
    running = [spec for spec in specs if spec.runs_code]
    if not running:
        return list(specs)
    if run_code is not None:
        open_isolation(run_code)
        return list(specs)
    if remaining := [spec for spec in specs if not spec.runs_code]:
        return remaining
    names = " and ".join(spec.name for spec in running)
    raise UsageError(f"to score {names}, the code that the model writes must run. {NOT_RUN}")


def without_programs(names: Iterable[str] | None, command: str) -> list[DatasetSpec]:
    """Return the chosen datasets of a command that runs no programs. A whole suite is taken without those that need it.

    Args:
        names: names of datasets or families, as `cme.suite.select` takes them.
        command: the command, for the message.

    Raises:
        UsageError: a name is unknown, or a dataset that needs programs to run was named.
    """
    specs = select(names)
    running = [spec.name for spec in specs if spec.runs_code]
    if running and not _is_suite(specs):
        one = len(running) == 1
        raise UsageError(
            f"{' and '.join(running)} {'is' if one else 'are'} scored by running the programs that the model writes, which "
            f"{command} does not do. Leave {'it' if one else 'them'} out of --datasets."
        )
    return [spec for spec in specs if not spec.runs_code]


def left_out_programs(names: Iterable[str] | None, command: str) -> str | None:
    """Return a note about the datasets that `without_programs` leaves out, or None if there are none."""
    specs = select(names)
    running = [spec.name for spec in specs if spec.runs_code]
    if not running or not _is_suite(specs):
        return None
    return (
        f"{' and '.join(running)} {'is' if len(running) == 1 else 'are'} left out, because {command} does not run the programs "
        "that the model writes."
    )


def _is_suite(specs: Sequence[DatasetSpec]) -> bool:
    return any({spec.name for spec in specs} == set(datasets(suite)) for suite in SUITES)


def program_of(answer: str, tests: str) -> Program:
    """Return the program in an answer, with its tests.

    Args:
        answer: the generated text.
        tests: the accepted answer of the example, which is the JSON that the normaliser made.
    """
    given = json.loads(tests)
    names = tuple(given["names"])
    head = str(given["head"])
    source = assemble_program(answer, names, head)
    return Program(source, str(given["tests"]), names, head)


def outcome_scores(outcome: Outcome, spec: DatasetSpec) -> dict[str, float]:
    """Return the per-sample scores of an outcome: ``pass_at_1``, and one for each other outcome. One of them is 1."""
    status = "pass_at_1" if outcome.passed else outcome.status
    scores = {name: float(name == status) for name in spec.metrics}
    return {**scores, "cme_score": scores[spec.primary_metric]}


def unknown_scores(spec: DatasetSpec) -> dict[str, float]:
    """Return scores that are not known yet. They are not numbers, so no file of samples takes them."""
    return dict.fromkeys((*spec.metrics, "cme_score"), math.nan)


def run_answer(doc: Mapping[str, Any], answer: str, spec: DatasetSpec) -> dict[str, float]:
    """Run the program of one answer and return its scores, as `process_generation` does for plain lm-eval.

    Args:
        doc: a row made by `cme.evaluation.task.load`. Its ``run_code`` says how code runs.
        answer: the generated text.
        spec: the dataset.

    Raises:
        UsageError: code cannot run here.
    """
    if doc["run_code"] == LATER:
        return unknown_scores(spec)
    isolation = open_isolation(doc["run_code"])
    return outcome_scores(run_programs([program_of(answer, doc["answers"][0])], isolation)[0], spec)


def run_records(
    records: Sequence[dict[str, Any]],
    spec: DatasetSpec,
    folder: Path,
    run_code: str,
    advance: Callable[[float], None],
) -> list[dict[str, Any]]:
    """Run the programs of all answers of a dataset, and return the records with their scores.

    Each outcome is stored at once, so that no program of an interrupted evaluation runs twice.

    Args:
        records: lm-eval's sample records.
        spec: the dataset.
        folder: folder of the dataset's work files.
        run_code: one of `cme.sandbox.RUN_CODE`.
        advance: function that is called with the number of programs that have new outcomes.

    Raises:
        CMEError: code cannot run here, or the outcomes cannot be written.
    """
    programs = [program_of(record["filtered_resps"][0], record["doc"]["answers"][0]) for record in records]
    file = folder / _OUTCOMES
    lines = Lines(file)
    stored = {
        line["program"]: Outcome(line["status"], line["detail"], line["seconds"])
        for line in (Lines.read(file) if file.is_file() else ())
        if line["run_code"] == run_code and line["status"] in OUTCOMES
    }
    waiting = {program.digest: program for program in programs if program.digest not in stored}
    digests, times = list(waiting), Counter(program.digest for program in programs)
    advance(sum(times[digest] for digest in times if digest in stored))

    def done(number: int, outcome: Outcome) -> None:
        stored[digests[number]] = outcome
        lines.append(
            {
                "program": digests[number],
                "run_code": run_code,
                "status": outcome.status,
                "detail": outcome.detail,
                "seconds": round(outcome.seconds, 3),
            }
        )
        advance(times[digests[number]])

    if waiting:
        run_programs(list(waiting.values()), open_isolation(run_code), done)
    return [
        {**record, **outcome_scores(stored[program.digest], spec)}
        for record, program in zip(records, programs, strict=True)
    ]
