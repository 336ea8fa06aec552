"""The engine of a Ray cluster, on two nodes (raylets) of this machine, and what happens if parts of it are killed."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.board import disturb
from tests.board.fakes import write_board

pytestmark = pytest.mark.long

WITHOUT_RAY = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ray":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from cme.cli.main import main
sys.argv = ["cme", "board", "run", sys.argv[1], "--engine", "ray"]
main()
"""


def test_without_ray_the_message_has_the_line_that_installs_it(tmp_path):
    path = write_board(tmp_path)
    done = subprocess.run([sys.executable, "-c", WITHOUT_RAY, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert (
        '--engine ray needs ray, which is not installed. Install it with: pip install "cme-bench[boards]".'
        in done.stderr
    )
    assert not (tmp_path / "work").exists()


@pytest.fixture
def cluster():
    """Two nodes with one CPU each."""
    pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    made.add_node(num_cpus=1)
    yield made
    made.shutdown()


def parent(pid):
    """Return the parent of a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def raylet_of(pid):
    """Return the raylet on whose node a command runs: the parent of its worker."""
    return parent(parent(pid))


def ray_run(path, cluster):
    return disturb.start(path, "--engine", "ray", "--address", cluster.address)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, tiny_base):
    """What the local engine gives for two seeds."""
    root = tmp_path_factory.mktemp("undisturbed")
    code, errors = disturb.finish(disturb.write(root, tiny_base, seeds="[0, 1]"))
    assert code == 0, errors
    return disturb.results(root)


def test_two_nodes_give_what_one_machine_gives(tmp_path, tiny_base, cluster, undisturbed):
    process = ray_run(disturb.write(tmp_path, tiny_base, seeds="[0, 1]"), cluster)
    nodes = {raylet_of(disturb.trainer(tmp_path, f"runs/lora-{seed}")) for seed in (0, 1)}
    errors = process.communicate(timeout=1500)[1]
    assert process.returncode == 0, errors
    assert len(nodes) == 2, "the two runs were spread over the nodes"
    assert disturb.results(tmp_path) == undisturbed
    token = Path("~/.ray/auth_token").expanduser()
    assert not token.exists() or stat.S_IMODE(token.stat().st_mode) == 0o600


def test_a_killed_worker_and_a_killed_trainer(tmp_path, tiny_base, cluster, undisturbed):
    process = ray_run(disturb.write(tmp_path, tiny_base, seeds="[0, 1]"), cluster)
    first, second = (disturb.trainer(tmp_path, f"runs/lora-{seed}") for seed in (0, 1))
    worker = parent(first)
    disturb.kill(worker)
    disturb.kill(second)
    disturb.wait_for(lambda: disturb.is_gone(first), "the end of the trainer of the killed worker", 60)
    errors = process.communicate(timeout=1500)[1]
    assert process.returncode == 0, errors
    assert disturb.results(tmp_path) == undisturbed


def test_a_lost_node(tmp_path, tiny_base, cluster, undisturbed):
    """The steps of the lost node go on where there is room, and nothing on the lost node goes on writing."""
    process = ray_run(disturb.write(tmp_path, tiny_base, seeds="[0, 1]"), cluster)
    trainers = [disturb.trainer(tmp_path, f"runs/lora-{seed}") for seed in (0, 1)]
    head = cluster.head_node.all_processes["raylet"][0].process.pid
    raylets = {raylet_of(pid): pid for pid in trainers}
    lost = next(raylet for raylet in raylets if raylet != head)
    disturb.kill(lost)
    disturb.wait_for(lambda: disturb.is_gone(raylets[lost]), "the end of the trainer of the lost node", 120)
    errors = process.communicate(timeout=1500)[1]
    assert process.returncode == 0, errors
    runs = [json.loads((tmp_path / f"work/runs/lora-{seed}/run.json").read_text()) for seed in (0, 1)]
    assert [run["interruptions"] for run in runs] == [int(pid == raylets[lost]) for pid in trainers]
    assert disturb.results(tmp_path) == undisturbed


def test_a_killed_driver(tmp_path, tiny_base, cluster, undisturbed):
    path = disturb.write(tmp_path, tiny_base, seeds="[0, 1]")
    process = ray_run(path, cluster)
    trainers = [disturb.trainer(tmp_path, f"runs/lora-{seed}") for seed in (0, 1)]
    process.kill()
    process.communicate()
    for pid in trainers:
        disturb.wait_for(lambda pid=pid: disturb.is_gone(pid), "the end of a trainer", 120)
    code, errors = disturb.finish(path)
    assert code == 0, errors
    assert disturb.results(tmp_path) == undisturbed


def test_a_cluster_that_is_not_there(tmp_path):
    code, errors = disturb.finish(write_board(tmp_path), "--engine", "ray", "--address", "127.0.0.1:1")
    assert code == 1 and "the Ray cluster 127.0.0.1:1 cannot be reached" in errors and "Traceback" not in errors
    assert not (tmp_path / "work").exists()


def test_steps_that_no_node_can_run(tmp_path, cluster):
    path = write_board(tmp_path, methods="{lora: {settings: {rank: 4}, gpus: 2}}")
    code, errors = disturb.finish(path, "--engine", "ray", "--address", cluster.address)
    assert code == 2 and "needs 1 CPUs and 2 GPUs, but no node of the Ray cluster has them" in errors
    assert not (tmp_path / "work").exists()
