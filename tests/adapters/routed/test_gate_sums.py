"""Sums of gate weights against a plain loop over single rows."""

import math

import numpy as np
import pytest
import torch

import cme.adapters.routed.gate_sums as gate_sums_module
from cme.adapters.routed.gate_sums import CONFIDENT, gate_sums
from cme.adapters.routed.gates import recorded_gates
from cme.errors import CMEError, UsageError
from tests.adapters.conftest import logits
from tests.adapters.variants import routed_variants

ROWS = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14, 15], [20, 21, 22]]
GROUPS = [0, 1, 1, 0]


def loop(model):
    """Compute all totals token by token from passes over single rows: {layer: {group: [dict, ...]}}, one dict per token."""
    tokens = {}
    for row, (ids, group) in enumerate(zip(ROWS, GROUPS, strict=True)):
        with recorded_gates(model) as routed:
            logits(model, torch.tensor([ids]))
            for path, layer in routed.items():
                pairs = zip(layer.values["default"][0].tolist(), layer.gates["default"][0].tolist(), strict=True)
                tokens.setdefault(path, []).extend((row, group, phi, gates) for phi, gates in pairs)
    return tokens


def total(tokens, experts):
    """Compute the totals of some tokens."""
    sums = {name: np.zeros(experts) for name in ("phi", "gates", "size", "negative", "top_phi", "top_gate")}
    sums |= {"tokens": 0, "entropy": 0.0, "confident": 0, "disagreement": 0}
    for _, _, phi, gates in tokens:
        sums["tokens"] += 1
        sums["phi"] += phi
        sums["gates"] += gates
        sums["size"] += [abs(gate) / sum(map(abs, gates)) for gate in gates]
        sums["negative"] += [gate < 0 for gate in gates]
        sums["top_phi"][phi.index(max(phi))] += 1
        sums["top_gate"][gates.index(max(gates))] += 1
        sums["entropy"] -= sum(value * math.log(value) for value in phi if value > 0)
        sums["confident"] += max(phi) > CONFIDENT
        sums["disagreement"] += phi.index(max(phi)) != gates.index(max(gates))
    return sums


def check(totals, index, expected, method=""):
    for name, value in expected.items():
        if method == "flylora" and name in ("top_phi", "top_gate"):
            assert np.isnan(getattr(totals, name)).all(), "all chosen ranks have the same gate weight"
            continue
        np.testing.assert_allclose(getattr(totals, name)[index], value, rtol=1e-4, atol=1e-4, err_msg=name)


def batch(rows, *, left):
    """Pad some rows, and return ids, mask, positions and the row of each token."""
    longest = max(len(ROWS[row]) for row in rows)
    ids, owners = torch.zeros(len(rows), longest, dtype=torch.long), torch.full((len(rows), longest), -1)
    for place, row in enumerate(rows):
        span = slice(longest - len(ROWS[row]), longest) if left else slice(len(ROWS[row]))
        ids[place, span], owners[place, span] = torch.tensor(ROWS[row]), row
    mask = (owners >= 0).long()
    return {"tokens": ids, "attention_mask": mask, "position_ids": (mask.cumsum(1) - 1).clamp(min=0)}, owners


@routed_variants
@pytest.mark.parametrize("left", [False, True], ids=["right padding", "left padding"])
def test_sums_of_padded_batches_are_those_of_single_rows(adapted, method, fields, left):
    model = adapted(method, **fields)
    with gate_sums(model, GROUPS) as sums:
        for rows in ([0, 1], [2, 3]):
            inputs, owners = batch(rows, left=left)
            logits(model, **inputs)
            sums.update(owners)
    tokens, experts = loop(model), model.peft_config["default"].experts
    by_layer, by_row = sums.by_layer(), sums.by_row()
    assert by_layer.keys() == tokens.keys()
    for path, of_layer in tokens.items():
        for group in (0, 1):
            check(by_layer[path], group, total([token for token in of_layer if token[1] == group], experts), method)
    everything = [token for of_layer in tokens.values() for token in of_layer]
    for row in range(4):
        check(by_row, row, total([token for token in everything if token[0] == row], experts), method)
    assert by_row.tokens.tolist() == [len(ids) * len(tokens) for ids in ROWS]
    np.testing.assert_allclose(by_row.mean("phi").sum(axis=1), 1, rtol=1e-5)


def test_sums_in_parts_of_a_batch_are_those_of_the_whole_batch(adapted, monkeypatch):
    model, summed, most = adapted(), [], []
    columns = gate_sums_module._columns
    monkeypatch.setattr(gate_sums_module, "_columns", lambda phi, *rest: most.append(len(phi)) or columns(phi, *rest))
    for values in (2**24, 6 * (4 + 6 * 4) * 3, 1):
        monkeypatch.setattr(gate_sums_module, "_CHUNK", values)
        with gate_sums(model, GROUPS) as sums:
            inputs, owners = batch([0, 1, 2, 3], left=False)
            logits(model, **inputs)
            sums.update(owners)
        summed.append((sums.by_layer(), sums.by_row()))
    assert most == [14, 3, 3, 3, 3, 2, *[1] * 14], "tokens at once"
    (whole, of_rows), *parts = summed
    for by_layer, by_row in parts:
        for name in vars(of_rows):
            np.testing.assert_array_equal(getattr(by_row, name), getattr(of_rows, name))
            for path, totals in by_layer.items():
                np.testing.assert_array_equal(getattr(totals, name), getattr(whole[path], name))


def test_generation_with_a_cache_counts_every_token_once(adapted):
    """The first pass holds the prompt, and each later pass one new token."""
    model, prompt = adapted(), ROWS[0]
    with gate_sums(model, [0]) as sums, torch.no_grad():
        out = model(input_ids=torch.tensor([prompt]), use_cache=True)
        sums.update(torch.zeros(1, len(prompt), dtype=torch.long))
        for token in (30, 31):
            out = model(input_ids=torch.tensor([[token]]), past_key_values=out.past_key_values, use_cache=True)
            sums.update(torch.zeros(1, 1, dtype=torch.long))
    with gate_sums(model, [0]) as whole, torch.no_grad():
        model(input_ids=torch.tensor([[*prompt, 30, 31]]))
        whole.update(torch.zeros(1, len(prompt) + 2, dtype=torch.long))
    np.testing.assert_allclose(sums.by_row().phi, whole.by_row().phi, rtol=1e-5)
    assert sums.by_row().tokens.tolist() == whole.by_row().tokens.tolist() == [6 * 7]


def test_generation_in_a_left_padded_batch_is_that_of_single_rows(adapted):
    """Each step of decoding gives one token per row, and a row that has ended counts no more."""
    model, new = adapted(), [[30, 31, 32], [40, 41]]
    inputs, owners = batch([0, 1], left=True)
    mask, positions = inputs["attention_mask"], inputs["position_ids"][:, -1:]
    with gate_sums(model, [0, 1]) as sums, torch.no_grad():
        out = model(inputs["tokens"], attention_mask=mask, position_ids=inputs["position_ids"], use_cache=True)
        sums.update(owners)
        for step in range(3):
            token = torch.tensor([[row[step] if step < len(row) else 0] for row in new])
            mask, positions = torch.cat([mask, torch.ones(2, 1, dtype=mask.dtype)], 1), positions + 1
            out = model(
                token, attention_mask=mask, position_ids=positions, past_key_values=out.past_key_values, use_cache=True
            )
            sums.update(torch.tensor([[row if step < len(new[row]) else -1] for row in (0, 1)]))
    with gate_sums(model, [0, 1]) as whole, torch.no_grad():
        for row in (0, 1):
            ids = [*ROWS[row], *new[row]]
            model(input_ids=torch.tensor([ids]))
            whole.update(torch.full((1, len(ids)), row))
    for name in ("phi", "gates", "size", "entropy"):
        values = getattr(whole.by_row(), name)
        np.testing.assert_allclose(getattr(sums.by_row(), name), values, rtol=1e-4, atol=1e-4, err_msg=name)
    assert sums.by_row().tokens.tolist() == whole.by_row().tokens.tolist() == [8 * 6, 4 * 6]


def test_bfloat16_is_summed_in_float64(adapted):
    model = adapted().to(torch.bfloat16)
    with gate_sums(model, [0]) as sums, torch.no_grad():
        for _ in range(300):
            model(input_ids=torch.tensor([ROWS[0]]))
            sums.update(torch.zeros(1, 5, dtype=torch.long))
    totals = sums.by_row()
    assert totals.tokens.tolist() == [300 * 5 * 6]
    assert totals.phi.sum() == pytest.approx(300 * 5 * 6, rel=1e-6)


def test_groups_without_tokens_have_no_mean(adapted):
    model = adapted()
    with gate_sums(model, [0, 1]) as sums:
        logits(model, torch.tensor([ROWS[0]]))
        sums.update(torch.zeros(1, 5, dtype=torch.long))
    means = sums.by_row().mean("phi")
    assert np.isfinite(means[0]).all() and np.isnan(means[1]).all()


def test_what_cannot_be_summed_is_refused(adapted):
    with pytest.raises(UsageError, match="no experts"), gate_sums(adapted("lora"), [0]):
        pass
    model = adapted()
    with gate_sums(model, [0]) as sums:
        with pytest.raises(CMEError, match="was not used"):
            sums.update(torch.zeros(1, 5, dtype=torch.long))
        logits(model, torch.tensor([ROWS[0]]))
        with pytest.raises(CMEError, match="5 tokens, but the batch has 4"):
            sums.update(torch.zeros(1, 4, dtype=torch.long))
    assert not any(layer.gates or layer.values for layer in model.modules() if hasattr(layer, "record_gates"))
