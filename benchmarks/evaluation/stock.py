"""lm-eval's unchanged `HFLM` with counts of its computation."""

from typing import Any

from lm_eval.models.huggingface import HFLM
from torch import Tensor

from cme.evaluation.engine.runner import Work

__all__ = ["StockLM"]


class StockLM(HFLM):  # type: ignore[misc]
    """`HFLM` for a loaded model, with its ``logits_cache``.

    Unlike `cme.evaluation.engine.plain.PlainLM`, it contains no code of CME except for the counts and the disabled progress bars.

    Args:
        model: A causal language model or a `PeftModel`, in evaluation mode on its device.
        tokenizer: The base's tokenizer.
        batch_size: Number of requests per batch.

    Attributes:
        work: The amount of computation so far.
        used: The code that answers, in the terms of `PlainLM.used`.
    """

    used = "hf"

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int) -> None:
        # HFLM ties the weights again, which is unnecessary and fails for an adapter on a tied lm_head.
        model.tie_weights = lambda *args, **kwargs: None
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        self.work = Work()

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """Call lm-eval's method without a progress bar."""
        return super().loglikelihood(requests, disable_tqdm=True)

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """Call lm-eval's method without a progress bar."""
        return super().generate_until(requests, disable_tqdm=True)

    def _loglikelihood_tokens(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
        # Requests that differ only in their last token are computed once. Long requests are truncated on the left.
        read = {(*context, *continuation[:-1]) for _, context, continuation in requests}
        self.work.tokens += sum(min(len(tokens), self.max_length) for tokens in read)
        return super()._loglikelihood_tokens(requests, *args, **kwargs)

    def _model_call(self, inps: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.work.add(inps.numel(), 0)
        return super()._model_call(inps, *args, **kwargs)

    def _model_generate(self, context: Tensor, *args: Any, **kwargs: Any) -> Any:
        generated = super()._model_generate(context, *args, **kwargs)
        # The model does not process the last generated token.
        read = generated[:, context.shape[1] : -1]
        tokens = int(kwargs["attention_mask"].sum() + (read != self.tokenizer.pad_token_id).sum())
        self.work.add(context.numel() + read.numel(), tokens, forwards=1 + read.shape[1])
        return generated
