"""The methods that CME trains and compares: its own, PEFT's, and those of other packages."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from cme.adapters.plugins import entry_points, load
from cme.errors import UsageError, nearest

if TYPE_CHECKING:
    from cme.adapters.settings import AdapterSettings

__all__ = ["METHODS", "PLAIN", "ROUTED", "Method", "build_config", "routed_method"]

PLAIN = ("rank", "alpha", "dropout", "target_modules")
"""Settings of every low-rank adapter."""

ROUTED = (*PLAIN, "experts", "gate_scale", "balance_weight")
"""Settings of every method with experts."""

_FIELDS = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout"}
"""What PEFT calls the settings that CME calls otherwise."""


@dataclass(frozen=True)
class Method:
    """A method known to CME.

    Attributes:
        name: as in recipes and on the command line.
        summary: one line.
        settings: the fields of `AdapterSettings` that it honours, beside ``method``.
        citation: where it was published.
        make: makes PEFT's configuration from settings and what every configuration has (imports peft).
        package: the module whose import enters the method into PEFT; empty if PEFT has it.
        check: what is wrong with ``settings.options``, a line each (imports peft); None: the method has none.
    """

    name: str
    summary: str
    settings: tuple[str, ...]
    citation: str
    make: "Callable[[AdapterSettings, Mapping[str, Any]], Any]"
    package: str = ""
    check: Callable[[Mapping[str, Any]], list[str]] | None = None


def routed_method(
    name: str, *, package: str, config: str, summary: str, citation: str, settings: tuple[str, ...] = ROUTED
) -> Method:
    """A method on the one core (`cme.adapters.routed`); this imports neither torch nor the method.

    Args:
        name: the method in small letters; its PEFT type is the same in capitals.
        package: the module whose import enters it into PEFT (`cme.adapters.registration.register_method`).
        config: name of its configuration in that module, a `cme.adapters.routed.config.RoutedConfig`.
        summary: one line.
        citation: where it was published.
        settings: the fields of `AdapterSettings` that it honours. With ``"options"`` among them, the configuration's
            further fields are set by ``options`` in a recipe, or ``--set`` on the command line.
    """

    def config_class() -> Any:
        return getattr(importlib.import_module(package), config)

    def make(chosen: "AdapterSettings", common: Mapping[str, Any]) -> Any:
        own = [key for key in settings if key not in ("target_modules", "options")]
        values = {_FIELDS.get(key, key): getattr(chosen, key) for key in own} | {"lora_alpha": chosen.lora_alpha}
        return config_class()(**values, **common, **chosen.options)

    def check(options: Mapping[str, Any]) -> list[str]:
        taken = {_FIELDS.get(key, key) for key in settings}
        return option_problems(options, (item.name for item in fields(config_class()) if item.name not in taken))

    return Method(name, summary, settings, citation, make, package, check if "options" in settings else None)


def option_problems(options: Mapping[str, Any], known: Iterator[str]) -> list[str]:
    """A line for each option that is not among ``known``."""
    names, problems = sorted(known), []
    for key in options:
        if key not in names:
            hint = nearest(str(key), names)
            problems.append(f"unknown option {key!r}" + (f" (did you mean {hint!r}?)" if hint else ""))
    return problems


def _lora(settings: "AdapterSettings", common: Mapping[str, Any]) -> Any:
    from peft import LoraConfig

    alpha = settings.lora_alpha
    return LoraConfig(
        r=settings.rank,
        lora_alpha=int(alpha) if alpha == int(alpha) else alpha,
        lora_dropout=settings.dropout,
        **common,
    )


_BUILT_IN = (
    Method(
        name="lora",
        summary="One low-rank pair B·A beside each frozen layer; merges exactly.",
        settings=PLAIN,
        citation="Hu et al., ICLR 2022, arXiv 2106.09685",
        make=_lora,
    ),
    routed_method(
        "teamlora",
        package="cme.adapters.teamlora",
        config="TeamLoraConfig",
        summary="Experts that share one A and compete by an interaction matrix; a gate per token.",
        citation="Lin et al., ACL 2025, arXiv 2408.09856",
        settings=(*ROUTED, "collaboration", "competition", "router_hidden"),
    ),
)


class _Methods(Mapping[str, Method]):
    """Methods by name; one of another package is imported when it is first asked for."""

    def __init__(self) -> None:
        self._known = {method.name: method for method in _BUILT_IN}

    def __getitem__(self, name: str) -> Method:
        if name not in self._known and name in entry_points():
            self._known[name] = load(name, Method)
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        built_in = [method.name for method in _BUILT_IN]
        yield from built_in
        yield from (name for name in entry_points() if name not in built_in)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in set(self)


METHODS: Mapping[str, Method] = _Methods()


def build_config(settings: "AdapterSettings", model: Any) -> Any:
    """PEFT's configuration for these settings.

    Args:
        settings: from `settings_from`.
        model: the base, in which the feed-forward projections are found when the settings name no target modules.

    Raises:
        UsageError: the base has no feed-forward projections that CME knows.
    """
    from cme.adapters.targets import ffn_targets

    targets = settings.target_modules
    if targets is None:
        targets = tuple(ffn_targets(model))
    encodes = getattr(getattr(model, "config", None), "is_encoder_decoder", False)
    common = {
        "target_modules": list(targets) if isinstance(targets, tuple) else targets,
        "task_type": "SEQ_2_SEQ_LM" if encodes else "CAUSAL_LM",
    }
    try:
        return METHODS[settings.method].make(settings, common)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{settings.method}: {error}") from error
