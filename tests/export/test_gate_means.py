"""Mean gate weights against a plain loop over rows without padding."""

import pytest
import torch

from cme.adapters.load import load_adapter
from cme.adapters.routed.gates import recorded_gates
from cme.export.gate_means import GateMeans, gate_means
from cme.export.rows import validation_rows
from cme.models.load import load_model, load_tokenizer
from cme.training.encode import Encoder


@pytest.fixture(scope="module")
def validation(mix, tiny_base):
    return validation_rows(mix, Encoder(load_tokenizer(tiny_base), "plain", 256))


def test_every_token_counts_once(validation, routed, tiny_base, monkeypatch):
    model = load_adapter(load_model(tiny_base), routed("teamlora"))
    sums, tokens = {}, {}
    with torch.no_grad(), recorded_gates(model) as layers:
        for row in validation.rows:
            model(input_ids=torch.tensor([row.ids]))
            for path, layer in layers.items():
                own = layer.gates["default"][0].double().sum(0)
                for group in (row.family, "all"):
                    sums[group, path] = sums.get((group, path), 0) + own
            for group in (row.family, "all"):
                tokens[group] = tokens.get(group, 0) + len(row.ids)
    monkeypatch.setattr("cme.export.rows._BUDGET", {"cpu": 150})
    means = gate_means(model, validation, pad=1)
    assert len({len(row.ids) for row in validation.rows}) > 5, "rows of different lengths, so that padding matters"
    assert tokens["all"] == validation.tokens
    for path, overall in means.overall.items():
        torch.testing.assert_close(overall, sums["all", path] / tokens["all"], rtol=0, atol=1e-6)
        for family, by_layer in means.by_family.items():
            torch.testing.assert_close(by_layer[path], sums[family, path] / tokens[family], rtol=0, atol=1e-6)
    assert set(means.by_family) == set(validation.names) and len(validation.names) == 3


def test_stored_means_lose_no_digit(validation, routed, tiny_base):
    import json

    model = load_adapter(load_model(tiny_base), routed("hydralora"))
    means = gate_means(model, validation, pad=1)
    again = GateMeans.of_plain(json.loads(json.dumps(means.plain())))
    assert all(torch.equal(again.overall[path], of) for path, of in means.overall.items())
    assert again.by_family.keys() == means.by_family.keys()
