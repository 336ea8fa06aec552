"""Which experts of a routed adapter an evaluation uses: ``top1``, ``keep:0,2`` or ``drop:1``."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.errors import AdapterError, UsageError
from cme.readers.json_file import read_json

if TYPE_CHECKING:
    from cme.adapters.routed.masks import Keep

__all__ = ["ExpertChoice", "check_experts", "masked"]

_FORMS = "Give top1, keep:0,2 or drop:1, with :renormalise behind it to scale the remaining gate weights to their sum."


@dataclass(frozen=True)
class ExpertChoice:
    """A choice of experts.

    Attributes:
        kind: ``"top1"`` (the expert with the largest gate weight of each token), ``"keep"`` or ``"drop"``.
        numbers: the experts to keep or to drop, in ascending order.
        renormalises: whether the remaining gate weights are scaled to the sum of all.
    """

    kind: str
    numbers: tuple[int, ...] = ()
    renormalises: bool = False

    @classmethod
    def parse(cls, text: str) -> "ExpertChoice":
        """Parse a choice.

        Args:
            text: the choice, such as ``keep:0,2`` or ``top1:renormalise``. ``keep:`` keeps no expert.

        Raises:
            UsageError: the text is not a choice.
        """
        kind, *rest = text.strip().split(":")
        renormalises = bool(rest) and rest[-1] == "renormalise"
        rest = rest[:-1] if renormalises else rest
        if kind == "top1" and not rest:
            return cls("top1", (), renormalises)
        numbers = rest[0].split(",") if rest and rest[0] else []
        if kind not in ("keep", "drop") or len(rest) != 1 or not all(n.isascii() and n.isdigit() for n in numbers):
            raise UsageError(f"{text!r} is not a choice of experts. {_FORMS}")
        if kind == "drop" and not numbers:
            raise UsageError(f"{text!r} drops no expert. {_FORMS}")
        return cls(kind, tuple(sorted({int(number) for number in numbers})), renormalises)

    def __str__(self) -> str:
        numbers = "" if self.kind == "top1" else ":" + ",".join(map(str, self.numbers))
        return f"{self.kind}{numbers}{':renormalise' if self.renormalises else ''}"

    def kept(self, experts: int, layer: str = "") -> list[int]:
        """Return the numbers of the remaining experts of a layer, for the kinds ``keep`` and ``drop``.

        Args:
            experts: number of experts of the layer.
            layer: name of the layer, if layers have different numbers of experts.

        Raises:
            UsageError: an expert does not exist.
        """
        if strange := [number for number in self.numbers if number >= experts]:
            where = f"The layer {layer} of this adapter" if layer else "This adapter"
            raise UsageError(f"there is no expert {strange[0]}. {where} has the experts 0 to {experts - 1}.")
        return [number for number in range(experts) if (number in self.numbers) == (self.kind == "keep")]


def check_experts(text: str, adapter: Path) -> None:
    """Check a choice of experts against the configuration of an adapter, before the model is loaded.

    Args:
        text: the choice.
        adapter: folder of the adapter.

    Raises:
        UsageError: the text is not a choice, the adapter has no experts, an expert does not exist in every layer, or no expert
            of a token is the best one.
        AdapterError: the configuration or the weights cannot be read.
    """
    from cme.adapters.expert_facts import experts_of_layers, gates_tie

    file = adapter / "adapter_config.json"
    config = read_json(file, error=AdapterError)
    experts = config.get("experts") if isinstance(config, dict) else None
    if not isinstance(experts, int):
        raise UsageError(
            f"{adapter} has no experts (method {_method(config)}), so none can be chosen. Leave out the choice of experts."
        )
    choice = ExpertChoice.parse(text)
    if choice.kind == "top1":
        if gates_tie(config):
            raise _tied(str(config["peft_type"]).lower())
        return
    for layer, number in experts_of_layers(adapter, config).items():
        choice.kept(number, layer)


@contextmanager
def masked(model: Any, text: str | None) -> Iterator[None]:
    """Use the chosen experts of the model's active adapter until the context ends.

    Args:
        model: the model.
        text: the choice, or None for all experts as the router weights them.

    Raises:
        UsageError: the model has no experts, an expert does not exist in every layer, or no expert of a token is the best one.
    """
    if text is None:
        with nullcontext():
            yield
        return
    from cme.adapters.routed.gates import routed_layers
    from cme.adapters.routed.masks import masked_experts

    choice = ExpertChoice.parse(text)
    layers = routed_layers(model)
    name = next((layer.active_adapters[0] for layer in layers.values()), "")
    configs = {path: layer.plans[name].config for path, layer in layers.items() if name in layer.plans}
    if not configs:
        raise UsageError(
            "the model has no adapter with experts, so none can be chosen. Leave out the choice of experts."
        )
    keep: Keep = "top1"
    if choice.kind == "top1":
        if tied := next((config for config in configs.values() if config.ties(vars(config))), None):
            raise _tied(str(tied.peft_type.value).lower())
    else:
        uneven = len({int(config.experts) for config in configs.values()}) > 1
        keep = {path: choice.kept(int(config.experts), path if uneven else "") for path, config in configs.items()}
    with masked_experts(model, keep, "renormalise" if choice.renormalises else "zero"):
        yield


def _tied(method: str) -> UsageError:
    from cme.adapters.expert_facts import TIES

    return UsageError(f"top1 does not exist for {method}: {TIES}. Choose experts with keep: or drop:.")


def _method(config: Any) -> str:
    return repr(config.get("peft_type")) if isinstance(config, dict) else "unknown"
