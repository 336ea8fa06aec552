"""Renderers: one file per dataset, which makes rows in that dataset's hub columns."""

import importlib
import pkgutil

from cme.mini_corpus.part import Part

__all__ = ["PARTS"]

PARTS: dict[str, Part] = {
    part.folder: part
    for found in pkgutil.iter_modules(__path__)
    for part in importlib.import_module(f"{__name__}.{found.name}").PARTS
}
"""Maps each folder to its renderer."""
