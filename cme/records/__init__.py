"""The four artefacts – manifest, run, result, entry: schema, write, read, validate."""

from cme.records.base import read_record, versions, write_record
from cme.records.entry import Entry, EntryRun, EntryWording
from cme.records.grid import Grid, GridRun
from cme.records.manifest import Manifest, MixDataset
from cme.records.result import AdapterInfo, DatasetScore, FamilyScore, Result, Scores
from cme.records.run import Run

__all__ = [
    "AdapterInfo",
    "DatasetScore",
    "Entry",
    "EntryRun",
    "EntryWording",
    "FamilyScore",
    "Grid",
    "GridRun",
    "Manifest",
    "MixDataset",
    "Result",
    "Run",
    "Scores",
    "read_record",
    "versions",
    "write_record",
]
