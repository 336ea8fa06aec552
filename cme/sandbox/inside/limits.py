"""Limits of a process, which it sets for itself before any code of others runs in it. They cannot be raised again."""

import resource

__all__ = ["set_limits"]


def set_limits(seconds: int, memory: int, file: int, processes: int) -> None:
    """Limit the resources of this process and of all processes that it starts.

    Args:
        seconds: CPU time.
        memory: bytes of address space.
        file: bytes of a file.
        processes: number of processes and threads of the user. The kernel ignores it for root, whose threads CME counts.
    """
    for kind, soft, hard in (
        (resource.RLIMIT_CPU, seconds, seconds + 1),
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_FSIZE, file, file),
        (resource.RLIMIT_NPROC, processes, processes),
        (resource.RLIMIT_NOFILE, 64, 64),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ):
        most = resource.getrlimit(kind)[1]
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(kind, (soft, hard))
