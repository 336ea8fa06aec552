"""AdaLoRA's allocator in a training run: called after every step, continued after an interruption, checked at the end.

PEFT leaves it to the training loop to call the allocator, and says nothing if nobody does: the adapter is then trained
at its starting rank. What the allocator knows (importance of every weight) is in none of PEFT's or the Trainer's files.
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
"""File of a checkpoint: the allocator's running means by parameter, and in its metadata which ranks are left."""

_MEANS = ("exp_avg_ipt", "exp_avg_unc")


def prunes(config: Any) -> bool:
    """Whether a PEFT configuration is AdaLoRA's."""
    return bool(getattr(config, "peft_type", None) == PeftType.ADALORA)


def plan(config: Any, steps: int, given: dict[str, Any]) -> None:
    """Put the schedule for so many steps into AdaLoRA's configuration; what the user gave stays.

    Raises:
        UsageError: no step is left between the warm-up (``tinit``) and the last phase (``tfinal``).
    """
    for name, value in (adalora_schedule(steps) | given).items():
        setattr(config, name, value)
    if config.tinit < 0 or config.tfinal < 0 or config.tinit + 1 >= steps - config.tfinal:
        raise UsageError(
            f"adalora prunes ranks after tinit ({config.tinit}) and until tfinal ({config.tfinal}) steps before the end; "
            f"of {steps} steps none is left between. Give smaller ones, or leave them out: 10 % and half of the steps."
        )


class Pruner(TrainerCallback):  # type: ignore[misc]
    """Lets AdaLoRA's allocator work in every optimiser step.

    While training goes on, the configuration has no ``rank_pattern``, so that checkpoints hold all ranks, the pruned ones
    too (they may come back before the last phase); `close` puts it in, and the adapter is saved without them.

    Args:
        model: the `PeftModel`.
        share: what the orthogonality term is multiplied by in a forward pass; 1 / (passes per step, over all processes),
            because the Trainer adds them up.
        checkpoint: where the run goes on, if anywhere.
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
        """Take up the allocator's state."""
        self._config.orth_reg_weight = self._weight * self._share
        if self._checkpoint is not None:
            self._restore(self._checkpoint / STATE, args.device)

    def on_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Weigh the ranks by weights and gradients, which are still there, and mask those beyond the budget."""
        self._config.rank_pattern = self._kept
        self._tuner.update_and_allocate(state.global_step + 1)  # the Trainer counts the step a little later
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
        """Leave the orthogonality term out of the validation loss, which is compared between methods."""
        self._config.orth_reg_weight = 0.0

    def close(self) -> None:
        """Make the configuration that of the finished adapter.

        Raises:
            CMEError: no rank was pruned, or all were.
        """
        self._config.orth_reg_weight = self._weight
        ranks = [kept for row in (self._kept or {}).values() for kept in row]
        if not any(ranks) or all(ranks):
            config = self._config
            pruned = "all ranks" if ranks and not any(ranks) else "no rank"
            raise CMEError(
                f"AdaLoRA has pruned {pruned}, so this would be another method than the record says (tinit "
                f"{config.tinit}, tfinal {config.tfinal}, deltaT {config.deltaT}, {config.total_step} steps)."
            )
        self._config.rank_pattern = self._kept

    def _restore(self, file: Path, device: Any) -> None:
        import torch
        from safetensors import safe_open

        allocator = self._tuner.rankallocator
        with safe_open(file, framework="pt", device=str(device)) as saved:
            self._kept = json.loads(saved.metadata()["kept"])
            for key in saved.keys():  # noqa: SIM118 (no mapping)
                mean, name = key.split("/", 1)
                getattr(allocator, mean)[name] = saved.get_tensor(key)
                # Written anew in every step, but only for names that are there.
                allocator.ipt.setdefault(name, torch.empty(0))
