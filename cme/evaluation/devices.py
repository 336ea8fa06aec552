"""Evaluates several adapters at the same time, with one process per device."""

import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cme.errors import CMEError, CMEWarning, UsageError
from cme.evaluation.adapters import distinct_names
from cme.evaluation.retention import check_retention
from cme.evaluation.settings import RESULT, EvalSettings
from cme.progress import bar
from cme.records import Result, read_record

__all__ = ["device_names", "evaluate_on"]

_WARNING = "cme-warning "
"""Beginning of a line with a warning, in JSON, on the standard output of a process."""


def device_names(text: str) -> list[str]:
    """Split a list of devices and complete GPU numbers to PyTorch's names.

    Example:
        >>> device_names("0,1")
        ['cuda:0', 'cuda:1']

    Raises:
        UsageError: if the text names no device.
    """
    listed = [name.strip() for name in text.split(",") if name.strip()]
    if not listed:
        raise UsageError(f"{text!r} is not a list of devices. Set --devices to names such as 0,1 or cuda:0,cuda:1.")
    return [f"cuda:{name}" if name.isdigit() else name for name in listed]


def evaluate_on(devices: Sequence[str], settings: EvalSettings, adapters: Sequence[str], out: Path) -> list[Result]:
    """Evaluate several adapters as `cme.evaluation.run.evaluate_each` does, with one process per device.

    The adapters are distributed over the devices in turn. If a process fails, the others continue. The same command run again
    evaluates what is missing. CME's warnings in the processes are repeated here, each text once.

    Args:
        devices: PyTorch's names of the devices.
        settings: settings of all evaluations.
        adapters: folders, hub ids or ``base``.
        out: folder for the results. Each adapter gets a subfolder.

    Returns:
        The results in the order of the adapters.

    Raises:
        UsageError: if there are fewer adapters than devices, or two adapters have the same name.
        CMEError: if a process failed. The message contains the error of every process that failed.
    """
    settings.check()
    check_retention(settings, dict(zip((out / name for name in distinct_names(adapters)), adapters, strict=True)))
    if len(adapters) < len(devices):
        raise UsageError(
            f"there are fewer adapters ({len(adapters)}) than --devices ({len(devices)}), and each adapter is evaluated on one "
            "device. To evaluate one adapter on several devices, run torchrun --nproc_per_node N -m cme eval …"
        )
    distinct_names(adapters)
    shares = [
        {
            "settings": asdict(replace(settings, device=device)),
            "adapters": list(adapters[at :: len(devices)]),
            "out": str(out),
        }
        for at, device in enumerate(devices)
    ]
    failures, texts = _run_all(shares)
    for text in texts:
        warnings.warn(text, CMEWarning, stacklevel=2)
    if failures:
        raise CMEError("\n".join(f"on {devices[at]}: {text}" for at, text in sorted(failures.items())))
    return [read_record(out / name / RESULT, Result) for name in distinct_names(adapters)]


def _run_all(shares: Sequence[dict[str, Any]]) -> tuple[dict[int, str], list[str]]:
    """Run one process per share. Return the errors of the processes that failed, by their index, and the distinct warnings."""
    processes: list[subprocess.Popen[str]] = []
    failures: dict[int, str] = {}
    texts: dict[str, None] = {}
    try:
        for share in shares:
            command = [sys.executable, "-m", "cme.evaluation.devices", json.dumps(share)]
            processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
        with bar("Devices", len(shares)) as progress:
            for at, process in enumerate(processes):
                output, error = process.communicate()
                lines = (line for line in output.splitlines() if line.startswith(_WARNING))
                texts |= dict.fromkeys(json.loads(line.removeprefix(_WARNING)) for line in lines)
                progress.advance()
                if process.returncode:
                    failures[at] = error.strip() or f"the process ended with code {process.returncode}"
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return failures, list(texts)


def _hand_on_warnings() -> None:
    """Write CME's warnings to standard output for the process that started this one. Others go to standard error as before."""
    show = warnings.showwarning

    def handed_on(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
        if not issubclass(category, CMEWarning):
            show(message, category, *place, **options)
            return
        sys.stdout.write(f"{_WARNING}{json.dumps(str(message))}\n")
        sys.stdout.flush()

    warnings.showwarning = handed_on


def _main(share: dict[str, Any]) -> None:
    from cme.evaluation.run import evaluate_each

    _hand_on_warnings()
    given = share["settings"]
    settings = EvalSettings(**{**given, "datasets": given["datasets"] and tuple(given["datasets"])})
    try:
        evaluate_each(settings, share["adapters"], Path(share["out"]))
    except CMEError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
