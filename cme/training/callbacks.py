"""Callbacks of the Trainer: marking complete checkpoints, stopping at invalid losses, and the progress bar."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cme.errors import DivergedError
from cme.progress import Bar
from cme.training.checkpoints import mark, prune
from cme.training.meter import Meter

__all__ = ["BarMover", "CheckpointMarker", "LossGuard"]


class CheckpointMarker(TrainerCallback):  # type: ignore[misc]
    """Mark each checkpoint as complete when all processes have written their files, then remove older checkpoints.

    Older checkpoints are removed last, because a killed run resumes from the newest complete checkpoint.

    Args:
        meter: The run's meter of time and memory.
        keep: Whether to keep older checkpoints.
        further: Names of files that checkpoints of this run have in addition to the usual ones.
    """

    def __init__(self, meter: Meter, *, keep: bool, further: Sequence[str] = ()) -> None:
        self._meter, self._keep, self._further = meter, keep, further

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock."""
        self._meter.start()

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Mark the checkpoint that was just written."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            root = Path(args.output_dir)
            folder = root / f"checkpoint-{state.global_step}"
            mark(folder, self._meter.spent(state.global_step), args.world_size, self._further)
            if not self._keep:
                prune(root, folder)


class LossGuard(TrainerCallback):  # type: ignore[misc]
    """Stop a run whose loss is not finite or exactly zero, before the invalid weights are saved in a checkpoint."""

    def __init__(self) -> None:
        self._checked = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Remember the first step whose loss is checked."""
        self._checked = state.global_step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> TrainerControl:
        """Log, and thereby check, the loss before every save and at the end."""
        if control.should_save or control.should_training_stop:
            control.should_log = True
        return control

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Check the mean loss since the last log.

        Raises:
            DivergedError: The loss is not finite or exactly zero, or the gradient norm is not finite.
        """
        if logs is None or "loss" not in logs:
            return
        first, self._checked = self._checked + 1, state.global_step
        steps = f"step {first}" if first == state.global_step else f"steps {first} to {state.global_step}"
        for name in ("loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise DivergedError(
                    f"training diverged: the {name} is {logs[name]} in {steps}. Lower the learning rate from "
                    f"{args.learning_rate:g} to {args.learning_rate / 4:g}, for example, and train into another --out."
                )
        if logs["loss"] == 0:
            raise DivergedError(
                f"training collapsed: the loss is exactly 0 in {steps}. Lower the learning rate from "
                f"{args.learning_rate:g} to {args.learning_rate / 4:g}, for example, and train into another --out. If the "
                "loss is 0 from the first step, the base model is broken."
            )


class BarMover(TrainerCallback):  # type: ignore[misc]
    """Update the progress bar and the loss that it shows."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Advance the bar by the steps before an interruption."""
        self._bar.advance(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Advance the bar by one step."""
        self._bar.advance()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Show the loss."""
        if logs and "loss" in logs:
            self._bar.describe(f"Training, loss {logs['loss']:.3f}")
