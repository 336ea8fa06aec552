"""Training: an adapter from a mix, or the best of several learning rates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.adapter_values import given
from cme.api.call import StrPath, path, public
from cme.api.tables import as_html, as_text
from cme.errors import UsageError
from cme.records import Grid, Run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["TrainedGrid", "TrainedRun", "train", "train_grid"]


@dataclass(frozen=True, repr=False)
class TrainedRun:
    """A trained adapter, or model, on disk. It can stand wherever its folder is asked for: ``cme.evaluate(adapter=run, …)``.

    Attributes:
        folder: with the adapter (or, for the method ``full``, the model) and ``run.json``.
        record: what was trained, on what, and what it cost.
    """

    folder: Path
    record: Run

    def __fspath__(self) -> str:
        return str(self.folder)

    def to_frame(self) -> "pd.DataFrame":
        """The training loss.

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
        folder: with a folder for each rate and ``lr-grid.json``.
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
        """The rates that were tried.

        Returns:
            One row per rate: ``learning_rate``, ``folder``, ``validation_loss`` and ``last_loss`` (missing where training
            diverged), ``best``, ``problem``.
        """
        import pandas as pd

        columns = ["learning_rate", "folder", "validation_loss", "last_loss", "best", "problem"]
        rows = [
            [
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
    save_every: int | None = None,
    keep_checkpoints: bool | None = None,
    train_on_prompt: bool | None = None,
    gradient_checkpointing: bool | None = None,
    threads: int | None = None,
    report_to: str | Sequence[str] | None = None,
) -> TrainedRun:
    """Train an adapter on a mix, or with ``method="full"`` the whole base: ``cme train``.

    After an interruption the same call continues from the newest complete checkpoint. None stands for what the recipe says, or
    the default.

    Args:
        out: output folder; new, or this call's own unfinished work.
        data: the mix: its folder, or what `build_mix` returned.
        base: base model: hub id, folder, or ``smollm2-135m`` (the embedded default).
        recipe: YAML file, or a name from `list_recipes`. Other arguments win over it.
        method: adapter method, see `list_methods`.
        rank: of the adapter, or of ONE expert.
        experts: number of experts.
        alpha: ``lora_alpha``; the adapter is scaled by alpha / rank. None: twice the rank.
        dropout: on the adapter's input.
        target_modules: names of layers; a text is a regular expression, as in PEFT. None: the feed-forward projections.
        collaboration: TeamLoRA: one shared A, split between the experts.
        competition: TeamLoRA: gate weights by the interaction matrix.
        gate_sum: what the gate weights sum to: ``"free"`` (TeamLoRA's formula, its default), 1 (the others') or
            ``"experts"``.
        gate_scale: earlier name of ``gate_sum``: a number, or ``"experts"``.
        balance_weight: weight of the balance term in the loss.
        balance_form: form of the balance term: ``"centred"`` or ``"released"``.
        router_hidden: hidden units of the router; 0: one linear layer.
        options: fields of the method's own configuration; ``--set`` on the command line.
        peft_config: any method of PEFT: a YAML file with its ``peft_type`` and fields.
        prompt_format: ``plain`` (default), ``chat`` or ``teamlora``.
        lr: peak learning rate.
        schedule: ``cosine``, ``linear`` or ``constant``.
        warmup: share of the steps in which the rate rises.
        epochs: passes over the mix.
        steps: optimiser steps, in place of ``epochs``.
        batch_size: examples on one device at a time.
        gradient_accumulation: batches per optimiser step.
        max_length: most tokens of an example.
        seed: of the adapter's start, the order of the examples and dropout.
        dtype: ``auto`` (default), ``bfloat16`` or ``float32``.
        weight_decay: of AdamW.
        save_every: steps between checkpoints.
        keep_checkpoints: keep all checkpoints.
        train_on_prompt: learn the prompt too.
        gradient_checkpointing: needs less memory, and is slower.
        threads: CPU threads per process.
        report_to: experiment trackers: ``tensorboard``, ``wandb``, ``trackio``; a list, or names separated by commas. None: none.

    Returns:
        The run: its folder and its record.

    Raises:
        CMEError: an unknown name, an impossible value, a mix or base that cannot be read, or training that diverges.

    Example:
        >>> mix = cme.build_mix("train-mix", source="mini", size=100, datasets="rte", workers=1)
        >>> run = cme.train("run", data=mix, base=BASE, method="lora", rank=2, steps=1, batch_size=2, dtype="float32")
        >>> run.record.steps
        1
    """
    settings, adapter = _settings(locals())
    from cme.training import train as run

    folder = path(out)
    return TrainedRun(folder, run(settings, adapter, out=folder))


@public
def train_grid(
    out: StrPath,
    lr_grid: str | Sequence[float],
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
    save_every: int | None = None,
    keep_checkpoints: bool | None = None,
    train_on_prompt: bool | None = None,
    gradient_checkpointing: bool | None = None,
    threads: int | None = None,
    report_to: str | Sequence[str] | None = None,
) -> TrainedGrid:
    """Train once for each learning rate and choose by validation loss: ``cme train --lr-grid``.

    Args:
        out: folder for the grid; it gets a folder for each rate.
        lr_grid: at least two learning rates, as a list or separated by commas.
        data: see `train`, as all others.
        base: see there.
        recipe: see there.
        method: see there.
        rank: see there.
        experts: see there.
        alpha: see there.
        dropout: see there.
        target_modules: see there.
        collaboration: see there.
        competition: see there.
        gate_sum: see there.
        gate_scale: see there.
        balance_weight: see there.
        balance_form: see there.
        router_hidden: see there.
        options: see there.
        peft_config: see there.
        prompt_format: see there.
        schedule: see there.
        warmup: see there.
        epochs: see there.
        steps: see there.
        batch_size: see there.
        gradient_accumulation: see there.
        max_length: see there.
        seed: see there.
        dtype: see there.
        weight_decay: see there.
        save_every: see there.
        keep_checkpoints: see there.
        train_on_prompt: see there.
        gradient_checkpointing: see there.
        threads: see there.
        report_to: see there.

    Returns:
        The grid; `TrainedGrid.best` is the run that was chosen.

    Raises:
        CMEError: as `train`, fewer than two rates, or a mix without a validation part.

    Example:
        >>> grid = cme.train_grid("grid", [1e-4, 1e-3], data="mix", method="lora")  # doctest: +SKIP
        >>> cme.evaluate(adapter=grid.best)  # doctest: +SKIP
    """
    settings, adapter = _settings(locals())
    from cme.training import train_grid as run

    folder = path(out)
    return TrainedGrid(folder, run(settings, adapter, _rates(lr_grid), out=folder))


def _settings(arguments: Mapping[str, Any]) -> Any:
    """Training and adapter settings from a function's arguments."""
    from cme.training import load_recipe

    values = {key: value for key, value in arguments.items() if key not in ("out", "lr_grid")}
    recipe, data, rate = values.pop("recipe"), values.pop("data"), values.pop("lr", None)
    place = None if data is None else str(path(data))
    chosen = recipe if recipe is None or isinstance(recipe, str) else Path(recipe)
    return load_recipe(chosen, given(**values) | {"data": place, "learning_rate": rate})


def _rates(rates: str | Sequence[float]) -> list[float]:
    """The learning rates of a grid."""
    try:
        return [float(part) for part in (rates.split(",") if isinstance(rates, str) else rates) if str(part).strip()]
    except ValueError as error:
        raise UsageError(f"--lr-grid takes learning rates, such as 2e-4,5e-4,1e-3, found {rates!r}.") from error
