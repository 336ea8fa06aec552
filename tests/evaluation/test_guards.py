"""An adapter is refused on a base model or tokenizer that it was not trained with."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from cme.adapters.load import adapter_fingerprint
from cme.cli.main import app
from cme.errors import AdapterError, CMEError, CMEWarning, SourceError
from cme.evaluation.guards import check_trained_on, uncompared_datasets
from cme.evaluation.run import evaluate
from cme.evaluation.settings import EvalSettings
from cme.models.load import base_fingerprint
from cme.records import Result, Run, read_record, write_record
from cme.suite import dataset
from tests.evaluation.engine.lab import TIED
from tests.records.test_records import make
from tests.tiny import tiny_tokenizer


def settings(base, *datasets, **changes):
    values = {"tier": "smoke", "source": "mini", "datasets": datasets, "threads": 1, **changes}
    return EvalSettings(base=str(base), **values)


@pytest.fixture
def changed_base(tiny_base, tmp_path):
    """Return a function that saves the tiny base after ``change(model, tokenizer)``."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def make_base(change):
        model, tokenizer = AutoModelForCausalLM.from_pretrained(tiny_base), AutoTokenizer.from_pretrained(tiny_base)
        change(model, tokenizer)
        model.save_pretrained(tmp_path / "base")
        tokenizer.save_pretrained(tmp_path / "base")
        return tmp_path / "base"

    return make_base


def adapter_on(base, folder, **config):
    """A saved adapter that changes the answers strongly."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(r=2, task_type="CAUSAL_LM", **config))
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(0)
        for weight in model.parameters():
            if weight.requires_grad:
                weight.normal_(std=0.3)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_base_with_broken_weights_is_not_evaluated(changed_base, tmp_path, value):
    def spoil(model, tokenizer):
        model.model.layers[0].self_attn.q_proj.weight.data[0, 0] = value

    with pytest.raises(SourceError, match=r"NaN or infinity in model\.layers\.0\.self_attn\.q_proj\.weight"):
        evaluate(settings(changed_base(spoil), "qqp"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("engine", ["prefix", "hf"])
@pytest.mark.parametrize("dataset", ["qqp", "nq_open"])
def test_answers_that_are_not_finite_stop_the_dataset_with_its_name(changed_base, tmp_path, dataset, engine):
    def overflow(model, tokenizer):  # all weights are finite, but the logits are not
        model.model.norm.weight.data.fill_(3e38)

    with pytest.raises(CMEError, match=f"^{dataset}: .*not a finite number"):
        evaluate(settings(changed_base(overflow), dataset, engine=engine), tmp_path / "out")
    assert not (tmp_path / "out" / "result.json").exists()


def test_a_token_without_an_embedding_is_refused(changed_base, tmp_path):
    base = changed_base(lambda model, tokenizer: tokenizer.add_tokens(["<one>", "<two>"]))
    with pytest.raises(SourceError, match=r"402 tokens.*400 embeddings and none for '<one>' and 1 more"):
        evaluate(settings(base, "qqp"), tmp_path / "out")


def test_padded_embeddings_stay_as_they_are(tiny_base, changed_base, tmp_path, monkeypatch):
    """Many models have more embeddings than tokens. lm-eval's own loading of an adapter would remove these embeddings."""
    from transformers import PreTrainedModel

    def pad(model, tokenizer):
        model.resize_token_embeddings(416, mean_resizing=False)

    def refuse(*args, **kwargs):
        raise AssertionError("resized")

    base = changed_base(pad)
    adapter = adapter_on(base, tmp_path / "adapter", target_modules=["up_proj"])
    monkeypatch.setattr(PreTrainedModel, "resize_token_embeddings", refuse)
    assert len(tiny_tokenizer()) < 416
    result = evaluate(settings(base, "qqp", adapter=str(adapter)), tmp_path / "out")
    assert result.adapter is not None and result.adapter.changes_output


# PEFT saves the adapted embeddings, which is right, and warns of it.
@pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers` to `True`:UserWarning")
@TIED
@pytest.mark.parametrize("config", [{"target_modules": ["lm_head"]}, {"target_modules": ["embed_tokens"]}])
def test_adapters_on_the_tied_layer_of_a_base_work(tiny_base, tmp_path, config):
    adapter = adapter_on(tiny_base, tmp_path / "adapter", **config)
    for engine in ("prefix", "hf"):
        wanted = settings(tiny_base, "qqp", "nq_open", adapter=str(adapter), engine=engine)
        result = evaluate(wanted, tmp_path / engine)
        assert result.adapter is not None and result.adapter.changes_output
    assert answers(tmp_path / "prefix") == answers(tmp_path / "hf")


def answers(out):
    from cme.records.samples import read_samples

    return [(row["id"], row["predicted"], row["scores"]) for row in read_samples(out / "samples.parquet")]


def record(folder, **changes):
    own = {"adapter_fingerprint": adapter_fingerprint(folder), "mix_compared": None}
    write_record(folder / "run.json", make(Run, **own | changes))


def test_an_adapter_that_was_trained_on_another_base_of_the_same_shape_is_refused(tiny_base, changed_base, tmp_path):
    adapter = adapter_on(tiny_base, tmp_path / "adapter", target_modules=["up_proj"])
    record(adapter, base="tiny", base_fingerprint=base_fingerprint(tiny_base))
    other = changed_base(lambda model, tokenizer: model.model.norm.weight.data.mul_(2))
    with pytest.raises(AdapterError, match=r"was not trained on .*names the base tiny .*--base"):
        evaluate(settings(other, "qqp", adapter=str(adapter)), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    check_trained_on(adapter, "tiny", base_fingerprint(tiny_base))


def test_the_record_of_another_adapter_is_ignored(tiny_base, tmp_path):
    adapter = adapter_on(tiny_base, tmp_path / "adapter", target_modules=["up_proj"])
    check_trained_on(adapter, "x", "f" * 64)
    (adapter / "run.json").write_text('{"run": "of another program"}')
    check_trained_on(adapter, "x", "f" * 64)
    record(adapter, base_fingerprint="e" * 64)
    with pytest.raises(AdapterError):
        check_trained_on(adapter, "x", "f" * 64)
    # The adapter was trained again in the same folder, so the record describes the old one.
    adapter_on(tiny_base, adapter, target_modules=["down_proj"])
    check_trained_on(adapter, "x", "f" * 64)


def test_another_prompt_format_than_that_of_the_training_is_reported(tiny_base, tmp_path, recwarn):
    adapter, own = adapter_on(tiny_base, tmp_path / "adapter", target_modules=["up_proj"]), base_fingerprint(tiny_base)
    record(adapter, base_fingerprint=own, tokenizer_fingerprint="", prompt_format="teamlora")
    evaluate(settings(tiny_base, "qqp", adapter=str(adapter), prompt_format="teamlora"), tmp_path / "same")
    check_trained_on(adapter, "tiny", own)
    assert not [item for item in recwarn if item.category is CMEWarning]
    says = r"adapter was trained with the prompt format teamlora, but the format is now plain.*Set --format teamlora"
    with pytest.warns(CMEWarning, match=says):
        evaluate(settings(tiny_base, "qqp", adapter=str(adapter)), tmp_path / "other")


def test_a_fully_trained_model_is_compared_with_its_record(tiny_base, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "full")
    own = base_fingerprint(tmp_path / "full")
    write_record(tmp_path / "full" / "run.json", make(Run, adapter_fingerprint=own, prompt_format="teamlora"))
    with pytest.warns(CMEWarning, match="full was trained with the prompt format teamlora"):
        evaluate(settings(tmp_path / "full", "qqp"), tmp_path / "out")


def test_datasets_with_which_the_mix_was_not_compared_are_named(tiny_base, tmp_path):
    adapter = adapter_on(tiny_base, tmp_path / "adapter", target_modules=["up_proj"])
    own, specs = adapter_fingerprint(adapter), [dataset(name) for name in ("gsm8k", "svamp", "qqp")]
    assert uncompared_datasets(adapter, own, specs) is None
    for names, uncompared in (
        (("mmlu", "qqp"), ("gsm8k", "svamp")),
        (("qqp", "aqua_rat"), None),
        (("aqua_rat",), None),
        (None, None),
    ):
        record(adapter, mix_datasets=names)
        assert uncompared_datasets(adapter, own, specs) == uncompared
    record(adapter, mix_datasets=("qqp",))
    assert uncompared_datasets(adapter, own, [dataset("qqp")]) is None
    assert uncompared_datasets(adapter, "f" * 64, specs) is None


def test_a_record_that_says_what_was_compared_is_taken_at_its_word(tiny_base, tmp_path):
    adapter = adapter_on(tiny_base, tmp_path / "adapter", target_modules=["up_proj"])
    own = adapter_fingerprint(adapter)
    specs = [dataset(name) for name in ("anli", "mnli", "mnli_mismatched", "gsm8k")]
    compared = {"anli": ("anli/test_r2.parquet",), "mnli": (), "gsm8k": ()}
    record(adapter, mix_datasets=("qqp",), mix_compared=compared)
    assert uncompared_datasets(adapter, own, specs) == ("anli", "mnli_mismatched")
    # All rows of ANLI that are evaluated were compared if the split is missing here as well.
    assert uncompared_datasets(adapter, own, specs, ["anli: anli/test_r2.parquet"]) == ("mnli_mismatched",)
    assert uncompared_datasets(adapter, own, specs, ["anli: anli/test_r1.parquet"]) == ("anli", "mnli_mismatched")
    assert uncompared_datasets(adapter, own, specs[1:2]) is None
    # Without decontamination.
    record(adapter, mix_datasets=("aqua_rat",), mix_compared={})
    assert uncompared_datasets(adapter, own, specs[1:]) == ("mnli", "mnli_mismatched", "gsm8k")
    assert uncompared_datasets(adapter, "f" * 64, specs) is None


def test_rows_from_other_files_than_a_part_of_a_dataset_were_not_compared(tiny_base, tmp_path):
    adapter = adapter_on(tiny_base, tmp_path / "adapter", target_modules=["up_proj"])
    own, specs = adapter_fingerprint(adapter), [dataset("qqp"), dataset("race")]
    files = {"race/train.parquet": "e" * 64, "race/test.parquet": "a" * 64}
    record(adapter, mix_datasets=("qqp",), mix_compared={"qqp": (), "race": ()}, mix_partial={"race": files})
    for of, uncompared in (
        ({"race/test.parquet": "a" * 64}, None),
        ({"race/test.parquet": "b" * 64}, ("race",)),
        ({"revision": "abc"}, ("race",)),
    ):
        assert uncompared_datasets(adapter, own, specs, provenance={"race": of, "qqp": {"revision": "x"}}) == uncompared
    assert uncompared_datasets(adapter, own, specs) == ("race",)


def test_a_mirror_that_lacked_a_split_is_named_when_that_split_is_evaluated(tiny_base, tmp_path):
    adapter = adapter_on(tiny_base, tmp_path / "adapter", target_modules=["up_proj"])
    record(
        adapter, base_fingerprint=base_fingerprint(tiny_base), tokenizer_fingerprint="", mix_datasets=("qqp",),
        mix_compared={"qqp": (), "mnli": ()},
    )  # fmt: skip
    words = ["eval", "--base", str(tiny_base), "--adapter", str(adapter), "--source", "mini", "--tier", "smoke"]
    names = ["--datasets", "mnli,mnli_mismatched", "--threads", "1", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*words, *names])
    assert done.exit_code == 0, done.output
    assert read_record(tmp_path / "out" / "result.json", Result).uncompared == ("mnli_mismatched",)
    assert "was not compared with the evaluation rows of mnli_mismatched, so" in " ".join(done.output.split())


def test_the_result_and_the_command_name_them(tiny_base, tmp_path):
    adapter = adapter_on(tiny_base, tmp_path / "adapter", target_modules=["up_proj"])
    record(adapter, base_fingerprint=base_fingerprint(tiny_base), tokenizer_fingerprint="", mix_datasets=("qqp",))
    words = ["eval", "--base", str(tiny_base), "--adapter", str(adapter), "--source", "mini", "--tier", "smoke"]
    for datasets, uncompared in (("aqua_rat", ("aqua_rat",)), ("qqp", None)):
        out = tmp_path / datasets
        done = CliRunner().invoke(app, [*words, "--threads", "1", "--datasets", datasets, "--out", str(out)])
        assert done.exit_code == 0, done.output
        assert read_record(out / "result.json", Result).uncompared == uncompared
        assert ("was not compared with the evaluation rows of aqua_rat" in done.output) is (uncompared is not None)


def test_an_adapter_that_names_another_model_of_the_hub_is_noticed(tiny_base, tmp_path, recwarn):
    adapter = adapter_on(tiny_base, tmp_path / "adapter", target_modules=["up_proj"])
    file = adapter / "adapter_config.json"
    for named, base, warned in (
        ("HuggingFaceTB/SmolLM2-135M", "smollm2-135m", True),
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "smollm2-135m", False),
        ("meta-llama/Llama-2-7b-hf", "meta-llama/Llama-2-7b-chat-hf", True),
        ("meta-llama/Llama-2-7b-hf", str(tiny_base), False),
        (str(tiny_base), "smollm2-135m", False),
        (None, "smollm2-135m", False),
    ):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"base_model_name_or_path": named}))
        recwarn.clear()
        check_trained_on(adapter, base, "f" * 64)
        texts = [str(item.message) for item in recwarn if item.category is CMEWarning]
        assert bool(texts) == warned, (named, base)
        assert all(f"names the base {named}, but the base is now {base}" in text for text in texts)
