"""Floating-point operations, counted on a copy without data: no time, no memory, the same on every machine."""

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
    """Operations of one training step (forward and backward, all rows), one prefill (all rows) or one token of a decode.

    PyTorch's `FlopCounterMode` counts matrix products (2·m·n·k each); what works on single elements, the optimiser
    included, is not counted. Attention counts as two whole products, causal or not. The model runs on fake tensors.

    Args:
        model: from `cme.bench.adapters.cases.build`; it is not changed.
        mode: one of `MODES`.
        settings: batch and lengths.

    Returns:
        None if the model cannot run on a copy without data: a method asks for values while it runs, or a product has no form
        for it. The count is optional; times and memory are measured all the same.
    """
    import torch

    # Products of a mixture's experts have a form without data in bfloat16 only; the number of operations is the same.
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
    hollow = _hollow(model, fake, dtype)
    hollow.train(mode == "train")
    # The product that adds onto its own result is missing from PyTorch's table.
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: _added_product})
    with _quiet(), fake:
        if mode == "train":
            tokens = random_tokens(hollow, settings.batch, settings.train_length, settings.seed)
            with counter:
                backward(hollow, tokens, settings.answer_tokens)
        elif mode == "prefill":
            with counter:
                prompt_cache(hollow, settings)
        else:
            cache = prompt_cache(hollow, settings)
            token = random_tokens(hollow, settings.batch, 1, settings.seed)
            with torch.inference_mode(), counter:
                hollow(input_ids=token, past_key_values=cache, use_cache=True)
    return int(counter.get_total_flops())


@contextmanager
def _quiet() -> Iterator[None]:
    """PyTorch logs a traceback of each product that has no form without data, before it raises."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _added_product(_onto: Shape, left: Shape, right: Shape, *_: Any, **__: Any) -> int:
    return 2 * left[0] * left[1] * right[1]


def _hollow(model: Any, fake: Any, dtype: Any) -> Any:
    """The model with shapes in the place of weights, and attention as plain products, which the counter knows."""
    import torch

    empty: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        shape = fake.from_tensor(tensor.detach())
        if dtype is not None and shape.is_floating_point():
            with fake:
                shape = shape.to(dtype)
        is_weight = isinstance(tensor, torch.nn.Parameter)
        empty[id(tensor)] = torch.nn.Parameter(shape, tensor.requires_grad) if is_weight else shape
    hollow = copy.deepcopy(model, empty)
    getattr(hollow, "get_base_model", lambda: hollow)().set_attn_implementation("eager")
    return hollow
