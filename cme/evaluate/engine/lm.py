"""The engine in the place of lm-eval's `HFLM`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from lm_eval.api.model import CacheHook
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

from cme.evaluate.engine.check import answers_fault, text_fault
from cme.evaluate.engine.choice import Answer, score
from cme.evaluate.engine.generate import Limits, generate, stops_at
from cme.evaluate.engine.plain import PlainLM
from cme.evaluate.engine.plan import Budget, Plan, Prompt, choice_plan, text_plan
from cme.evaluate.engine.runner import Past, Runner
from cme.evaluate.engine.support import position_bytes, text_obstacle, unsupported

__all__ = ["PrefixLM"]

Request = tuple[Any, list[int], list[int]]
"""lm-eval's own: (context and continuation as text), context tokens, continuation tokens."""


class PrefixLM(PlainLM):
    """`PlainLM` that reads every prompt once, the prompts' common prefix once per dataset, and continues from there.

    Only `_loglikelihood_tokens` and `generate_until` are its own: building requests, tokens, chat templates and few-shot
    examples stay lm-eval's. Where the model does not allow it, it answers as `PlainLM` does.

    Args:
        model: as for `PlainLM`.
        tokenizer: as for `PlainLM`.
        batch_size: requests per batch where `PlainLM` answers.
        budget: what is computed at once; None: `Budget.default` of the device and the model.

    Attributes:
        obstacle: why `PlainLM` answers, in words; None: the engine answers.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int, budget: Budget | None = None) -> None:
        super().__init__(model, tokenizer, batch_size=batch_size)
        self.obstacle = unsupported(self.model)
        self._budget = budget
        self._checked: set[tuple[str, bool, bool]] = set()
        self._alone = False
        self._why = self.obstacle

    @property
    def budget(self) -> Budget:
        """What is computed at once."""
        return self._budget or Budget.default(self.device.type, position_bytes(self.model))

    @property
    def used(self) -> str:
        """What answered the last requests: ``prefix``, or ``hf`` and why."""
        return f"hf: {self._why}" if self._why else "prefix"

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = True, override_bs: int | None = None
    ) -> list[Answer]:
        answers = None if self.obstacle else self._scores(requests)
        self._why = self.obstacle
        return self._plain_scores(requests) if answers is None else answers

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        """As lm-eval's; the texts are those that it generates one at a time."""
        groups: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(repr(request.args[1]), []).append(index)
        texts: dict[int, str] = {}
        for indices in groups.values():
            chosen = [requests[index] for index in indices]
            texts |= zip(indices, self._texts(chosen) or self._plain_texts(chosen), strict=True)
        return [texts[index] for index in range(len(requests))]

    def _scores(self, requests: list[Request]) -> list[Answer] | None:
        """The engine's answers; None, with the reason in `obstacle`, if the self-check finds them wrong."""
        plan = choice_plan(
            [(context, continuation) for _, context, continuation in requests], self.max_length, self.budget
        )
        runner, prefix = self._start(plan)
        answers: dict[int, Answer] = {}
        for batch, check in self._checked_first(plan, "choice"):
            found = score(runner, batch, prefix, self.budget)
            if check and self._finds_fault(answers_fault(found, batch, self._plainly(requests), self._dtype)):
                return None
            for index, answer in found.items():
                if requests[index][0] is not None:
                    self.cache_hook.add_partial("loglikelihood", requests[index][0], answer)
            answers |= found
        return [answers[index] for index in range(len(requests))]

    def _texts(self, requests: Sequence[Any]) -> list[str] | None:
        """The engine's texts for requests with the same settings; None if lm-eval's code has to make them."""
        kwargs = normalize_gen_kwargs(requests[0].args[1], self.max_gen_toks)
        eos = self.tok_decode(self.eot_token_id, skip_special_tokens=False)
        until = handle_stop_sequences(kwargs.pop("until", None), eos=eos)
        new_tokens = kwargs.pop("max_gen_toks")
        self._why = self.obstacle or text_obstacle(self.model, kwargs)
        room = self.max_length - new_tokens
        # What is left is for lm-eval to refuse or to make sense of.
        if self._why or self.think_end_token is not None or room <= 0 or new_tokens <= 0:
            return None
        prompts = [self._prompt_tokens(request.args[0], room) for request in requests]
        if not all(prompts):
            return None
        limits = Limits(new_tokens, self._ends(), stops_at(self.tokenizer, [stop for stop in until if stop != eos]))
        plan = text_plan(prompts, new_tokens, self.budget)
        runner, prefix = self._start(plan)
        texts: dict[int, str] = {}
        for batch, check in self._checked_first(plan, "text"):
            found = generate(runner, batch, prefix, limits, self.budget)
            if check and self._finds_fault(text_fault(found, batch, self._logits, self._dtype)):
                return None
            for index, tokens in found.items():
                texts[index] = postprocess_generated_text(self.tok_decode(tokens), until, None)
                self.cache_hook.add_partial("generate_until", requests[index].args, texts[index])
        return [texts[index] for index in range(len(requests))]

    def _start(self, plan: Plan) -> tuple[Runner, Past | None]:
        runner = Runner(self.model, self.device, self.work)
        return runner, runner.read([plan.prefix], keep=True) if plan.prefix else None

    def _checked_first(self, plan: Plan, what: str) -> list[tuple[tuple[Prompt, ...], bool]]:
        """The plan's batches; first, marked, one of each kind that was not checked in this run, the shortest."""
        marked: dict[int, bool] = {}
        for number in reversed(range(len(plan.batches))):
            kind = what, all(prompt.single for prompt in plan.batches[number]), bool(plan.prefix)
            marked[number] = kind not in self._checked
            self._checked.add(kind)
        return [(plan.batches[number], marked[number]) for number in sorted(marked, key=lambda n: (not marked[n], n))]

    def _finds_fault(self, fault: str | None) -> bool:
        self.obstacle = self._why = fault
        self._alone = fault is not None
        return self._alone

    def _logits(self, ids: torch.Tensor) -> torch.Tensor:
        return self._model_call(ids.to(self.device))

    def _plainly(self, requests: list[Request]) -> Callable[[Prompt], list[Answer]]:
        def answer(prompt: Prompt) -> list[Answer]:
            asked = [requests[index] for index, _ in prompt.asked]
            with self._set(batch_size_per_gpu=1, cache_hook=CacheHook(None)):
                found: list[Answer] = super(PrefixLM, self)._loglikelihood_tokens(asked, disable_tqdm=True)
            return found

        return answer

    def _plain_scores(self, requests: list[Request]) -> list[Answer]:
        with self._set(logits_cache=not _collide(requests), **self._plain_batch()):
            found: list[Answer] = super()._loglikelihood_tokens(requests, disable_tqdm=True)
        return found

    def _plain_texts(self, requests: Sequence[Any]) -> list[str]:
        with self._set(**self._plain_batch()):
            found: list[str] = super().generate_until(requests)
        return found

    def _plain_batch(self) -> dict[str, int]:
        """A method whose answers depend on what is computed together gets its requests one at a time."""
        return {"batch_size_per_gpu": 1} if self._alone else {}

    def _prompt_tokens(self, context: str, room: int) -> list[int]:
        ids, _ = self.tok_batch_encode([context], left_truncate_len=room, truncation=self.truncation)
        tokens: list[int] = ids[0].tolist()
        return tokens

    def _ends(self) -> frozenset[int]:
        configured = self.model.generation_config.eos_token_id
        several = configured if isinstance(configured, list) else [configured]
        return frozenset(token for token in (*several, self.eot_token_id) if token is not None)

    @property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = next(self.model.parameters()).dtype
        return dtype

    @contextmanager
    def _set(self, **values: Any) -> Iterator[None]:
        """Attributes of `HFLM` set for a while."""
        before = {name: getattr(self, name) for name in values}
        for name, value in values.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)


def _collide(requests: Sequence[Request]) -> bool:
    """Whether requests read the same tokens, split in different places: lm-eval's ``logits_cache`` mixes them up."""
    lengths: dict[tuple[int, ...], int] = {}
    return any(
        lengths.setdefault((*context, *continuation[:-1]), len(continuation)) != len(continuation)
        for _, context, continuation in requests
    )
