"""The compared cases. A case is a method with a number of experts and a form. All cases share the base's weights."""

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
    """One measured case.

    Attributes:
        method: A key of `METHODS`, or ``"base"``. Settings can follow, as in ``teamlora:gate_sum=1``.
        form: ``"fused"`` or ``"loop"`` for a method with experts, and ``"plain"`` for other methods.
        experts: The number of experts k, or None for methods without experts.
        rank: The rank of the adapter or of ONE expert. For a method that prunes, the rank after pruning. None for the base and
            for methods without a rank setting.
    """

    method: str
    form: str = "plain"
    experts: int | None = None
    rank: int | None = None

    @property
    def name(self) -> str:
        """The name of the case, such as ``lora``, ``teamlora k4`` or ``teamlora k4 loop``."""
        parts = [self.method, f"k{self.experts}" if self.experts else "", "loop" if self.form == "loop" else ""]
        return " ".join(part for part in parts if part)

    def settings(self, target_modules: tuple[str, ...] | None) -> AdapterSettings:
        """Return the adapter's settings. Settings that the case does not determine have their defaults."""
        own: dict[str, Any] = {"rank": self.rank, "experts": self.experts, "target_modules": target_modules}
        own = {key: value for key, value in own.items() if value is not None} | settings_of(self.method)
        return AdapterSettings(method_of(self.method), **own)


def plan(model: Any, settings: BenchSettings) -> list[Case]:
    """List the cases to measure: first the references, then the methods in the order of the settings.

    Args:
        model: The base, for which the methods' configurations are created. They show which methods have a loop form.
        settings: The benchmark settings.

    Raises:
        UsageError: There is no case, because only loop forms of methods without a loop form were requested.
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
                shared = METHODS[method_of(name)].ranks == "shared"
                case = Case(name, "fused", k, settings.total_rank // (1 if shared else k))
                routed = isinstance(build_config(case.settings(settings.target_modules), model), RoutedConfig)
                forms = settings.forms if routed and not shared else ("fused",)
                cases += [Case(name, form, k, case.rank) for form in forms if form in settings.forms]
    if not cases:
        raise UsageError("there is nothing to measure, because these methods have no loop form. Add fused to --forms.")
    order = (BASE, "lora")
    return sorted(cases, key=lambda case: order.index(case.method) if case.method in order else len(order))


def _at_total_rank(model: Any, case: Case, settings: BenchSettings) -> Case:
    """Lower the rank of a method that prunes (AdaLoRA), so that its initial rank is the total rank."""
    starts = getattr(build_config(case.settings(settings.target_modules), model), "init_r", None)
    if case.rank is None or starts is None or starts <= case.rank:
        return case
    return replace(case, rank=max(1, settings.total_rank * case.rank // starts))


def build(model: Any, case: Case, settings: BenchSettings) -> Any:
    """Build the model of a case. It has its own modules and shares the weights of the base, which stay frozen.

    Parameters that are initialised with zeros get small random values, so that no product is computed with zeros only.
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
    """Return the trainable parameters."""
    return [weight for weight in model.parameters() if weight.requires_grad]
