"""TeamLoRA against LoRA of the same total rank: both on one base, in one process, in turns.

Both models share the base's weights. The two measurements of a pair follow each other at once, in alternating order, so
what the machine does meanwhile hits both; the headline is the median of the pairs' ratios with its interquartile range.
"""

import copy
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from cme.bench.hardware import processor
from cme.errors import UsageError, unknown

__all__ = ["MODES", "PairReport", "Ratio", "Setup", "measure_pair"]

MODES = ("train", "prefill", "decode")
_DECODE_STEPS = 8


@dataclass(frozen=True)
class Setup:
    """What is measured.

    Attributes:
        rank: rank of one expert, r.
        experts: k; LoRA gets rank k·r.
        alpha: of TeamLoRA (scaling alpha / r); LoRA's is chosen for the same scaling. Speed does not depend on it.
        pairs: measured pairs per mode.
        warmup: pairs that are run first and not counted.
        batch: rows.
        train_length: tokens in a row of a training step (forward, loss, backward, AdamW).
        infer_length: tokens of the prompt: the prefill computes the last position's logits and fills a cache, the
            decode adds one token to that cache.
        form: ``"fused"`` (as CME runs it) or ``"loop"`` (one expert after the other, as the papers' code does).
    """

    rank: int = 8
    experts: int = 4
    alpha: float = 16.0
    pairs: int = 20
    warmup: int = 3
    batch: int = 4
    train_length: int = 128
    infer_length: int = 256
    form: str = "fused"


@dataclass(frozen=True)
class Ratio:
    """One mode's outcome.

    Attributes:
        mode: one of `MODES`.
        ratio: median over the pairs of TeamLoRA's time / LoRA's time.
        low: first quartile of the pairs' ratios.
        high: third quartile.
        teamlora: TeamLoRA's median time in seconds.
        lora: LoRA's.
        pairs: how many pairs.
    """

    mode: str
    ratio: float
    low: float
    high: float
    teamlora: float
    lora: float
    pairs: int


@dataclass(frozen=True)
class PairReport:
    """A whole measurement: outcomes, setup, and what it ran on."""

    ratios: tuple[Ratio, ...]
    setup: Setup
    base: str
    base_parameters: int
    trainable_teamlora: int
    trainable_lora: int
    dtype: str
    device: str
    hardware: str
    cpus: int
    threads: int
    torch: str
    peft: str
    transformers: str

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)


def measure_pair(model: Any, setup: Setup | None = None, modes: tuple[str, ...] = MODES) -> PairReport:
    """Measure TeamLoRA against LoRA at equal total rank on the base's feed-forward layers.

    Args:
        model: the base (`transformers` causal language model) in the type and on the device to measure. Its weights are
            shared, not changed.
        setup: what to measure; default: `Setup()`.
        modes: which of `MODES`.

    Raises:
        UsageError: an unknown mode or form, or fewer than two pairs.
    """
    import peft
    import torch
    import transformers

    setup = setup or Setup()
    for mode in modes:
        if mode not in MODES:
            raise unknown("mode", mode, MODES)
    if setup.form not in ("fused", "loop"):
        raise unknown("form", setup.form, ("fused", "loop"))
    if setup.pairs < 2:
        raise UsageError(f"a median and its spread need at least 2 pairs, found {setup.pairs}.")
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    try:
        team, lora = _adapted(model, setup)
        counts = _trainable(team), _trainable(lora)
        ratios = tuple(_measure(mode, team, lora, setup) for mode in modes)
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
    weight = next(model.parameters())
    return PairReport(
        ratios=ratios,
        setup=setup,
        base=str(getattr(model, "name_or_path", "") or type(model).__name__),
        base_parameters=sum(parameter.numel() for parameter in model.parameters()),
        trainable_teamlora=counts[0],
        trainable_lora=counts[1],
        dtype=str(weight.dtype).removeprefix("torch."),
        device=weight.device.type,
        hardware=torch.cuda.get_device_name(weight.device) if weight.device.type == "cuda" else processor(),
        cpus=os.cpu_count() or 1,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        peft=peft.__version__,
        transformers=transformers.__version__,
    )


def _adapted(model: Any, setup: Setup) -> tuple[Any, Any]:
    """TeamLoRA and LoRA on two copies of the modules that share the base's tensors, B random."""
    import torch
    from peft import LoraConfig, get_peft_model

    from cme.adapters.targets import ffn_targets
    from cme.adapters.teamlora import TeamLoraConfig

    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    targets = ffn_targets(model)
    total = setup.rank * setup.experts
    team = TeamLoraConfig(r=setup.rank, experts=setup.experts, lora_alpha=setup.alpha, target_modules=list(targets))
    lora = LoraConfig(r=total, lora_alpha=round(setup.alpha * setup.experts), target_modules=list(targets))
    adapted = [get_peft_model(copy.deepcopy(model, dict(shared)), config) for config in (team, lora)]
    for one in adapted:
        one.requires_grad_(False)
        for name, parameter in one.named_parameters():
            if "lora_" in name:
                parameter.requires_grad_(True)
                if "lora_B" in name:
                    torch.nn.init.normal_(parameter, std=0.02)
    if setup.form == "loop":
        from cme.bench.loop import use_loop

        use_loop(adapted[0])
    return adapted[0], adapted[1]


def _measure(mode: str, team: Any, lora: Any, setup: Setup) -> Ratio:
    make = {"train": _train, "prefill": _prefill, "decode": _decode}[mode]
    runs = (make(team, setup), make(lora, setup))
    times: list[tuple[float, float]] = []
    for index in range(setup.warmup + setup.pairs):
        if index % 2:
            second = runs[1]()
            taken = (runs[0](), second)
        else:
            taken = (runs[0](), runs[1]())
        if index >= setup.warmup:
            times.append(taken)
    ratios = [first / second for first, second in times]
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(
        mode=mode,
        ratio=middle,
        low=low,
        high=high,
        teamlora=statistics.median(first for first, _ in times),
        lora=statistics.median(second for _, second in times),
        pairs=len(times),
    )


def _train(model: Any, setup: Setup) -> Callable[[], float]:
    import torch

    tokens = _tokens(model, setup.batch, setup.train_length)
    optimizer = torch.optim.AdamW([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1e-5)

    weight = next(model.parameters())
    # As `cme train` does it: half-precision bases are trained under autocast, the adapter's own weights stay float32.
    half = weight.dtype != torch.float32

    def step() -> None:
        with torch.autocast(weight.device.type, dtype=weight.dtype if half else None, enabled=half):
            loss = model(input_ids=tokens, labels=tokens).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    def run() -> float:
        model.train()
        return _timed(model, step)

    return run


def _prefill(model: Any, setup: Setup) -> Callable[[], float]:
    import torch

    tokens = _tokens(model, setup.batch, setup.infer_length)

    def run() -> float:
        model.eval()
        with torch.inference_mode():
            return _timed(model, lambda: model(input_ids=tokens, use_cache=True, logits_to_keep=1))

    return run


def _decode(model: Any, setup: Setup) -> Callable[[], float]:
    import torch

    prompt = _tokens(model, setup.batch, setup.infer_length)
    model.eval()
    with torch.inference_mode():
        cache = model(input_ids=prompt, use_cache=True, logits_to_keep=1).past_key_values

    def steps() -> None:
        for _ in range(_DECODE_STEPS):
            model(input_ids=prompt[:, -1:], past_key_values=cache, use_cache=True)

    def run() -> float:
        model.eval()
        with torch.inference_mode():
            taken = _timed(model, steps) / _DECODE_STEPS
            cache.crop(-_DECODE_STEPS)
        return taken

    return run


def _tokens(model: Any, batch: int, length: int) -> Any:
    import torch

    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, model.config.vocab_size, (batch, length), generator=generator)
    return tokens.to(next(model.parameters()).device)


def _timed(model: Any, function: Callable[[], object]) -> float:
    import torch

    device = next(model.parameters()).device
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    function()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def _trainable(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
