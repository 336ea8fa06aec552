"""The filter of system calls for programs of others, in the form that bubblewrap passes to the kernel (classic BPF).

It forbids new processes, so that the limit on the memory of a process limits the whole program. It forbids sockets, because a
network namespace does not cover every kind (AF_VSOCK reaches the host of a virtual machine). The one exception is a pair of
sockets of the kind AF_UNIX that are connected with each other, which asyncio needs. It forbids memory that no other limit counts
(shared memory, memfd), and calls that only an attack on the kernel would need.

Source of the numbers: ``asm/unistd_64.h`` (x86-64) and ``asm-generic/unistd.h`` (arm64) of Linux.
"""

import errno
import platform
import struct

__all__ = ["ARCHITECTURES", "seccomp_filter"]

_COMMON = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442, 447)
"""io_uring (3 calls), open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, pidfd_getfd, mount_setattr, memfd_secret."""

_CALLS = {
    "shmget": (29, 194),
    "socket": (41, 198),
    "semget": (64, 190),
    "msgget": (68, 186),
    "ptrace": (101, 117),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "acct": (163, 89),
    "mount": (165, 40),
    "umount2": (166, 39),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "unshare": (272, 97),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "setns": (308, 268),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "memfd_create": (319, 279),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
}
"""Forbidden call → its numbers on x86-64 and arm64."""

ARCHITECTURES = {
    "x86_64": (0xC000003E, 0, (57, 58), 56, 53),
    "aarch64": (0xC00000B7, 1, (), 220, 199),
}
"""Machine → the kernel's number of the architecture, its column of `_CALLS`, the numbers of fork and vfork, of clone, and of
socketpair."""

_CLONE3 = 435
_CLONE_THREAD = 0x00010000
_AF_UNIX = 1
_FIRST_X32 = 0x40000000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_KILL, _ALLOW, _ERROR = 0x80000000, 0x7FFF0000, 0x00050000
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16


def seccomp_filter(machine: str | None = None) -> bytes | None:
    """Return the filter for a machine, or None if there is none for it.

    Args:
        machine: name of the machine, such as ``x86_64``. None means this one.
    """
    if (machine or platform.machine()) not in ARCHITECTURES:
        return None
    architecture, column, forks, clone, pair = ARCHITECTURES[machine or platform.machine()]
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        *_answer_if(_EQUAL, architecture, _KILL, negated=True),
        (_LOAD, 0, 0, _NUMBER),
        *_answer_if(_AT_LEAST, _FIRST_X32, _ERROR | errno.ENOSYS),
        # The C library then uses clone, whose flags the filter can read.
        *_answer_if(_EQUAL, _CLONE3, _ERROR | errno.ENOSYS),
    ]
    for number in (*_COMMON, *(numbers[column] for numbers in _CALLS.values())):
        steps += _answer_if(_EQUAL, number, _ERROR | errno.EPERM)
    for number in forks:
        steps += _answer_if(_EQUAL, number, _ERROR | errno.EAGAIN)
    steps += [
        (_EQUAL, 0, 4, pair),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERROR | errno.EPERM),
        (_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _ERROR | errno.EAGAIN),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("HBBI", *step) for step in steps)


def _answer_if(test: int, value: int, answer: int, *, negated: bool = False) -> list[tuple[int, int, int, int]]:
    """Return the steps that answer a system call if a test of the loaded number succeeds (or fails, if ``negated``)."""
    return [(test, int(negated), int(not negated), value), (_RETURN, 0, 0, answer)]
