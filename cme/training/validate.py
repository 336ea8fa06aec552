"""The loss on the validation split of the mix, by which learning rates are chosen."""

from typing import Any

import torch

from cme.training.collate import Collator, Ordered
from cme.training.tokens import Tokens

__all__ = ["validation_loss"]


def validation_loss(trainer: Any, tokens: Tokens, collator: Collator, batch_size: int) -> float | None:
    """Compute the mean loss per label over all validation examples.

    Args:
        trainer: The Trainer after training. All processes must call this function, and all get the same value.
        tokens: The validation split.
        collator: The collator of the training.
        batch_size: Number of examples per batch and process.

    Returns:
        The mean loss, or None if there are no validation examples.
    """
    import numpy as np

    if not len(tokens):
        return None
    accelerator, model = trainer.accelerator, trainer.model
    # Sorting by length saves padding, and the stride gives all processes equal work.
    order = np.argsort(-tokens.lengths, kind="stable")[accelerator.process_index :: accelerator.num_processes]
    data = Ordered(tokens, order)
    total = torch.zeros(2, dtype=torch.float64, device=accelerator.device)
    training = model.training
    model.eval()
    with torch.inference_mode(), accelerator.autocast():
        for first in range(0, len(data), batch_size):
            batch = collator([data[index] for index in range(first, min(first + batch_size, len(data)))])
            labels = int((batch["labels"][:, 1:] != -100).sum())
            loss = model(**{name: value.to(accelerator.device) for name, value in batch.items()}).loss
            total += torch.tensor([float(loss) * labels, labels], dtype=torch.float64, device=accelerator.device)
    model.train(training)
    summed = accelerator.reduce(total, reduction="sum")
    return float(summed[0] / summed[1])
