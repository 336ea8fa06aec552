"""Records of CME's artefacts (manifest, run, grid, result, analysis, entry) as pydantic models, with reading and writing."""

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
)
from cme.records.base import Artefact, PartialRecord, Record, read_record, versions, write_record
from cme.records.cost import Cost, MeasuredRatios, Ratio
from cme.records.entry import Entry, EntryPromptVariant, EntryRun
from cme.records.experts import ExpertsCompetition, ExpertsLoad, PlainLora, RouterWorth, RunExperts, SubjectInformation
from cme.records.grid import ChosenGrid, Grid, GridRun
from cme.records.manifest import Manifest, MixDataset
from cme.records.provenance import AdapterOrigin, EvaluationOrigin, MixOrigin, Provenance, TrainingOrigin
from cme.records.result import AdapterInfo, DatasetScore, FamilyScore, Result, Scores, SoftDatasetScore, SoftScores
from cme.records.retention import Drift, LossChange, Retention
from cme.records.rows import RowLook, RowSelection
from cme.records.run import Run
from cme.records.settings import AdapterRecord, Recipe, TrainingRecord

__all__ = [
    "AdapterInfo",
    "AdapterOrigin",
    "AdapterRecord",
    "Analysis",
    "Artefact",
    "ChosenGrid",
    "Cost",
    "DatasetScore",
    "Drift",
    "Entry",
    "EntryPromptVariant",
    "EntryRun",
    "EvaluationOrigin",
    "ExpertValues",
    "ExpertsCompetition",
    "ExpertsLoad",
    "FamilyScore",
    "GateAgreement",
    "Grid",
    "GridRun",
    "GroupLoad",
    "Interval",
    "LayerCompetition",
    "LayerSimilarity",
    "LoadAnalysis",
    "LossChange",
    "Manifest",
    "MaskScore",
    "MeasuredRatios",
    "MixDataset",
    "MixOrigin",
    "PartialRecord",
    "PlainLora",
    "Provenance",
    "Ratio",
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
    "SoftDatasetScore",
    "SoftScores",
    "SubjectInformation",
    "SubjectTest",
    "TrainingOrigin",
    "TrainingRecord",
    "read_record",
    "versions",
    "write_record",
]
