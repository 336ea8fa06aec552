"""lm-eval's `HFLM` for a model that is loaded already."""

from collections.abc import Sequence
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from transformers import LogitsProcessor

from cme.evaluation.engine.batch_cache import Keep
from cme.evaluation.engine.plan import Request, plain_choice_batches, plain_text_batches
from cme.evaluation.engine.runner import Work, check_finite

__all__ = ["PlainLM"]


class _RefuseNan(LogitsProcessor):  # type: ignore[misc]
    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        check_finite(scores.amax(-1))
        return scores


class PlainLM(HFLM):  # type: ignore[misc]
    """lm-eval's `HFLM` for a loaded model, without its progress bars, its work counted.

    Args:
        model: a causal language model or a `PeftModel`, in evaluation mode on its device.
        tokenizer: the base's tokenizer.
        batch_size: requests per batch.

    Attributes:
        work: what was computed so far. HFLM passes no mask when it scores, so that its padding counts as tokens there.
        keep: what becomes of the answers to a batch.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int) -> None:
        # HFLM ties the weights again, which fails for an adapter on a tied lm_head; they are tied already.
        model.tie_weights = lambda *args, **kwargs: None
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        self.work = Work()
        self.keep = Keep()

    @property
    def used(self) -> str:
        """What answered the last requests: ``hf``, lm-eval's own code."""
        return "hf"

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """As lm-eval's."""
        return super().loglikelihood(requests, disable_tqdm=True)

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """As lm-eval's, and in its batches, each of them kept."""
        asked = [request.args for request in requests]
        batches = plain_text_batches(asked, lambda text: len(self.tok_encode(text)), self.batch_size)

        def compute(number: int) -> list[str]:
            found: list[str] = super(PlainLM, self).generate_until([requests[i] for i in batches[number]], True)
            return found

        contents = [["hf", self.max_length, [asked[index] for index in batch]] for batch in batches]
        return _in_order(batches, self.keep.answers(contents, compute))

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = True, override_bs: int | None = None
    ) -> Any:
        batches = plain_choice_batches(requests, self.batch_size, share=self.logits_cache)

        def compute(number: int) -> list[tuple[float, bool]]:
            chosen = [requests[index] for index in batches[number]]
            found: list[tuple[float, bool]] = super(PlainLM, self)._loglikelihood_tokens(chosen, disable_tqdm=True)
            return found

        contents = [["hf", self.max_length, [requests[index][1:] for index in batch]] for batch in batches]
        return [(value, best) for value, best in _in_order(batches, self.keep.answers(contents, compute))]

    def _model_call(self, inps: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.work.add(inps.numel(), inps.numel())
        logits: torch.Tensor = super()._model_call(inps, *args, **kwargs)
        return logits

    def _model_generate(self, context: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        found: torch.Tensor = super()._model_generate(context, *args, logits_processor=[_RefuseNan()], **kwargs)
        # The last token is not read again.
        read = found[:, context.shape[1] : -1]
        tokens = int(kwargs["attention_mask"].sum() + (read != self.tokenizer.pad_token_id).sum())
        self.work.add(context.numel() + read.numel(), tokens, forwards=1 + read.shape[1])
        return found


def _in_order(batches: Sequence[Sequence[int]], answers: Sequence[Sequence[Any]]) -> list[Any]:
    """Answers to batches of requests, given by their indices, in the order of the requests."""
    found = {
        index: answer
        for batch, of in zip(batches, answers, strict=True)
        for index, answer in zip(batch, of, strict=True)
    }
    return [found[index] for index in range(len(found))]
