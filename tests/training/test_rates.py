"""The learning rate of the matrices B (LoRA+)."""

import json

import pytest
import torch

from cme.adapters import METHODS, AdapterSettings, adapter_fingerprint
from cme.errors import UsageError
from cme.training import TrainSettings, train
from cme.training.model import adapted_model
from cme.training.rates import own_rate_of_b
from cme.training.settings import stored


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("peft", "full", "flylora")])
def test_the_matrices_b_of_every_method_have_their_own_rate(base, method):
    model, _ = adapted_model(base, AdapterSettings(method, rank=16), dtype="float32", device="cpu", seed=0, steps=20)
    own = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(own, lr=0.1)
    own_rate_of_b(optimizer, model, 16.0)
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    assert len(rates) == len(own)
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            assert rates[id(weight)] == pytest.approx(1.6 if "_B." in name else 0.1), name
    outputs = [weight for name, weight in model.named_parameters() if "_B." in name and weight.requires_grad]
    assert len(outputs) == 6


def test_a_method_that_trains_matrices_b_alone_is_refused(base):
    """The ratio would only be a larger learning rate."""
    model, _ = adapted_model(base, AdapterSettings("flylora", rank=16), dtype="float32", device="cpu", seed=0, steps=20)
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=0.1)
    with pytest.raises(UsageError, match="trains matrices B alone"):
        own_rate_of_b(optimizer, model, 16.0)


def test_a_run_with_a_ratio_learns_differently_and_says_so(settings, tmp_path):
    given = settings(steps=12)
    plain, plus = (
        train(chosen, AdapterSettings("lora", rank=4), out=tmp_path / name)
        for name, chosen in (("plain", given), ("plus", settings(steps=12, b_learning_rate_ratio=4.0)))
    )
    assert plus.training.b_learning_rate_ratio == 4 and plus.losses != plain.losses
    assert "b_learning_rate_ratio" not in json.loads((tmp_path / "plain" / "run.json").read_text())["training"]
    one = train(settings(steps=12, b_learning_rate_ratio=1.0), AdapterSettings("lora", rank=4), out=tmp_path / "one")
    assert one.losses[-1][1] == pytest.approx(plain.losses[-1][1], rel=1e-4)
    assert adapter_fingerprint(tmp_path / "plus") != adapter_fingerprint(tmp_path / "plain")


def test_a_method_without_b_is_refused(settings, tmp_path):
    with pytest.raises(UsageError, match="b_learning_rate_ratio is for adapters with matrices B"):
        train(settings(steps=2, b_learning_rate_ratio=16.0), AdapterSettings("full"), out=tmp_path / "run")


def test_without_a_ratio_the_stored_settings_are_those_of_earlier_versions():
    assert "b_learning_rate_ratio" not in stored(TrainSettings(data="mix"))
    assert stored(TrainSettings(data="mix", b_learning_rate_ratio=2.0))["b_learning_rate_ratio"] == 2.0
