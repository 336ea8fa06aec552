"""Optional parts of an entry: the grid that chose its learning rate, and measured costs."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import ConfigDict, Field

from cme.config import Items, Model, build
from cme.errors import CMEError, UsageError
from cme.files import read_json
from cme.readers.yaml_file import parse_yaml
from cme.records import AdapterRecord, ChosenGrid, Entry, Grid, MeasuredRatios, Ratio, Run, read_record
from cme.records.cost import without_out
from cme.records.method import GATE_SUMS, UNMEASURED, costly_settings, has_other_costs, measured_name, ranks_of

__all__ = ["RATIOS", "MeasuredRow", "cost_ratios", "lr_grid"]

RATIOS = ("train", "prefill", "decode", "memory")
"""Quantities in ``cost_ratios``, each relative to LoRA of equal total rank; ``memory`` is the peak memory of training."""

_FORMS = ("fused", "plain")
"""The forms in which CME runs a method. ``loop`` is the form of the papers' code."""


def lr_grid(path: Path, run: Run) -> ChosenGrid:
    """Read the grid that chose a run's learning rate.

    Args:
        path: The folder of ``cme train --lr-grid``, or its ``lr-grid.json``.
        run: One of the row's training runs.

    Raises:
        CMEError: There is no such file.
        UsageError: The grid is of another method, base, mix or adapter, is not finished, or chose another learning rate or
            other settings than the run's.
    """
    file = path / "lr-grid.json" if path.is_dir() else path
    grid = read_record(file, Grid)
    if grid.method != run.method:
        raise UsageError(
            f"{file} is a grid of {grid.method}, but the row's method is {run.method}. Give a grid of {run.method}."
        )
    if grid.learning_rate is None:
        raise UsageError(
            f"{file} has not chosen a learning rate yet. Run the same cme train --lr-grid again until it finishes."
        )
    if grid.learning_rate != run.training.learning_rate:
        raise UsageError(
            f"{file} chose the learning rate {grid.learning_rate:g}, but the row was trained with "
            f"{run.training.learning_rate}. Train with the rate that the grid chose, or leave the grid out."
        )
    for key, value in (grid.chosen.settings or {} if grid.chosen else {}).items():
        if (there := getattr(run.adapter, key, None)) != value:
            raise UsageError(
                f"{file} chose {key} {value}, but the row was trained with {there}. Train with what the grid chose (--lr-from), "
                "or leave the grid out."
            )
    if differences := grid.differences(run.base_fingerprint, run.mix_fingerprint, run.adapter):
        raise UsageError(
            f"{file} has other runs than the row ({', '.join(differences)}), so its rate was not chosen for this row. Give the "
            "grid that was run with the row's base, mix and settings, or leave the grid out."
        )
    # A problem is a message for a terminal, so it may contain line breaks.
    runs = tuple(item.replace(problem=item.problem and " ".join(item.problem.split())) for item in grid.runs)
    return ChosenGrid(**{**dict(grid), "runs": runs, "at_edge": grid.at_edge})


class MeasuredRow(NamedTuple):
    """What a measurement of costs must have in common with a row.

    Attributes:
        method: The row's method.
        adapter: The settings of its adapter.
        ranks: Whether each expert has a rank of its own.
        base: The base's name.
        base_parameters: The number of parameters of the base, or None if it is unknown.
    """

    method: str
    adapter: AdapterRecord
    ranks: str | None
    base: str
    base_parameters: int | None

    @classmethod
    def of_run(cls, run: Run) -> "MeasuredRow":
        """Return the row to which a training run belongs."""
        return cls(run.method, run.adapter, run.ranks, run.base, run.base_parameters)

    @classmethod
    def of_entry(cls, entry: Entry) -> "MeasuredRow":
        """Return the row of an entry, which has at least one training run."""
        return cls(entry.method, entry.settings, entry.ranks, entry.base, entry.runs[0].cost.base_parameters)


def cost_ratios(path: Path, row: MeasuredRow) -> MeasuredRatios:
    """Read the costs of a row's method relative to LoRA of equal total rank.

    Args:
        path: The file ``report.json`` of ``cme bench adapters --out``, or its folder.
        row: The row.

    Returns:
        The measured ones of `RATIOS` (medians with confidence intervals), and the conditions of the measurement.

    Raises:
        CMEError: There is no such file, or it is not a report of ``cme bench adapters``.
        UsageError: The report is of another base, or lacks the row's method or LoRA.
    """
    file = path / "report.json" if path.is_dir() else path
    values = read_json(file)
    if not isinstance(values, Mapping) or (values.get("kind"), values.get("schema_version")) != ("adapter-costs", 1):
        raise CMEError(
            f"{file} is not a report of cme bench adapters that this version reads. Make one: cme bench adapters --out costs/"
        )
    return _ratios(build(_Report, values, str(file), error=CMEError), row, file)


class _Read(Model):
    """A part of the report. Keys that an entry does not use are ignored."""

    model_config = ConfigDict(extra="ignore")


class _Settings(_Read):
    total_rank: int
    rounds: int
    target_modules: Items[str] | None


class _Surroundings(_Read):
    base: str
    base_parameters: int
    device: str
    hardware: str
    threads: int
    dtype: str
    command: Items[str]


class _Mode(_Read):
    mode: Literal["train", "prefill", "decode"]
    peak_bytes: Annotated[int, Field(ge=0)]


class _Case(_Read):
    name: str
    method: str
    form: str
    experts: int | None
    rank: int | None
    modes: Items[_Mode]


class _Quartiles(_Read):
    median: Annotated[float, Field(gt=0)]


class _Interval(_Read):
    low: Annotated[float, Field(gt=0)]
    high: Annotated[float, Field(gt=0)]


class _Over(_Read):
    mode: str
    case: str
    reference: str
    quartiles: _Quartiles
    interval: _Interval | None


class _Report(_Read):
    """The parts of ``report.json`` of ``cme bench adapters`` that an entry uses."""

    settings: _Settings
    surroundings: _Surroundings
    cases: Items[_Case]
    ratios: Items[_Over]


class _Wanted(NamedTuple):
    """What identifies the measurement that belongs to a row."""

    method: str
    rank: int | None
    experts: int | None
    targets: Sequence[str] | str | None
    settings: dict[str, Any]

    def __str__(self) -> str:
        parts = [measured_name(self.method, self.settings), f"rank {self.rank}" if self.rank else ""]
        parts += [f"{self.experts} experts" if self.experts else ""]
        return ", ".join(part for part in parts if part) + (f" on {self.targets}" if self.targets else "")


def _ratios(report: _Report, row: MeasuredRow, file: Path) -> MeasuredRatios:
    settings, place, adapter = report.settings, report.surroundings, row.adapter
    if has_other_costs(adapter.options):
        raise UsageError(
            f"the row's options ({', '.join(adapter.options)}) change its costs, but cme bench adapters measures methods with "
            "their default options. Leave --bench out."
        )
    if place.base_parameters != row.base_parameters:
        raise UsageError(
            f"{file} was measured on a base with {place.base_parameters:,} parameters, but the row's base has "
            f"{row.base_parameters or 0:,}. Measure on the row's base: cme bench adapters --base {row.base}"
        )
    own = costly_settings(adapter.plain(), GATE_SUMS.get(row.method))
    wanted = _Wanted(row.method, adapter.rank, adapter.experts, _targets(adapter.target_modules), own)
    cases = [case for case in report.cases if case.form in _FORMS]
    targets = _targets(settings.target_modules)
    fitting = [(_wanted_by(case, targets), case) for case in cases]
    case = next((case for there, case in fitting if there == wanted), None)
    if case is None and row.method not in GATE_SUMS:
        # The default of a method of another package is unknown, so the row may have it.
        other = wanted._replace(settings={key: value for key, value in own.items() if key != "gate_sum"})
        case = next((case for there, case in fitting if there == other), None)
    lora = next((one for one in cases if one.method == "lora"), None)
    if case is None or lora is None:
        known = ", ".join(f"{one.name} (rank {one.rank})" for one in cases) or "no adapter"
        methods = ",".join(dict.fromkeys(("lora", row.method, measured_name(row.method, own))))
        if adapter.method in UNMEASURED:
            raise UsageError(
                f"the costs of {wanted} cannot be measured, because cme bench adapters compares only methods with a name in "
                "CME and one total rank. Leave --bench out."
            )
        parts = (adapter.experts or 1) if ranks_of(adapter.method, row.ranks) == "own" else 1
        command = f"cme bench adapters --methods {methods} --total-rank {(adapter.rank or 1) * parts}"
        command += f" --experts {adapter.experts}" if adapter.experts else ""
        raise UsageError(
            f"{file} does not contain {'LoRA, the reference' if case else wanted}; it contains {known}. Measure it: {command} "
            "(for AdaLoRA, --total-rank is the rank at the start, by default 1.5 times the final rank)"
        )
    ratios = dict(_times(report, case, lora)) | dict(_memory(case, lora))
    return MeasuredRatios(
        **ratios,
        base=place.base,
        total_rank=settings.total_rank,
        rounds=settings.rounds,
        device=place.device,
        hardware=place.hardware,
        threads=place.threads,
        dtype=place.dtype,
        command=" ".join(without_out(place.command)),
    )


def _wanted_by(case: _Case, targets: Sequence[str] | str | None) -> _Wanted:
    """Return the rows to which a case belongs. Its name has its own settings, as in ``teamlora:gate_sum=1``."""
    method, *texts = case.method.split(":")
    given = {key: parse_yaml(value, case.method) for key, _, value in (text.partition("=") for text in texts)}
    return _Wanted(method, case.rank, case.experts, targets, costly_settings(given, GATE_SUMS.get(method)))


def _targets(names: tuple[str, ...] | str | None) -> Sequence[str] | str | None:
    return sorted(names) if isinstance(names, tuple) else names


def _times(report: _Report, case: _Case, lora: _Case) -> Iterator[tuple[str, Ratio]]:
    for mode in (item.mode for item in case.modes):
        if case is lora:
            yield mode, Ratio(value=1.0, low=1.0, high=1.0)
            continue
        for over in report.ratios:
            if (over.mode, over.case, over.reference) == (mode, case.name, lora.name):
                low, high = (over.interval.low, over.interval.high) if over.interval else (None, None)
                yield mode, Ratio(value=over.quartiles.median, low=low, high=high)


def _memory(case: _Case, lora: _Case) -> Iterator[tuple[str, Ratio]]:
    peaks = [[mode.peak_bytes for mode in one.modes if mode.mode == "train"] for one in (case, lora)]
    if all(peaks) and all(peaks[0] + peaks[1]):
        value = peaks[0][0] / peaks[1][0]
        ends = value if case is lora else None
        yield "memory", Ratio(value=value, low=ends, high=ends)
