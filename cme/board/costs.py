"""Groups of rows whose costs are measured together, because they have the same total rank as their reference, LoRA."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cme.adapters.methods import METHODS
from cme.adapters.read_settings import settings_to_mapping
from cme.adapters.targets import ALL_LINEAR
from cme.board.rows import Row
from cme.board.step import Step
from cme.records.board import Costs
from cme.records.method import UNMEASURED, costly_settings, has_other_costs, measured_name

__all__ = ["CostGroup", "cost_groups", "has_costs", "with_costs"]

_SETTINGS = ("rounds", "warmup", "batch", "train_length", "infer_length", "dtype")
"""Settings of the board that are options of ``cme bench adapters``."""


@dataclass(frozen=True)
class CostGroup:
    """Rows that one ``cme bench adapters`` measures.

    Attributes:
        name: name of the group's folder, such as ``rank-32``.
        rows: names of the rows.
        options: options of the command.
        expects: settings that its report must have.
    """

    name: str
    rows: tuple[str, ...]
    options: tuple[str, ...]
    expects: Mapping[str, Any]


def cost_groups(rows: Sequence[Row], costs: Costs) -> list[CostGroup]:
    """Group the rows of the main table by their total rank at the start of training and their target modules.

    Args:
        rows: the rows.
        costs: the settings of the measurement.
    """
    groups: dict[tuple[int, Any], list[Row]] = {}
    for row in rows:
        if has_costs(row):
            groups.setdefault((row.total_rank, row.adapter.target_modules), []).append(row)
    made: list[CostGroup] = []
    for (rank, targets), members in groups.items():
        methods = list(dict.fromkeys(["base", "lora", *(name for row in members for name in _names(row))]))
        experts = sorted({row.adapter.experts for row in members if row.routed})
        count = sum(group.name.startswith(f"rank-{rank}") for group in made)
        words = ["--methods", ",".join(methods), "--total-rank", str(rank), "--forms", "fused"]
        words += ["--experts", ",".join(map(str, experts))] if experts else []
        if targets is not None:
            words += ["--target-modules", targets if isinstance(targets, str) else ",".join(targets)]
        chosen = {key: getattr(costs, key) for key in _SETTINGS if getattr(costs, key) is not None}
        for key, value in chosen.items():
            words += [f"--{key.replace('_', '-')}", str(value)]
        expects = {"total_rank": rank, "methods": methods, **chosen}
        name = f"rank-{rank}" if not count else f"rank-{rank}-{count + 1}"
        made.append(CostGroup(name, tuple(row.name for row in members), tuple(words), expects))
    return made


def with_costs(entry: Step, measurement: Step, prefix: str) -> Step:
    """Make the step that adds the measured costs to an entry.

    It needs no results and no runs, so a new measurement replaces the costs of rows that were trained on another machine.

    Args:
        entry: the step that writes the entry.
        measurement: the step that measures.
        prefix: beginning of the names of the base's steps.
    """
    words = ("submit", "--bench", str(measurement.out), "--name", entry.row, "--entries", str(entry.out.parent))
    return replace(
        entry,
        name=f"{prefix}ratios/{entry.row}",
        argv=words,
        needs=(entry.name, measurement.name),
        expects={**entry.expects, "costs": measurement.out, "measured": measurement.expects},
    )


def has_costs(row: Row) -> bool:
    """Return whether the costs of a row can be measured.

    Its method has a name, its options do not change its costs, and its layers can be named in an option.
    """
    targets = row.adapter.target_modules
    if has_other_costs(row.adapter.options):
        return False
    return row.adapter.method not in UNMEASURED and (not isinstance(targets, str) or targets == ALL_LINEAR)


def _names(row: Row) -> list[str]:
    """Return the names of a row's method for the measurement: the method, and with its own settings if they change its costs."""
    method = METHODS[row.adapter.method]
    own = costly_settings(settings_to_mapping(row.adapter), method.gate_sum)
    return [method.name] if not own else [method.name, measured_name(method.name, own)]
