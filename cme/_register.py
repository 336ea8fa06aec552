"""Registers CME's methods in PEFT without importing PEFT, whose import takes seconds."""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install"]


class _AfterPeft(MetaPathFinder):
    """Import hook that registers CME's methods as soon as peft has been imported."""

    def __init__(self) -> None:
        self._searching = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "peft" or self._searching:
            return None
        self._searching = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching = False
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_and_register(module: ModuleType) -> None:
            run(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register()

        # transformers looks for peft without importing it, so the hook stays until the module has been executed.
        vars(spec.loader)["exec_module"] = run_and_register
        return spec


def install() -> None:
    """Register the methods now if peft is imported, otherwise when it is imported. A second call has no effect."""
    if "peft" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterPeft) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterPeft())


def _register() -> None:
    from cme.adapters.registration import register_all

    register_all()
