"""Records of CME's artefacts (manifest, run, grid, result, analysis, export, entry) as pydantic models."""

from cme.records.analysis import (
    Analysis,
    ExpertValues,
    GateAgreement,
    GroupLoad,
    Interval,
    LayerCompetition,
    LayerSimilarity,
    LoadAnalysis,
    MaskScore,
    ShapleyAnalysis,
    Share,
    SimilarityAnalysis,
    SubjectTest,
    TrainingLoad,
    TrainingStep,
)
from cme.records.base import Artefact, PartialRecord, Record, read_record, versions, write_record
from cme.records.cost import Cost, MeasuredRatios, Ratio
from cme.records.entry import Entry, EntryPromptVariant, EntryRun
from cme.records.experts import ExpertsCompetition, ExpertsLoad, PlainLora, RouterWorth, RunExperts, SubjectInformation
from cme.records.export import Export
from cme.records.grid import ChosenGrid, Diverged, Grid, GridRun, chosen_rate, chosen_run, chosen_settings
from cme.records.images import ImageResult, SkillScore
from cme.records.manifest import Manifest, MixDataset, Rebuilt
from cme.records.provenance import AdapterOrigin, EvaluationOrigin, MixOrigin, Provenance, TrainingOrigin
from cme.records.result import AdapterInfo, DatasetScore, FamilyScore, Result, Scores, SoftDatasetScore, SoftScores
from cme.records.retention import Drift, LossChange, Retention
from cme.records.rows import RowLook, RowSelection
from cme.records.run import Run
from cme.records.settings import AdapterRecord, Recipe, TrainingRecord
from cme.records.validation import BundleTest, LayerGroup, MaskLoss, ValidationAnalysis

__all__ = [
    "AdapterInfo",
    "AdapterOrigin",
    "AdapterRecord",
    "Analysis",
    "Artefact",
    "BundleTest",
    "ChosenGrid",
    "Cost",
    "DatasetScore",
    "Diverged",
    "Drift",
    "Entry",
    "EntryPromptVariant",
    "EntryRun",
    "EvaluationOrigin",
    "ExpertValues",
    "ExpertsCompetition",
    "ExpertsLoad",
    "Export",
    "FamilyScore",
    "GateAgreement",
    "Grid",
    "GridRun",
    "GroupLoad",
    "ImageResult",
    "Interval",
    "LayerCompetition",
    "LayerGroup",
    "LayerSimilarity",
    "LoadAnalysis",
    "LossChange",
    "Manifest",
    "MaskLoss",
    "MaskScore",
    "MeasuredRatios",
    "MixDataset",
    "MixOrigin",
    "PartialRecord",
    "PlainLora",
    "Provenance",
    "Ratio",
    "Rebuilt",
    "Recipe",
    "Record",
    "Result",
    "Retention",
    "RouterWorth",
    "RowLook",
    "RowSelection",
    "Run",
    "RunExperts",
    "Scores",
    "ShapleyAnalysis",
    "Share",
    "SimilarityAnalysis",
    "SkillScore",
    "SoftDatasetScore",
    "SoftScores",
    "SubjectInformation",
    "SubjectTest",
    "TrainingLoad",
    "TrainingOrigin",
    "TrainingRecord",
    "TrainingStep",
    "ValidationAnalysis",
    "chosen_rate",
    "chosen_run",
    "chosen_settings",
    "read_record",
    "versions",
    "write_record",
]
