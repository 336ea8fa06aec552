"""Runs the parts of an analysis of experts, which need the packages analysis and evaluation."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from cme.adapters.expert_facts import TIES
from cme.adapters.load import load_adapter
from cme.analysis.load_tables import LOAD_TABLE, load_analysis, router_values, write_load_table
from cme.analysis.loss_table import LOSS_TABLE, write_losses
from cme.analysis.measure_load import MeasuredLoad, measure_load, read_load, write_load
from cme.analysis.rows import LoadRow, load_rows
from cme.analysis.similarity import similarity_analysis
from cme.analysis.validation import validation_analysis
from cme.analysis.write import write_report
from cme.api.analysis_checks import AnalysisSettings, Checked, checked_analysis
from cme.api.analysis_costs import cost_text
from cme.api.analysis_training import training_load
from cme.api.analysis_validation import measure_losses, model_masks
from cme.api.validation_rows import ValidationMix, validation_rows
from cme.data.sources import request_files
from cme.evaluation.adapters import AdapterSwitcher, adapter_name
from cme.evaluation.run import evaluate_masked
from cme.files import digest, sha256_file
from cme.locks import locks_released
from cme.models.load import context_length, load_model
from cme.progress import announce, table
from cme.records import AdapterInfo, read_record, versions, write_record
from cme.records.analysis import (
    Analysis,
    LoadAnalysis,
    MaskScore,
    ShapleyAnalysis,
    SimilarityAnalysis,
    TrainingLoad,
)
from cme.records.samples import read_samples
from cme.records.validation import ValidationAnalysis
from cme.suite import DatasetSpec
from cme.suite.experts.redundancy import mask_scores
from cme.suite.experts.score_file import score_table, write_scores
from cme.suite.experts.scores import ScoreTable
from cme.suite.experts.shapley import shapley_analysis
from cme.suite.score import SCORER_VERSION
from cme.workdir import FinishedError, claim, finish

__all__ = ["ANALYSIS", "analyse_adapter"]

ANALYSIS = "analysis.json"
"""Name of the file with the record, in the folder of an analysis."""

T = TypeVar("T")


@locks_released()
def analyse_adapter(settings: AnalysisSettings, out: Path, *, finished: bool = False) -> Analysis:
    """Analyse the experts of one adapter, and write the record, tables and figures.

    Every dataset of the load and every batch of the evaluations is kept, so an interrupted analysis computes nothing twice.

    Args:
        settings: settings of the analysis.
        out: output folder.
        finished: whether the folder may hold a finished analysis, which is then read.

    Raises:
        CMEError: as for `check_analysis`, or the output folder holds other files.
    """
    checked = checked_analysis(settings)
    try:
        claim(out, "analyse", checked.identity, changeable=["parts"])
    except FinishedError:
        if not finished:
            raise
        return read_record(out / ANALYSIS, Analysis)
    if (cost := cost_text(settings, checked)) is not None:
        announce(f"{out.name}: {cost}")
    work = _Work(settings, checked, out)
    record = work.record()
    write_report(record, out)
    write_record(out / ANALYSIS, record)
    finish(out)
    return record


class _Work:
    """Does the parts of one analysis.

    Args:
        settings: settings of the analysis.
        checked: what was determined before.
        out: output folder.
    """

    def __init__(self, settings: AnalysisSettings, checked: Checked, out: Path) -> None:
        self._settings, self._checked, self._out = settings, checked, out
        self._seconds: dict[str, float] = {}
        self._files: dict[str, str] = {}
        self._passes = 0

    def record(self) -> Analysis:
        """Do all parts and return the record."""
        checked, evaluation = self._checked, self._settings.evaluation
        parts = self._settings.parts
        # Weights that cannot be compared are refused within seconds, so they come first.
        similarity = self._timed("similarity", self._similarity) if "similarity" in parts else None
        measured = self._timed("load", self._measured) if "load" in parts else None
        validation = self._timed("validation", self._validation) if isinstance(checked.mix, ValidationMix) else None
        self.__dict__.pop("model", None)
        training = self._timed("training", self._training) if checked.checkpoints else None
        scores = self._timed("evaluations", self._scores) if checked.masks.choices else None
        load = None if measured is None else self._timed("load", lambda: self._load(measured))
        redundancy, shapley = self._values(scores, measured)
        return Analysis(
            name=adapter_name(evaluation.adapter or ""),
            base=evaluation.base,
            base_fingerprint=checked.base_fingerprint,
            adapter=AdapterInfo(
                path=evaluation.adapter or "",
                method=checked.experts.method,
                fingerprint=checked.adapter_fingerprint,
                changes_output=None,
            ),
            experts=checked.experts.count,
            rank=checked.experts.rank,
            tier=evaluation.tier,
            source=checked.source.name,
            prompt_format=evaluation.prompt_format,
            dtype=evaluation.dtype,
            parts=parts,
            load=load,
            redundancy=tuple(redundancy),
            shapley=shapley,
            similarity=similarity,
            files=self._files,
            seconds={name: round(value, 3) for name, value in self._seconds.items()},
            versions=versions(),
            finished=datetime.now(UTC).isoformat(timespec="seconds"),
            scorer_version=SCORER_VERSION,
            task_fingerprints={spec.name: spec.fingerprint for spec in checked.specs},
            validation=validation,
            without_validation=checked.mix if isinstance(checked.mix, str) else None,
            training=training,
            evaluations=len(checked.masks.choices),
            passes=self._passes,
            without_top1=TIES
            if checked.experts.ties and {"redundancy", "validation", "training"} & set(parts)
            else None,
        )

    @cached_property
    def model(self) -> Any:
        """The base with the adapter."""
        evaluation = self._settings.evaluation
        base = load_model(self._checked.base, dtype=evaluation.dtype, device=evaluation.device)
        return load_adapter(base, self._checked.adapter)

    def _measured(self) -> list[MeasuredLoad]:
        checked, evaluation = self._checked, self._settings.evaluation
        measured = []
        with table([spec.name for spec in checked.specs], whole=f"{self._out.name}: load") as bars:
            for spec in checked.specs:
                # A mirror identifies the rows of requested files only.
                request_files(checked.source, spec, "eval")
                identity = {**checked.identity, "task": spec.fingerprint, "provenance": checked.source.provenance(spec)}
                key = digest({name: value for name, value in identity.items() if name not in _NOT_OF_LOAD})
                file = self._out / "load" / f"{spec.name}.npz"
                item = read_load(file, key)
                if item is None:
                    rows = self._rows(spec, self.model, tier=evaluation.tier, subject_rows=self._settings.subject_rows)
                    item = measure_load(self.model, spec, rows, checked.tokenizer.pad_token_id, bars(spec.name))
                    write_load(file, item, key)
                measured.append(item)
        return measured

    def _validation(self) -> ValidationAnalysis:
        checked, settings, mix = self._checked, self._settings, self._checked.mix
        assert isinstance(mix, ValidationMix)
        rows, dropped = validation_rows(
            mix,
            checked.tokenizer,
            rows=settings.validation_rows,
            prompt_format=settings.evaluation.prompt_format,
            max_length=context_length(self.model.config),
        )
        masks = model_masks(self.model, checked.experts.count, settings.draws, top1=not checked.experts.ties)
        losses, guarded = measure_losses(
            self.model,
            rows,
            masks,
            self._out / "validation",
            pad=checked.tokenizer.pad_token_id,
            key=digest({**self._key, "mix": mix.fingerprint, "rows": len(rows), "length": mix.max_length}),
            title=f"{self._out.name}: validation loss",
        )
        self._passes = len(masks.masks)
        write_losses(self._out / LOSS_TABLE, losses)
        self._files[LOSS_TABLE] = sha256_file(self._out / LOSS_TABLE)
        return validation_analysis(losses, masks, mix_fingerprint=mix.fingerprint, dropped=dropped, guarded=guarded)

    def _training(self) -> TrainingLoad:
        checked, evaluation = self._checked, self._settings.evaluation
        switcher = AdapterSwitcher(
            lambda: load_model(checked.base, dtype=evaluation.dtype, device=evaluation.device), several=True
        )
        # Few rows suffice, because every checkpoint has the same ones and a row has many tokens.
        rows = [(spec, self._rows(spec, switcher.base, tier="smoke", subject_rows=1)) for spec in checked.specs]
        tasks = {spec.name: [spec.fingerprint, checked.source.provenance(spec)] for spec in checked.specs}
        return training_load(
            switcher,
            checked.checkpoints,
            rows,
            self._out / "training",
            pad=checked.tokenizer.pad_token_id,
            key=digest({**self._key, "tasks": tasks}),
            title=f"{self._out.name}: checkpoints",
        )

    @property
    def _key(self) -> dict[str, Any]:
        """What determines the loss and the load on given rows."""
        return {name: self._checked.identity[name] for name in ("base", "adapter", "tokenizer", "format", "dtype")}

    def _rows(self, spec: DatasetSpec, model: Any, *, tier: str, subject_rows: int) -> list[LoadRow]:
        return load_rows(
            spec,
            self._checked.source,
            self._checked.tokenizer,
            tier=tier,
            prompt_format=self._settings.evaluation.prompt_format,
            max_length=context_length(model.config) or _MAX_LENGTH,
            subject_rows=subject_rows,
            allow_missing=self._settings.evaluation.allow_missing,
        )

    def _similarity(self) -> SimilarityAnalysis:
        return similarity_analysis(self.model)

    def _scores(self) -> ScoreTable:
        folder, choices = self._out / "evaluations", self._checked.masks.choices
        evaluate_masked(self._settings.evaluation, choices, folder)
        scores = score_table({name: read_samples(folder / name / "samples.parquet") for name in choices})
        write_scores(self._out / "coalitions.parquet", scores)
        self._files["coalitions.parquet"] = sha256_file(self._out / "coalitions.parquet")
        return scores

    def _load(self, measured: Sequence[MeasuredLoad]) -> LoadAnalysis:
        write_load_table(self._out / LOAD_TABLE, measured)
        self._files[LOAD_TABLE] = sha256_file(self._out / LOAD_TABLE)
        return load_analysis(measured, permutations=self._settings.permutations)

    def _values(
        self, scores: ScoreTable | None, measured: Sequence[MeasuredLoad] | None
    ) -> tuple[list[MaskScore], ShapleyAnalysis | None]:
        if scores is None:
            return [], None
        masks, parts = self._checked.masks, self._settings.parts
        # Eight samples of a dataset are too few for a standard error, as everywhere in CME.
        intervals = self._settings.evaluation.tier != "smoke"
        redundancy = []
        if "redundancy" in parts:
            chosen: Mapping[str, str | None] = {name: masks.choices[name] for name in masks.reported}
            redundancy = mask_scores(scores, chosen, intervals=intervals)
        shapley = None
        if "shapley" in parts:
            gates = None if measured is None else router_values(measured)
            shapley = shapley_analysis(scores, masks.coalitions, gates, intervals=intervals)
        return redundancy, shapley

    def _timed(self, name: str, work: Callable[[], T]) -> T:
        started = time.perf_counter()
        result = work()
        self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - started
        return result


_NOT_OF_LOAD = ("parts", "permutations", "datasets", "scorer", "validation", "checkpoints")
_MAX_LENGTH = 2048
"""Most tokens of a row for a model without a limit."""
