"""FSDP2 with two processes on the CPU (gloo) gives the same adapter as one process with both batches, for every method."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adapters.variants import OWN, RANKWISE

PROGRAM = """
import sys
import torch
from peft import get_peft_model
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from tests.adapters.conftest import make_base, make_config, randomise

torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
mesh = init_device_mesh("cpu", (2,))
tokens = torch.randint(3, 61, (2, 9), generator=torch.Generator().manual_seed(5))
for method in sys.argv[1:]:
    models = [get_peft_model(make_base(), make_config(method)) for _ in range(2)]
    for model in models:
        randomise(model.train())
    whole, sharded = models
    for layer in sharded.get_base_model().model.layers:
        fully_shard(layer, mesh=mesh)
    fully_shard(sharded, mesh=mesh)
    whole(input_ids=tokens, labels=tokens).loss.backward()
    own = tokens[rank : rank + 1]
    sharded(input_ids=own, labels=own).loss.backward()
    exact = {name: weight.grad for name, weight in whole.named_parameters() if weight.requires_grad}
    parts = {name: weight for name, weight in sharded.named_parameters() if weight.requires_grad}
    assert exact.keys() == parts.keys()
    for name, weight in parts.items():
        assert isinstance(weight, DTensor), name
        torch.testing.assert_close(weight.grad.full_tensor(), exact[name], rtol=1e-4, atol=1e-6, msg=name)
    if rank == 0:
        print(method, len(parts), flush=True)
torch.distributed.destroy_process_group()
"""


def in_two_processes(tmp_path, program, methods):
    """Run a program under torchrun with two processes; return what it prints."""
    (tmp_path / "program.py").write_text(program)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    done = subprocess.run(
        [*launch, str(tmp_path / "program.py"), *methods],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.long
def test_two_shards_equal_one_process(tmp_path):
    printed = in_two_processes(tmp_path, PROGRAM, OWN)
    trained = {"teamlora": 4, "adamole": 4, "comol": 4, "flylora": 1}
    assert printed.split() == [word for method in OWN for word in (method, str(6 * trained.get(method, 3)))]


REPLICAS = """
import sys
import torch
from peft import get_peft_model
from torch.nn.parallel import DistributedDataParallel
from tests.adapters.conftest import layers, make_base, make_config

torch.distributed.init_process_group("gloo")
rank = torch.distributed.get_rank()
tokens = torch.randint(3, 61, (2, 9), generator=torch.Generator().manual_seed(5))
for method in sys.argv[1:]:
    biases = []
    for rows, wrap in ((slice(None), False), (slice(rank, rank + 1), True)):
        torch.manual_seed(3)
        model = get_peft_model(make_base(), make_config(method, bias_step=0.01)).train()
        run = DistributedDataParallel(model) if wrap else model
        own = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=0.0)
        for _ in range(2):
            run(input_ids=tokens[rows], labels=tokens[rows]).loss.backward()
            own.step()
        biases.append(torch.stack([layer.bias_of("default") for layer in layers(model)]))
    # The whole model counts the same rows in both processes, so its counts are twice those of the replicas.
    assert biases[0].any() and torch.equal(*biases)
    if rank == 0:
        print(method, flush=True)
torch.distributed.destroy_process_group()
"""


@pytest.mark.long
def test_selection_biases_of_replicas_count_the_tokens_of_all_processes(tmp_path):
    printed = in_two_processes(tmp_path, REPLICAS, RANKWISE)
    assert printed.split() == list(RANKWISE)
