"""Nothing in CME gives the output layer positions that are not adjacent in memory, which is slow on a CPU."""

import copy

import numpy as np
import pytest
import torch

from cme.models.output_layer import adjacent_positions
from tests.evaluation.runs import save_adapter


@pytest.fixture(scope="module")
def team(tiny_base, tmp_path_factory):
    from cme.adapters.load import load_adapter
    from cme.models.load import load_model

    folder = save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "team", 0.5, "teamlora")
    return load_adapter(load_model(tiny_base, device="cpu"), folder)


def train(model):
    from cme.bench.adapters.work import backward, random_tokens

    backward(model, random_tokens(model, 3, 12, 0), 4)


def bench(mode):
    def work(model):
        from cme.bench.adapters.settings import BenchSettings
        from cme.bench.adapters.work import make_work

        made = make_work(model, mode, BenchSettings(batch=3, train_length=12, infer_length=12), None)
        with made.context():
            made.run()

    return work


def load(model):
    from cme.analysis.measure_load import measure_load
    from cme.analysis.rows import load_rows
    from cme.data.sources import open_source
    from cme.models.load import load_tokenizer
    from cme.progress import bar
    from cme.suite import dataset

    tokenizer = load_tokenizer(model.get_base_model().name_or_path)
    rows = load_rows(
        dataset("qqp"),
        open_source("mini"),
        tokenizer,
        tier="smoke",
        prompt_format="plain",
        max_length=300,
        subject_rows=2,
    )
    with bar("load") as progress:
        measure_load(model, dataset("qqp"), rows, tokenizer.pad_token_id, progress)


def answers(model):
    from cme.analysis.answer_loss import AnswerLoss
    from cme.training.mix_rows import MixRow

    rows = [MixRow(str(place), "qqp", "any", str(place), tuple(range(2, 12)), 7) for place in range(3)]
    AnswerLoss(rows, 1, torch.device("cpu")).measure(model)


def export(model):
    from cme.export.rows import Batch, forward
    from cme.progress import bar

    ids = torch.arange(2, 32).view(3, 10)
    with bar("fit") as progress, torch.inference_mode():
        forward(model, Batch(ids, torch.ones_like(ids), np.zeros((3, 10)), (0, 1, 2)), progress)


@pytest.mark.parametrize(
    "work", [train, bench("prefill"), bench("decode"), load, answers, export], ids=lambda work: work.__qualname__
)
def test_the_output_layer_reads_adjacent_positions(team, work):
    team.eval()
    head, read = team.get_output_embeddings(), []
    with head.register_forward_hook(lambda module, inputs, output: read.append((inputs[0].shape, inputs[0].stride()))):
        work(team)
    assert any(shape[0] > 1 for shape, _ in read)
    assert all(stride == (shape[1] * shape[2], shape[2], 1) for shape, stride in read)
    assert not head._forward_pre_hooks, "a hook is left on the model"


def test_values_and_gradients_are_those_without_the_copy(team):
    ids = torch.arange(2, 32).view(3, 10)
    team = copy.deepcopy(team)
    for weight in team.parameters():
        weight.requires_grad_(weight.is_floating_point())

    def run(copied):
        team.zero_grad()
        with adjacent_positions(team) if copied else torch.enable_grad():
            logits = team(input_ids=ids, logits_to_keep=4).logits
        logits.square().mean().backward()
        return logits.detach(), [weight.grad.clone() for weight in team.parameters() if weight.grad is not None]

    (plain, gradients), (copied, own) = run(False), run(True)
    torch.testing.assert_close(copied, plain)
    assert gradients
    torch.testing.assert_close(own, gradients)


def test_a_model_without_an_output_layer_runs_as_it_is():
    class Bare(torch.nn.Linear):
        def get_output_embeddings(self):
            return None

    with adjacent_positions(Bare(2, 2)):
        pass
