"""``cme eval --retention``: drift and change of the loss of tiny adapters, and what is refused."""

import hashlib
import json
import shutil

import numpy as np
import pytest

import cme
from cme.errors import CMEError, UsageError
from cme.evaluation.retention.own_texts import PROMPTS, TEXTS, TOKENS
from tests.evaluation.retention.test_measure import log_softmax
from tests.evaluation.runs import save_adapter

CHEAP = {"source": "mini", "tier": "smoke", "datasets": "rte", "threads": 1}


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    file = tmp_path_factory.mktemp("text") / "mill.txt"
    lines = [f"The old mill number {k} by the river was built when the town had {k} bridges." for k in range(150)]
    file.write_text("\n".join(lines))
    return file


@pytest.fixture(scope="module")
def adapter(tiny_base, tmp_path_factory):
    return save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "filled", 0.3)


def measured(base, adapter, out=None, **more):
    return cme.evaluate(str(adapter), base=str(base), retention=True, out=out, **{**CHEAP, **more})


@pytest.fixture(scope="module")
def result(tiny_base, adapter, text, tmp_path_factory):
    return measured(tiny_base, adapter, tmp_path_factory.mktemp("results") / "filled", retention_text=text)


def test_it_is_what_numpy_computes_from_two_separate_models(tiny_base, adapter, text, result):
    """The base is loaded apart from the adapter, and sums and softmax are written out."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = AutoModelForCausalLM.from_pretrained(tiny_base).eval()
    adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), adapter).eval()
    stored = json.loads((result.folder / "retention" / "texts.json").read_text())
    tokens, prompt = stored["tokens"], stored["prompt"]
    assert len(tokens) == TEXTS and {len(item) for item in tokens} == {prompt + TOKENS}
    with torch.inference_mode():
        pairs = [
            (base(torch.tensor([item])).logits[0].numpy(), adapted(torch.tensor([item])).logits[0].numpy())
            for item in tokens[:8]
        ]
    means = []
    for plain, own in pairs:
        values = []
        for at in range(prompt - 1, prompt + TOKENS - 1):
            log_p, log_q = log_softmax(plain[at]), log_softmax(own[at])
            values.append((np.exp(log_p) * (log_p - log_q)).sum())
        means.append(np.mean(values))
    drift = result.retention.drift
    assert drift.texts[:8] == pytest.approx(means, abs=1e-7) and min(drift.texts) > 1e-6
    assert drift.value == pytest.approx(np.mean(drift.texts))
    assert drift.stderr == pytest.approx(np.std(drift.texts, ddof=1) / 8)
    ids = AutoTokenizer.from_pretrained(tiny_base)(text.read_text())["input_ids"]
    count = len(ids) // 256
    windows = [ids[256 * k : 256 * k + 256] for k in range(count)]
    with torch.inference_mode():
        losses = [
            [model(torch.tensor([w]), labels=torch.tensor([w])).loss.item() for w in windows]
            for model in (base, adapted)
        ]
    loss = result.retention.loss
    assert loss.base == pytest.approx(losses[0], abs=1e-5) and loss.adapted == pytest.approx(losses[1], abs=1e-5)
    changes = np.subtract(loss.adapted, loss.base)
    assert loss.value == pytest.approx(changes.mean()) and loss.stderr == pytest.approx(
        changes.std(ddof=1) / count**0.5
    )
    assert (loss.text, loss.tokens, result.retention.remark) == ("mill.txt", 255, "")
    assert result.retention.base_fingerprint == result.record.base_fingerprint


def test_scores_are_those_without_retention(tiny_base, adapter, result):
    plain = cme.evaluate(str(adapter), base=str(tiny_base), **CHEAP)
    assert plain.scores == result.scores and plain.retention is None
    assert plain.record.samples_sha256 == result.record.samples_sha256


@pytest.mark.parametrize("kind", ["lora", "teamlora"])
def test_an_untrained_adapter_drifts_by_exactly_nothing(tiny_base, tmp_path, kind, text):
    import torch
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from tests.evaluation.runs import config

    settings = config(kind)
    settings.lora_dropout = 0.5  # without effect in evaluation mode
    torch.manual_seed(0)
    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base), settings).save_pretrained(tmp_path / "untrained")
    retention = measured(tiny_base, tmp_path / "untrained", retention_text=text).retention
    assert set(retention.drift.texts) == {0.0} and retention.drift.value == retention.drift.stderr == 0.0
    assert retention.loss.value == 0.0 and retention.loss.base == retention.loss.adapted


@pytest.mark.parametrize("kind", ["dora", "head", "prefix"])
def test_methods_that_do_more_than_add_are_compared_with_the_plain_base(tiny_base, tmp_path, kind, result, text):
    """DoRA's magnitudes, whole trained modules, and tokens before the text."""
    own = measured(tiny_base, save_adapter(tiny_base, tmp_path / kind, 0.3, kind), retention_text=text).retention
    assert own.loss.base == result.retention.loss.base, "the plain base has one loss, whatever adapts it"
    assert own.drift.texts_sha256 == result.retention.drift.texts_sha256 and own.drift.value > 0


def test_the_base_writes_the_same_texts_in_every_evaluation_and_a_resumed_one_reads_them(
    tiny_base, adapter, result, tmp_path, monkeypatch
):
    texts = json.loads((result.folder / "retention" / "texts.json").read_text())["tokens"]
    beginnings = {tuple(item[:6]) for item in texts}
    assert len({tuple(item) for item in texts}) == TEXTS and len(beginnings) <= len(PROMPTS)
    again = measured(tiny_base, adapter, tmp_path / "again")
    assert again.retention.drift == result.retention.drift
    # As after an interruption before the result was written.
    (again.folder / "result.json").unlink()
    marker = json.loads((again.folder / ".cme.json").read_text())
    (again.folder / ".cme.json").write_text(json.dumps(marker | {"finished": False}))
    monkeypatch.setattr("cme.evaluation.retention.meter.write_texts", None)
    assert measured(tiny_base, adapter, tmp_path / "again").retention == again.retention


def test_several_adapters_share_the_base_and_its_texts(tiny_base, adapter, tmp_path, result):
    other = save_adapter(tiny_base, tmp_path / "other", 0.1)
    one, two = cme.evaluate_each([adapter, other], tmp_path / "out", base=str(tiny_base), retention=True, **CHEAP)
    assert one.retention.drift == result.retention.drift
    assert one.retention.drift.texts_sha256 == two.retention.drift.texts_sha256
    assert 0 < two.retention.drift.value < one.retention.drift.value
    assert one.retention.loss is None and "--retention-text" in one.retention.remark and "mini" in one.retention.remark


def test_models_in_memory_also_with_a_merged_adapter(tiny_base, adapter, result):
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), adapter).train()
    cheap = {name: value for name, value in CHEAP.items() if name != "threads"}
    separate = cme.evaluate(model=model, tokenizer=tokenizer, retention=True, **cheap)
    assert separate.retention.drift.value == pytest.approx(result.retention.drift.value, rel=1e-4)
    model.merge_adapter()
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    merged = cme.evaluate(model=model, tokenizer=tokenizer, retention=True, **cheap)
    assert merged.retention.drift.value == pytest.approx(result.retention.drift.value, rel=1e-3)
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    bare = AutoModelForCausalLM.from_pretrained(tiny_base)
    with pytest.raises(UsageError, match="retention compares an adapter with its base"):
        cme.evaluate(model=bare, tokenizer=tokenizer, retention=True, **cheap)


def test_a_merged_model_in_a_folder_is_compared_with_the_base_that_is_named(tiny_base, adapter, tmp_path, text, result):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), adapter)
    model.merge_and_unload().save_pretrained(tmp_path / "merged")
    for file in tiny_base.glob("*token*"):
        shutil.copy(file, tmp_path / "merged")
    merged = cme.evaluate(
        model=str(tmp_path / "merged"), retention=True, retention_base=str(tiny_base), retention_text=text, **CHEAP
    )
    assert merged.retention.base_fingerprint == result.record.base_fingerprint
    assert merged.retention.base_fingerprint != merged.record.base_fingerprint
    assert merged.retention.drift.texts == pytest.approx(result.retention.drift.texts, rel=1e-3, abs=1e-6)
    assert merged.retention.loss.value == pytest.approx(result.retention.loss.value, abs=1e-4)


def test_a_base_that_a_disabled_adapter_does_not_give_back_is_loaded_again(tiny_base, adapter, result, monkeypatch):
    from contextlib import contextmanager

    from peft import PeftModel

    @contextmanager
    def without_effect(self):
        yield

    monkeypatch.setattr(PeftModel, "disable_adapter", without_effect)
    assert measured(tiny_base, adapter).retention.drift == result.retention.drift


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"adapter": None}, "retention compares an adapter with its base"),
        ({"adapter": "base"}, "retention compares an adapter with its base"),
        ({"adapter": None, "baseline": "majority", "base": "smollm2-135m"}, "the baseline majority has no model"),
        ({"retention_base": "smollm2-135m"}, "Leave --retention-base out"),
        ({"retention": False, "retention_text": "x.txt"}, "--retention-text applies to --retention only"),
        ({"retention": False, "retention_base": "x"}, "--retention-base applies to --retention only"),
        ({"retention_text": "/nowhere/x.txt"}, "/nowhere/x.txt does not exist"),
    ],
)
def test_what_has_no_retention_is_refused_before_anything_is_written(tiny_base, adapter, tmp_path, given, message):
    values = {"adapter": str(adapter), "base": str(tiny_base), "retention": True, **CHEAP, **given}
    with pytest.raises(CMEError, match=message):
        cme.evaluate(values.pop("adapter"), out=tmp_path / "out", **values)
    assert not (tmp_path / "out").exists()


def test_texts_that_are_none(tiny_base, adapter, tmp_path):
    for name, content, message in (
        ("empty.txt", b" \n", "is empty"),
        ("latin.txt", "Grüße".encode("latin-1"), "is not a text file in UTF-8"),
        ("short.txt", b"Three ships reached the harbour.", "needs at least 512"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CMEError, match=message):
            measured(tiny_base, adapter, tmp_path / "out", retention_text=tmp_path / name)
        assert not (tmp_path / "out").exists()


def test_a_finished_result_without_retention_is_not_taken_for_one_with_it(tiny_base, adapter, tmp_path):
    cme.evaluate_each([adapter], tmp_path / "out", base=str(tiny_base), **CHEAP)
    with pytest.raises(UsageError, match="has a finished result without retention"):
        cme.evaluate_each([adapter], tmp_path / "out", base=str(tiny_base), retention=True, **CHEAP)


def test_a_finished_result_with_the_loss_on_another_text_is_not_taken(tiny_base, adapter, text, tmp_path, result):
    """An interrupted command whose first adapter is finished, and then the same command with another text."""
    (tmp_path / "out").mkdir()
    shutil.copytree(result.folder, tmp_path / "out" / adapter.name)
    second = save_adapter(tiny_base, tmp_path / "second", 0.1)
    other = tmp_path / "more" / text.name
    other.parent.mkdir()
    other.write_text(text.read_text() + " More.")

    def run(**more):
        command = {**CHEAP, "base": str(tiny_base), "retention": True, **more}
        return cme.evaluate_each([adapter, second], tmp_path / "out", **command)

    then, now = (hashlib.sha256(file.read_bytes()).hexdigest()[:12] for file in (text, other))
    for more, what in (
        ({"retention_text": other}, rf"mill\.txt \({now}\)"),
        ({}, "none"),
        ({"source": "hub"}, "wikitext-2"),
    ):
        with pytest.raises(
            UsageError, match=rf"on the text mill\.txt \({then}\), but the text is now {what}, and values"
        ):
            run(**more)
    assert not (tmp_path / "out" / "second").exists()
    moved = tmp_path / "renamed.txt"
    moved.write_text(text.read_text())
    first, last = run(retention_text=moved)
    assert first.retention == result.retention and last.retention.loss.text_sha256 == first.retention.loss.text_sha256


def test_a_text_is_not_added_to_a_command_that_began_without_one(tiny_base, adapter, text, tmp_path):
    measured(tiny_base, adapter, tmp_path / "out" / adapter.name)
    with pytest.raises(UsageError, match=r"the change of the loss on no text, but the text is now mill\.txt"):
        cme.evaluate_each(
            [adapter], tmp_path / "out", base=str(tiny_base), retention=True, retention_text=text, **CHEAP
        )
