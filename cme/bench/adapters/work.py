"""The work that is measured: a training step, a prefill, or decoding tokens."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from cme.bench.adapters.cases import trainable
from cme.bench.adapters.settings import BenchSettings
from cme.models.output_layer import adjacent_positions

__all__ = ["Work", "backward", "make_work", "prompt_cache", "random_tokens"]

_LEARNING_RATE = 1e-5


@dataclass(frozen=True)
class Work:
    """The work of one case in one mode, which can be repeated.

    Attributes:
        model: The model of the case.
        run: The function to measure. It must be called inside of `context`, with the model in the mode given by `training`.
        reset: A function that restores the state before `run`. It is not part of the time.
        units: Number of equal units in a run, by which the time is divided. For decode it is the number of tokens.
        training: Whether the model must be in training mode.
        context: A context with or without gradients.
    """

    model: Any
    run: Callable[[], None]
    reset: Callable[[], None]
    units: int
    training: bool
    context: Callable[[], AbstractContextManager[Any]]


def make_work(model: Any, mode: str, settings: BenchSettings, cache: Any = None) -> Work:
    """Create the work of one mode.

    Args:
        model: The model from `cme.bench.adapters.cases.build`.
        mode: One of `MODES`.
        settings: The settings with batch size and lengths.
        cache: The cache of the prompt for decode. If it is None, the model computes its own. The time does not depend on the
            values in the cache, so all cases can share one to save memory.
    """
    return {"train": _train, "prefill": _prefill, "decode": _decode}[mode](model, settings, cache)


def random_tokens(model: Any, batch: int, length: int, seed: int) -> Any:
    """Return random tokens [batch, length], which are the same for every case."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, model.config.get_text_config().vocab_size, (batch, length), generator=generator)
    return tokens.to(next(model.parameters()).device)


def prompt_cache(model: Any, settings: BenchSettings) -> Any:
    """Compute the key-value cache of a prompt."""
    import torch

    prompt = random_tokens(model, settings.batch, settings.infer_length, settings.seed)
    model.eval()
    with torch.inference_mode(), adjacent_positions(model):
        return model(input_ids=prompt, use_cache=True, logits_to_keep=1).past_key_values


def backward(model: Any, tokens: Any, answer: int) -> None:
    """Run the forward pass, the loss and the backward pass as `cme train` does, with autocast and logits of the answer only.

    If the model has no trainable parameters (the base), the gradient is computed for the embedded tokens and passes through
    every layer. This is the minimum cost of every adapter on this base.

    Args:
        model: A causal language model.
        tokens: Token ids, [batch, length].
        answer: Number of tokens at the end of each row on which the loss is computed, at most length − 1.
    """
    import torch

    weight = next(model.parameters())
    half = weight.dtype != torch.float32
    hook = None if trainable(model) else model.get_input_embeddings().register_forward_hook(_needs_gradient)
    try:
        # `cme train` selects the positions with a mask. The copy of this block takes the same time.
        autocast = torch.autocast(weight.device.type, dtype=weight.dtype if half else None, enabled=half)
        with autocast, adjacent_positions(model):
            # Each position predicts the next token, so the logits start one position before the answer.
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
    # The fused implementation is also the default of the Trainer.
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
    """Return AdaLoRA's rank allocation, as in the steps in which it prunes, or a function that does nothing."""
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
        with adjacent_positions(model):
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
