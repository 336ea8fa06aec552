"""Every environment variable that CME reads, in one place.

| variable | meaning |
| --- | --- |
| ``CME_DATA_SOURCE`` | where plain ``lm_eval`` takes rows from: ``hub`` (default), ``mini`` or a mirror folder |
| ``CME_CACHE`` | cache folder (default ``$XDG_CACHE_HOME/cme``, else ``~/.cache/cme``); holds the converted embedded base model |
| ``CME_LOCK`` | the lock file with the hub's commits (default ``cme.lock`` in the current folder) |
| ``CME_DATA_DIR`` | tests only: the folder with real rows |
| ``WORLD_SIZE``, ``RANK`` | set by torchrun: how many processes there are, and which one this is |
"""

import os
from pathlib import Path

__all__ = ["cache_dir", "data_source", "is_first_process", "lock_file", "processes", "rank"]


def data_source() -> str:
    """Source named by ``CME_DATA_SOURCE``; ``"hub"`` when unset or empty."""
    return os.environ.get("CME_DATA_SOURCE") or "hub"


def cache_dir() -> Path:
    """CME's cache folder (not created)."""
    own = os.environ.get("CME_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cme"


def lock_file() -> Path:
    """The lock with the hub's commits: what ``CME_LOCK`` names, else ``cme.lock`` in the current folder."""
    return Path(os.environ.get("CME_LOCK") or "cme.lock").expanduser()


def processes() -> int:
    """How many processes torchrun has started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def rank() -> int:
    """The number of this process among torchrun's; 0 without it."""
    return int(os.environ.get("RANK") or 0)


def is_first_process() -> bool:
    """Whether this is the process that prints: the first of torchrun's, or the only one."""
    return rank() == 0
