"""lm-eval's `HFLM` as it ships, its work counted."""

from typing import Any

from lm_eval.models.huggingface import HFLM
from torch import Tensor

from cme.evaluation.engine.runner import Work

__all__ = ["StockLM"]


class StockLM(HFLM):  # type: ignore[misc]
    """`HFLM` for a loaded model, with its ``logits_cache``. It is no `cme.evaluation.engine.plain.PlainLM`: nothing of
    CME's own is in it but the counting, and that its progress bars are off.

    Args:
        model: a causal language model or a `PeftModel`, in evaluation mode on its device.
        tokenizer: the base's tokenizer.
        batch_size: requests per batch.

    Attributes:
        work: what was computed so far.
        used: what answers, as `PlainLM` says it.
    """  # noqa: D205

    used = "hf"

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int) -> None:
        # HFLM ties the weights again, which fails for an adapter on a tied lm_head; they are tied already.
        model.tie_weights = lambda *args, **kwargs: None
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        self.work = Work()

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """As lm-eval's."""
        return super().loglikelihood(requests, disable_tqdm=True)

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """As lm-eval's."""
        return super().generate_until(requests, disable_tqdm=True)

    def _loglikelihood_tokens(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
        # Requests that differ in their last token only are read once; what is too long is cut from the left.
        read = {(*context, *continuation[:-1]) for _, context, continuation in requests}
        self.work.tokens += sum(min(len(tokens), self.max_length) for tokens in read)
        return super()._loglikelihood_tokens(requests, *args, **kwargs)

    def _model_call(self, inps: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.work.add(inps.numel(), 0)
        return super()._model_call(inps, *args, **kwargs)

    def _model_generate(self, context: Tensor, *args: Any, **kwargs: Any) -> Any:
        found = super()._model_generate(context, *args, **kwargs)
        # The last token is not read again.
        read = found[:, context.shape[1] : -1]
        tokens = int(kwargs["attention_mask"].sum() + (read != self.tokenizer.pad_token_id).sum())
        self.work.add(context.numel() + read.numel(), tokens, forwards=1 + read.shape[1])
        return found
