"""The steps of a board that measure experts: analyses, exports to plain LoRA, and the entries that contain them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cme.board.board import Base, Board
from cme.board.expert_checks import SHOWN, chosen, parts_of
from cme.board.rows import Row, decimal
from cme.board.step import Step
from cme.board.wanted import of_experts
from cme.records.export import DEFAULTS, HOWS

__all__ = ["TABLE", "ExpertSteps", "final_table", "with_experts"]

TABLE = "experts-table"
"""Name of the step that renders the table again when all entries contain their analyses and exports."""

_OF_EXPORT = ("rank", "ridge", "steps", "lr", "batch_size")
"""Settings of the board that are options of ``cme export-lora``."""


@dataclass(frozen=True)
class ExpertSteps:
    """Makes the steps that measure the experts of one row. Each seed has steps of its own, so that they run side by side.

    Attributes:
        board: the board.
        base: the base.
        row: the row, with the settings that its grid chose.
        runs: step and folder of the run of each seed.
        model: options that name the base, the prompt format, the data type and the threads.
        gpus: GPUs of one step.
        mix: steps that the mix needs.
    """

    board: Board
    base: Base
    row: Row
    runs: Mapping[int, tuple[str, Path]]
    model: Sequence[str]
    gpus: int | None
    mix: tuple[str, ...]

    def __iter__(self) -> Iterator[Step]:
        """Yield the analyses and the exports."""
        file = self.board.file
        if file.analysis is not None and chosen(self.row, file.analysis):
            for seed in file.analysis.seeds or file.seeds:
                yield self._analysis(seed)
        if file.exports is not None and chosen(self.row, file.exports):
            for seed in file.exports.seeds or file.seeds[:1]:
                yield self._export(seed)

    def _analysis(self, seed: int) -> Step:
        wanted = self.board.file.analysis
        assert wanted is not None
        parts = parts_of(self.row, wanted)
        named = ["--parts", ",".join(parts)] if wanted.parts or "shapley" not in parts else []
        words = ["analyse", str(self.runs[seed][1]), *self.model, *self._rows(), *named]
        needs = self.mix if "validation" in parts else ()
        return self._step("analysis", seed, words, needs, {"parts": parts, "source": self.board.file.source_name})

    def _export(self, seed: int) -> Step:
        file, wanted = self.board.file, self.board.file.exports
        assert wanted is not None
        ways = tuple(how for how in HOWS if how in wanted.how)
        words = ["export-lora", str(self.runs[seed][1]), "--how", ",".join(ways)]
        expects: dict[str, Any] = {"how": ways, "source": file.source}
        text = None if file.retention_text is None else str(Path(file.retention_text).expanduser())
        expects |= {"full_rank": self.row.total_rank, "retention_text": text}
        for key in _OF_EXPORT:
            value, name = getattr(wanted, key), "learning_rate" if key == "lr" else key
            given = decimal(value) if isinstance(value, float) else str(value)
            words += [] if value is None else [f"--{key.replace('_', '-')}", given]
            # A marker has the defaults, but for the rank.
            expects[name] = DEFAULTS.get(name) if value is None else value
        words += ["--data", str(self.board.mix), *self.model, "--measure", *self._rows()]
        words += ["--retention-text", file.retention_text] if file.retention_text else []
        return self._step("export", seed, words, self.mix, expects)

    def _rows(self) -> list[str]:
        """Return the options that choose the samples of the results."""
        file = self.board.file
        words = ["--source", file.source, "--tier", file.tier]
        words += ["--datasets", ",".join(file.datasets)] if file.datasets else []
        return [*words, *(["--allow-missing"] if file.allow_missing else [])]

    def _step(self, kind: str, seed: int, words: list[str], mix: tuple[str, ...], expects: dict[str, Any]) -> Step:
        folder = "exports" if kind == "export" else kind
        name = f"{self.base.prefix}{folder}/{self.row.name}-{seed}"
        out = self.board.work / self.base.prefix / folder / f"{self.row.name}-{seed}"
        step, run = self.runs[seed]
        return Step(
            name,
            kind,
            (*words, "--out", str(out)),
            out,
            (step, *mix),
            row=self.row.name,
            base=self.base.name,
            seed=seed,
            cpus=self.board.file.threads,
            gpus=self.gpus,
            expects=of_experts(self.board, run) | expects,
        )


def with_experts(entry: Step, last: Step, steps: Sequence[Step], prefix: str) -> Step:
    """Make the step that replaces an entry by one with analyses and exports.

    The entry without them appears as soon as the results exist, because these steps take long.

    Args:
        entry: the step that writes the entry without them.
        last: the step that adds its measured costs, or the same step if none are measured.
        steps: the analyses and exports.
        prefix: beginning of the names of the base's steps.
    """
    analyses = {step.seed: step for step in steps if step.kind == "analysis"}
    exports = {step.seed: step for step in steps if step.kind == "export"}
    words = [word for step in analyses.values() for word in ("--analysis", str(step.out))]
    words += [word for step in exports.values() for word in ("--export", str(step.out))]
    if (costs := last.expects["costs"]) is not None:
        words += ["--bench", str(costs)]
    shown = {seed: tuple(part for part in SHOWN if part in step.expects["parts"]) for seed, step in analyses.items()}
    ranks = {seed: step.expects["rank"] or step.expects["full_rank"] for seed, step in exports.items()}
    ways = {seed: tuple(how for how in step.expects["how"] if how != "family") for seed, step in exports.items()}
    return replace(
        entry,
        name=f"{prefix}experts/{entry.row}",
        argv=(*entry.argv, *words),
        needs=tuple(dict.fromkeys((entry.name, *entry.needs, last.name, *last.needs, *(step.name for step in steps)))),
        # New costs are added to it by another step, so they do not make it unfinished.
        expects={
            **entry.expects,
            "analyses": shown,
            "exports": ways,
            "export_ranks": ranks,
            "export_text": entry.expects["text"],
        },
    )


def final_table(table: Step, entries: Sequence[Step], prefix: str) -> tuple[Step, Step]:
    """Return the table of a board, and the step that renders it again with the analyses and exports.

    Entries may get their analyses while the first one is rendered, so it counts as finished whether or not they have them.

    Args:
        table: the table of the entries without them.
        entries: the entries with them.
        prefix: beginning of the names of the base's steps.
    """
    needs = (table.name, *(step.name for step in entries))
    return replace(table, expects={"experts": False}), replace(table, name=f"{prefix}{TABLE}", needs=needs)
