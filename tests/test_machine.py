"""What is asked of the operating system, also where it is not Linux."""

import ast
import builtins
import os
import platform
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cme import machine

PACKAGE = Path(__file__).resolve().parents[1] / "cme"

ONLY_LINUX = re.compile(r"sched_getaffinity|/proc/|import resource|os\.fork\b|os\.sysconf|posix_fadvise|clear_refs")


def test_without_sched_getaffinity_all_processors_are_usable(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(machine, "processor_quota", lambda: None)
    assert machine.usable_processors() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert machine.usable_processors() == 1


@pytest.mark.skipif(
    not hasattr(os, "sched_getaffinity"), reason="this system does not restrict processes to processors"
)
def test_only_processors_that_this_process_may_use_count(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {1, 5, 6})
    monkeypatch.setattr(machine, "processor_quota", lambda: None)
    assert machine.usable_processors() == 3


@pytest.mark.parametrize(("quota", "expected"), [(None, 64), (2.0, 2), (1.5, 1), (0.5, 1), (100.0, 64)])
def test_only_whole_processors_of_the_quota_of_a_container_count(monkeypatch, quota, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr(machine, "processor_quota", lambda: quota)
    assert machine.usable_processors() == expected


def test_without_proc_the_processor_has_a_name_and_no_flags(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_CPUINFO", tmp_path / "missing")
    monkeypatch.setattr(platform, "processor", lambda: "arm")
    assert (machine.processor_name(), machine.processor_flags()) == ("arm", frozenset())
    monkeypatch.setattr(platform, "processor", lambda: "")
    assert machine.processor_name() == platform.machine()


def test_name_and_flags_as_linux_gives_them(monkeypatch, tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Some CPU: fast\nflags\t\t: fpu avx512_bf16\n")
    monkeypatch.setattr(machine, "_CPUINFO", file)
    assert machine.processor_name() == "Some CPU: fast"
    assert {"fpu", "avx512_bf16"} <= machine.processor_flags()


def test_peak_memory_is_in_bytes_on_linux_and_macos(monkeypatch):
    resource = pytest.importorskip("resource")
    usage = type("Usage", (), {"ru_maxrss": 3_000_000})()
    monkeypatch.setattr(resource, "getrusage", lambda who: usage)
    monkeypatch.setattr(sys, "platform", "linux")
    assert machine.peak_memory() == 3_000_000 * 1024
    monkeypatch.setattr(sys, "platform", "darwin")
    assert machine.peak_memory() == 3_000_000


def test_peak_memory_where_the_system_does_not_measure_it(monkeypatch):
    load = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name == "resource":
            raise ImportError(name)
        return load(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    assert machine.peak_memory() == 0


def test_nothing_else_uses_what_only_linux_has():
    users = {}
    for path in PACKAGE.rglob("*.py"):
        code = ast.unparse(ast.parse(path.read_text(encoding="utf-8")))
        # The program that patterns.py starts guards its own import. The sandbox is refused outside of Linux before it is used.
        if path.name in ("cgroup.py", "machine.py", "patterns.py") or path.is_relative_to(PACKAGE / "sandbox"):
            continue
        if match := ONLY_LINUX.search(code):
            users[path.relative_to(PACKAGE).as_posix()] = match.group()
    assert users == {}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /proc")
def test_a_process_that_nobody_waited_for_is_a_zombie():
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert not machine.is_zombie(child.pid)
        child.stdin.close()
        end = time.monotonic() + 60
        while not machine.is_zombie(child.pid) and time.monotonic() < end:
            time.sleep(0.01)
        assert machine.is_zombie(child.pid), "it has ended, and this process has not asked how"
    assert not machine.is_zombie(child.pid)
