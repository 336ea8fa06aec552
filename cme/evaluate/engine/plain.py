"""lm-eval's `HFLM` for a model that is loaded already."""

from typing import Any

import torch
from lm_eval.models.huggingface import HFLM

from cme.evaluate.engine.runner import Work

__all__ = ["PlainLM"]


class PlainLM(HFLM):  # type: ignore[misc]
    """lm-eval's `HFLM` for a loaded model, without its progress bars, its work counted.

    Args:
        model: a causal language model or a `PeftModel`, in evaluation mode on its device.
        tokenizer: the base's tokenizer.
        batch_size: requests per batch.

    Attributes:
        work: what was computed so far. HFLM passes no mask when it scores, so that its padding counts as tokens there.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int) -> None:
        # HFLM ties the weights again, which fails for an adapter on a tied lm_head; they are tied already.
        model.tie_weights = lambda *args, **kwargs: None
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        self.work = Work()

    @property
    def used(self) -> str:
        """What answered the last requests: ``hf``, lm-eval's own code."""
        return "hf"

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """As lm-eval's."""
        return super().loglikelihood(requests, disable_tqdm=True)

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """As lm-eval's."""
        return super().generate_until(requests, disable_tqdm=True)

    def _model_call(self, inps: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.work.add(inps.numel(), inps.numel())
        logits: torch.Tensor = super()._model_call(inps, *args, **kwargs)
        return logits

    def _model_generate(self, context: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        found: torch.Tensor = super()._model_generate(context, *args, **kwargs)
        # The last token is not read again.
        read = found[:, context.shape[1] : -1]
        tokens = int(kwargs["attention_mask"].sum() + (read != self.tokenizer.pad_token_id).sum())
        self.work.add(context.numel() + read.numel(), tokens, forwards=1 + read.shape[1])
        return found
