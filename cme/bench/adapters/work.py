"""The work that is timed: a training step, a prefill, tokens of a decode."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from cme.bench.adapters.cases import trainable
from cme.bench.adapters.settings import BenchSettings

__all__ = ["Work", "backward", "make_work", "prompt_cache", "random_tokens"]

_LEARNING_RATE = 1e-5


@dataclass(frozen=True)
class Work:
    """One case in one mode, ready to run again and again.

    Attributes:
        model: what runs.
        run: the work; call it inside of `context`, with the model in the mode that `training` says.
        reset: undoes what the work leaves behind; not part of its time.
        units: how many like parts a run has (decode: tokens); times are divided by it.
        training: whether the model is to be in training mode.
        context: gradients or none.
    """

    model: Any
    run: Callable[[], None]
    reset: Callable[[], None]
    units: int
    training: bool
    context: Callable[[], AbstractContextManager[Any]]


def make_work(model: Any, mode: str, settings: BenchSettings, cache: Any = None) -> Work:
    """One mode's work on a model.

    Args:
        model: from `cme.bench.adapters.cases.build`.
        mode: one of `MODES`.
        settings: batch and lengths.
        cache: for decode, a cache of the prompt to decode from; None: the model fills one of its own. What is in it has
            no effect on the time, so all cases may use one, and only one need be held.
    """
    return {"train": _train, "prefill": _prefill, "decode": _decode}[mode](model, settings, cache)


def random_tokens(model: Any, batch: int, length: int, seed: int) -> Any:
    """The same tokens for every case, [batch, length]."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, model.config.vocab_size, (batch, length), generator=generator)
    return tokens.to(next(model.parameters()).device)


def prompt_cache(model: Any, settings: BenchSettings) -> Any:
    """The keys and values of a prompt, as the model computes them."""
    import torch

    prompt = random_tokens(model, settings.batch, settings.infer_length, settings.seed)
    model.eval()
    with torch.inference_mode():
        return model(input_ids=prompt, use_cache=True, logits_to_keep=1).past_key_values


def backward(model: Any, tokens: Any, answer: int) -> None:
    """Forward pass, loss and backward pass, as `cme train` has them: logits of the answer alone, half precision by autocast.

    Args:
        model: a causal language model.
        tokens: [batch, length].
        answer: how many tokens at the end of each row are learned; at most length − 1.

    With no parameter to train (the base), the gradient goes to the embedded tokens and passes through every layer: what
    every adapter on this base costs at least.
    """
    import torch

    weight = next(model.parameters())
    half = weight.dtype != torch.float32
    hook = None if trainable(model) else model.get_input_embeddings().register_forward_hook(_needs_gradient)
    try:
        with torch.autocast(weight.device.type, dtype=weight.dtype if half else None, enabled=half):
            # The last position predicts nothing; the first of the answer is predicted by the one before it.
            loss = model(input_ids=tokens, labels=tokens[:, -answer - 1 :], logits_to_keep=answer + 1).loss
        loss.backward()
    finally:
        if hook:
            hook.remove()


def _needs_gradient(_module: Any, _inputs: Any, output: Any) -> None:
    output.requires_grad_(True)


def _train(model: Any, settings: BenchSettings, _cache: Any) -> Work:
    import torch

    tokens = random_tokens(model, settings.batch, settings.train_length, settings.seed)
    weights = trainable(model)
    # As transformers' Trainer by default: one kernel for all parameters.
    optimizer = torch.optim.AdamW(weights, lr=_LEARNING_RATE, fused=True) if weights else None
    allocate = _allocator(model)

    def step() -> None:
        backward(model, tokens, settings.answer_tokens)
        if optimizer:
            optimizer.step()
            allocate()
            optimizer.zero_grad()

    return Work(model, step, _nothing, 1, True, torch.enable_grad)


def _allocator(model: Any) -> Callable[[], None]:
    """AdaLoRA's allocation of ranks, as in the steps in which it prunes; nothing for other methods."""
    tuner: Any = getattr(model, "base_model", None)
    if not hasattr(tuner, "update_and_allocate"):
        return _nothing
    step = next(iter(model.peft_config.values())).tinit

    def allocate() -> None:
        nonlocal step
        step += 1
        tuner.update_and_allocate(step)

    return allocate


def _prefill(model: Any, settings: BenchSettings, _cache: Any) -> Work:
    import torch

    tokens = random_tokens(model, settings.batch, settings.infer_length, settings.seed)

    def run() -> None:
        model(input_ids=tokens, use_cache=True, logits_to_keep=1)

    return Work(model, run, _nothing, 1, False, torch.inference_mode)


def _decode(model: Any, settings: BenchSettings, cache: Any) -> Work:
    import torch

    token = random_tokens(model, settings.batch, 1, settings.seed)
    cache = prompt_cache(model, settings) if cache is None else cache

    def run() -> None:
        for _ in range(settings.decode_tokens):
            model(input_ids=token, past_key_values=cache, use_cache=True)

    def reset() -> None:
        cache.crop(-settings.decode_tokens)

    return Work(model, run, reset, settings.decode_tokens, False, torch.inference_mode)


def _nothing() -> None:
    return
