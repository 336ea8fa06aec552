"""One step of a board: a command of CME with an output folder."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Step"]


@dataclass(frozen=True)
class Step:
    """A step. It is finished if its output says so, whoever ran the command.

    Attributes:
        name: name of the step, such as ``results/lora-1``.
        kind: kind of output: ``mix``, ``rate``, ``grid``, ``run``, ``result``, ``costs``, ``analysis``, ``export``, ``entry``,
            ``ids``, ``table`` or ``board``.
        argv: the command without ``cme``.
        out: output folder, or the file of an entry or of row ids.
        needs: names of the steps whose output it reads.
        cpus: CPU threads.
        gpus: GPUs; None takes one if the machine has any.
        alone: whether nothing else may run at the same time.
        row: name of the row that it belongs to, or an empty text.
        base: base model.
        rate: learning rate of a run, if it is known.
        seed: seed of a run.
        variant: prompt variant of a result.
        expects: values that the output must have to be this step's.
        parts: paths by what they are: the result folders of an entry by ``seeds`` and ``variants``, the ``files`` of a table, or
            the folder ``of`` which row ids are written.
    """

    name: str
    kind: str
    argv: tuple[str, ...]
    out: Path
    needs: tuple[str, ...] = ()
    cpus: int = 1
    gpus: int | None = 0
    alone: bool = False
    row: str = ""
    base: str = ""
    rate: float | None = None
    seed: int | None = None
    variant: int = 0
    expects: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)

    @property
    def lock(self) -> str:
        """Name of its lock. The steps that write one entry share a lock."""
        return (
            re.sub(r"(^|/)(ratios|experts)/([^/]+)$", r"\1entries/\3", self.name) if self.kind == "entry" else self.name
        )
