"""Experiment trackers: TensorBoard, Weights & Biases and trackio, through the callbacks of transformers' Trainer.

A tracker only receives what the Trainer logs and does not affect the training. It is therefore not part of a run's identity,
and an interrupted run can be resumed with another tracker or without one.

The trackers write their data to these places:

| tracker | place |
| --- | --- |
| ``tensorboard`` | event files in ``<out>/tracking/tensorboard/<name of out>`` |
| ``trackio`` | project ``cme`` in trackio's local database (``TRACKIO_DIR``, by default ``~/.cache/huggingface/trackio``) |
| ``wandb`` | the destination that is configured for wandb (``WANDB_MODE``), and local files in ``<out>/tracking/wandb`` |
"""

import contextlib
import importlib.util
import json
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cme.env import trackio_is_remote, wandb_project
from cme.errors import CMEError, UsageError
from cme.files import read_json, write_json

__all__ = ["TRACKING", "check_trackers", "trackers"]

TRACKING = "tracking"
"""Folder of the trackers inside a run's folder."""

_PROJECT = "cme"
_RUNS = "runs.json"


def check_trackers(names: Sequence[str]) -> None:
    """Check that the packages of trackers are installed.

    Raises:
        UsageError: A package is missing. The message contains the command that installs it.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        packages = " ".join(missing)
        raise UsageError(
            f"report_to {', '.join(missing)} needs a package that is not installed. Install it with: pip install {packages}"
        )


@contextlib.contextmanager
def trackers(
    names: Sequence[str], *, out: Path, args: Any, step: int, model: Any, values: Mapping[str, Any]
) -> Iterator[list[Any]]:
    """Open trackers for a run and close them at the end, also after an error.

    A resumed run continues its tracker run.

    Args:
        names: Names of the trackers.
        out: Folder of the run. Its name is the name of the tracker run.
        args: The Trainer's arguments.
        step: Number of completed optimiser steps, which is 0 for a new run.
        model: The model that is trained. Its configuration is logged.
        values: The resolved settings, logged as hyper-parameters.

    Yields:
        One Trainer callback per tracker.

    Raises:
        CMEError: A tracker cannot be started.
    """
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(_OPEN[name](out, args, step, model, values)) for name in names]


@contextlib.contextmanager
def _tensorboard(out: Path, args: Any, step: int, model: Any, values: Mapping[str, Any]) -> Iterator[Any]:
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams
    from transformers.integrations import TensorBoardCallback

    folder = out / TRACKING / "tensorboard" / _name(out)
    # TensorBoard then drops what an interrupted run logged after its last checkpoint.
    purge = (step + 1 if step else 0) if folder.is_dir() else None
    writer = SummaryWriter(str(folder), purge_step=purge)
    try:
        scalars = {key: value if _is_scalar(value) else json.dumps(value) for key, value in values.items()}
        for summary in hparams(scalars, {}):  # type: ignore[no-untyped-call]
            writer.file_writer.add_summary(summary)  # type: ignore[attr-defined]
        yield TensorBoardCallback(writer)
    finally:
        writer.close()


@contextlib.contextmanager
def _trackio(out: Path, args: Any, step: int, model: Any, values: Mapping[str, Any]) -> Iterator[Any]:
    import trackio
    from transformers import TrainerState
    from transformers.integrations import TrackioCallback

    class Callback(TrackioCallback):  # type: ignore[misc]
        """Log with the optimiser step as trackio's step. It is opened and closed outside of the measured training time."""

        def on_log(
            self, args: Any, state: Any, control: Any, model: Any = None, logs: Any = None, **kwargs: Any
        ) -> None:
            """Log the values of the training loop. The totals of the run are in its record."""
            if "loss" in logs:
                numbers = {f"train/{key}": value for key, value in logs.items()}
                trackio.log({**numbers, "train/global_step": state.global_step}, step=state.global_step)

        def on_train_end(self, *args: Any, **kwargs: Any) -> None:
            """Do nothing, because the tracker is closed after the training time has been measured."""

    def new_name() -> str:
        name, number = _name(out), 1
        while name in taken:
            number += 1
            name = f"{_name(out)} ({number})"
        return name

    taken: set[str] = set()
    if not trackio_is_remote():
        with contextlib.suppress(ValueError):  # trackio raises it if the project does not exist yet.
            taken = {run.name for run in trackio.Api().runs(_PROJECT)}
    args.project, args.run_name = _PROJECT, _remembered(out, "trackio", new_name)
    # If the user has a Space, the Trainer would publish a second, static one at the end.
    args.trackio_static_space_id = False
    callback = Callback()
    with _quiet():
        callback.setup(args, TrainerState(is_world_process_zero=True), model)
    trackio.config.update(values)
    try:
        yield callback
    finally:
        with _quiet():
            trackio.finish()


@contextlib.contextmanager
def _wandb(out: Path, args: Any, step: int, model: Any, values: Mapping[str, Any]) -> Iterator[Any]:
    import wandb
    from transformers.integrations import WandbCallback

    folder = out / TRACKING
    folder.mkdir(parents=True, exist_ok=True)
    run_id = _remembered(out, "wandb", lambda: uuid.uuid4().hex[:12])
    try:
        run = wandb.init(
            project=wandb_project() or _PROJECT,
            name=_name(out),
            id=run_id,
            resume="allow",
            dir=str(folder),
            config=dict(values),
            reinit="finish_previous",
        )
    except wandb.Error as error:
        first = str(error).strip().splitlines()[0].rstrip(".")
        raise CMEError(
            f"wandb could not start a run: {first}. Log in with 'wandb login', or set WANDB_MODE=offline."
        ) from error
    ended = False
    try:
        yield WandbCallback()
        ended = True
    finally:
        run.finish(exit_code=0 if ended else 1)


_OPEN: dict[str, Callable[..., Any]] = {"tensorboard": _tensorboard, "trackio": _trackio, "wandb": _wandb}


def _name(out: Path) -> str:
    """Return the name of the resolved folder, so that ``.`` and links have a name, too."""
    return out.resolve().name or _PROJECT


def _remembered(out: Path, tracker: str, make: Callable[[], str]) -> str:
    """Return the identifier of this run in a tracker. It is stored, so that a resumed run has the same identifier."""
    path = out / TRACKING / _RUNS
    known = read_json(path) if path.is_file() else {}
    if tracker not in known:
        path.parent.mkdir(parents=True, exist_ok=True)
        known = {**known, tracker: make()}
        write_json(path, known)
    return str(known[tracker])


def _is_scalar(value: Any) -> bool:
    return isinstance(value, bool | int | float | str)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep trackio's messages out of standard output, and prevent it from requesting the user's name from the hub."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not trackio_is_remote()
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        constants.HF_HUB_OFFLINE = before
