"""AdaLoRA's rank allocator in a training run.

PEFT expects the training loop to call the allocator. Without these calls the adapter is trained at its initial rank, without
a warning. The allocator's state, the importance of every weight, is not part of the files of PEFT or the Trainer, so CME adds
it to the checkpoints.
"""

import json
from pathlib import Path
from typing import Any

from peft import PeftType
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from cme.adapters.peft_methods import adalora_schedule
from cme.errors import CMEError, UsageError

__all__ = ["STATE", "Pruner", "plan", "prunes"]

STATE = "allocator.safetensors"
"""File of a checkpoint with the allocator's running means by parameter. Its metadata stores which ranks are left."""

_MEANS = ("exp_avg_ipt", "exp_avg_unc")


def prunes(config: Any) -> bool:
    """Return whether a PEFT configuration is that of AdaLoRA."""
    return bool(getattr(config, "peft_type", None) == PeftType.ADALORA)


def plan(config: Any, steps: int, given: dict[str, Any]) -> None:
    """Set the schedule in AdaLoRA's configuration.

    Args:
        config: The configuration, which is changed in place.
        steps: The number of optimiser steps of the run.
        given: The fields of the schedule that the user set.

    Raises:
        UsageError: No step is left between the warm-up (``tinit``) and the last phase (``tfinal``).
    """
    for name, value in (adalora_schedule(steps) | given).items():
        setattr(config, name, value)
    if config.tinit < 0 or config.tfinal < 0 or config.tinit + 1 >= steps - config.tfinal:
        raise UsageError(
            f"adalora prunes ranks after tinit ({config.tinit}) steps and until tfinal ({config.tfinal}) steps before the "
            f"end, which leaves none of the {steps} steps. Lower them, or leave them out for 10 % and 50 % of the steps."
        )


class Pruner(TrainerCallback):  # type: ignore[misc]
    """Call AdaLoRA's allocator in every optimiser step.

    During training, the configuration has no ``rank_pattern``. Checkpoints therefore contain all ranks, because pruned ranks
    can return before the last phase. `close` sets the pattern, so that the adapter is saved without pruned ranks.

    Args:
        model: The `PeftModel`.
        share: The factor of the orthogonality term in a forward pass. It is 1 / (passes per step, over all processes), because
            the Trainer adds the passes up.
        checkpoint: The checkpoint from which the run is resumed, or None.
    """

    def __init__(self, model: Any, share: float, checkpoint: Path | None) -> None:
        self._tuner = model.base_model
        self._config = model.peft_config[self._tuner.trainable_adapter_name]
        self._weight, self._share = self._config.orth_reg_weight, share
        self._checkpoint = checkpoint
        self._kept: dict[str, list[bool]] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Restore the allocator's state from the checkpoint."""
        self._config.orth_reg_weight = self._weight * self._share
        if self._checkpoint is not None:
            self._restore(self._checkpoint / STATE, args.device)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Rank the importance of all ranks while the gradients are available, and mask those beyond the budget."""
        self._config.rank_pattern = self._kept
        self._tuner.update_and_allocate(state.global_step + 1)  # The Trainer increments the step after this callback.
        self._kept, self._config.rank_pattern = self._config.rank_pattern, None

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Add the allocator's state to the checkpoint."""
        if state.is_world_process_zero:
            from safetensors.torch import save_file

            allocator = self._tuner.rankallocator
            tensors = {
                f"{mean}/{name}": value.contiguous()
                for mean in _MEANS
                for name, value in getattr(allocator, mean).items()
            }
            file = Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE
            save_file(tensors, file, metadata={"kept": json.dumps(self._kept)})

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Exclude the orthogonality term from the validation loss, so that methods can be compared."""
        self._config.orth_reg_weight = 0.0

    def close(self) -> None:
        """Set the configuration of the finished adapter.

        Raises:
            CMEError: No rank was pruned, or all ranks were pruned.
        """
        self._config.orth_reg_weight = self._weight
        ranks = [kept for row in (self._kept or {}).values() for kept in row]
        if not any(ranks) or all(ranks):
            config = self._config
            pruned = "all ranks" if ranks and not any(ranks) else "no rank"
            raise CMEError(
                f"AdaLoRA has pruned {pruned} (tinit {config.tinit}, tfinal {config.tfinal}, deltaT {config.deltaT}, "
                f"{config.total_step} steps), so the adapter is not an AdaLoRA adapter. Change the schedule or train longer."
            )
        self._config.rank_pattern = self._kept

    def _restore(self, file: Path, device: Any) -> None:
        import torch
        from safetensors import safe_open

        allocator = self._tuner.rankallocator
        with safe_open(file, framework="pt", device=str(device)) as saved:
            self._kept = json.loads(saved.metadata()["kept"])
            for key in saved.keys():  # noqa: SIM118 (the file cannot be iterated)
                mean, name = key.split("/", 1)
                getattr(allocator, mean)[name] = saved.get_tensor(key)
                # The allocator overwrites the values in every step, but only those of existing names.
                allocator.ipt.setdefault(name, torch.empty(0))
