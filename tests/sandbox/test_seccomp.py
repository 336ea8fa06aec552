"""The filter of system calls, run by a small interpreter of its instructions."""

import errno
import struct

import pytest

from cme.sandbox.seccomp import ARCHITECTURES, seccomp_filter

ALLOWED, KILLED = 0x7FFF0000, 0x80000000
X86_64, ARM64 = 0xC000003E, 0xC00000B7


def answer(machine: str, number: int, *, architecture: int, flags: int = 0) -> int:
    """What the filter answers to a system call."""
    steps = list(struct.iter_unpack("HBBI", seccomp_filter(machine)))
    data = {0: number, 4: architecture, 16: flags}
    place = loaded = 0
    while True:
        code, yes, no, value = steps[place]
        place += 1
        if code == 0x20:
            loaded = data[value]
        elif code == 0x06:
            return value
        else:
            holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            place += yes if holds else no


def refused(number: int) -> int:
    return 0x00050000 | number


@pytest.mark.parametrize(
    ("machine", "architecture", "number", "expected"),
    [
        ("x86_64", X86_64, 0, ALLOWED),  # read
        ("x86_64", X86_64, 9, ALLOWED),  # mmap
        ("x86_64", X86_64, 41, refused(errno.EPERM)),  # socket
        ("x86_64", X86_64, 57, refused(errno.EAGAIN)),  # fork
        ("x86_64", X86_64, 58, refused(errno.EAGAIN)),  # vfork
        ("x86_64", X86_64, 101, refused(errno.EPERM)),  # ptrace
        ("x86_64", X86_64, 435, refused(errno.ENOSYS)),  # clone3
        ("x86_64", X86_64, 0x40000000, refused(errno.ENOSYS)),  # read of the x32 interface
        ("x86_64", ARM64, 0, KILLED),
        ("aarch64", ARM64, 63, ALLOWED),  # read
        ("aarch64", ARM64, 198, refused(errno.EPERM)),  # socket
        ("aarch64", ARM64, 57, ALLOWED),  # close, which is fork on x86-64
        ("aarch64", X86_64, 63, KILLED),
    ],
)
def test_answers(machine, architecture, number, expected):
    assert answer(machine, number, architecture=architecture) == expected


@pytest.mark.parametrize(("machine", "architecture", "clone"), [("x86_64", X86_64, 56), ("aarch64", ARM64, 220)])
def test_clone_makes_threads_only(machine, architecture, clone):
    thread, process = 0x10000 | 0x100, 0x11
    assert answer(machine, clone, architecture=architecture, flags=thread) == ALLOWED
    assert answer(machine, clone, architecture=architecture, flags=process) == refused(errno.EAGAIN)


@pytest.mark.parametrize(("machine", "architecture", "pair"), [("x86_64", X86_64, 53), ("aarch64", ARM64, 199)])
def test_pairs_of_sockets_are_those_of_asyncio_only(machine, architecture, pair):
    answers = {family: answer(machine, pair, architecture=architecture, flags=family) for family in (1, 16, 30, 40)}
    assert answers == {1: ALLOWED} | dict.fromkeys((16, 30, 40), refused(errno.EPERM))


def test_there_is_no_filter_for_other_machines():
    assert seccomp_filter("riscv64") is None
    assert set(ARCHITECTURES) == {"x86_64", "aarch64"}
