"""How far the predictions of a plain adapter are from those of the routed adapter, as a Kullback–Leibler divergence."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cme.analysis.rows import batched
from cme.export.rows import ValidationRows
from cme.progress import bar

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["answer_logits", "divergence", "divergence_of_logits"]

_BUDGET = {"cpu": 1024}
_BUDGET_ELSEWHERE = 8192


def answer_logits(model: Any, batch: "Mapping[str, Tensor]") -> "Tensor":
    """Compute the logits that predict the answers.

    Args:
        model: a `PeftModel`.
        batch: a batch of `cme.training.collate.Collator`.

    Returns:
        The logits of all predicted tokens of the batch, [N, V].
    """
    inputs = {name: batch[name] for name in ("input_ids", "attention_mask", "logits_to_keep") if name in batch}
    logits: Tensor = model(**inputs, use_cache=False).logits
    if "logits_to_keep" in batch:
        return logits
    return logits[:, :-1][batch["labels"][:, 1:] >= 0]


def divergence_of_logits(routed: "Tensor", plain: "Tensor") -> "Tensor":
    """Compute the mean over tokens of KL(routed ‖ plain) in nats, with a gradient for ``plain``.

    Args:
        routed: logits of the routed adapter, [N, V].
        plain: logits of the plain adapter, [N, V].
    """
    import torch.nn.functional as F

    value: Tensor = F.kl_div(
        plain.float().log_softmax(-1), routed.float().log_softmax(-1), reduction="batchmean", log_target=True
    )
    return value


def divergence(routed: Any, plain: Any, validation: ValidationRows, pad: int) -> float:
    """Compute the mean of KL(routed ‖ plain) over the tokens of all answers.

    Args:
        routed: a `PeftModel` with the routed adapter, in evaluation mode.
        plain: one with the plain adapter.
        validation: the rows.
        pad: token id of the padding.

    Returns:
        The mean in nats per token.
    """
    import numpy as np
    import torch

    from cme.training.collate import Collator, takes_sparse_logits

    collator = Collator(pad, sparse_logits=takes_sparse_logits(routed.get_base_model()))
    device = next(routed.parameters()).device
    total, count = 0.0, 0
    with bar("Comparing predictions", len(validation.rows)) as progress, torch.inference_mode():
        for numbers in batched(validation.rows, _BUDGET.get(device.type, _BUDGET_ELSEWHERE)):
            rows = [validation.rows[number] for number in numbers]
            made = collator([(np.array(row.ids, dtype=np.int32), row.context) for row in rows])
            batch = {name: value.to(device) for name, value in made.items()}
            first, second = answer_logits(routed, batch), answer_logits(plain, batch)
            total += float(divergence_of_logits(first, second)) * len(first)
            count += len(first)
            progress.advance(len(numbers))
    # Rounding can give −1e−9.
    return max(total / count, 0.0)
