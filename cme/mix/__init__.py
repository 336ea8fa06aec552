"""Building of training mixes, without duplicates and leaks, from the datasets of the suite."""

from cme.mix.build import Checked, build, check_only
from cme.mix.rows import example_from_row, load_mix, mix_files, read_manifest
from cme.mix.settings import BuildSettings

__all__ = [
    "BuildSettings",
    "Checked",
    "build",
    "check_only",
    "example_from_row",
    "load_mix",
    "mix_files",
    "read_manifest",
]
