"""Groups of layers."""

import pytest

from cme.analysis.layer_groups import block_of, layer_groups


def names(blocks):
    return [f"model.layers.{block}.mlp.{kind}" for block in range(blocks) for kind in ("up_proj", "down_proj")]


@pytest.mark.parametrize(
    ("blocks", "sizes"), [(2, [1, 1]), (3, [1, 1, 1]), (7, [3, 2, 2]), (8, [3, 3, 2]), (30, [10, 10, 10])]
)
def test_blocks_are_divided_evenly_and_stay_whole(blocks, sizes):
    groups = layer_groups(names(blocks))
    assert list(groups) == (["first", "last"] if blocks == 2 else ["first", "middle", "last"])
    assert [len(set(map(block_of, layers))) for layers in groups.values()] == sizes
    assert [layer for layers in groups.values() for layer in layers] == names(blocks), "in the order of the model"


def test_a_single_block_has_no_groups():
    assert layer_groups(names(1)) == {} and layer_groups([]) == {}


def test_the_block_is_the_first_number():
    assert block_of("model.layers.12.experts.3.up_proj") == "model.layers.12"
    assert block_of("transformer.h.0.mlp.c_fc") == "transformer.h.0"
    assert block_of("encoder.dense") == "encoder.dense"
