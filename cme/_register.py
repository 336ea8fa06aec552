"""Makes CME's methods known to PEFT without importing PEFT (which alone takes seconds)."""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["install"]


class _AfterPeft(MetaPathFinder):
    """Finds peft as everyone else would, and registers CME's methods when its import has ended."""

    def __init__(self) -> None:
        self._asking = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "peft" or self._asking:
            return None
        self._asking = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking = False
        if spec is None or spec.loader is None:
            return None
        run = spec.loader.exec_module

        def run_and_register(module: ModuleType) -> None:
            run(module)
            if self in sys.meta_path:
                sys.meta_path.remove(self)
            _register()

        # Looking for peft is not importing it (transformers looks), so the finder stays until the module has run.
        vars(spec.loader)["exec_module"] = run_and_register
        return spec


def install() -> None:
    """Register the methods now if peft is imported, else when it is. A second call changes nothing."""
    if "peft" in sys.modules:
        _register()
    elif not any(isinstance(finder, _AfterPeft) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterPeft())


def _register() -> None:
    from cme.adapters.registration import register_all

    register_all()
