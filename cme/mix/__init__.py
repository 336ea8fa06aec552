"""22 datasets → one training mix: duplicates and leaks removed, capped, ordered, written with its manifest."""

from cme.mix.build import build
from cme.mix.rows import example_from_row, load_mix, mix_files, read_manifest
from cme.mix.settings import MIXINGS, BuildSettings

__all__ = ["MIXINGS", "BuildSettings", "build", "example_from_row", "load_mix", "mix_files", "read_manifest"]
