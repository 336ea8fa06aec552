"""The loss on answers, against a plain loop over single rows."""

import numpy as np
import pytest
import torch

from cme.adapters.routed.masks import masked_experts
from cme.analysis.answer_loss import AnswerLoss
from cme.errors import AdapterError
from cme.training.mix_rows import MixRow
from tests.evaluation.runs import save_adapter

LENGTHS = [(7, 3), (30, 1), (12, 2), (5, 9), (30, 4), (2, 1)]
"""Tokens of the prompt and of the answer of each row."""


@pytest.fixture(scope="module")
def team(tiny_base, tmp_path_factory):
    from cme.adapters.load import load_adapter
    from cme.models.load import load_model

    folder = save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "team", 0.5, "teamlora")
    return load_adapter(load_model(tiny_base, device="cpu"), folder)


def rows(count=6):
    draws = np.random.default_rng(0)
    return [
        MixRow(str(place), "qqp", "any", str(place), tuple(draws.integers(2, 300, first + last).tolist()), first)
        for place, (first, last) in enumerate(LENGTHS[:count])
    ]


def loop(model, row):
    """Sum the losses of the answer tokens of one row, in float64."""
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([row.ids])).logits[0].double()
    logprobs = logits.log_softmax(-1)
    return -sum(float(logprobs[place - 1, row.ids[place]]) for place in range(row.context, len(row.ids)))


def meter(chosen):
    return AnswerLoss(chosen, 1, torch.device("cpu"))


def test_losses_of_padded_batches_are_those_of_single_rows(team, monkeypatch):
    monkeypatch.setattr("cme.analysis.answer_loss._BUDGET", {"cpu": 70})
    chosen = rows()
    one = meter(chosen)
    assert 1 < len(one._batches) < len(chosen)
    np.testing.assert_allclose(one.measure(team), [loop(team, row) for row in chosen], rtol=1e-5)


def test_one_plan_serves_all_masks_and_no_expert_is_the_base(team):
    one, chosen = meter(rows()), rows()
    full = one.measure(team)
    with masked_experts(team, ()):
        none = one.measure(team)
    with masked_experts(team, (1,)):
        single = one.measure(team)
        np.testing.assert_allclose(single, [loop(team, row) for row in chosen], rtol=1e-5)
    with team.disable_adapter():
        np.testing.assert_array_equal(none, one.measure(team))
    np.testing.assert_array_equal(full, one.measure(team))
    assert len({tuple(values) for values in (full, none, single)}) == 3


def test_bfloat16_is_measured_with_sums_in_float64(tiny_base, tmp_path):
    from cme.adapters.load import load_adapter
    from cme.models.load import load_model

    folder = save_adapter(tiny_base, tmp_path / "team", 0.1, "teamlora")
    model = load_adapter(load_model(tiny_base, dtype="bfloat16", device="cpu"), folder)
    losses = meter(rows()).measure(model)
    assert losses.dtype == np.float64
    np.testing.assert_allclose(losses, [loop(model, row) for row in rows()], rtol=0.02)


def test_a_loss_that_is_not_finite_is_refused(tiny_base, tmp_path):
    from cme.adapters.load import load_adapter
    from cme.models.load import load_model

    model = load_adapter(load_model(tiny_base, device="cpu"), save_adapter(tiny_base, tmp_path / "t", 0.1, "teamlora"))
    with torch.no_grad():
        next(weight for name, weight in model.named_parameters() if "up_proj" in name).fill_(float("nan"))
    with pytest.raises(AdapterError, match="not finite"):
        meter(rows(1)).measure(model)


def test_a_pass_on_a_cpu_has_as_many_tokens_as_one_of_an_evaluation(team):
    passes = []
    hook = team.register_forward_pre_hook(
        lambda _, args, options: passes.append(options["input_ids"].shape), with_kwargs=True
    )
    AnswerLoss(rows() * 20, 0, torch.device("cpu")).measure(team)
    hook.remove()
    assert sum(count for count, _ in passes) == 120 and len(passes) < 120
    assert all(count * length <= 512 for count, length in passes)


def test_counts_of_gate_weights_are_without_padding(team, monkeypatch):
    from cme.adapters.routed.gates import routed_layers

    # With this bound, no gate weights can be renormalised, those of padding included.
    monkeypatch.setattr("cme.adapters.routed.masks._LEAST_SHARE", 1e9)
    one, layers = meter(rows()), len(routed_layers(team))
    tokens = sum(first + last for first, last in LENGTHS) * layers
    padded = sum(batch.inputs["input_ids"].numel() for batch in one._batches) * layers
    with masked_experts(team, "top1", "renormalise") as counts:
        one.measure(team, counts.only)
    assert (counts.positions, counts.guarded) == (tokens, tokens)
    with masked_experts(team, "top1", "renormalise") as counts:
        one.measure(team)
    assert (counts.positions, counts.guarded) == (padded, padded) and padded > tokens
