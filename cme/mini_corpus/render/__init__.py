"""Renderers: one file per dataset, which makes rows in that dataset's hub columns."""

import importlib
import pkgutil

from cme.mini_corpus.renderer import Renderer

__all__ = ["RENDERERS"]

RENDERERS: dict[str, Renderer] = {
    renderer.folder: renderer
    for module in pkgutil.iter_modules(__path__)
    for renderer in importlib.import_module(f"{__name__}.{module.name}").RENDERERS
}
"""Maps each folder to its renderer."""
