"""Limits of containers, as both versions of the kernel's groups show them."""

import pytest

from cme import cgroup

V2 = "36 25 0:29 {root} {mount} rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = (
    "36 25 0:29 {root} {mount}/cpu rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "37 25 0:30 {root} {mount}/memory rw - cgroup cgroup rw,memory\n"
)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a function that writes what the kernel shows: the path of the group, the mounts, and the files of groups."""
    proc, mount = tmp_path / "proc", tmp_path / "sys"
    (proc / "self").mkdir(parents=True)
    monkeypatch.setattr(cgroup, "_PROC", proc)

    def write(own, mounts, files, *, root="/", available=64 * 2**20):
        (proc / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:  {available} kB\n")
        (proc / "self" / "cgroup").write_text(own)
        (proc / "self" / "mountinfo").write_text(
            "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n" + mounts.format(root=root, mount=mount)
        )
        for name, content in files.items():
            (mount / name).parent.mkdir(parents=True, exist_ok=True)
            (mount / name).write_text(content)

    return write


def test_without_groups_there_is_no_limit(machine, monkeypatch, tmp_path):
    machine("0::/\n", V2, {"cgroup.procs": ""})
    assert cgroup.processor_quota() is None
    assert cgroup.free_memory() == 64 * 2**30
    monkeypatch.setattr(cgroup, "_PROC", tmp_path / "nowhere")
    assert cgroup.processor_quota() is None and cgroup.free_memory() is None


@pytest.mark.parametrize(
    ("content", "expected"), [("200000 100000\n", 2.0), ("max 100000\n", None), ("150000 100000\n", 1.5)]
)
def test_the_quota_of_a_container_with_version_2(machine, content, expected):
    machine("0::/\n", V2, {"cpu.max": content})
    assert cgroup.processor_quota() == expected


def test_the_quota_of_an_outer_group_counts_as_well(machine):
    machine("0::/a/b\n", V2, {"a/b/cpu.max": "400000 100000\n", "a/cpu.max": "300000 100000\n"})
    assert cgroup.processor_quota() == 3.0


@pytest.mark.parametrize(("quota", "expected"), [("200000\n", 2.0), ("-1\n", None)])
@pytest.mark.parametrize("root", ["/docker/f00", "/"])
def test_the_quota_of_a_container_with_version_1(machine, root, quota, expected):
    folder = "cpu" if root != "/" else "cpu/docker/f00"
    machine(
        "4:memory:/docker/f00\n3:cpu,cpuacct:/docker/f00\n0::/\n",
        V1,
        {f"{folder}/cpu.cfs_quota_us": quota, f"{folder}/cpu.cfs_period_us": "100000\n"},
        root=root,
    )
    assert cgroup.processor_quota() == expected


def test_free_memory_is_what_the_limit_leaves(machine):
    files = {"memory.max": f"{4 * 2**30}\n", "memory.current": f"{3 * 2**30}\n"}
    machine("0::/\n", V2, files | {"memory.stat": f"anon 5\ninactive_file {2**29}\n"})
    assert cgroup.free_memory() == 2**30 + 2**29
    machine("0::/\n", V2, {"memory.max": "max\n"})
    assert cgroup.free_memory() == 64 * 2**30
    files = {"memory/memory.limit_in_bytes": f"{2**31}\n", "memory/memory.usage_in_bytes": f"{2**30}\n"}
    machine(
        "4:memory:/x\n", V1, files | {"memory/memory.stat": "inactive_file 1\ntotal_inactive_file 4096\n"}, root="/x"
    )
    assert cgroup.free_memory() == 2**30 + 4096


def test_the_smallest_amount_is_that_of_the_machine(machine):
    machine("0::/\n", V2, {"memory.max": f"{4 * 2**30}\n", "memory.current": "0\n"}, available=1024)
    assert cgroup.free_memory() == 2**20
