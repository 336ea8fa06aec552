"""Settings of an analysis of experts, and everything that is checked before any work."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cme.adapters.checks import read_config
from cme.adapters.load import adapter_fingerprint
from cme.analysis.checks import Experts, check_equal_numbers, check_experts, check_matrices, check_nothing_else
from cme.api.analysis_training import checkpoints_of
from cme.api.validation_rows import ValidationMix, find_mix
from cme.data.sources import check_source, open_source, source_identity
from cme.errors import UsageError, unknown
from cme.evaluation.adapters import resolve_adapter
from cme.evaluation.code import without_programs
from cme.evaluation.guards import check_trained_on
from cme.evaluation.settings import EvalSettings
from cme.models.load import base_fingerprint, load_tokenizer, resolve_base
from cme.models.tokenizer_files import tokenizer_fingerprint
from cme.prompt import TEMPLATE_DATE, check_format
from cme.records.analysis import PARTS
from cme.suite import DatasetSpec
from cme.suite.experts.masks import Masks
from cme.suite.score import SCORER_VERSION
from cme.training.mix_rows import own_run

__all__ = ["AnalysisSettings", "Checked", "check_analysis", "checked_analysis"]


@dataclass(frozen=True)
class AnalysisSettings:
    """Settings of an analysis.

    Attributes:
        evaluation: settings of the evaluations, with the adapter.
        parts: the parts to do, of `PARTS`.
        subject_rows: rows of each MMLU subject on which load is measured.
        permutations: permutations of the test of subjects.
        data: folder of the run's mix; None for the one that its record names.
        validation_rows: most rows of the mix on which the validation loss is measured.
        draws: draws of bundles of experts.
    """

    evaluation: EvalSettings
    parts: tuple[str, ...]
    subject_rows: int
    permutations: int
    data: Path | None = None
    validation_rows: int = 200
    draws: int = 20


class Checked:
    """What was determined before any work.

    Args:
        settings: settings of the analysis.
    """

    def __init__(self, settings: AnalysisSettings) -> None:
        evaluation = settings.evaluation
        self.adapter = resolve_adapter(evaluation.adapter or "")
        self.experts: Experts = check_experts(self.adapter)
        config = read_config(self.adapter)
        if "similarity" in settings.parts:
            check_matrices(config)
        if settings.parts != ("similarity",):
            check_equal_numbers(self.adapter, config, "only --parts similarity can be measured")
            if {"redundancy", "shapley", "validation"} & set(settings.parts):
                check_nothing_else(self.adapter, config)
        self.masks = Masks(
            self.experts.count,
            redundancy="redundancy" in settings.parts,
            shapley="shapley" in settings.parts,
            top1=not self.experts.ties,
        )
        self.source = open_source(evaluation.source)
        specs = without_programs(evaluation.datasets, "cme analyse")
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
            "source": source_identity(evaluation.source),
            "datasets": {spec.name: spec.fingerprint for spec in self.specs},
            "dtype": evaluation.dtype,
            "scorer": SCORER_VERSION,
            "subject_rows": settings.subject_rows,
            "permutations": settings.permutations,
            "parts": list(settings.parts),
        }
        self.checkpoints = checkpoints_of(self.adapter) if "training" in settings.parts else []
        if self.checkpoints:
            self.identity["checkpoints"] = {str(item.step): item.fingerprint for item in self.checkpoints}
        self.mix = find_mix(self.adapter, settings.data) if "validation" in settings.parts else None
        if isinstance(self.mix, str) and settings.parts == ("validation",):
            raise UsageError(self.mix)
        if self.mix is not None:
            run = own_run(self.adapter)
            own = self.mix.fingerprint if isinstance(self.mix, ValidationMix) else None
            self.identity["validation"] = {
                # A finished analysis can be read after the mix was removed.
                "mix": own if run is None else run.mix_fingerprint,
                "rows": settings.validation_rows,
                "draws": settings.draws,
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
    checked_analysis(settings)


def checked_analysis(settings: AnalysisSettings) -> Checked:
    """Check an analysis, and return what was determined on the way. See `check_analysis`."""
    if not settings.parts:
        raise UsageError(f"no part of the analysis was chosen. Give some of {', '.join(PARTS)}.")
    for part in settings.parts:
        if part not in PARTS:
            raise unknown("part of an analysis", part, PARTS)
    counts = {
        "subject rows": settings.subject_rows,
        "permutations": settings.permutations,
        "validation rows": settings.validation_rows,
        "draws": settings.draws,
    }
    for option, number in counts.items():
        if number < 1:
            raise UsageError(f"the number of {option} is {number}. Give a number of at least 1.")
    settings.evaluation.check()
    return Checked(settings)
