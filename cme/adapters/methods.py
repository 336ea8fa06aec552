"""The methods that CME trains and compares: its own, PEFT's, and those of other packages."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import cached_property
from importlib.metadata import EntryPoint
from typing import Any, get_type_hints

from cme.adapters.facts import FACTS, Facts
from cme.adapters.method import PLAIN, ROUTED, Method, Ranks
from cme.adapters.peft_methods import check_adalora, check_peft, make_adalora, make_full, make_peft
from cme.adapters.plugins import entry_points, import_package, load, package_of, warn_once
from cme.adapters.refused import missing_method
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
    "ranks_of",
    "routed_method",
    "unknown_method",
]

_SPARSE = (*PLAIN, "experts", "gate_sum", "balance_weight", "balance_form", "options")
"""Settings of methods with experts that have options. The former name ``gate_scale`` is older than these methods."""

_FIELDS = {"rank": "r", "alpha": "lora_alpha", "dropout": "lora_dropout"}
"""PEFT's names of the settings that have another name in CME."""


def routed_method(
    name: str,
    *,
    package: str,
    config: str,
    summary: str,
    citation: str,
    settings: tuple[str, ...] = ROUTED,
    gate_sum: int | str = 1,
    free_gates: bool = False,
    ranks: Ranks = "own",
    facts: Facts | None = None,
) -> Method:
    """Create a method that is built on `cme.adapters.routed`.

    Args:
        name: See `low_rank_method`.
        package: See `low_rank_method`.
        config: See `low_rank_method`.
        summary: See `Method`.
        citation: See `Method`.
        settings: See `low_rank_method`.
        gate_sum: See `Method`.
        free_gates: See `Method`. A method whose ``gate_sum`` is ``"free"`` by default always has them.
        ranks: See `Method`.
        facts: See `Method`.
    """
    method = low_rank_method(
        name,
        package=package,
        config=config,
        summary=summary,
        citation=citation,
        settings=settings,
        ranks=ranks,
        facts=facts,
    )
    return replace(method, gate_sum=gate_sum, free_gates=free_gates or gate_sum == "free")


def low_rank_method(
    name: str,
    *,
    package: str,
    config: str,
    summary: str,
    citation: str,
    settings: tuple[str, ...] = PLAIN,
    ranks: Ranks = "own",
    facts: Facts | None = None,
) -> Method:
    """Create a method whose configuration class derives from `cme.adapters.low_rank.config.LowRankConfig`.

    The call itself imports neither torch nor the method's package.

    Args:
        name: The method's name in lower case. Its PEFT type is the same name in upper case.
        package: The module that registers the method when it is imported, with
            `cme.adapters.registration.register_method`.
        config: The name of the configuration class in that module.
        summary: A description of one line.
        citation: The publication that introduced the method.
        settings: The fields of `AdapterSettings` that the method uses. If they include ``"options"``, the other fields of
            the configuration can be set with ``options`` in a recipe or ``--set`` on the command line.
        ranks: See `Method`. ``"single"`` for a method in which every rank is an expert.
        facts: See `Method`.
    """

    def config_class() -> Any:
        return getattr(import_package(package, METHODS.plugins.get(name)), config)

    def make(chosen: AdapterSettings, common: Mapping[str, Any]) -> Any:
        # A setting that is None takes the default of the configuration class.
        own = [key for key in settings if key not in ("target_modules", "options") and getattr(chosen, key) is not None]
        values = {_FIELDS.get(key, key): getattr(chosen, key) for key in own} | {"lora_alpha": chosen.lora_alpha}
        return config_class()(**values, **common, **chosen.options)

    def check(options: Mapping[str, Any]) -> list[str]:
        from peft import PeftConfig

        hints = get_type_hints(config_class())
        taken = {
            *(_FIELDS.get(key, key) for key in settings),
            *(item.name for item in fields(PeftConfig)),
            "gate_scale",
        }
        wrong = {key: problem_of(value, hints[key]) for key, value in options.items() if key in hints}
        moved = {key: _elsewhere(key, settings) for key in options}
        others = {key: value for key, value in options.items() if not moved[key]}
        return [
            *filter(None, moved.values()),
            *option_problems(others, (item.name for item in fields(config_class()) if item.name not in taken)),
            *(f"{key}: {problem}" for key, problem in wrong.items() if problem and key not in taken),
        ]

    own_check = check if "options" in settings else None
    return Method(name, summary, settings, citation, make, package, own_check, ranks=ranks, facts=facts or Facts())


def _elsewhere(key: str, settings: Sequence[str]) -> str | None:
    """Return how something is set that is no option of a method, but a setting with a name of its own; None otherwise."""
    names = {field: name for name, field in _FIELDS.items()}
    name = "gate_sum" if key == "gate_scale" else names.get(key, key)
    if name not in settings or name in ("options", "target_modules"):
        return None
    former = f" is the former name of {name}, which" if key == "gate_scale" else ""
    return f"{key}{former} is a setting of its own: give {name} (--{name.replace('_', '-')}) in place of an option"


def _check_peft(options: Mapping[str, Any]) -> list[str]:
    """Return the problems that `check_peft` reports, or that CME has a method of its own for this PEFT type."""
    kind = options.get("peft_type")
    own = str(kind).lower()
    if own in METHODS and own != "lora":
        return [f"{kind} is available as the method {own!r} of CME. Use that method instead of 'peft'"]
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
        summary="One low-rank product B·A beside each frozen layer. Can be merged exactly.",
        settings=PLAIN,
        citation="Hu et al., ICLR 2022, arXiv 2106.09685",
        make=_lora,
    ),
    low_rank_method(
        "moslora",
        package="cme.adapters.moslora",
        config="MosLoraConfig",
        summary="LoRA with a learnable r x r mixer between A and B. Can be merged exactly and exported to plain LoRA.",
        citation="Wu et al., EMNLP 2024, arXiv 2406.11909",
    ),
    routed_method(
        "moelora",
        package="cme.adapters.moelora",
        config="MoeLoraConfig",
        summary="Experts with an A and a B each, and a softmax router per token. TeamLoRA without competition.",
        citation="the baseline of Lin et al., ACL 2025, arXiv 2408.09856",
    ),
    routed_method(
        "hydralora",
        package="cme.adapters.hydralora",
        config="HydraLoraConfig",
        summary="One A for all experts, a B for each expert, and a softmax router per token.",
        citation="Tian et al., NeurIPS 2024, arXiv 2404.19245",
    ),
    routed_method(
        "teamlora",
        package="cme.adapters.teamlora",
        config="TeamLoraConfig",
        summary="Experts that share one A and compete through an interaction matrix, and a router per token.",
        citation="Lin et al., ACL 2025, arXiv 2408.09856",
        settings=(*ROUTED, "collaboration", "competition", "router_hidden"),
        gate_sum="free",
    ),
    routed_method(
        "mola",
        package="cme.adapters.mola",
        config="MolaConfig",
        summary="Experts with an A and a B each, of which each token uses the top_k with the largest gate weights.",
        citation="Gao et al., NAACL 2025, arXiv 2402.08562",
        settings=_SPARSE,
    ),
    routed_method(
        "adamole",
        package="cme.adapters.adamole",
        config="AdaMoleConfig",
        summary="Experts with an A and a B each, of which each token uses those above a learned threshold.",
        citation="Liu and Luo, COLM 2024, arXiv 2405.00361",
        settings=_SPARSE,
    ),
    routed_method(
        "comol",
        package="cme.adapters.comol",
        config="CoMolConfig",
        summary="One A and one B, an r x r core matrix for each expert, and a softmax router per token that reads A x.",
        citation="Cao et al. (TeamLoRA's group), Findings of ACL 2026, arXiv 2603.00573",
        settings=_SPARSE,
        ranks="shared",
    ),
    low_rank_method(
        "smora",
        package="cme.adapters.smora",
        config="SMoraConfig",
        summary="Every rank is an expert, and a router chooses top_k ranks per token, balanced by a selection bias.",
        citation="Zhao et al., KDD 2026, arXiv 2501.15103",
        settings=(*PLAIN, "options"),
        ranks="single",
    ),
    low_rank_method(
        "flylora",
        package="cme.adapters.flylora",
        config="FlyLoraConfig",
        summary="A frozen sparse A, whose largest outputs choose top_k ranks per token. Only B is trained.",
        citation="Zou et al., NeurIPS 2025, arXiv 2510.08396",
        settings=(*PLAIN, "options"),
        ranks="single",
    ),
    Method(
        name="adalora",
        summary="LoRA in SVD form. The least important ranks are pruned, from 1.5 × rank to rank on average.",
        settings=(*PLAIN, "options"),
        citation="Zhang et al., ICLR 2023, arXiv 2303.10512",
        make=make_adalora,
        check=check_adalora,
    ),
    Method(
        name="peft",
        summary="Any other PEFT method, given by the fields of its configuration (--peft-config FILE.yaml).",
        settings=("target_modules", "options"),
        citation="PEFT, github.com/huggingface/peft",
        make=make_peft,
        check=_check_peft,
    ),
    Method(
        name="full",
        summary="Full fine-tuning. Every parameter of the base is trained, and there is no adapter.",
        settings=(),
        citation="",
        make=make_full,
    ),
)


class UnknownMethodError(UsageError, KeyError):
    """There is no method of that name."""

    __str__ = Exception.__str__


class Methods(Mapping[str, Method]):
    """A mapping from names to methods. Methods of other packages are imported at their first use.

    ``in`` imports nothing. An unknown name raises `UnknownMethodError`. Looking up a method that cannot be imported raises
    `AdapterError`. Iterating skips such a method with one warning.
    """

    def __init__(self) -> None:
        self._known = {method.name: replace(method, facts=FACTS[method.name]) for method in _BUILT_IN}
        self._own = tuple(self._known)
        self._broken: dict[str, str] = {}

    @cached_property
    def plugins(self) -> dict[str, EntryPoint]:
        """The entry points of the methods of other packages, by name."""
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
            raise UnknownMethodError(unknown_method(name))
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

    def register(self, name: str) -> None:
        """Register a method with PEFT. This imports the method's package, peft and torch.

        Raises:
            AdapterError: The method belongs to another package, which cannot be imported.
        """
        if package := self[name].package:
            import_package(package, self.plugins.get(name))

    def source(self, name: str) -> str:
        """Return the distribution that provides a method, by its name for pip, such as ``cme-bench``."""
        return package_of(self.plugins[name]) if name in self.plugins else DISTRIBUTION


METHODS = Methods()


def ranks_of(name: str) -> Ranks:
    """Return to which experts the ranks of a method belong: ``"own"`` for a method that is not installed.

    Args:
        name: The method's name, or its PEFT type in lower case.
    """
    return METHODS[name].ranks if name in METHODS else "own"


def unknown_method(name: str) -> str:
    """Return the message for a name that is not a method: why CME does not have the method, or the nearest name."""
    return missing_method(name) or str(unknown("method", name, METHODS))


def build_config(settings: AdapterSettings, model: Any) -> Any:
    """Create PEFT's configuration for the settings.

    Args:
        settings: The settings, as returned by `settings_from`.
        model: The base. If the settings name no target modules, its feed-forward projections are adapted.

    Returns:
        The configuration, or None for the method ``full``, which has no adapter.

    Raises:
        UsageError: The base has no feed-forward projections that CME knows, the base lacks a layer that the settings name,
            or the method rejects the settings.
    """
    from cme.adapters.targets import check_targets, ffn_targets, language_targets, refuse_unmatched
    from cme.patterns import check_patterns

    targets = settings.target_modules
    modules = [name for name, _ in model.named_modules()]
    check_patterns(settings.options, modules)
    refuse_unmatched(settings.options, modules)
    if targets is not None:
        check_targets(model, targets, any_layer=settings.method == "peft")
        narrowed = language_targets(model, targets)
        targets = narrowed if isinstance(narrowed, str) else tuple(narrowed)
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
