"""What follows from losses under masks, against values computed by hand from a made-up game."""

import numpy as np
import pytest

from cme.analysis.loss_masks import LossMasks
from cme.analysis.loss_table import LossTable, read_losses, write_losses
from cme.analysis.validation import validation_analysis
from cme.analysis.validation_markdown import _about_intervals
from cme.errors import DataError

LAYERS = [f"layers.{block}.up_proj" for block in range(3)]
WORTH = np.array([[0.3, 0.1, 0.0], [0.2, 0.2, 0.2], [0.0, -0.1, 0.4]])
"""What each expert of each layer takes off the loss of every row."""


def kept_of(mask, layer, experts):
    keep = mask.keep
    if keep == "top1":
        return [0]
    return keep.get(layer, range(experts)) if isinstance(keep, dict) else keep


def table(draws=4, rows=40, experts=3, clusters=None):
    """Make losses: 2 nats per token minus the worth of the kept experts, with noise of each row that no mask changes."""
    masks = LossMasks(experts, LAYERS, draws)
    generator = np.random.default_rng(0)
    noise, tokens = generator.normal(size=rows), generator.integers(1, 5, rows)
    gains = [
        sum(WORTH[place, expert] for place, layer in enumerate(LAYERS) for expert in kept_of(mask, layer, experts))
        for mask in masks.masks.values()
    ]
    losses = (2 + noise[None] - np.array(gains)[:, None]) * tokens
    names = tuple(str(row) for row in range(rows))
    return masks, LossTable(
        tuple(masks.masks), ("qqp",) * rows, ("any",) * rows, names, clusters or names, tokens.astype(np.int64), losses
    )


def analysed(**changes):
    masks, losses = table(**changes)
    return validation_analysis(losses, masks, mix_fingerprint="abc", dropped=2)


def test_masks_of_four_experts_are_counted():
    masks = LossMasks(4, LAYERS, 20)
    assert len(masks.masks) == 16 + 2 + 3 * 15 + 20 * 4
    assert list(masks.masks)[:2] == ["all", "base"] and list(masks.reported)[:4] == [
        "all",
        "base",
        "top1",
        "top1-renormalised",
    ]
    assert masks.reported["keep-0-2-3"] == "keep:0,2,3" and masks.coalitions("last")[-1] == "all"
    assert masks.masks["middle-keep-1"].keep == {LAYERS[1]: (1,)}


def test_too_many_experts_for_exact_values_keep_redundancy_and_bundles():
    masks = LossMasks(8, LAYERS, 2)
    assert len(masks.masks) == 2 + 8 + 8 + 2 + 2 * 8 and not masks.groups and not masks.exact


def test_shapley_values_and_games_of_groups_are_those_of_the_game():
    found = analysed()
    assert [item.value for item in found.shapley.values] == pytest.approx(WORTH.sum(axis=0))
    assert max(abs(item.value) for item in found.shapley.interactions.values()) < 1e-12
    for place, group in enumerate(found.groups):
        assert [item.value for item in group.values.values] == pytest.approx(WORTH[place])
        assert group.gain.value == pytest.approx(WORTH[place].sum())
        assert (group.layers, group.blocks) == ((LAYERS[place],), 1)
    assert [group.name for group in found.groups] == ["first", "middle", "last"]


def test_values_sum_to_the_gain():
    found = analysed()
    base = next(item for item in found.masks if item.name == "base")
    assert sum(item.value for item in found.shapley.values) == pytest.approx(base.difference.value, abs=1e-12)


def test_masks_are_paired_with_the_full_adapter_and_share_its_gain():
    found = analysed()
    by_name = {item.name: item for item in found.masks}
    alone = by_name["keep-2"]
    assert alone.difference.value == pytest.approx(WORTH[:, :2].sum())
    # The noise of the rows is the same under every mask, so it is not in the paired interval.
    assert alone.difference.high - alone.difference.low < 1e-9 < alone.loss.high - alone.loss.low
    assert alone.share_of_gain.value == pytest.approx(WORTH[:, 2].sum() / WORTH.sum())
    assert by_name["base"].share_of_gain.value == pytest.approx(0) and by_name["all"].share_of_gain.value == 1
    assert by_name["all"].experts == "" and by_name["base"].experts == "keep:"


def test_every_row_counts_once_and_tokens_in_the_loss_of_tokens():
    masks, losses = table()
    found = validation_analysis(losses, masks, mix_fingerprint="abc")
    full = losses.losses[0]
    assert found.masks[0].loss.value == pytest.approx(np.mean(full / losses.tokens))
    assert found.token_loss == pytest.approx(full.sum() / losses.tokens.sum()) != found.masks[0].loss.value
    assert (found.rows, found.clusters, found.tokens, found.dropped) == (40, 40, losses.tokens.sum(), 0)


def test_bundles_follow_from_the_losses():
    found = analysed()
    assert found.bundles.draws == 4 and len(found.bundles.losses[0]) == 3
    assert found.bundles.observed == tuple(
        next(item.loss.value for item in found.masks if item.name == f"keep-{expert}") for expert in range(3)
    )


def test_few_clusters_have_no_intervals():
    found = analysed(clusters=tuple("ab" * 20))
    assert found.clusters == 2 and found.masks[0].loss.low is None and found.shapley.values[0].low is None
    assert _about_intervals(found).startswith("There are no intervals, because 2 clusters of rows are too few for them")
    assert _about_intervals(analysed()).startswith("Intervals are 95 %, over clusters of rows.")


def test_losses_are_written_and_read(tmp_path):
    masks, losses = table(draws=1)
    write_losses(tmp_path / "validation.parquet", losses)
    again = read_losses(tmp_path / "validation.parquet")
    assert (again.masks, again.datasets, again.families, again.ids, again.clusters) == (
        losses.masks, losses.datasets, losses.families, losses.ids, losses.clusters,
    )  # fmt: skip
    np.testing.assert_array_equal(again.losses, losses.losses)
    assert validation_analysis(again, masks, mix_fingerprint="") == validation_analysis(
        losses, masks, mix_fingerprint=""
    )
    whole = (tmp_path / "validation.parquet").read_bytes()
    (tmp_path / "validation.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        read_losses(tmp_path / "validation.parquet")
