"""The pairwise measurement: its arithmetic and its record. Speed itself is not asserted here."""

import json

import pytest
import torch

from cme.bench import MODES, Setup, measure_pair
from cme.errors import UsageError
from tests.adapters.conftest import make_base

SMALL = Setup(rank=2, experts=2, pairs=4, warmup=1, batch=2, train_length=6, infer_length=8)


@pytest.mark.parametrize("form", ["fused", "loop"])
def test_a_report(form):
    base = make_base()
    before = {name: (weight.clone(), weight.requires_grad) for name, weight in base.named_parameters()}
    report = measure_pair(base, Setup(**(vars(SMALL) | {"form": form})))
    assert [ratio.mode for ratio in report.ratios] == list(MODES)
    for ratio in report.ratios:
        assert ratio.pairs == 4 and 0 < ratio.low <= ratio.ratio <= ratio.high
        assert ratio.teamlora > 0 and ratio.lora > 0
    # LoRA of rank 4 has the same A and B; TeamLoRA has its routers (k·d) and interactions (k²) on top.
    assert report.trainable_lora == 2 * 4 * 3 * (24 + 40)
    assert report.trainable_teamlora - report.trainable_lora == 2 * (2 * (24 + 24 + 40) + 3 * 4)
    assert report.dtype == "float32" and report.device == "cpu" and report.threads == torch.get_num_threads()
    assert json.loads(json.dumps(report.to_dict()))["setup"]["pairs"] == 4
    for name, weight in base.named_parameters():
        assert torch.equal(weight, before[name][0]) and weight.requires_grad == before[name][1]
        assert weight.grad is None


def test_the_loop_computes_the_same(tokens_of_base=(3, 4, 5)):
    from peft import get_peft_model

    from cme.bench.loop import use_loop
    from tests.adapters.conftest import logits, make_config, randomise

    model = get_peft_model(make_base(), make_config()).eval()
    randomise(model)
    tokens = torch.tensor([tokens_of_base])
    fused = logits(model, tokens)
    use_loop(model)
    torch.testing.assert_close(logits(model, tokens), fused, rtol=0, atol=1e-4)


def test_mistakes():
    with pytest.raises(UsageError, match="Did you mean 'prefill'"):
        measure_pair(make_base(), SMALL, modes=("prefil",))
    with pytest.raises(UsageError, match="unknown form 'lop'"):
        measure_pair(make_base(), Setup(form="lop"))
    with pytest.raises(UsageError, match="at least 2 pairs"):
        measure_pair(make_base(), Setup(pairs=1))
