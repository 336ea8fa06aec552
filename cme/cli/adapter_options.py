"""Options for the settings of an adapter. An option that is not given leaves the choice to the recipe or the default."""

import functools
import inspect
from collections.abc import Callable, Sequence
from inspect import Parameter
from pathlib import Path
from typing import Annotated, Any

import typer

from cme.errors import UsageError

__all__ = ["Given", "adapter_options"]

Given = dict[str, Any]
"""The settings that were given on the command line, by their names in the API."""

_OPTIONS: dict[str, Any] = {
    "method": Annotated[str | None, typer.Option("--method", help="Adapter method; 'cme ls methods' lists them.")],
    "rank": Annotated[int | None, typer.Option("--rank", help="Rank of the adapter, or of each expert. Default: 8.")],
    "experts": Annotated[int | None, typer.Option("--experts", help="Number of experts. Default: 4.")],
    "alpha": Annotated[
        float | None,
        typer.Option("--alpha", help="lora_alpha; the adapter is scaled by alpha / rank. Default: 2 × rank."),
    ],
    "dropout": Annotated[float | None, typer.Option("--dropout", help="Dropout on the adapter's input. Default: 0.")],
    "target_modules": Annotated[
        str | None,
        typer.Option("--target-modules", help="Comma-separated layer names. Default: the feed-forward projections."),
    ],
    "collaboration": Annotated[
        bool | None,
        typer.Option(
            "--collaboration/--no-collaboration", help="TeamLoRA only: experts share one matrix A. Default: on."
        ),
    ],
    "competition": Annotated[
        bool | None,
        typer.Option(
            "--competition/--no-competition",
            help="TeamLoRA only: gate weights use the interaction matrix. Default: on.",
        ),
    ],
    "gate_sum": Annotated[
        str | None,
        typer.Option(
            "--gate-sum", help="Sum of the gate weights: free, 1 or experts. Default: free for TeamLoRA, else 1."
        ),
    ],
    "gate_scale": Annotated[
        str | None,
        typer.Option("--gate-scale", hidden=True, help="Earlier name of --gate-sum: a number, or 'experts'."),
    ],
    "balance_weight": Annotated[
        float | None, typer.Option("--balance-weight", help="Weight of the balance term in the loss. Default: 0.")
    ],
    "balance_form": Annotated[
        str | None,
        typer.Option("--balance-form", help="Form of the balance term: centred (default), released or switch."),
    ],
    "router_hidden": Annotated[
        int | None, typer.Option("--router-hidden", help="Hidden units of the router; 0 means one linear layer.")
    ],
    "options": Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Set a field of the method's configuration; may be repeated."),
    ],
    "peft_config": Annotated[
        Path | None,
        typer.Option("--peft-config", help="YAML file with peft_type and fields of any PEFT method."),
    ],
}


def adapter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add one option for each setting of an adapter to a command.

    Args:
        command: a function with a keyword-only parameter ``adapter: Given``. ``--help`` lists the options at the position
            of this parameter, and the function receives the given values in it.

    Returns:
        The command with the options.

    Raises:
        UsageError: when the command runs and a value of ``--set`` is not ``key=value`` or not valid YAML, or a key is given
            twice.
    """
    signature = inspect.signature(command)
    options = [Parameter(key, Parameter.KEYWORD_ONLY, default=None, annotation=kind) for key, kind in _OPTIONS.items()]

    @functools.wraps(command)
    def with_options(**values: Any) -> Any:
        given = {key: values.pop(key) for key in _OPTIONS}
        return command(**values, adapter=_read(given))

    parameters: list[Parameter] = []
    for parameter in signature.parameters.values():
        parameters += options if parameter.name == "adapter" else [parameter]
    vars(with_options)["__signature__"] = signature.replace(parameters=parameters)
    with_options.__annotations__ = {item.name: item.annotation for item in parameters}
    return with_options


def _read(given: dict[str, Any]) -> Given:
    values = given | {
        "target_modules": [name.strip() for name in targets.split(",")]
        if (targets := given["target_modules"])
        else None,
        "gate_scale": _number_or_word(given["gate_scale"]),
        "options": _assignments(given["options"] or ()) or None,
    }
    return {key: value for key, value in values.items() if value is not None}


def _assignments(texts: Sequence[str]) -> dict[str, Any]:
    """Parse ``["top_k=2", "names=[a, b]"]`` into ``{"top_k": 2, "names": ["a", "b"]}``, with values as in a recipe."""
    values: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (equals and key.strip()):
            raise UsageError(f"--set {text!r} is not KEY=VALUE. Write it like --set top_k=2.")
        key = key.strip()
        if key in values:
            raise UsageError(f"--set: {key} is given twice. Give each field once.")
        values[key] = _yaml(value, f"--set {text}")
    return values


def _yaml(text: str, where: str) -> Any:
    from cme.readers.yaml_file import parse_yaml

    try:
        return parse_yaml(text, where, error=UsageError)
    except UsageError as error:
        raise UsageError(f"{where}: the value is not valid YAML. Quote text with special characters.") from error


def _number_or_word(text: str | None) -> float | str | None:
    if text is None:
        return None
    try:
        return float(text)
    except ValueError:
        return text
