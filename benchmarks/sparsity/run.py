"""The adapter's part of one layer in two forms: all experts in two products, or the chosen ones only."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Case", "Measured", "measure_case"]


@dataclass(frozen=True)
class Case:
    """One layer and a number of tokens.

    Attributes:
        kind: ``experts`` chooses experts (as MoLA does), ``ranks`` single ranks (as FlyLoRA does).
        inputs: values of a token before the layer, d.
        outputs: values after it, m.
        total: number of experts or ranks.
        chosen: number that a token uses.
        rank: rank of an expert; 1 for single ranks.
        tokens: number of tokens.
        backward: whether the backward pass is measured too.
    """

    kind: str
    inputs: int
    outputs: int
    total: int
    chosen: int
    rank: int
    tokens: int
    backward: bool = False


@dataclass(frozen=True)
class Measured:
    """The result of a case.

    Attributes:
        case: the case.
        dense: median time of the form that computes everything, in seconds.
        gathered: median time of the form that computes the chosen part, in seconds.
        layer: median time of the frozen layer, in seconds.
        ratio: median over the rounds of gathered / dense.
    """

    case: Case
    dense: float
    gathered: float
    layer: float
    ratio: float


def measure_case(case: Case, *, rounds: int, seed: int = 0) -> Measured:
    """Measure both forms in turns, with the same weights, tokens and choices.

    Args:
        case: the layer and the tokens.
        rounds: number of rounds. One more round before them is not counted.
        seed: seed of the weights, the tokens and the choices.

    Raises:
        AssertionError: the two forms differ by more than rounding.
    """
    import torch

    torch.manual_seed(seed)
    x = torch.randn(case.tokens, case.inputs)
    a = torch.nn.Parameter(torch.randn(case.total * case.rank, case.inputs) / case.inputs**0.5)
    b = torch.nn.Parameter(torch.randn(case.outputs, case.total * case.rank) / case.rank**0.5)
    # The gathered form of single ranks reads rows, so it stores B transposed. A method would do the same.
    rows_of_b = torch.nn.Parameter(b.detach().T.contiguous())
    frozen = torch.randn(case.outputs, case.inputs)
    gates, chosen = torch.softmax(torch.randn(case.tokens, case.total), -1).topk(case.chosen)
    forms: dict[str, Callable[[], Tensor]] = {
        "dense": lambda: _dense(x, a, b, gates, chosen, case),
        "gathered": lambda: (
            _experts(x, a, b, gates, chosen, case)
            if case.kind == "experts"
            else _ranks(x, a, rows_of_b, gates, chosen, case)
        ),
    }
    torch.testing.assert_close(forms["gathered"](), forms["dense"](), rtol=1e-4, atol=1e-4)
    times: dict[str, list[float]] = {name: [] for name in (*forms, "layer")}
    for number in range(rounds + 1):
        for name, form in (*forms.items(), ("layer", lambda: torch.nn.functional.linear(x, frozen))):
            seconds = _seconds(form, backward=case.backward and name != "layer")
            if number:
                times[name].append(seconds)
    ratios = [gathered / dense for gathered, dense in zip(times["gathered"], times["dense"], strict=True)]
    middle = {name: statistics.median(values) for name, values in times.items()}
    return Measured(case, middle["dense"], middle["gathered"], middle["layer"], statistics.median(ratios))


def _seconds(form: "Callable[[], Tensor]", *, backward: bool) -> float:
    import torch

    # With one thread, the CPU time of the process does not contain the time that other programs of the machine take.
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    with torch.set_grad_enabled(backward):
        out = form()
    if backward:
        torch.autograd.backward(out.sum())
    return clock() - started


def _dense(x: "Tensor", a: "Tensor", b: "Tensor", gates: "Tensor", chosen: "Tensor", case: Case) -> "Tensor":
    """All experts in two products, as in CME. The gate weights of the experts that a token does not use are 0."""
    import torch

    every = torch.zeros(case.tokens, case.total).scatter(1, chosen, gates)
    return (x @ a.T * every.repeat_interleave(case.rank, 1)) @ b.T


def _experts(x: "Tensor", a: "Tensor", b: "Tensor", gates: "Tensor", chosen: "Tensor", case: Case) -> "Tensor":
    """Each expert on the tokens that use it."""
    import torch

    out = torch.zeros(case.tokens, case.outputs)
    for expert in range(case.total):
        rows, places = (chosen == expert).nonzero(as_tuple=True)
        part = slice(expert * case.rank, (expert + 1) * case.rank)
        added = (x[rows] @ a[part].T) @ b[:, part].T * gates[rows, places].unsqueeze(1)
        out = out.index_add(0, rows, added)
    return out


def _ranks(x: "Tensor", a: "Tensor", rows_of_b: "Tensor", gates: "Tensor", chosen: "Tensor", case: Case) -> "Tensor":
    """All of A, because its outputs choose the ranks, and for each token its columns of B, which are rows of Bᵀ."""
    import torch

    values = (x @ a.T).gather(1, chosen) * gates
    return torch.nn.functional.embedding_bag(chosen, rows_of_b, per_sample_weights=values, mode="sum")
