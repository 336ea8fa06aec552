"""Checks of an adapter before its experts are analysed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cme.adapters.expert_facts import gates_tie, names_matrices, trained_besides
from cme.errors import AdapterError, UsageError
from cme.readers.json_file import read_json

__all__ = [
    "Experts",
    "check_equal_numbers",
    "check_experts",
    "check_matrices",
    "check_nothing_else",
    "expert_rank",
    "is_untrained",
]


class Experts:
    """The experts of an adapter.

    Attributes:
        count: number of experts, k.
        rank: rank of each expert.
        method: method of the adapter in lower case.
        ties: whether no expert of a token is the best one (`cme.adapters.expert_facts.gates_tie`).
    """

    def __init__(self, count: int, rank: int, method: str, *, ties: bool = False) -> None:
        self.count, self.rank, self.method, self.ties = count, rank, method, ties


def check_experts(folder: Path) -> Experts:
    """Check that an adapter has several experts that were trained, from its files alone.

    Args:
        folder: folder of the adapter.

    Raises:
        UsageError: the adapter has no experts or a single one, its layers have different numbers of them, or it was never
            trained.
        AdapterError: the folder holds no adapter.
    """
    config = read_json(folder / "adapter_config.json", error=AdapterError)
    values: dict[str, Any] = config if isinstance(config, dict) else {}
    method, experts = str(values.get("peft_type", "unknown")).lower(), values.get("experts")
    if not isinstance(experts, int) or isinstance(experts, bool):
        raise UsageError(
            f"{folder} has no experts (its method is {method}), so there is nothing to analyse. Give an adapter of a routed "
            "method, such as moelora, teamlora or mola ('cme ls methods' lists them)."
        )
    if experts < 2:
        raise UsageError(
            f"{folder} has a single expert, which always has all of the load. Give an adapter with at least two experts."
        )
    if is_untrained(folder):
        raise UsageError(
            f"{folder} was never trained: all matrices B of its experts are zero, so it does nothing. Train it first."
        )
    return Experts(experts, expert_rank(values), method, ties=gates_tie(values))


def expert_rank(config: Mapping[str, Any]) -> int:
    """Return the rank of each expert of an adapter.

    Args:
        config: the configuration of the adapter as JSON values.
    """
    from cme.adapters.methods import ranks_of

    rankwise = ranks_of(str(config.get("peft_type", "")).lower()) == "single"
    return 1 if rankwise else int(config.get("r") or 1)


def check_equal_numbers(folder: Path, config: Mapping[str, Any], done: str) -> None:
    """Check that all layers of an adapter have the same number of experts.

    Args:
        folder: folder of the adapter.
        config: its configuration as JSON values.
        done: what needs this, for the message.

    Raises:
        UsageError: the numbers differ by layer.
    """
    if config.get("experts_pattern"):
        raise UsageError(
            f"the layers of {folder} have different numbers of experts (experts_pattern), so {done}. Give an adapter "
            "with the same number in every layer."
        )


def check_matrices(config: Mapping[str, Any]) -> None:
    """Check that the weights of an adapter's experts can be compared.

    Args:
        config: the configuration of the adapter as JSON values.

    Raises:
        UsageError: the layers of its method do not name the experts' matrices.
    """
    if not names_matrices(config):
        raise UsageError(
            f"the layers of {str(config.get('peft_type')).lower()} have no matrices A and B under the names of CME's methods, so "
            "the experts' weights cannot be compared. Leave out the part similarity."
        )


def check_nothing_else(folder: Path, config: Mapping[str, Any]) -> None:
    """Check that an adapter trains nothing but its experts and routers, so that it is the base without any expert.

    Args:
        folder: folder of the adapter.
        config: its configuration as JSON values.

    Raises:
        UsageError: it also trains biases or whole modules.
    """
    if besides := trained_besides(folder, config):
        raise UsageError(
            f"{folder} also trains {' and '.join(besides)}. Without any expert, it is then not the base, so the gain over the "
            "base cannot be divided among the experts. Choose --parts load,similarity, or train an adapter without bias and "
            "modules_to_save."
        )


def is_untrained(folder: Path) -> bool:
    """Return whether all matrices B of an adapter's experts are zero.

    Args:
        folder: folder of the adapter.

    Raises:
        AdapterError: its weights cannot be read.
    """
    from safetensors import SafetensorError, safe_open

    file = folder / "adapter_model.safetensors"
    if not file.is_file():
        raise AdapterError(f"{folder} has no adapter_model.safetensors. Give a folder that 'cme train' wrote.")
    try:
        with safe_open(file, framework="pt") as tensors:
            names = [name for name in tensors.keys() if name.endswith("_B")]  # noqa: SIM118 (it is no dict)
            return bool(names) and not any(bool(tensors.get_tensor(name).any()) for name in names)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"{file} cannot be read ({error}). Train or download the adapter again.") from error
