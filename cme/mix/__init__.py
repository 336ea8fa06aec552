"""22 datasets → one training mix: duplicates and leaks removed, capped, ordered, written with its manifest."""

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
