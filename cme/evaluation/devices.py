"""Where an evaluation computes."""

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from cme.errors import CMEError, UsageError
from cme.evaluation.adapters import distinct_names
from cme.evaluation.settings import RESULT, EvalSettings
from cme.progress import bar
from cme.records import Result, read_record

__all__ = ["device_names", "evaluate_on"]


def device_names(text: str) -> list[str]:
    """``"0,1"`` → ``["cuda:0", "cuda:1"]``; other names stay as they are."""
    listed = [name.strip() for name in text.split(",") if name.strip()]
    if not listed:
        raise UsageError(f"{text!r} is not a list of devices. Set --devices to names such as 0,1 or cuda:0,cuda:1.")
    return [f"cuda:{name}" if name.isdigit() else name for name in listed]


def evaluate_on(devices: Sequence[str], settings: EvalSettings, adapters: Sequence[str], out: Path) -> list[Result]:
    """`cme.evaluation.run.evaluate_each` with a process per device, adapters dealt out in turn.

    A process that fails does not stop the others: what they finish stays, and the same command run again continues.

    Args:
        devices: torch's names.
        settings: of all adapters.
        adapters: folders, hub ids or ``base``.
        out: gets a folder for each.

    Raises:
        UsageError: there are fewer adapters than devices, or two have the same name.
        CMEError: some process failed; the message has each process's error.
    """
    settings.check()
    if len(adapters) < len(devices):
        raise UsageError(
            f"--devices names {len(devices)} devices for {len(adapters)} adapters; each gets a device of its own. For one "
            "adapter on several devices: torchrun --nproc_per_node N -m cme eval …"
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
    failures = _run_all(shares)
    if failures:
        raise CMEError("\n".join(f"on {devices[at]}: {text}" for at, text in sorted(failures.items())))
    return [read_record(out / name / RESULT, Result) for name in distinct_names(adapters)]


def _run_all(shares: Sequence[dict[str, Any]]) -> dict[int, str]:
    """Run a process for each share; number → what those say that failed."""
    processes: list[subprocess.Popen[str]] = []
    failures: dict[int, str] = {}
    try:
        for share in shares:
            command = [sys.executable, "-m", "cme.evaluation.devices", json.dumps(share)]
            processes.append(subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True))
        with bar("Devices", len(shares)) as progress:
            for at, process in enumerate(processes):
                error = process.communicate()[1]
                progress.advance()
                if process.returncode:
                    failures[at] = error.strip() or f"the process ended with code {process.returncode}"
    finally:
        for process in processes:
            process.kill()
            process.wait()
    return failures


def _main(share: dict[str, Any]) -> None:
    from cme.evaluation.run import evaluate_each

    given = share["settings"]
    settings = EvalSettings(**{**given, "datasets": given["datasets"] and tuple(given["datasets"])})
    try:
        evaluate_each(settings, share["adapters"], Path(share["out"]))
    except CMEError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _main(json.loads(sys.argv[1]))
