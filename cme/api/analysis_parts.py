"""Runs the parts of an analysis of experts, which need the packages analysis and evaluation."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from cme.adapters.load import adapter_fingerprint, load_adapter
from cme.analysis.checks import Experts, check_experts
from cme.analysis.load_tables import LOAD_TABLE, load_analysis, router_values, write_load_table
from cme.analysis.measure_load import MeasuredLoad, measure_load, read_load, write_load
from cme.analysis.rows import load_rows
from cme.analysis.similarity import similarity_analysis
from cme.analysis.write import write_report
from cme.data.sources import check_source, open_source
from cme.errors import UsageError, unknown
from cme.evaluation.adapters import adapter_name, resolve_adapter
from cme.evaluation.guards import check_trained_on
from cme.evaluation.run import evaluate_masked
from cme.evaluation.settings import EvalSettings
from cme.files import digest, sha256_file
from cme.locks import locks_released
from cme.models.load import base_fingerprint, load_model, load_tokenizer, resolve_base
from cme.models.tokenizer_files import tokenizer_fingerprint
from cme.progress import table
from cme.prompt import TEMPLATE_DATE, check_format
from cme.records import AdapterInfo, read_record, versions, write_record
from cme.records.analysis import Analysis, LoadAnalysis, MaskScore, ShapleyAnalysis, SimilarityAnalysis
from cme.records.samples import read_samples
from cme.suite import DatasetSpec, select
from cme.suite.experts.masks import Masks
from cme.suite.experts.redundancy import mask_scores
from cme.suite.experts.score_file import score_table, write_scores
from cme.suite.experts.scores import ScoreTable
from cme.suite.experts.shapley import shapley_analysis
from cme.suite.score import SCORER_VERSION
from cme.workdir import FinishedError, claim, finish

__all__ = ["ANALYSIS", "PARTS", "AnalysisSettings", "analyse_adapter", "check_analysis"]

ANALYSIS = "analysis.json"
"""Name of the file with the record, in the folder of an analysis."""

PARTS = ("load", "redundancy", "shapley", "similarity")
"""The parts of an analysis, in their order."""

T = TypeVar("T")


@dataclass(frozen=True)
class AnalysisSettings:
    """Settings of an analysis.

    Attributes:
        evaluation: settings of the evaluations, with the adapter.
        parts: the parts to do, of `PARTS`.
        subject_rows: rows of each MMLU subject on which load is measured.
        permutations: permutations of the test of subjects.
    """

    evaluation: EvalSettings
    parts: tuple[str, ...]
    subject_rows: int
    permutations: int


class _Checked:
    """What was determined before any work.

    Args:
        settings: settings of the analysis.
    """

    def __init__(self, settings: AnalysisSettings) -> None:
        evaluation = settings.evaluation
        self.adapter = resolve_adapter(evaluation.adapter or "")
        self.experts: Experts = check_experts(self.adapter)
        self.masks = Masks(
            self.experts.count, redundancy="redundancy" in settings.parts, shapley="shapley" in settings.parts
        )
        self.source = open_source(evaluation.source)
        specs = select(evaluation.datasets)
        check_source(self.source, specs, ("eval",), allow_missing=evaluation.allow_missing)
        self.specs: list[DatasetSpec] = [
            spec for spec in specs if len(self.source.missing(spec, "eval")) < len(spec.subsets)
        ]
        self.base = resolve_base(evaluation.base)
        self.base_fingerprint = base_fingerprint(self.base)
        self.adapter_fingerprint = adapter_fingerprint(self.adapter)
        name = evaluation.prompt_format
        self.tokenizer_fingerprint = tokenizer_fingerprint(self.base, TEMPLATE_DATE if name == "chat" else None)
        check_format(name, self.tokenizer, [spec.name for spec in self.specs])
        check_trained_on(self.adapter, evaluation.base, self.base_fingerprint, name, self.tokenizer_fingerprint)
        self.identity: dict[str, Any] = {
            "base": self.base_fingerprint,
            "adapter": self.adapter_fingerprint,
            "tokenizer": self.tokenizer_fingerprint,
            "format": name,
            "tier": evaluation.tier,
            "source": evaluation.source,
            "datasets": {spec.name: spec.fingerprint for spec in self.specs},
            "dtype": evaluation.dtype,
            "scorer": SCORER_VERSION,
            "subject_rows": settings.subject_rows,
            "permutations": settings.permutations,
            "parts": list(settings.parts),
        }

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of the base."""
        return load_tokenizer(self.base)


def check_analysis(settings: AnalysisSettings) -> None:
    """Check an analysis before any work.

    Raises:
        CMEError: a name is unknown, the adapter has no trained experts, rows are missing, or there are too many coalitions.
    """
    _checked(settings)


def _checked(settings: AnalysisSettings) -> _Checked:
    if not settings.parts:
        raise UsageError(f"no part of the analysis was chosen. Give some of {', '.join(PARTS)}.")
    for part in settings.parts:
        if part not in PARTS:
            raise unknown("part of an analysis", part, PARTS)
    for option, number in (("subject rows", settings.subject_rows), ("permutations", settings.permutations)):
        if number < 1:
            raise UsageError(f"the number of {option} is {number}. Give a number of at least 1.")
    settings.evaluation.check()
    return _Checked(settings)


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
    checked = _checked(settings)
    try:
        claim(out, "analyse", checked.identity, changeable=["parts"])
    except FinishedError:
        if not finished:
            raise
        return read_record(out / ANALYSIS, Analysis)
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

    def __init__(self, settings: AnalysisSettings, checked: _Checked, out: Path) -> None:
        self._settings, self._checked, self._out = settings, checked, out
        self._seconds: dict[str, float] = {}
        self._files: dict[str, str] = {}

    def record(self) -> Analysis:
        """Do all parts and return the record."""
        checked, evaluation = self._checked, self._settings.evaluation
        parts = self._settings.parts
        # Weights that cannot be compared are refused within seconds, so they come first.
        similarity = self._timed("similarity", self._similarity) if "similarity" in parts else None
        measured = self._timed("load", self._measured) if "load" in parts else None
        self.__dict__.pop("model", None)
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
        )

    @cached_property
    def model(self) -> Any:
        """The base with the adapter."""
        evaluation = self._settings.evaluation
        base = load_model(self._checked.base, dtype=evaluation.dtype, device=evaluation.device)
        return load_adapter(base, self._checked.adapter)

    def _measured(self) -> list[MeasuredLoad]:
        checked, evaluation = self._checked, self._settings.evaluation
        length = 2048
        measured = []
        with table([spec.name for spec in checked.specs], whole=f"{self._out.name}: load") as bars:
            for spec in checked.specs:
                identity = {**checked.identity, "task": spec.fingerprint, "provenance": checked.source.provenance(spec)}
                key = digest({name: value for name, value in identity.items() if name not in _NOT_OF_LOAD})
                file = self._out / "load" / f"{spec.name}.npz"
                item = read_load(file, key)
                if item is None:
                    length = getattr(self.model.config, "max_position_embeddings", None) or length
                    rows = load_rows(
                        spec,
                        checked.source,
                        checked.tokenizer,
                        tier=evaluation.tier,
                        prompt_format=evaluation.prompt_format,
                        max_length=length,
                        subject_rows=self._settings.subject_rows,
                        allow_missing=evaluation.allow_missing,
                    )
                    item = measure_load(self.model, spec, rows, checked.tokenizer.pad_token_id, bars(spec.name))
                    write_load(file, item, key)
                measured.append(item)
        return measured

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


_NOT_OF_LOAD = ("parts", "permutations", "datasets", "scorer")
