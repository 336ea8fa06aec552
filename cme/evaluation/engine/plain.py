"""Adapts lm-eval's `HFLM` to a loaded model."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lm_eval.models.huggingface import HFLM
from transformers import LogitsProcessor

from cme.errors import CMEError
from cme.evaluation.engine.batch_cache import BatchCache
from cme.evaluation.engine.greedy import end_tokens, greedy
from cme.evaluation.engine.plan import Request, plain_choice_batches, plain_text_batches
from cme.evaluation.engine.runner import Work, check_finite
from cme.evaluation.engine.support import pads_safely, switch_length
from cme.models.load import set_padding
from cme.prompt.encode import encode, encode_pair
from cme.suite.repairs import cut_after_end

__all__ = ["PassError", "PlainLM", "describe_error"]

_MESSAGE = 200
"""Maximum number of characters of another library's message in a message or a record."""


class PassError(CMEError):
    """A forward pass of the model failed."""


def describe_error(error: Exception) -> str:
    """Return the type and the first line of an error of another library."""
    first = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {first[:_MESSAGE]}"


class _RefuseNan(LogitsProcessor):  # type: ignore[misc]
    def __call__(self, ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        check_finite(scores.amax(-1))
        return scores


class PlainLM(HFLM):  # type: ignore[misc]
    """lm-eval's `HFLM` for a loaded model, without progress bars and with counters of the computation.

    Texts are encoded as in training (`cme.prompt.encode`). Requests are answered one at a time if answers depend on the other
    rows of a batch, for example because the model has a recurrent state.

    Args:
        model: a causal language model or a `PeftModel`, in evaluation mode on its device.
        tokenizer: tokenizer of the base model.
        batch_size: number of requests per batch.

    Attributes:
        work: counters of the computation. They count padding of choice requests as tokens, because HFLM passes no mask there.
        batch_cache: store of the answers.
        alone: whether requests are answered one at a time.
        switch: length beyond which the model uses other rotary embeddings, or None if there is none.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int) -> None:
        # HFLM would tie the weights again, which fails for an adapter on a tied lm_head. They are already tied.
        model.tie_weights = lambda *args, **kwargs: None
        set_padding(tokenizer)
        super().__init__(pretrained=model, tokenizer=tokenizer, batch_size=batch_size)
        self.work = Work()
        self.batch_cache = BatchCache()
        self.alone = not pads_safely(self.model)
        self.switch = switch_length(self.model)

    @property
    def used(self) -> str:
        """Engine that computed the last answers: ``hf``, which is lm-eval's own code."""
        return "hf"

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """Score choice requests with lm-eval's code."""
        return super().loglikelihood(requests, disable_tqdm=True)

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """Generate texts with lm-eval's code, in lm-eval's batches, and store the answers of each batch."""
        arguments = [request.args for request in requests]
        lengths = {text: len(self.tok_encode(text)) for text, _ in arguments}
        new_tokens = max((int(settings.get("max_gen_toks", self.max_gen_toks)) for _, settings in arguments), default=0)
        size = self._rows(max(lengths.values(), default=0) + new_tokens)
        batches = plain_text_batches(arguments, lengths.__getitem__, size)

        def compute(number: int) -> list[str]:
            with self._failures():
                texts: list[str] = super(PlainLM, self).generate_until([requests[i] for i in batches[number]], True)
            return [self._ended(text) for text in texts]

        contents = [["hf", self.max_length, [arguments[index] for index in batch]] for batch in batches]
        return _in_order(batches, self.batch_cache.answers(contents, compute))

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = True, override_bs: int | None = None
    ) -> Any:
        longest = max((len(context) + len(continuation) for _, context, continuation in requests), default=0)
        batches = plain_choice_batches(requests, self._rows(longest), share=self.logits_cache)

        def compute(number: int) -> list[tuple[float, bool]]:
            chosen = [requests[index] for index in batches[number]]
            with self._failures():
                answers: list[tuple[float, bool]] = super(PlainLM, self)._loglikelihood_tokens(
                    chosen, disable_tqdm=True
                )
            return answers

        contents = [["hf", self.max_length, [requests[index][1:] for index in batch]] for batch in batches]
        return [(value, best) for value, best in _in_order(batches, self.batch_cache.answers(contents, compute))]

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Encode a text as lm-eval does, but without the tokens that a tokenizer adds after a text."""
        if add_special_tokens is None and self.add_bos_token is None and not kwargs:
            return encode(self.tokenizer, string)
        ids: list[int] = super().tok_encode(string, add_special_tokens, **kwargs)
        return ids

    def tok_batch_encode(
        self,
        strings: Sequence[str],
        padding_side: str = "left",
        left_truncate_len: int | None = None,
        truncation: bool = False,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode texts as in training and pad them on the left."""
        rows = [self.tok_encode(text)[-(left_truncate_len or 0) :] for text in strings]
        length = max(map(len, rows))
        pad = self.tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (length - len(row)) + row for row in rows])
        return ids, torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])

    def tok_decode(self, tokens: Any, skip_special_tokens: bool = True) -> Any:
        """Decode tokens as lm-eval does. None, the end-of-text token of a tokenizer without one, stays None."""
        return None if tokens is None else super().tok_decode(tokens, skip_special_tokens)

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        return encode_pair(self.tokenizer, context, continuation)

    def _ended(self, text: str) -> str:
        """Return a generated text up to its first end-of-text token."""
        tokens = sorted(end_tokens(self.model, self.tokenizer))
        return cut_after_end(text, [self.tok_decode([token], skip_special_tokens=False) for token in tokens])

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn errors of the model's code into a `PassError`, which all processes of a group receive."""
        try:
            yield
        except (CMEError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a model's code can raise any error
            raise PassError(
                f"a forward pass of {type(self.model).__name__} fails ({describe_error(error)}). Check whether the model "
                "generates text with transformers alone."
            ) from error

    def _rows(self, longest: int) -> int:
        """Return the batch size for requests of which the longest has this number of tokens."""
        if self.alone or (self.switch is not None and longest > self.switch):
            return 1
        return int(self.batch_size)

    def _model_call(self, inps: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        self.work.add(inps.numel(), inps.numel())
        logits: torch.Tensor = super()._model_call(inps, *args, **kwargs)
        return logits

    def _model_generate(self, context: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        with greedy(self.model):
            tokens: torch.Tensor = super()._model_generate(context, *args, logits_processor=[_RefuseNan()], **kwargs)
        # The last generated token is not an input of any pass.
        read = tokens[:, context.shape[1] : -1]
        computed = int(kwargs["attention_mask"].sum() + (read != self.tokenizer.pad_token_id).sum())
        self.work.add(context.numel() + read.numel(), computed, forwards=1 + read.shape[1])
        return tokens


def _in_order(batches: Sequence[Sequence[int]], answers: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the answers in the order of the requests. Batches contain the indices of their requests."""
    by_index = {
        index: answer
        for batch, of in zip(batches, answers, strict=True)
        for index, answer in zip(batch, of, strict=True)
    }
    return [by_index[index] for index in range(len(by_index))]
