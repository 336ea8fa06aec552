"""Adapters and datasets for which parts of an analysis are undefined: refused before any work, or left out with the reason."""

import warnings

import pytest

import cme
from cme.errors import CMEWarning, UsageError
from cme.records import read_record
from cme.records.analysis import Analysis

pytestmark = pytest.mark.filterwarnings("ignore:tier smoke")

VALUES = {"source": "mini", "tier": "smoke", "datasets": "qqp,rte", "threads": 1, "token_budget": 400}


@pytest.fixture(scope="module")
def routed(tiny_base, tmp_path_factory):
    """``routed(method, **fields)`` is the folder of an adapter with random weights."""
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from tests.adapters.conftest import make_config, randomise

    home, made = tmp_path_factory.mktemp("routed"), []

    def make(method, **fields):
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base), make_config(method, **fields))
        randomise(model)
        made.append(home / f"{method}-{len(made)}")
        model.save_pretrained(made[-1])
        return made[-1]

    return make


@pytest.mark.parametrize("parts", ["load", "redundancy", "load,similarity"])
def test_a_dataset_that_runs_programs_is_refused_by_name(tiny_base, routed, tmp_path, monkeypatch, parts):
    monkeypatch.setattr("cme.api.analysis_parts.load_model", None)
    adapter = routed("moelora")
    for names in ("gsm8k,humaneval", "humaneval"):
        with pytest.raises(
            UsageError, match=r"^humaneval is scored by running the programs .* which cme analyse does not"
        ):
            cme.analyse(
                adapter, tmp_path / "out", base=str(tiny_base), **(VALUES | {"datasets": names, "parts": parts})
            )
    assert not (tmp_path / "out").exists()


def test_a_suite_is_analysed_without_its_programs_and_one_note_says_so(tiny_base, routed, tmp_path, monkeypatch):
    adapters, checked = [routed("moelora"), routed("moelora")], []
    monkeypatch.setattr("cme.api.analysis_checks.checked_analysis", checked.append)
    monkeypatch.setattr("cme.api.analysis_parts.analyse_adapter", lambda *args, **more: None)
    values = VALUES | {"base": str(tiny_base), "datasets": None, "suite": "cme-r", "parts": "load"}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(AttributeError):  # There is no record for the table.
            cme.analyse_each(adapters, tmp_path / "out", **values)
    notes = [str(item.message) for item in caught if issubclass(item.category, CMEWarning)]
    assert [note for note in notes if "left out" in note] == [
        "humaneval and mbpp are left out, because cme analyse does not run the programs that the model writes."
    ]


@pytest.mark.long
def test_an_adapter_with_equal_gate_weights_has_no_top_1(tiny_base, routed, tmp_path):
    adapter = routed("flylora", r=4, top_k=2)
    values = VALUES | {"base": str(tiny_base), "datasets": "qqp", "parts": "load,redundancy"}
    analysis = cme.analyse(adapter, tmp_path / "out", **values)
    record = read_record(analysis.folder / "analysis.json", Analysis)
    assert record.without_top1.startswith("all chosen experts of a token have the same gate weight")
    assert record.evaluations == 10 and not any(item.name.startswith("top1") for item in record.redundancy)
    assert len(record.redundancy) == 2 + 4 + 4
    assert "Top 1 is undefined for flylora: all chosen experts" in analysis.markdown
    assert "top 1 per token" not in analysis.markdown

    import pyarrow.parquet as pq

    rows = pq.read_table(analysis.folder / "load.parquet").to_pylist()
    assert all(row["top_phi"] != row["top_phi"] and row["phi"] == row["phi"] for row in rows)


def test_scores_of_an_adapter_that_trains_more_than_experts_are_refused(tiny_base, routed, tmp_path, monkeypatch):
    adapter = routed("moelora", modules_to_save=["norm"])
    for parts in ("redundancy", "load,shapley", "validation"):
        with (
            monkeypatch.context() as patch,
            pytest.raises(UsageError, match=r"also trains norm\. Without any expert, it is"),
        ):
            patch.setattr("cme.api.analysis_parts.load_model", None)
            cme.analyse(adapter, tmp_path / "out", base=str(tiny_base), **(VALUES | {"parts": parts}))
        assert not (tmp_path / "out").exists()
    analysis = cme.analyse(adapter, tmp_path / "out", base=str(tiny_base), **(VALUES | {"parts": "similarity"}))
    assert analysis.record.similarity is not None


def test_trained_biases_count_only_if_the_base_has_some(tiny_base, routed, tmp_path):
    from safetensors.torch import load_file, save_file

    from cme.adapters.expert_facts import trained_besides

    adapter = routed("moelora", bias="all")
    assert trained_besides(adapter, {"bias": "all"}) == [], "a Llama has no biases"
    file = adapter / "adapter_model.safetensors"
    tensors = load_file(file)
    tensors["base_model.model.model.layers.0.mlp.up_proj.base_layer.bias"] = (
        next(iter(tensors.values())).flatten()[:3].clone()
    )
    save_file(tensors, file)
    assert trained_besides(adapter, {"bias": "all"}) == ["biases"]


def test_weights_that_cannot_be_compared_are_refused_before_the_first_run_is_analysed(
    tiny_base, routed, tmp_path, monkeypatch
):
    from cme.adapters.moelora.layer import MoeLoraLinear

    adapters = [routed("teamlora"), routed("moelora")]
    monkeypatch.setattr(MoeLoraLinear, "adapter_layer_names", ("moelora_down", "moelora_up", "moelora_W"))
    monkeypatch.setattr("cme.api.analysis_parts.load_model", None)
    values = VALUES | {"base": str(tiny_base), "parts": "load,similarity"}
    with pytest.raises(
        UsageError, match=r"the layers of moelora have no matrices A and B .* Leave out the part similarity"
    ):
        cme.analyse_each(adapters, tmp_path / "out", **values)
    assert not (tmp_path / "out").exists()
