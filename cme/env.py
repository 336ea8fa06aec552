"""Every environment variable that CME reads, in one place.

| variable | meaning |
| --- | --- |
| ``CME_DATA_SOURCE`` | source of the rows in plain ``lm_eval``: ``hub`` (default), ``mini``, a mirror folder or ``NAME=DIR`` |
| ``CME_CACHE`` | cache folder (default ``$XDG_CACHE_HOME/cme``, else ``~/.cache/cme``); holds the converted embedded base model |
| ``CME_LOCK`` | the lock file with the hub's commits (default ``cme.lock`` in the current folder) |
| ``CME_DATA_DIR`` | tests only: the folder with real rows |
| ``RAY_ADDRESS`` | address of the cluster for ``cme board run --engine ray`` |
| ``CUDA_VISIBLE_DEVICES`` | ids of the GPUs that ``cme board run`` gives to its commands |
| ``WANDB_PROJECT`` | project for ``cme train --report-to wandb`` (default ``cme``) |
| ``TRACKIO_SPACE_ID``, ``TRACKIO_SERVER_URL`` | trackio's own: whether ``--report-to trackio`` logs to another machine |
| ``WORLD_SIZE``, ``RANK`` | set by torchrun: how many processes there are, and which one this is |
| ``TORCHELASTIC_RUN_ID`` | set by torchrun: its processes end when it is killed |
"""

import os
from pathlib import Path

__all__ = [
    "cache_dir",
    "data_source",
    "is_first_process",
    "lock_file",
    "processes",
    "rank",
    "ray_address",
    "trackio_is_remote",
    "under_torchrun",
    "visible_devices",
    "wandb_project",
]


def data_source() -> str:
    """Return the source in ``CME_DATA_SOURCE``, or ``"hub"`` if it is unset or empty."""
    return os.environ.get("CME_DATA_SOURCE") or "hub"


def cache_dir() -> Path:
    """Return CME's cache folder. It may not exist."""
    own = os.environ.get("CME_CACHE")
    if own:
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "cme"


def lock_file() -> Path:
    """Return the lock file with the hub's commits: ``CME_LOCK``, or ``cme.lock`` in the current folder."""
    return Path(os.environ.get("CME_LOCK") or "cme.lock").expanduser()


def processes() -> int:
    """Return the number of processes that torchrun started, or 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def under_torchrun() -> bool:
    """Return whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def rank() -> int:
    """Return the rank of this process under torchrun, or 0 without torchrun."""
    return int(os.environ.get("RANK") or 0)


def is_first_process() -> bool:
    """Return whether this process prints: it is rank 0 of torchrun, or the only process."""
    return rank() == 0


def ray_address() -> str | None:
    """Return the address of a Ray cluster, if it is set."""
    return os.environ.get("RAY_ADDRESS") or None


def visible_devices() -> list[str] | None:
    """Return the ids of the GPUs that this process may use, or None if the variable is not set."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return None if chosen is None else [name.strip() for name in chosen.split(",") if name.strip() not in ("", "-1")]


def wandb_project() -> str | None:
    """Return the project that ``WANDB_PROJECT`` names, if it is set."""
    return os.environ.get("WANDB_PROJECT") or None


def trackio_is_remote() -> bool:
    """Return whether the user has configured trackio to log to a Space or a server in place of its local database."""
    return bool(os.environ.get("TRACKIO_SPACE_ID") or os.environ.get("TRACKIO_SERVER_URL"))
