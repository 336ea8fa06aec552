"""Parameters counted without weights; the paper's six shares."""

import json

import pytest
import torch

from cme.adapters import AdapterSettings, count, formula_trainable
from cme.adapters.params import linear_shapes
from cme.errors import SourceError, UsageError
from tests.adapters.conftest import make_base

SHAPE = "chinese-llama-2-7b"
# LLaMA-2-7B by hand with 55,296 tokens, untied: 2·V·d + L·(4·d² + 3·d·f + 2·d) + d, d = 4096, f = 11008, L = 32.
TOTAL = 2 * 55296 * 4096 + 32 * (4 * 4096**2 + 3 * 4096 * 11008 + 2 * 4096) + 4096


@pytest.fixture(scope="module")
def shapes():
    return linear_shapes(SHAPE)


def test_the_shapes_of_the_papers_base(shapes):
    assert len(shapes) == 96
    assert shapes["model.layers.31.mlp.up_proj"] == (4096, 11008)
    assert shapes["model.layers.0.mlp.down_proj"] == (11008, 4096)


@pytest.mark.parametrize(
    ("method", "rank", "paper", "plain"),
    [
        ("lora", 32, 0.67, 0.67),
        ("lora", 128, 2.68, 2.68),
        ("moelora", 32, 2.71, 2.71),
        ("hydralora", 32, 1.84, 1.86),
        ("teamlora", 32, 2.71, 2.71),
        ("teamlora", 16, 1.35, 1.37),
    ],
)
def test_the_papers_shares(shapes, method, rank, paper, plain):
    share = 100 * formula_trainable(method, shapes.values(), rank=rank, experts=4) / TOTAL
    assert round(share, 2) == plain
    assert abs(share - paper) < 0.03


@pytest.mark.parametrize(("method", "rank"), [("lora", 32), ("lora", 128), ("teamlora", 32), ("teamlora", 16)])
def test_the_built_model_has_as_many(shapes, method, rank):
    found = count(SHAPE, AdapterSettings(method, rank=rank))
    assert found.total_base == TOTAL
    assert found.trainable == formula_trainable(method, shapes.values(), rank=rank, experts=4)
    assert found.share_percent == pytest.approx(100 * found.trainable / TOTAL)
    assert len(found.per_module) == 96 and sum(found.per_module.values()) == found.trainable


@pytest.mark.parametrize(
    ("settings", "per_layer"),
    [
        # R(d+m) + k·d + k², d and m of up_proj 24 and 40, R = 2·3 = 6, k = 2.
        (AdapterSettings("teamlora", rank=3, experts=2), 6 * 64 + 2 * 24 + 4),
        (AdapterSettings("teamlora", rank=3, experts=2, collaboration=False), 6 * 64 + 2 * 24 + 4),
        (AdapterSettings("teamlora", rank=3, experts=2, competition=False), 6 * 64 + 2 * 24),
        (AdapterSettings("teamlora", rank=3, experts=2, router_hidden=5), 6 * 64 + 5 * 24 + 2 * 5 + 4),
        (AdapterSettings("lora", rank=3), 3 * 64),
    ],
)
def test_one_layer_by_hand(settings, per_layer):
    found = count(make_base().config, settings)
    assert found.per_module["model.layers.1.mlp.up_proj"] == per_layer


def test_a_folder_and_a_file_count_alike(tmp_path):
    base = make_base(tie_word_embeddings=True)
    base.save_pretrained(tmp_path)
    folder, file = (count(place, AdapterSettings("teamlora", rank=2)) for place in (tmp_path, tmp_path / "config.json"))
    assert folder == file
    assert folder.total_base == sum(weight.numel() for weight in base.parameters())


def test_counting_takes_no_memory():
    before = torch.get_default_device()
    count(SHAPE, AdapterSettings("teamlora", rank=64, experts=8))
    assert torch.get_default_device() == before


def test_mistakes(tmp_path):
    with pytest.raises(UsageError, match=r"Did you mean 'chinese-llama-2-7b'\?"):
        count("chinese-llama-2", AdapterSettings("lora"))
    with pytest.raises(UsageError, match="Did you mean 'hydralora'"):
        formula_trainable("hydra", [(1, 1)], rank=1)
    (tmp_path / "config.json").write_text(json.dumps({"no": "model"}))
    with pytest.raises(SourceError, match="holds no model configuration"):
        count(tmp_path, AdapterSettings("lora"))
