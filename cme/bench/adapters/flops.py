"""Counting floating-point operations on a copy of the model without data. The counts are the same on every machine."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cme.bench.adapters.settings import BenchSettings
from cme.bench.adapters.work import backward, prompt_cache, random_tokens

__all__ = ["count_flops"]

Shape = tuple[int, ...]


def count_flops(model: Any, mode: str, settings: BenchSettings) -> int | None:
    """Count the operations of one training step, one prefill or one decoded token, for all rows of the batch.

    PyTorch's `FlopCounterMode` counts matrix products with 2·m·n·k operations each. Element-wise operations, such as those of
    the optimiser, are not counted. Attention counts as two full products, whether it is causal or not. The model runs on fake
    tensors.

    Args:
        model: The model from `cme.bench.adapters.cases.build`, which is not changed.
        mode: One of `MODES`.
        settings: The settings with batch size and lengths.

    Returns:
        The number of operations. None if the model cannot run on fake tensors, because a method reads values while it runs or
        an operation does not support them. Times and memory are measured in any case.
    """
    import torch

    # The products of mixture-of-experts layers support fake tensors in bfloat16 only. The number of operations is the same.
    for dtype in (None, torch.bfloat16):
        try:
            return _counted(model, mode, settings, dtype)
        except (NotImplementedError, RuntimeError, TypeError, ValueError):
            continue
    return None


def _counted(model: Any, mode: str, settings: BenchSettings, dtype: Any) -> int:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    fake = FakeTensorMode()
    fake_model = _fake_model(model, fake, dtype)
    fake_model.train(mode == "train")
    # PyTorch's table lacks the in-place product addmm_.
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: _added_product})
    with _quiet(), fake:
        if mode == "train":
            tokens = random_tokens(fake_model, settings.batch, settings.train_length, settings.seed)
            with counter:
                backward(fake_model, tokens, settings.answer_tokens)
        elif mode == "prefill":
            with counter:
                prompt_cache(fake_model, settings)
        else:
            cache = prompt_cache(fake_model, settings)
            token = random_tokens(fake_model, settings.batch, 1, settings.seed)
            with torch.inference_mode(), counter:
                fake_model(input_ids=token, past_key_values=cache, use_cache=True)
    return int(counter.get_total_flops())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence PyTorch, which logs a traceback for each operation without support for fake tensors before it raises."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _added_product(_onto: Shape, left: Shape, right: Shape, *_: Any, **__: Any) -> int:
    return 2 * left[0] * left[1] * right[1]


def _fake_model(model: Any, fake: Any, dtype: Any) -> Any:
    """Copy the model with fake tensors instead of weights, and with eager attention, whose products the counter knows."""
    import torch

    empty: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        shape = fake.from_tensor(tensor.detach())
        if dtype is not None and shape.is_floating_point():
            with fake:
                shape = shape.to(dtype)
        is_weight = isinstance(tensor, torch.nn.Parameter)
        empty[id(tensor)] = torch.nn.Parameter(shape, tensor.requires_grad) if is_weight else shape
    fake_model = copy.deepcopy(model, empty)
    getattr(fake_model, "get_base_model", lambda: fake_model)().set_attn_implementation("eager")
    return fake_model
