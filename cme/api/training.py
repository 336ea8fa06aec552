"""Training of an adapter, with one or with several learning rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, path, public
from cme.api.tables import as_html, as_text
from cme.api.training_settings import settings_of
from cme.errors import UsageError
from cme.records import Grid, Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TrainedGrid", "TrainedRun", "train", "train_grid"]


@dataclass(frozen=True, repr=False)
class TrainedRun:
    """A trained adapter or model on disk. Functions that take a folder accept it too: ``cme.evaluate(adapter=run, …)``.

    Attributes:
        folder: folder with ``run.json`` and the adapter (or, for the method ``full``, the model).
        record: the method, data, settings and cost of the training.
    """

    folder: Path
    record: Run

    def __fspath__(self) -> str:
        return str(self.folder)

    def to_frame(self) -> "pd.DataFrame":
        """Return the training loss.

        Returns:
            One row per logged step: ``step``, ``loss``.
        """
        import pandas as pd

        return pd.DataFrame([list(item[:2]) for item in self.record.losses], columns=["step", "loss"])

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def _shown(self) -> "tuple[str, pd.DataFrame]":
        import pandas as pd

        run = self.record
        columns = {
            "trainable parameters": run.trainable_parameters,
            "share in percent": run.trainable_share,
            "steps": run.steps,
            "last loss": run.losses[-1][1] if run.losses else None,
            "validation loss": run.validation_loss,
        }
        return f"{run.method} trained on {run.base}, in {self.folder}", pd.DataFrame([columns])


@dataclass(frozen=True, repr=False)
class TrainedGrid:
    """One run for each learning rate of a grid, on disk.

    Attributes:
        folder: folder with ``lr-grid.json`` and a folder for each rate.
        record: the rates and their losses.
    """

    folder: Path
    record: Grid

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def best(self) -> TrainedRun:
        """The run with the lowest validation loss."""
        from cme.records import read_record

        folder = self.folder / str(self.record.best)
        return TrainedRun(folder, read_record(folder / "run.json", Run))

    def to_frame(self) -> "pd.DataFrame":
        """Return the learning rates and their losses.

        Returns:
            One row per rate: ``learning_rate``, ``folder``, ``validation_loss`` and ``last_loss`` (missing where training
            diverged), ``best``, ``problem``. Settings that the grid varied have a column before the rate.
        """
        import pandas as pd

        varied = list(dict.fromkeys(key for run in self.record.runs for key in run.settings or {}))
        columns = [*varied, "learning_rate", "folder", "validation_loss", "last_loss", "best", "problem"]
        rows = [
            [
                *((run.settings or {}).get(key) for key in varied),
                run.learning_rate,
                run.folder,
                run.validation_loss,
                run.last_loss,
                run.folder == self.record.best,
                run.problem,
            ]
            for run in self.record.runs
        ]
        return pd.DataFrame(rows, columns=columns)

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def _shown(self) -> "tuple[str, pd.DataFrame]":
        shown = self.to_frame().drop(columns=["folder", "problem"])
        shown["learning_rate"] = shown["learning_rate"].map("{:g}".format)
        return f"Learning rates of {self.record.method} in {self.folder}", shown


@public
def train(
    out: StrPath,
    *,
    data: StrPath | None = None,
    base: str | None = None,
    recipe: StrPath | None = None,
    method: str | None = None,
    rank: int | None = None,
    experts: int | None = None,
    alpha: float | None = None,
    dropout: float | None = None,
    target_modules: str | Sequence[str] | None = None,
    collaboration: bool | None = None,
    competition: bool | None = None,
    gate_sum: int | str | None = None,
    gate_scale: float | str | None = None,
    balance_weight: float | None = None,
    balance_form: str | None = None,
    router_hidden: int | None = None,
    options: Mapping[str, Any] | None = None,
    peft_config: StrPath | None = None,
    prompt_format: str | None = None,
    lr: float | None = None,
    lr_from: StrPath | None = None,
    schedule: str | None = None,
    warmup: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    gradient_accumulation: int | None = None,
    max_length: int | None = None,
    seed: int | None = None,
    dtype: str | None = None,
    weight_decay: float | None = None,
    b_learning_rate_ratio: float | None = None,
    max_grad_norm: float | None = None,
    logging_steps: int | None = None,
    save_every: int | None = None,
    keep_checkpoints: bool | None = None,
    train_on_prompt: bool | None = None,
    gradient_checkpointing: bool | None = None,
    threads: int | None = None,
    report_to: str | Sequence[str] | None = None,
) -> TrainedRun:
    """Train an adapter on a mix, or with ``method="full"`` the whole base: ``cme train``.

    After an interruption, the same call continues from the newest complete checkpoint. An argument that is None takes its value
    from the recipe, or its default.

    Args:
        out: output folder: new, or this call's unfinished output.
        data: the mix: its folder, or the object that `build_mix` returned.
        base: base model: hub id, folder, or ``smollm2-135m`` (embedded, default).
        recipe: YAML file, or a name from `list_recipes`. Other arguments override it.
        method: adapter method, see `list_methods`.
        rank: rank of the adapter. For methods with experts, the rank of one expert.
        experts: number of experts.
        alpha: ``lora_alpha``. The adapter is scaled by alpha / rank. Default: twice the rank. It cannot be given if a grid
            chooses the rank (``tune``, ``lr_from``), because alpha / rank then stays that of the recipe.
        dropout: dropout on the adapter's input.
        target_modules: names of layers, or a regular expression as in PEFT. Default: the feed-forward projections, in a
            vision-language base those of its language model.
        collaboration: TeamLoRA: share one matrix A between the experts.
        competition: TeamLoRA: gate weights by the interaction matrix.
        gate_sum: what the gate weights sum to: ``"free"`` (TeamLoRA's formula, its default), 1 (the others') or
            ``"experts"``.
        gate_scale: earlier name of ``gate_sum``: a number, or ``"experts"``.
        balance_weight: weight of the load-balancing term in the loss.
        balance_form: form of the balance term: ``"centred"``, ``"released"`` or ``"switch"``.
        router_hidden: hidden units of the router. 0 means one linear layer.
        options: fields of the method's own configuration. On the command line: ``--set``.
        peft_config: YAML file with ``peft_type`` and its fields, for any method of PEFT. They replace the recipe's fields.
        prompt_format: ``plain`` (default), ``chat`` or ``teamlora``.
        lr: peak learning rate.
        lr_from: a learning-rate grid of the same method, whose chosen rate is used: its folder, or the object that
            `train_grid` returned. If the grid chose other settings too (``tune``), these are used as well.
        schedule: learning-rate schedule: ``cosine``, ``linear`` or ``constant``.
        warmup: share of the steps in which the learning rate rises.
        epochs: number of passes over the mix.
        steps: number of optimiser steps, in place of ``epochs``.
        batch_size: examples per batch and device.
        gradient_accumulation: batches per optimiser step.
        max_length: maximum number of tokens of an example.
        seed: seed of the adapter's initial weights, the order of the examples and dropout.
        dtype: precision: ``auto`` (default), ``bfloat16`` or ``float32``.
        weight_decay: weight decay of AdamW.
        b_learning_rate_ratio: learning rate of the matrices B divided by that of the other parameters (LoRA+).
        max_grad_norm: norm to which gradients are clipped.
        logging_steps: number of steps between two logged losses and gradient norms.
        save_every: number of steps between checkpoints.
        keep_checkpoints: keep all checkpoints.
        train_on_prompt: include the prompt in the loss.
        gradient_checkpointing: recompute activations to save memory. Training is slower.
        threads: CPU threads per process.
        report_to: experiment trackers: ``tensorboard``, ``wandb``, ``trackio``, as a list or separated by commas. Default: none.

    Returns:
        The run: its folder and its record.

    Raises:
        CMEError: if a name is unknown, a value is invalid, the mix or base cannot be read, or training diverges.

    Example:
        >>> mix = cme.build_mix("train-mix", source="mini", size=100, datasets="rte", workers=1)
        >>> run = cme.train("run", data=mix, base=BASE, method="lora", rank=2, steps=1, batch_size=2, dtype="float32")
        >>> run.record.steps
        1
    """
    settings, adapter = settings_of(locals())
    from cme.training import train as run

    folder = path(out)
    return TrainedRun(folder, run(settings, adapter, out=folder))


@public
def train_grid(
    out: StrPath,
    lr_grid: str | Sequence[float],
    *,
    tune: Mapping[str, Any] | None = None,
    data: StrPath | None = None,
    base: str | None = None,
    recipe: StrPath | None = None,
    method: str | None = None,
    rank: int | None = None,
    experts: int | None = None,
    alpha: float | None = None,
    dropout: float | None = None,
    target_modules: str | Sequence[str] | None = None,
    collaboration: bool | None = None,
    competition: bool | None = None,
    gate_sum: int | str | None = None,
    gate_scale: float | str | None = None,
    balance_weight: float | None = None,
    balance_form: str | None = None,
    router_hidden: int | None = None,
    options: Mapping[str, Any] | None = None,
    peft_config: StrPath | None = None,
    prompt_format: str | None = None,
    schedule: str | None = None,
    warmup: float | None = None,
    epochs: float | None = None,
    steps: int | None = None,
    batch_size: int | None = None,
    gradient_accumulation: int | None = None,
    max_length: int | None = None,
    seed: int | None = None,
    dtype: str | None = None,
    weight_decay: float | None = None,
    b_learning_rate_ratio: float | None = None,
    max_grad_norm: float | None = None,
    logging_steps: int | None = None,
    save_every: int | None = None,
    keep_checkpoints: bool | None = None,
    train_on_prompt: bool | None = None,
    gradient_checkpointing: bool | None = None,
    threads: int | None = None,
    report_to: str | Sequence[str] | None = None,
) -> TrainedGrid:
    """Train once per learning rate and choose by validation loss: ``cme train --lr-grid``.

    Args:
        out: output folder. Each rate gets a folder in it.
        lr_grid: at least two learning rates, as a list or separated by commas.
        tune: settings of the adapter to choose together with the rate, as lists: ``{"rank": [8, 16, 32]}``. Every combination
            is trained with every rate. alpha / rank stays that of the recipe, or 2. For values of alpha, vary it too.
        data: see `train`, as all others.
        base: see `train`.
        recipe: see `train`.
        method: see `train`.
        rank: see `train`.
        experts: see `train`.
        alpha: see `train`.
        dropout: see `train`.
        target_modules: see `train`.
        collaboration: see `train`.
        competition: see `train`.
        gate_sum: see `train`.
        gate_scale: see `train`.
        balance_weight: see `train`.
        balance_form: see `train`.
        router_hidden: see `train`.
        options: see `train`.
        peft_config: see `train`.
        prompt_format: see `train`.
        schedule: see `train`.
        warmup: see `train`.
        epochs: see `train`.
        steps: see `train`.
        batch_size: see `train`.
        gradient_accumulation: see `train`.
        max_length: see `train`.
        seed: see `train`.
        dtype: see `train`.
        weight_decay: see `train`.
        b_learning_rate_ratio: see `train`.
        max_grad_norm: see `train`.
        logging_steps: see `train`.
        save_every: see `train`.
        keep_checkpoints: see `train`.
        train_on_prompt: see `train`.
        gradient_checkpointing: see `train`.
        threads: see `train`.
        report_to: see `train`.

    Returns:
        The grid. `TrainedGrid.best` is the chosen run.

    Raises:
        CMEError: as for `train`, or if there are fewer than two rates, or the mix has no validation split.

    Example:
        >>> grid = cme.train_grid("grid", [1e-4, 1e-3], data="mix", method="lora")  # doctest: +SKIP
        >>> cme.evaluate(adapter=grid.best)  # doctest: +SKIP
    """
    settings, adapter = settings_of(locals())
    from cme.training import train_grid as run

    folder = path(out)
    return TrainedGrid(folder, run(settings, adapter, _rates(lr_grid), out=folder, tune=tune))


def _rates(rates: str | Sequence[float]) -> list[float]:
    """Parse the learning rates of a grid."""
    try:
        return [float(part) for part in (rates.split(",") if isinstance(rates, str) else rates) if str(part).strip()]
    except ValueError as error:
        raise UsageError(
            f"lr_grid is {rates!r}. Give learning rates separated by commas, such as 2e-4,5e-4,1e-3."
        ) from error
