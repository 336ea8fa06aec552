"""The loss that an adapter of PEFT adds to that of its labels in every forward pass."""

from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

__all__ = ["AddedLoss", "adds_loss"]

_WEIGHT = "auxiliary_loss_weight"


def adds_loss(config: Any) -> bool:
    """Return whether an adapter adds a loss of its own: the auxiliary loss of SHADOW."""
    return bool(getattr(config, _WEIGHT, 0))


class AddedLoss(TrainerCallback):  # type: ignore[misc]
    """Weigh the added loss so that an optimiser step has the mean of its passes, and leave it out of the validation loss.

    Args:
        config: The adapter's configuration, whose weight PEFT reads in every pass.
        share: 1 / (passes per step, over all processes), because the Trainer adds the passes up.
    """

    def __init__(self, config: Any, share: float) -> None:
        self._config, self._share, self._weight = config, share, getattr(config, _WEIGHT)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Scale the weight."""
        setattr(self._config, _WEIGHT, self._weight * self._share)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Leave the added loss out of the validation loss, so that methods can be compared."""
        setattr(self._config, _WEIGHT, 0.0)

    def close(self) -> None:
        """Restore the weight, so that the saved configuration has the one that was given."""
        setattr(self._config, _WEIGHT, self._weight)
