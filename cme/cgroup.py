"""Limits that a container or the system sets for a group of processes (cgroups of Linux, both versions).

Source: the pages "Control Group v2" and "Control Groups version 1" of the Linux kernel's documentation.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

__all__ = ["free_memory", "processor_quota"]

_PROC = Path("/proc")


def processor_quota() -> float | None:
    """Return how many processors the groups of this process may use at the same time, such as 1.5. None means no limit."""
    quotas = []
    for folder, version in _groups("cpu"):
        if version == 2:
            quota, period = [*_words(folder / "cpu.max"), "", ""][:2]
        else:
            quota, period = (" ".join(_words(folder / f"cpu.cfs_{name}_us")) for name in ("quota", "period"))
        # Without a limit, version 2 has the word "max", and version 1 has -1.
        if quota.isdigit() and period.isdigit() and int(period):
            quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


def free_memory() -> int | None:
    """Return how many bytes this process and its children can use beyond what is in use. None means that this is unknown.

    Memory of files that the kernel can drop at once counts as free.
    """
    lines = _lines(_PROC / "meminfo")
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    for folder, version in _groups("memory"):
        names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        limit, used = (" ".join(_words(folder / name)) for name in names)
        if limit.isdigit() and used.isdigit():
            droppable = {"inactive_file": 0, "total_inactive_file": 0}
            for line in _lines(folder / "memory.stat"):
                name, _, value = line.partition(" ")
                if name in droppable:
                    droppable[name] = int(value)
            # In version 1, the numbers without "total" leave out the groups inside of the group.
            free.append(int(limit) - max(0, int(used) - max(droppable.values())))
    return max(0, min(free)) if free else None


def _groups(controller: str) -> Iterator[tuple[Path, int]]:
    """Yield the folders of the groups that limit this process, inner ones first, with the version of their files."""
    paths: dict[str, PurePosixPath] = {}
    for line in _lines(_PROC / "self" / "cgroup"):
        _, names, own = line.split(":", 2)
        # The line of version 2 has no names.
        for controlled in names.split(","):
            paths[controlled] = PurePosixPath(own)
    for line in _lines(_PROC / "self" / "mountinfo"):
        before, _, after = line.partition(" - ")
        root, mount = before.split()[3:5]
        kind, _, options = after.split()[:3]
        if kind == "cgroup2":
            name, version = "", 2
        elif kind == "cgroup" and controller in options.split(","):
            name, version = controller, 1
        else:
            continue
        if name not in paths:
            continue
        path = paths[name]
        # A container may show its own group as the root of all groups.
        inside = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
        folder = Path(mount) / inside
        while True:
            yield folder, version
            if folder == Path(mount):
                break
            folder = folder.parent


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
