"""What is compared: each method, number of experts and form, as a model that shares the base's weights."""

import copy
from dataclasses import dataclass, replace
from typing import Any

from cme.adapters import METHODS, AdapterSettings, build_config, register_all
from cme.bench.adapters.settings import BASE, BenchSettings, benchable, method_of, settings_of
from cme.errors import UsageError

__all__ = ["Case", "build", "plan", "trainable"]

_STD = 0.02


@dataclass(frozen=True)
class Case:
    """One thing that is measured.

    Attributes:
        method: a key of `METHODS`, or ``"base"``; with settings in the form ``teamlora:gate_sum=1``.
        form: ``"fused"`` or ``"loop"`` for a method with experts, ``"plain"`` for any other.
        experts: k; None without experts.
        rank: of the adapter, or of ONE expert; what is left after pruning for a method that prunes; None for the base and
            for methods whose rank is not ours to set.
    """

    method: str
    form: str = "plain"
    experts: int | None = None
    rank: int | None = None

    @property
    def name(self) -> str:
        """Such as ``lora``, ``teamlora k4`` and ``teamlora k4 loop``."""
        parts = [self.method, f"k{self.experts}" if self.experts else "", "loop" if self.form == "loop" else ""]
        return " ".join(part for part in parts if part)

    def settings(self, target_modules: tuple[str, ...] | None) -> AdapterSettings:
        """The adapter's settings; what the case does not say keeps its default."""
        own: dict[str, Any] = {"rank": self.rank, "experts": self.experts, "target_modules": target_modules}
        own = {key: value for key, value in own.items() if value is not None} | settings_of(self.method)
        return AdapterSettings(method_of(self.method), **own)


def plan(model: Any, settings: BenchSettings) -> list[Case]:
    """The cases that the settings ask for: references first, then by method.

    Args:
        model: the base, for which the methods' configurations are made: a method off the routed core has no loop form.
        settings: what to measure.

    Raises:
        UsageError: nothing is left (a loop form of methods without one).
    """
    from cme.adapters.routed.config import RoutedConfig

    register_all()
    cases: list[Case] = []
    for name in settings.methods or benchable():
        if name == BASE:
            cases.append(Case(BASE))
        elif "experts" not in METHODS[method_of(name)].settings:
            ranked = "rank" in METHODS[method_of(name)].settings
            cases.append(
                _at_total_rank(model, Case(name, rank=settings.total_rank), settings) if ranked else Case(name)
            )
        else:
            for k in settings.experts:
                case = Case(name, "fused", k, settings.total_rank // k)
                routed = isinstance(build_config(case.settings(settings.target_modules), model), RoutedConfig)
                forms = settings.forms if routed else ("fused",)
                cases += [Case(name, form, k, case.rank) for form in forms if form in settings.forms]
    if not cases:
        raise UsageError("nothing is left to measure: these methods have no loop form. Add fused to --forms.")
    order = (BASE, "lora")
    return sorted(cases, key=lambda case: order.index(case.method) if case.method in order else len(order))


def _at_total_rank(model: Any, case: Case, settings: BenchSettings) -> Case:
    """A method that prunes (AdaLoRA) trains more ranks than it keeps: what it costs is what it starts with."""
    starts = getattr(build_config(case.settings(settings.target_modules), model), "init_r", None)
    if case.rank is None or starts is None or starts <= case.rank:
        return case
    return replace(case, rank=max(1, settings.total_rank * case.rank // starts))


def build(model: Any, case: Case, settings: BenchSettings) -> Any:
    """The case as a model whose modules are its own and whose base weights are the base's.

    Parameters that start at zero get small random values, so that every product has numbers in it. The base stays
    frozen (`requires_grad` False).
    """
    import torch
    from peft import get_peft_model

    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    own = copy.deepcopy(model, shared)
    own.requires_grad_(False)
    if case.method == BASE:
        return own
    devices = [own.device] if own.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(settings.seed)
        adapted = get_peft_model(own, build_config(case.settings(settings.target_modules), own))
        with torch.no_grad():
            for weight in trainable(adapted):
                if not weight.any():
                    weight.normal_(std=_STD)
    if case.form == "loop":
        from cme.bench.adapters.loop import use_loop

        use_loop(adapted)
    return adapted


def trainable(model: Any) -> list[Any]:
    """The parameters that are trained."""
    return [weight for weight in model.parameters() if weight.requires_grad]
