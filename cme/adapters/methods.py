"""The methods that CME trains and compares: its own, PEFT's, and those of other packages."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Any, get_type_hints

from cme.adapters.peft_methods import check_adalora, check_peft, make_adalora, make_full, make_peft
from cme.adapters.plugins import entry_points, import_package, load, package_of, warn_once
from cme.adapters.settings import AdapterSettings, option_problems
from cme.config import problem_of
from cme.errors import AdapterError, UsageError, unknown
from cme.paths import DISTRIBUTION

__all__ = [
    "METHODS",
    "PLAIN",
    "ROUTED",
    "Method",
    "Methods",
    "UnknownMethodError",
    "build_config",
    "low_rank_method",
    "routed_method",
]

PLAIN = ("rank", "alpha", "dropout", "target_modules")
"""Settings of every low-rank adapter."""

ROUTED = (*PLAIN, "experts", "gate_sum", "gate_scale", "balance_weight", "balance_form")
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
        gate_sum: the default of the setting of that name, for methods that have it.
    """

    name: str
    summary: str
    settings: tuple[str, ...]
    citation: str
    make: Callable[[AdapterSettings, Mapping[str, Any]], Any]
    package: str = ""
    check: Callable[[Mapping[str, Any]], list[str]] | None = None
    gate_sum: int | str = 1


def routed_method(
    name: str,
    *,
    package: str,
    config: str,
    summary: str,
    citation: str,
    settings: tuple[str, ...] = ROUTED,
    gate_sum: int | str = 1,
) -> Method:
    """A method on the one core (`cme.adapters.routed`); arguments as for `low_rank_method` and `Method`."""
    method = low_rank_method(
        name, package=package, config=config, summary=summary, citation=citation, settings=settings
    )
    return replace(method, gate_sum=gate_sum)


def low_rank_method(
    name: str, *, package: str, config: str, summary: str, citation: str, settings: tuple[str, ...] = PLAIN
) -> Method:
    """A method whose configuration is a `cme.adapters.low_rank.config.LowRankConfig`; this imports neither torch nor it.

    Args:
        name: the method in small letters; its PEFT type is the same in capitals.
        package: the module whose import enters it into PEFT (`cme.adapters.registration.register_method`).
        config: name of its configuration in that module.
        summary: one line.
        citation: where it was published.
        settings: the fields of `AdapterSettings` that it honours. With ``"options"`` among them, the configuration's
            further fields are set by ``options`` in a recipe, or ``--set`` on the command line.
    """

    def config_class() -> Any:
        return getattr(import_package(package, METHODS.plugins.get(name)), config)

    def make(chosen: AdapterSettings, common: Mapping[str, Any]) -> Any:
        # What is None is left to the configuration's own default.
        own = [key for key in settings if key not in ("target_modules", "options") and getattr(chosen, key) is not None]
        values = {_FIELDS.get(key, key): getattr(chosen, key) for key in own} | {"lora_alpha": chosen.lora_alpha}
        return config_class()(**values, **common, **chosen.options)

    def check(options: Mapping[str, Any]) -> list[str]:
        from peft import PeftConfig

        hints = get_type_hints(config_class())
        taken = {*(_FIELDS.get(key, key) for key in settings), *(item.name for item in fields(PeftConfig))}
        wrong = {key: problem_of(value, hints[key]) for key, value in options.items() if key in hints}
        return [
            *option_problems(options, (item.name for item in fields(config_class()) if item.name not in taken)),
            *(f"{key}: {problem}" for key, problem in wrong.items() if problem and key not in taken),
        ]

    return Method(name, summary, settings, citation, make, package, check if "options" in settings else None)


def _check_peft(options: Mapping[str, Any]) -> list[str]:
    """`check_peft`, and types of PEFT that have a method of their own here."""
    kind = options.get("peft_type")
    own = str(kind).lower()
    if own in METHODS and own != "lora":
        return [f"{kind} has a method of its own in CME: give the method {own!r} in place of 'peft'"]
    return check_peft(options)


def _lora(settings: AdapterSettings, common: Mapping[str, Any]) -> Any:
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
    low_rank_method(
        "moslora",
        package="cme.adapters.moslora",
        config="MosLoraConfig",
        summary="LoRA with a learnable r x r mixer between A and B; merges exactly, exports to plain LoRA.",
        citation="Wu et al., EMNLP 2024, arXiv 2406.11909",
    ),
    routed_method(
        "moelora",
        package="cme.adapters.moelora",
        config="MoeLoraConfig",
        summary="Experts with an A and a B each; a softmax gate per token: TeamLoRA without competition.",
        citation="the baseline of Lin et al., ACL 2025, arXiv 2408.09856",
    ),
    routed_method(
        "hydralora",
        package="cme.adapters.hydralora",
        config="HydraLoraConfig",
        summary="One A for all experts, a B for each; a softmax gate per token.",
        citation="Tian et al., NeurIPS 2024, arXiv 2404.19245",
    ),
    routed_method(
        "teamlora",
        package="cme.adapters.teamlora",
        config="TeamLoraConfig",
        summary="Experts that share one A and compete by an interaction matrix; a gate per token.",
        citation="Lin et al., ACL 2025, arXiv 2408.09856",
        settings=(*ROUTED, "collaboration", "competition", "router_hidden"),
        gate_sum="free",
    ),
    Method(
        name="adalora",
        summary="LoRA in SVD form; ranks start at 1.5 × rank and are pruned to that average where they matter least.",
        settings=(*PLAIN, "options"),
        citation="Zhang et al., ICLR 2023, arXiv 2303.10512",
        make=make_adalora,
        check=check_adalora,
    ),
    Method(
        name="peft",
        summary="Any other method of PEFT, by the fields of its configuration (--peft-config FILE.yaml).",
        settings=("target_modules", "options"),
        citation="PEFT, github.com/huggingface/peft",
        make=make_peft,
        check=_check_peft,
    ),
    Method(
        name="full",
        summary="No adapter: every parameter of the base is trained.",
        settings=(),
        citation="",
        make=make_full,
    ),
)


class UnknownMethodError(UsageError, KeyError):
    """There is no method of that name."""

    __str__ = Exception.__str__


class Methods(Mapping[str, Method]):
    """Methods by name; those of other packages are imported when they are first asked for.

    ``in`` imports nothing. A name that does not exist raises `UnknownMethodError`. A method that cannot be imported raises
    `AdapterError` when it is asked for by its name; who goes through all of them gets the others, and one warning.
    """

    def __init__(self) -> None:
        self._known = {method.name: method for method in _BUILT_IN}
        self._own = tuple(self._known)
        self._broken: dict[str, str] = {}

    @cached_property
    def plugins(self) -> dict[str, EntryPoint]:
        """Where the methods of other packages come from, by name."""
        return entry_points(self._own)

    def __getitem__(self, name: str) -> Method:
        if name in self._broken:
            raise AdapterError(self._broken[name])
        if name not in self._known and name in self.plugins:
            try:
                self._known[name] = load(self.plugins[name], Method)
            except AdapterError as error:
                self._broken[name] = str(error)
                raise
        if name not in self._known:
            raise UnknownMethodError(str(unknown("method", name, self)))
        return self._known[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._own
        for name in self.plugins:
            try:
                self[name]
            except AdapterError as error:
                warn_once(str(error))
            else:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._own or name in self.plugins

    def enter(self, name: str) -> None:
        """Enter a method into PEFT (imports its package, with peft and torch).

        Raises:
            AdapterError: it is another package's, which cannot be imported.
        """
        if package := self[name].package:
            import_package(package, self.plugins.get(name))

    def source(self, name: str) -> str:
        """The package that a method comes with, as pip knows it: ``cme-bench``, or another."""
        return package_of(self.plugins[name]) if name in self.plugins else DISTRIBUTION


METHODS = Methods()


def build_config(settings: AdapterSettings, model: Any) -> Any:
    """PEFT's configuration for these settings; None for ``full``, which has no adapter.

    Args:
        settings: from `settings_from`.
        model: the base, in which the feed-forward projections are found when the settings name no target modules.

    Raises:
        UsageError: the base has no feed-forward projections that CME knows, or lacks a layer that the settings name; or
            the method refuses the settings.
    """
    from cme.adapters.targets import check_targets, ffn_targets
    from cme.patterns import check_patterns

    targets = settings.target_modules
    check_patterns(settings.options, (name for name, _ in model.named_modules()))
    if targets is not None:
        check_targets(model, targets, any_layer=settings.method == "peft")
    elif "target_modules" in METHODS[settings.method].settings and not settings.options.get("target_parameters"):
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
