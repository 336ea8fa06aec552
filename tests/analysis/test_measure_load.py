"""The load of experts on real forward passes, against a plain loop over single rows."""

import numpy as np
import pytest
import torch

from cme.adapters.routed.gates import recorded_gates
from cme.analysis.measure_load import load_batches, measure_load, read_load, write_load
from cme.analysis.rows import batched, load_rows
from cme.data.sources import open_source
from cme.progress import bar
from cme.suite import dataset
from tests.evaluation.runs import save_adapter


@pytest.fixture(scope="module")
def team(tiny_base, tmp_path_factory):
    from cme.adapters.load import load_adapter
    from cme.models.load import load_model, load_tokenizer

    folder = save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "team", 0.5, "teamlora")
    return load_adapter(load_model(tiny_base, device="cpu"), folder), load_tokenizer(tiny_base)


def rows_of(name, tokenizer, **changes):
    values = {"tier": "smoke", "prompt_format": "plain", "max_length": 300, "subject_rows": 2}
    return load_rows(dataset(name), open_source("mini"), tokenizer, **(values | changes))


def measured(team, name, rows):
    with bar("load") as progress:
        return measure_load(team[0], dataset(name), rows, team[1].pad_token_id, progress)


def loop(model, rows):
    """Sum φ over each row's prompt and answer in each layer, one row at a time: [n, 2, L, k]. Also count the tokens, [n, 2]."""
    sums = []
    for row in rows:
        with recorded_gates(model) as layers, torch.inference_mode():
            model(input_ids=torch.tensor([row.ids]))
            phi = torch.stack([layer.values["default"][0] for layer in layers.values()]).double()
        sums.append([phi[:, : row.context].sum(1).numpy(), phi[:, row.context :].sum(1).numpy()])
    return np.array(sums), np.array([[row.context, len(row.ids) - row.context] for row in rows])


def test_sums_are_those_of_single_rows(team):
    rows = rows_of("qqp", team[1])
    assert len(rows) == 8 and len(batched(rows, 2048)) < len(rows)
    found, (sums, tokens) = measured(team, "qqp", rows), loop(team[0], rows)
    assert found.load.sums["phi"].shape == (1, 2, 2, 4)
    np.testing.assert_allclose(found.load.sums["phi"][0], sums.sum(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(found.load.sums["tokens"][0, :, 0], tokens.sum(axis=0))
    assert found.rows == 8 and not found.subjects and len(found.phi) == 0


def test_a_prefix_that_rows_share_counts_in_each_of_them(team):
    rows = rows_of("qqp", team[1])
    shared = next(place for place, ids in enumerate(zip(*(row.ids for row in rows), strict=False)) if len(set(ids)) > 1)
    assert shared > 5, "the rows begin with the same instruction"
    found = measured(team, "qqp", rows)
    assert found.load.sums["tokens"].sum(axis=1).tolist() == [[sum(len(row.ids) for row in rows)] * 2]


def test_bfloat16_is_measured_like_single_rows(tiny_base, tmp_path):
    from cme.adapters.load import load_adapter
    from cme.models.load import load_model, load_tokenizer

    folder = save_adapter(tiny_base, tmp_path / "team", 0.1, "teamlora")
    model = load_adapter(load_model(tiny_base, dtype="bfloat16", device="cpu"), folder), load_tokenizer(tiny_base)
    rows = rows_of("qqp", model[1])
    found, (sums, tokens) = measured(model, "qqp", rows), loop(model[0], rows)
    assert found.load.sums["phi"].dtype == np.float64
    np.testing.assert_allclose(found.load.sums["phi"][0], sums.sum(axis=0), rtol=0.02)
    np.testing.assert_allclose(found.load.sums["phi"].sum(axis=-1), found.load.sums["tokens"], rtol=5e-3)
    np.testing.assert_array_equal(found.load.sums["tokens"][0, :, 0], tokens.sum(axis=0))


def test_a_dataset_with_subjects_has_the_load_of_each_and_of_single_rows(team):
    rows = rows_of("mmlu", team[1])
    assert len(rows) == 2 * 57
    found, (sums, tokens) = measured(team, "mmlu", rows), loop(team[0], rows)
    np.testing.assert_allclose(found.phi, sums[:, 0], rtol=1e-3)
    np.testing.assert_array_equal(found.tokens, tokens[:, 0])
    assert found.subjects == tuple(row.subject for row in rows) and len(set(found.subjects)) == 57
    law = [place for place, row in enumerate(rows) if row.subject == "international_law"]
    place = [group.subject for group in found.load.groups].index("international_law")
    np.testing.assert_allclose(found.load.sums["phi"][place], sums[law].sum(axis=0), rtol=1e-4)
    np.testing.assert_array_equal(found.load.sums["tokens"][place, :, 1], tokens[law].sum(axis=0))


def test_a_long_row_is_cut_and_its_answer_stays(team):
    rows = rows_of("cnn_dailymail", team[1], max_length=200)
    assert all(len(row.ids) <= 200 for row in rows)
    long = rows_of("cnn_dailymail", team[1], max_length=2000)
    assert [row.ids[row.context :] for row in rows] == [row.ids[row.context :] for row in long]


def test_batches_hold_every_row_once_within_the_budget(team):
    rows = rows_of("imdb", team[1], max_length=400)
    batches = batched(rows, 900)
    assert sorted(row for batch in batches for row in batch) == list(range(len(rows)))
    assert all(len(batch) == 1 or len(batch) * max(len(rows[row].ids) for row in batch) <= 900 for batch in batches)


def test_a_pass_on_a_cpu_has_as_many_tokens_as_one_of_an_evaluation(team):
    rows = rows_of("imdb", team[1], max_length=400) + rows_of("qqp", team[1])
    batches = list(load_batches(rows, 0, torch.device("cpu")))
    assert sum(batch.rows for batch in batches) == len(rows) and max(batch.rows for batch in batches) > 1
    assert all(batch.rows == 1 or batch.owners.numel() <= 512 for batch in batches)


def test_a_stored_load_is_read_only_for_the_same_model(team, tmp_path):
    found = measured(team, "mmlu", rows_of("mmlu", team[1], subject_rows=1))
    write_load(tmp_path / "mmlu.npz", found, "key")
    again = read_load(tmp_path / "mmlu.npz", "key")
    assert again is not None and again.load.groups == found.load.groups and again.clusters == found.clusters
    for name, values in found.load.sums.items():
        np.testing.assert_array_equal(again.load.sums[name], values)
    assert read_load(tmp_path / "mmlu.npz", "other") is None
    whole = (tmp_path / "mmlu.npz").read_bytes()
    for damaged in (b"damaged", whole[: len(whole) // 2], b""):
        (tmp_path / "mmlu.npz").write_bytes(damaged)
        assert read_load(tmp_path / "mmlu.npz", "key") is None
    assert read_load(tmp_path / "none.npz", "key") is None


@pytest.mark.filterwarnings("ignore:Model has .tie_word_embeddings")
def test_an_adapted_output_layer_is_measured_at_every_token(tiny_base):
    """The logits of other tokens than the last may be left out only if the output layer has no experts."""
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from cme.adapters.moelora import MoeLoraConfig

    base, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base)
    config = MoeLoraConfig(r=4, experts=2, target_modules=["up_proj", "lm_head"], task_type="CAUSAL_LM")
    model = get_peft_model(base, config).eval()
    rows = rows_of("qqp", tokenizer)
    found = measured((model, tokenizer), "qqp", rows)
    assert "lm_head" in found.load.layers
    assert set(found.load.sums["tokens"].sum(axis=(0, 1))) == {sum(len(row.ids) for row in rows)}


def test_the_top_1_share_is_undefined_if_gate_weights_tie(tiny_base, tmp_path):
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from cme.analysis.training_load import training_step
    from cme.models.load import load_tokenizer
    from tests.adapters.conftest import make_config

    tokenizer = load_tokenizer(tiny_base)
    steps = {}
    for method in ("flylora", "smora"):
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base), make_config(method)).eval()
        steps[method] = training_step(1, [measured((model, tokenizer), "qqp", rows_of("qqp", tokenizer))])
    assert steps["flylora"].top1 is None and 0 < steps["flylora"].entropy <= 1
    assert 1 / 12 <= steps["smora"].top1 <= 1
