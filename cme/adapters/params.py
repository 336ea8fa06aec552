"""Counting the parameters that an adapter trains. The model is built on the meta device, so no weights are needed.

Equal ranks do not mean equal sizes across methods, so CME reports the count together with the rank. The share is the number
of trainable parameters divided by the number of the BASE's parameters. This definition reproduces four of the six shares
that are reported for the TeamLoRA paper exactly, and two within 0.03 points: 1.86 % against 1.84 % for HydraLoRA, and 1.37 %
against 1.35 % for TeamLoRA at rank 16. PEFT divides by the parameters of base and adapter together, which gives 2.61 %
where 2.68 % is reported.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cme.adapters.methods import build_config
from cme.adapters.settings import AdapterSettings
from cme.adapters.starts import refuse_ignored
from cme.errors import SourceError, UsageError, unknown
from cme.models.kinds import auto_class
from cme.models.language import outside_language

__all__ = ["SHAPES", "ParameterCount", "count", "formula_trainable", "linear_shapes", "meta_model"]

_FOLDER = Path(__file__).with_name("shapes")
_MOST = 1_000
"""An adapter with more than this many times the base's parameters is refused as a mistake, such as a mistyped rank."""
SHAPES = tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


@dataclass(frozen=True)
class ParameterCount:
    """The parameter counts of an adapter and its base.

    Attributes:
        total_base: Number of parameters of the base. Tied parameters count once.
        trainable: Number of parameters that the adapter trains. For AdaLoRA this is the number before pruning.
        share_percent: 100 · trainable / total_base.
        per_module: Number of trainable parameters by adapted module. It is empty without an adapter.
    """

    total_base: int
    trainable: int
    share_percent: float
    per_module: dict[str, int]


def count(base: Any, settings: AdapterSettings) -> ParameterCount:
    """Build the base and the adapter on the meta device and count their parameters.

    Args:
        base: A model folder, a ``config.json``, one of `SHAPES`, or a transformers configuration.
        settings: The adapter's settings. With the method ``full``, every parameter of the base is trained, or of the
            language model in a vision-language base.

    Raises:
        UsageError: The folder, file or shape does not exist, or the adapter does not fit the base.
        SourceError: The folder or file holds no model configuration.
    """
    import torch
    from peft import get_peft_model

    from cme.adapters.registration import register_all

    register_all()
    model = meta_model(base)
    total = sum(parameter.numel() for parameter in model.parameters())
    config = build_config(settings, model)
    if config is None:
        weights = dict(model.named_parameters())
        trainable = total - sum(weights[name].numel() for name in outside_language(model, weights))
        return ParameterCount(total, trainable, 100 * trainable / total, {})
    try:
        with torch.device("meta"), refuse_ignored(settings.options):
            adapted = get_peft_model(model, config)
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError, UsageError) as error:
        raise UsageError(f"{settings.method} does not fit this base: {error}") from error
    except RuntimeError as error:
        if "overflow" in str(error):
            raise UsageError(
                f"{settings.method} does not fit this base: its weights are too large ({error})."
            ) from error
        raise
    per_module: dict[str, int] = {}
    for name, module in adapted.get_base_model().named_modules():
        if hasattr(module, "base_layer"):
            per_module[name] = sum(weight.numel() for weight in module.parameters() if weight.requires_grad)
    trainable = sum(parameter.numel() for parameter in adapted.parameters() if parameter.requires_grad)
    if trainable > _MOST * total:
        raise UsageError(
            f"{settings.method} would train {trainable:,} parameters, which is {trainable / total:,.0f} times as many as the "
            "base has. Lower the rank."
        )
    return ParameterCount(total, trainable, 100 * trainable / total, per_module)


def linear_shapes(base: Any) -> dict[str, tuple[int, int]]:
    """Return the number of inputs and outputs (d, m) of each feed-forward projection of a base, by module name.

    Args:
        base: The base, as for `count`.
    """
    from cme.adapters.targets import ffn_targets

    model = meta_model(base)
    suffixes = tuple(f".{name}" for name in ffn_targets(model))
    return {
        name: (module.in_features, module.out_features)
        for name, module in model.named_modules()
        if name.endswith(suffixes)
    }


def formula_trainable(
    method: str,
    shapes: Iterable[tuple[int, int]],
    *,
    rank: int,
    experts: int = 4,
    competition: bool = True,
    core_router: bool = True,
) -> int:
    """Compute the number of trainable parameters by formula, to check the count of the built model.

    A layer has d inputs and m outputs, R = k·r, and the router is one linear layer. The formulas per layer are:

    * ``lora``: r(d+m)
    * ``adalora``: r(d+m+1) at its initial rank
    * ``moslora``: r(d+m) + r²
    * ``moelora``: R(d+m) + k·d
    * ``hydralora``: r·d + R·m + k·d
    * ``teamlora``: R(d+m) + k·d + k², where k² is the interaction matrix
    * ``mola``: R(d+m) + k·d, if all layers have the same number of experts
    * ``adamole``: R(d+m) + (k+1)·d + 1, where d + 1 belong to the threshold
    * ``comol``: r(d+m) + k·r² + k·r, or k·d in place of k·r if the router reads x
    * ``smora``: r(2d+m)
    * ``flylora``: r·m

    Args:
        method: One of these methods.
        shapes: The pair (d, m) of every adapted layer.
        rank: The rank r, of one expert for methods with experts.
        experts: The number of experts, k.
        competition: Whether TeamLoRA has its interaction matrix.
        core_router: Whether CoMoL's router reads A x.

    Raises:
        UsageError: There is no formula for the method.
    """
    r, k = rank, experts
    formulas = {
        "lora": lambda d, m: r * (d + m),
        "adalora": lambda d, m: r * (d + m + 1),
        "moslora": lambda d, m: r * (d + m) + r * r,
        "moelora": lambda d, m: k * r * (d + m) + k * d,
        "hydralora": lambda d, m: r * d + k * r * m + k * d,
        "teamlora": lambda d, m: k * r * (d + m) + k * d + (k * k if competition else 0),
        "mola": lambda d, m: k * r * (d + m) + k * d,
        "adamole": lambda d, m: k * r * (d + m) + (k + 1) * d + 1,
        "comol": lambda d, m: r * (d + m) + k * r * r + k * (r if core_router else d),
        "smora": lambda d, m: r * (2 * d + m),
        "flylora": lambda d, m: r * m,
    }
    if method not in formulas:
        raise unknown("method", method, formulas)
    return sum(formulas[method](d, m) for d, m in shapes)


def meta_model(base: Any) -> Any:
    """Build the base on the meta device.

    It can be an encoder-decoder, a causal language model, or a language model with a vision tower.

    Args:
        base: The base, as for `count`.

    Raises:
        UsageError: The folder, file or shape does not exist, or the model is not a language model.
        SourceError: The folder or file holds no model configuration.
    """
    import torch
    from transformers import AutoModelForSeq2SeqLM

    config = _read_config(base)
    factory = AutoModelForSeq2SeqLM if config.is_encoder_decoder else auto_class(config)
    if factory is None or type(config) not in factory._model_mapping:
        raise UsageError(f"{base} is a {config.model_type!r}, which transformers cannot build as a language model.")
    with torch.device("meta"):
        return factory.from_config(config)


def _read_config(base: Any) -> Any:
    from transformers import AutoConfig, PreTrainedConfig

    if isinstance(base, PreTrainedConfig):
        return base
    path = Path(base).expanduser()
    if not path.exists():
        path = _FOLDER / f"{base}.json"
        if not path.is_file():
            raise unknown("model shape (and no such folder or file)", str(base), SHAPES)
    try:
        return AutoConfig.from_pretrained(str(path))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} holds no model configuration: {error}") from error
