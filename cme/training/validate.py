"""Loss on the mix's validation part: what learning rates are chosen by."""

from typing import Any

import torch

from cme.training.collate import Collator, Ordered
from cme.training.tokens import Tokens

__all__ = ["validation_loss"]


def validation_loss(trainer: Any, tokens: Tokens, collator: Collator, batch_size: int) -> float | None:
    """Mean loss per label over all validation examples, each of them once; None if there are none.

    Args:
        trainer: after training; every process takes part and gets the same number.
        tokens: the validation part.
        collator: as in training.
        batch_size: examples at a time and process.
    """
    import numpy as np

    if not len(tokens):
        return None
    accelerator, model = trainer.accelerator, trainer.model
    # By length, to save padding; dealt out in turn, so that processes have equal work.
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
