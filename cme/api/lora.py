"""Export of adapters to plain LoRA, which every server of LoRA adapters takes."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.adapter_values import adapter_folder
from cme.api.call import StrPath, chosen_datasets, names, path, public
from cme.env import processes
from cme.errors import CMEWarning, UsageError
from cme.processes import threads_set
from cme.records.export import Export

if TYPE_CHECKING:
    from cme.evaluation.settings import EvalSettings

__all__ = ["ExportedLora", "export_lora"]

_OPTIONS = {"prompt_format": "format"}
"""Options of the command that have another name than the argument."""


@dataclass(frozen=True)
class ExportedLora:
    """Plain LoRA adapters on disk. Functions that take a folder accept it too, if it is a single adapter.

    Attributes:
        folder: the output folder.
        record: how the adapters were made, and what they lose; None for MoSLoRA, which is exported without loss.
    """

    folder: Path
    record: Export | None

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def markdown(self) -> str:
        """The report as Markdown, as in ``export.md``; empty for MoSLoRA."""
        return "" if self.record is None else (self.folder / "export.md").read_text(encoding="utf-8")


@public
def export_lora(
    adapter: StrPath,
    out: StrPath,
    *,
    how: str | Sequence[str] | None = None,
    rank: int | None = None,
    ridge: float | None = None,
    steps: int | None = None,
    lr: float | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    data: StrPath | None = None,
    base: str | None = None,
    prompt_format: str | None = None,
    dtype: str = "float32",
    device: str | None = None,
    threads: int | None = None,
    measure: bool = False,
    source: str | None = None,
    tier: str | None = None,
    suite: str | None = None,
    datasets: str | Sequence[str] | None = None,
    retention_text: StrPath | None = None,
    token_budget: int | None = None,
    allow_missing: bool = False,
) -> ExportedLora:
    """Export an adapter to plain LoRA, which PEFT and servers load without CME: ``cme export-lora``.

    A MoSLoRA adapter has the same outputs as plain LoRA and takes no further argument. It is written at once into a new folder. A
    routed adapter weights its experts for every token, so it is approximated. After an interruption, the same call continues.

    Args:
        adapter: folder or hub id of the adapter. A learning-rate grid stands for its best run.
        out: output folder: new, or this call's unfinished output. With a single way other than ``family`` it is the adapter;
            otherwise each adapter has a folder below it.
        how: ways of exporting a routed adapter, as a list or separated by commas: ``mean`` (constant gate weights), ``family``
            (one adapter per family, so the caller must know the task), ``fit`` (nearest in mean square), ``distil`` (``fit``,
            then trained to predict what the routed adapter predicts).
        rank: rank of ``fit`` and ``distil``. None means that of all experts together.
        ridge: penalty of ``fit`` and ``distil`` towards ``mean``. 0 fits the rows as well as possible. Default: 1.
        steps: optimiser steps of ``distil``. Default: 300.
        lr: peak learning rate of ``distil``. Default: 1e-4.
        batch_size: examples per step of ``distil``. Default: 8.
        seed: seed of the order of the examples of ``distil``. Default: 0.
        data: folder of the mix whose rows are used. None means the one that the adapter's ``run.json`` names.
        base: base of the adapter. None means the one that the adapter names.
        prompt_format: prompt format. None means that of the training, or ``plain``.
        dtype: data type of the base's weights: ``float32``, ``bfloat16``, ``float16`` or ``auto``.
        device: device, such as ``cpu`` or ``cuda:1``.
        threads: CPU threads.
        measure: evaluate the routed adapter and all exports on the same samples, with retention, and report what is lost.
        source: source of the samples, see `evaluate`. Default: ``hub``.
        tier: samples per dataset, see `evaluate`. Default: ``quick``. At tier ``smoke`` there are no intervals.
        suite: see `evaluate`.
        datasets: datasets or families to evaluate, see `evaluate`.
        retention_text: text file for the change of the loss, see `evaluate`.
        token_budget: see `evaluate`.
        allow_missing: see `evaluate`.

    Returns:
        The folder and the record.

    Raises:
        CMEError: if the adapter cannot be exported or was never trained, the mix has no validation rows, a value is out of
            range, or ``out`` holds something else. These are checked before any work.

    Example:
        >>> cme.export_lora("runs/moslora", "runs/moslora-as-lora")  # doctest: +SKIP
        >>> exported = cme.export_lora("runs/team", "exports/team", how="mean,fit")  # doctest: +SKIP
        >>> [(item.how, item.divergence) for item in exported.record.exports]  # doctest: +SKIP
    """
    from cme.export.checks import adapter_kind, check_routed
    from cme.export.run import export_adapter
    from cme.export.settings import ExportSettings, ways
    from cme.models.load import pick_device, pick_dtype

    if processes() > 1:
        raise UsageError("cme export-lora runs in one process. Start it without torchrun.")
    arguments = dict(locals())
    chosen_adapter = adapter_folder(adapter)
    folder, kind = adapter_kind(chosen_adapter)
    if kind == "MOSLORA":
        _check_exact(folder, arguments)
        from cme.adapters.moslora import export_lora as export

        export(folder, path(out))
        return ExportedLora(path(out), None)
    check_routed(folder, kind)
    chosen = ways(names(how), kind.lower())
    of_measure = {
        "source": source,
        "tier": tier,
        "datasets": chosen_datasets(suite, datasets),
        "retention_text": retention_text,
        "token_budget": token_budget,
        "allow_missing": allow_missing or None,
    }
    if not measure and (given := [name for name, value in of_measure.items() if value is not None]):
        raise UsageError(f"{given[0].replace('_', '-')} applies to --measure only. Add --measure, or leave it out.")
    settings = ExportSettings(
        chosen_adapter, chosen, None if data is None else str(path(data)), base, pick_dtype(dtype), pick_device(device),
        rank, ridge, steps, lr, batch_size, seed, prompt_format,
        _evaluation(of_measure, threads) if measure else None,
    )  # fmt: skip
    if settings.measure is not None:
        _warn(settings.measure)
    with threads_set(threads):
        return ExportedLora(path(out), export_adapter(settings, path(out)))


def _check_exact(folder: Path, arguments: Mapping[str, Any]) -> None:
    """Refuse all arguments beside the adapter and ``out``, because the export of a MoSLoRA adapter uses no other."""
    defaults = {item.name: item.default for item in inspect.signature(export_lora).parameters.values()}
    names = [name for name in defaults if name in arguments and name not in ("adapter", "out")]
    if given := [name for name in names if arguments[name] != defaults[name]]:
        options = ", ".join(f"--{_OPTIONS.get(name, name).replace('_', '-')}" for name in given)
        raise UsageError(
            f"{folder} is a MoSLoRA adapter, whose plain LoRA has exactly its outputs. {options} would have no effect. Leave "
            f"{'it' if len(given) == 1 else 'them'} out."
        )


def _warn(measure: "EvalSettings") -> None:
    """Warn of what the evaluations of the exports will lack."""
    from cme.evaluation.code import left_out_programs

    if measure.tier == "smoke":
        warnings.warn(
            "tier smoke has too few samples for intervals, so the losses of the exports have none. Use --tier quick to see which "
            "of them are more than noise.",
            CMEWarning,
            stacklevel=3,
        )
    if note := left_out_programs(measure.datasets, "cme export-lora"):
        warnings.warn(note, CMEWarning, stacklevel=3)


def _evaluation(given: dict[str, Any], threads: int | None) -> "EvalSettings":
    from cme.evaluation.settings import EvalSettings

    text = given["retention_text"]
    return EvalSettings(
        base="",
        source=given["source"] or "hub",
        tier=given["tier"] or "quick",
        datasets=given["datasets"],
        retention=True,
        retention_text=None if text is None else str(path(text)),
        token_budget=given["token_budget"],
        threads=threads,
        allow_missing=bool(given["allow_missing"]),
    )
