"""Connects the prefix engine with lm-eval in place of `HFLM`."""

import functools
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

import torch
from lm_eval.api.model import CacheHook
from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

from cme.errors import CMEError, RecoverableError
from cme.evaluation.engine.batch_cache import BatchCache, Kind
from cme.evaluation.engine.check import Probe, answers_fault, probes, text_fault
from cme.evaluation.engine.choice import Answer, score
from cme.evaluation.engine.generate import Limits, either, generate, stops_at
from cme.evaluation.engine.greedy import end_tokens
from cme.evaluation.engine.plain import PlainLM, describe_error
from cme.evaluation.engine.plan import Budget, Plan, Prompt, Request, choice_plan, text_plan
from cme.evaluation.engine.runner import Past, Runner
from cme.evaluation.engine.solutions import ends_early, ends_solution
from cme.evaluation.engine.support import position_bytes, text_obstacle, unsupported, window_length
from cme.evaluation.engine.tree import tree_plan

__all__ = ["PrefixLM"]

T = TypeVar("T")

_POWERS = 32


class _FaultError(RecoverableError):
    """The engine's answers differ from those of plain passes, or the engine failed."""


class PrefixLM(PlainLM):
    """Compute each prompt once, and the common prefix of all prompts once per dataset.

    Only `_loglikelihood_tokens` and `generate_until` differ from lm-eval's code. For models that the engine does not support,
    the answers are computed by `PlainLM`.

    Args:
        model: see `PlainLM`.
        tokenizer: see `PlainLM`.
        batch_size: number of requests per batch of `PlainLM`.
        budget: amount of computation per pass. None means `Budget.default` of the device and the model.

    Attributes:
        share_passages: whether passages that several prompts share are read once.
        early_stop: whether the text of a solution ends at its end mark (`cme.evaluation.engine.solutions`).
        written: number of tokens of the texts that this object generated.
        token_budget: number of positions per pass over prompts that replaces the budget's. The rest of the budget is scaled in
            proportion.
        window: longest row that can be computed in several passes, or None if there is no limit (`window_length`).
        obstacle: reason why `PlainLM` computes the answers, or None if the engine does.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch_size: int, budget: Budget | None = None) -> None:
        super().__init__(model, tokenizer, batch_size=batch_size)
        self.obstacle = unsupported(self.model)
        self.window = None if self.obstacle else window_length(self.model)
        self._budget = budget
        self.token_budget: int | None = None
        self.share_passages = True
        self.early_stop = True
        self.written = 0
        self._checked: set[Kind] = set()
        self._why = self.obstacle

    @property
    def budget(self) -> Budget:
        """Amount of computation per pass."""
        if self._budget is None:
            self._budget = Budget.default(self.device.type, position_bytes(self.model))
        budget = self._budget
        return budget.scaled(self.token_budget) if self.token_budget else budget

    @property
    def used(self) -> str:
        """Engine that computed the last answers: ``prefix``, or ``hf`` with the reason."""
        return f"hf: {self._why}" if self._why else "prefix"

    def _loglikelihood_tokens(
        self, requests: list[Request], disable_tqdm: bool = True, override_bs: int | None = None
    ) -> list[Answer]:
        longest = max((len(context) + len(continuation) for _, context, continuation in requests), default=0)
        contexts, continuations = ([len(request[place]) for request in requests] for place in (1, 2))
        # A batch is as wide as its longest context and its longest continuation.
        obstacle = self.obstacle or self._crosses(longest, max(contexts, default=0) + max(continuations, default=0))
        answers = None if obstacle else self._guarded(lambda: self._scores(requests))
        self._why = self.obstacle or obstacle
        return self._plain_scores(requests) if answers is None else answers

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        """Generate texts. They equal those that lm-eval generates with batch size 1, but solutions end at their end mark."""
        groups: dict[tuple[str, bool], list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault((repr(request.args[1]), ends_early(request)), []).append(index)
        texts: dict[int, str] = {}
        for indices in groups.values():
            chosen = [requests[index] for index in indices]
            made = self._guarded(lambda chosen=chosen: self._texts(chosen))  # type: ignore[misc]
            texts |= zip(indices, made or self._plain_texts(chosen), strict=True)
        return [texts[index] for index in range(len(requests))]

    def recall(self, checks: Mapping[Kind, str | None]) -> None:
        """Use earlier verdicts of the self-check.

        Args:
            checks: the fault by kind of batch, or None where no fault was detected.
        """
        self._checked |= checks.keys()
        for fault in filter(None, checks.values()):
            self._give_up(fault)

    def _guarded(self, answer: Callable[[], T]) -> T | None:
        """Return the engine's answers. If the self-check or the engine fails, set `obstacle` and return None."""
        try:
            return self._tried(answer)
        except _FaultError as fault:
            self._give_up(str(fault))
            return None

    @staticmethod
    def _tried(work: Callable[..., T], *args: Any) -> T:
        """Run a function and turn its errors into a `_FaultError`, which all processes of a group receive."""
        try:
            return work(*args)
        except (CMEError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # a model's code can raise any error when it receives a cache or a mask
            raise _FaultError(f"the engine fails with this model ({describe_error(error)})") from error

    def _crosses(self, longest: int, width: int) -> str | None:
        """Return why requests cannot be computed in several passes, or None if they can.

        Args:
            longest: tokens of the longest request.
            width: most positions that a row of several passes may have, padding included.
        """
        if self.switch is not None and longest > self.switch:
            return f"the model uses other rotary embeddings beyond {self.switch} tokens, and the longest request has {longest}"
        if self.window is not None and width > self.window:
            return (
                f"attention is limited to {self.window} tokens in some layers, and requests can take {width} positions"
            )
        return None

    def _scores(self, requests: list[Request]) -> list[Answer]:
        """Compute the answers to choice requests with the engine."""
        flat = choice_plan(
            [(context, continuation) for _, context, continuation in requests], self.max_length, self.budget
        )
        plan = self._improved(flat, "choice")
        start, unchecked = self._starter(plan), self._unchecked(plan, "choice")

        def compute(number: int) -> list[Answer]:
            batch = plan.batches[number]
            answers = score(*start(batch), self.budget)
            if number in unchecked:
                for kind, probe in unchecked[number]:
                    fault = answers_fault(answers, probes(batch, probe), self._plainly(requests), self._dtype)
                    self._take_verdict(kind, fault)
            for index, answer in answers.items():
                if requests[index][0] is not None:
                    self.cache_hook.add_partial("loglikelihood", requests[index][0], answer)
            return [answers[index] for index in _indices(batch)]

        return [(value, best) for value, best in self._kept(plan, "choice", compute, unchecked)]

    def _texts(self, requests: Sequence[Any]) -> list[str] | None:
        """Generate texts for requests with equal settings. Return None if lm-eval's code must generate them."""
        kwargs = normalize_gen_kwargs(requests[0].args[1], self.max_gen_toks)
        eos = self.tok_decode(self.eot_token_id, skip_special_tokens=False)
        until = handle_stop_sequences(kwargs.pop("until", None), eos=eos)
        new_tokens = kwargs.pop("max_gen_toks")
        self._why = self.obstacle or text_obstacle(kwargs)
        room = self.max_length - new_tokens
        # lm-eval's code handles or refuses the remaining settings.
        if self._why or self.think_end_token is not None or room <= 0 or new_tokens <= 0:
            return None
        prompts = [self._prompt_tokens(request.args[0], room) for request in requests]
        if not all(prompts):
            return None
        longest = max(map(len, prompts)) + new_tokens
        self._why = self._crosses(longest, longest)
        if self._why:
            return None
        stops = stops_at(self.tokenizer, [stop for stop in until if stop != eos])
        early = self.early_stop and ends_early(requests[0])
        if early:
            stops = either(stops, ends_solution(self.tok_decode))
        limits = Limits(new_tokens, end_tokens(self.model, self.tokenizer), stops)
        content = ["text", new_tokens, until, *["solution"] * early]
        plan = self._improved(text_plan(prompts, new_tokens, self.budget), content, new_tokens)
        start, unchecked = self._starter(plan), self._unchecked(plan, "text")

        def compute(number: int) -> list[str]:
            batch = plan.batches[number]
            new_tokens_of = generate(*start(batch), limits, self.budget)
            if number in unchecked:
                for kind, probe in unchecked[number]:
                    self._take_verdict(kind, text_fault(new_tokens_of, probes(batch, probe), self._logits, self._dtype))
            self.written += sum(map(len, new_tokens_of.values()))
            texts = [
                self._ended(postprocess_generated_text(self.tok_decode(new_tokens_of[index]), until, None))
                for index in _indices(batch)
            ]
            for index, text in zip(_indices(batch), texts, strict=True):
                self.cache_hook.add_partial("generate_until", requests[index].args, text)
            return texts

        return self._kept(plan, content, compute, unchecked)

    def _kept(self, plan: Plan, what: Any, compute: Callable[[int], list[Any]], first: Collection[int]) -> list[Any]:
        """Return the stored or computed answers to all requests of a plan, in the order of the requests."""
        contents = self._contents(plan, what)
        kept = self.batch_cache.answers(contents, lambda number: self._tried(compute, number), first)
        answers = {
            index: answer
            for batch, batch_answers in zip(plan.batches, kept, strict=True)
            for index, answer in zip(_indices(batch), batch_answers, strict=True)
        }
        return [answers[index] for index in range(len(answers))]

    def _improved(self, plan: Plan, what: Any, new_tokens: int | None = None) -> Plan:
        """Return the plan in which shared passages are read once if it costs less.

        An evaluation that an earlier version interrupted continues with the plan of which it stored batches.
        """
        # Rows of several passages have padding between them, which a sliding window would count.
        shared = self.share_passages and self.window is None
        tree = tree_plan(plan, self.budget, new_tokens) if shared else None
        if tree is None:
            return plan
        kept = set(tree.batches)
        earlier = Plan(plan.prefix, tuple(batch for batch in plan.batches if batch not in kept))
        return plan if self.batch_cache.holds(self._contents(earlier, what)) else tree

    def _contents(self, plan: Plan, what: Any) -> list[Any]:
        """Return, for each batch, a JSON value that determines its answers together with the model."""
        before = self.max_length, len(plan.prefix)
        return [
            ["tree", what, *before, [[prompt.tokens, prompt.continuations, prompt.shared] for prompt in batch]]
            if _shares(batch)
            else ["prefix", what, *before, [[prompt.tokens, prompt.continuations] for prompt in batch]]
            for batch in plan.batches
        ]

    def _starter(self, plan: Plan) -> Callable[[Sequence[Prompt]], tuple[Runner, Sequence[Prompt], Past | None]]:
        """Return a function that prepares a batch. The common prefix is computed with the first batch."""
        runner = Runner(self.model, self.device, self.work)
        read = functools.cache(lambda: runner.read([plan.prefix], keep=True) if plan.prefix else None)
        return lambda batch: (runner, batch, read())

    def _unchecked(self, plan: Plan, what: str) -> dict[int, list[tuple[Kind, Probe]]]:
        """Choose the batches to check, for batches with and without passages: see `_unchecked_of`.

        Returns:
            What to check, by index of the batch.
        """
        todo: dict[int, list[tuple[Kind, Probe]]] = {}
        for sharing in (False, True):
            numbers = [number for number, batch in enumerate(plan.batches) if _shares(batch) == sharing]
            if numbers:
                name = f"{what} by passage" if sharing else what
                todo |= self._unchecked_of(plan, numbers, name, one_pass=what == "choice" and not sharing)
        return todo

    def _unchecked_of(
        self, plan: Plan, numbers: Sequence[int], what: str, *, one_pass: bool
    ) -> dict[int, list[tuple[Kind, Probe]]]:
        """Choose the batches to check: the shortest of each kind that was not checked, and the longest.

        The longest is checked again when it is twice as long as before, because some models change their computation beyond a
        length.

        Args:
            plan: the plan.
            numbers: indices of the batches.
            what: kind of request.
            one_pass: whether single tokens without a common prefix are computed in one pass, as in lm-eval.
        """
        todo: dict[int, list[tuple[Kind, Probe]]] = {}
        for number in reversed(numbers):
            kind = what, all(prompt.single for prompt in plan.batches[number]), bool(plan.prefix)
            if kind not in self._checked:
                todo.setdefault(number, []).append((kind, "ends"))
                self._checked.add(kind)
        power = len(plan.batches[numbers[0]][0].tokens).bit_length()
        names = {at: (f"{what} below {2**at} tokens", False, bool(plan.prefix)) for at in range(power, _POWERS)}
        # In one pass, the length cannot matter.
        single = all(prompt.single for prompt in chain(*(plan.batches[number] for number in numbers)))
        safe = one_pass and not plan.prefix and single
        if not safe and not self._checked.intersection(names.values()):
            if numbers[0] not in todo:
                todo[numbers[0]] = [(names[power], "longest")]
            self._checked.add(names[power])
        return todo

    def _take_verdict(self, kind: Kind, fault: str | None) -> None:
        self.batch_cache.checked(kind, fault)
        if fault is not None:
            raise _FaultError(fault)

    def _give_up(self, fault: str) -> None:
        self.obstacle = self._why = fault
        # If answers depend on batching, requests must be answered one at a time.
        self.alone = True

    def _logits(self, ids: torch.Tensor) -> torch.Tensor:
        return self._model_call(ids.to(self.device))

    def _plainly(self, requests: list[Request]) -> Callable[[Prompt], list[Answer]]:
        def answer(prompt: Prompt) -> list[Answer]:
            own = [requests[index] for index, _ in prompt.continuations]
            with self._set(batch_size_per_gpu=1, cache_hook=CacheHook(None), batch_cache=BatchCache()):
                answers: list[Answer] = super(PrefixLM, self)._loglikelihood_tokens(own, disable_tqdm=True)
            return answers

        return answer

    def _plain_scores(self, requests: list[Request]) -> list[Answer]:
        with self._set(logits_cache=not _collide(requests)):
            answers: list[Answer] = super()._loglikelihood_tokens(requests, disable_tqdm=True)
        return answers

    def _plain_texts(self, requests: Sequence[Any]) -> list[str]:
        texts: list[str] = super().generate_until(requests)
        return texts

    def _prompt_tokens(self, context: str, room: int) -> list[int]:
        ids, _ = self.tok_batch_encode([context], left_truncate_len=room, truncation=self.truncation)
        tokens: list[int] = ids[0].tolist()
        return tokens

    @property
    def _dtype(self) -> torch.dtype:
        dtype: torch.dtype = next(self.model.parameters()).dtype
        return dtype

    @contextmanager
    def _set(self, **values: Any) -> Iterator[None]:
        """Set attributes of `HFLM` in the block."""
        before = {name: getattr(self, name) for name in values}
        for name, value in values.items():
            setattr(self, name, value)
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(self, name, value)


def _shares(batch: Sequence[Prompt]) -> bool:
    """Return whether prompts of a batch share passages."""
    return any(prompt.shared for prompt in batch)


def _indices(batch: Sequence[Prompt]) -> list[int]:
    """Return the indices of the requests that a batch answers."""
    return [index for prompt in batch for index, _ in prompt.continuations]


def _collide(requests: Sequence[Request]) -> bool:
    """Return whether requests have equal tokens with different splits, which lm-eval's ``logits_cache`` confuses."""
    lengths: dict[tuple[int, ...], int] = {}
    return any(
        lengths.setdefault((*context, *continuation[:-1]), len(continuation)) != len(continuation)
        for _, context, continuation in requests
    )
