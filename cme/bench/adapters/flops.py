"""Floating-point operations, counted on a copy without data: no time, no memory, the same on every machine."""

import copy
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
        None if the method asks for values while it runs, which a copy without data does not have.
    """
    import torch
    from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException, FakeTensorMode
    from torch.utils.flop_counter import FlopCounterMode

    fake = FakeTensorMode()
    hollow = _hollow(model, fake)
    hollow.train(mode == "train")
    # The product that adds onto its own result is missing from PyTorch's table.
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: _added_product})
    try:
        with fake:
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
    except (DataDependentOutputException, DynamicOutputShapeException):
        return None
    return int(counter.get_total_flops())


def _added_product(_onto: Shape, left: Shape, right: Shape, *_: Any, **__: Any) -> int:
    return 2 * left[0] * left[1] * right[1]


def _hollow(model: Any, fake: Any) -> Any:
    """The model with shapes in the place of weights, and attention as plain products, which the counter knows."""
    import torch

    empty: dict[int, Any] = {}
    for tensor in (*model.parameters(), *model.buffers()):
        shape = fake.from_tensor(tensor.detach())
        is_weight = isinstance(tensor, torch.nn.Parameter)
        empty[id(tensor)] = torch.nn.Parameter(shape, tensor.requires_grad) if is_weight else shape
    hollow = copy.deepcopy(model, empty)
    getattr(hollow, "get_base_model", lambda: hollow)().set_attn_implementation("eager")
    return hollow
