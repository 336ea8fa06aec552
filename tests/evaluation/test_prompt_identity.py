"""The prompts are part of the identity of an evaluation, and rows that do not fit the model are refused first."""

import json
import shutil

import pytest

from cme.errors import AdapterError, UsageError
from cme.evaluation.run import evaluate, evaluate_each
from cme.evaluation.settings import EvalSettings
from cme.records import Result, read_record
from tests.evaluation.runs import responses

DATASETS = ("qqp", "nq_open")


@pytest.fixture
def base(tiny_base, tmp_path):
    return shutil.copytree(tiny_base, tmp_path / "base")


def settings(base, **changes):
    values = {"tier": "smoke", "source": "mini", "datasets": DATASETS, "threads": 1, "batch_size": 2}
    return EvalSettings(base=str(base), **{**values, **changes})


def adds_eos(base):
    """Change the saved tokenizer so that it appends the end-of-text token to every text."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base, add_eos_token=True)
    assert tokenizer.encode("Answer:")[-1] == tokenizer.eos_token_id
    tokenizer.save_pretrained(base)
    assert AutoTokenizer.from_pretrained(base).encode("Answer:")[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("engine", ["prefix", "hf"])
@pytest.mark.parametrize("form", ["plain", "chat", "teamlora"])
def test_a_tokenizer_that_adds_an_end_gives_the_same_answers(base, tiny_base, tmp_path, engine, form):
    adds_eos(base)
    outs = [tmp_path / "with", tmp_path / "without"]
    results = [
        evaluate(settings(folder, engine=engine, prompt_format=form), out)
        for folder, out in zip((base, tiny_base), outs, strict=True)
    ]
    assert responses(outs[0]) == responses(outs[1])
    assert results[0].scores == results[1].scores
    assert results[0].tokenizer_fingerprint != results[1].tokenizer_fingerprint


def reopen(out, *, drop=()):
    """Make a folder unfinished and remove some settings, as in folders of an earlier version of CME."""
    from cme.files import digest

    marker = json.loads((out / ".cme.json").read_text())
    kept = {key: value for key, value in marker["settings"].items() if key not in drop}
    marker = {**marker, "settings": kept, "digest": digest(kept)}
    (out / ".cme.json").write_text(json.dumps(marker | {"finished": False}))
    return marker


def test_another_template_does_not_continue_a_run(base, tmp_path):
    out, chat = tmp_path / "out", settings(base, prompt_format="chat")
    evaluate(chat, out)
    reopen(out)
    template = base / "chat_template.jinja"
    before = template.read_text()
    template.write_text("{{ messages[0]['content'] }}\n")
    with pytest.raises(UsageError, match=r"other settings \(tokenizer: "):
        evaluate(chat, out)
    template.write_text(before)
    assert evaluate(chat, out).scores.datasets
    reopen(tmp_path / "out")
    (base / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 5]}))
    with pytest.raises(UsageError, match=r"other settings \(tokenizer: "):
        evaluate(chat, out)


def test_a_template_that_is_not_used_may_change(base, tmp_path):
    evaluate(settings(base), tmp_path / "out")
    reopen(tmp_path / "out")
    (base / "chat_template.jinja").write_text("{{ messages[0]['content'] }}\n")
    evaluate(settings(base), tmp_path / "out")


def test_folders_of_an_earlier_version_are_accepted(base, tmp_path):
    """Finished results of an earlier version are accepted. An unfinished folder is refused with one message."""
    folder = tmp_path / "results"
    evaluate_each(settings(base), ["base"], folder)
    out = folder / "base"
    marker = reopen(out, drop=["tokenizer"])
    with pytest.raises(UsageError, match="tokenizer: None there"):
        evaluate_each(settings(base), ["base"], folder)
    (out / ".cme.json").write_text(json.dumps(marker | {"finished": True}))
    stored = json.loads((out / "result.json").read_text())
    del stored["tokenizer_fingerprint"]
    (out / "result.json").write_text(json.dumps(stored))
    (result,) = evaluate_each(settings(base), ["base"], folder)
    assert result == read_record(out / "result.json", Result) and result.tokenizer_fingerprint == ""


def test_an_adapter_is_evaluated_with_the_tokenizer_of_its_training(base, tmp_path):
    from cme.adapters.load import adapter_fingerprint
    from cme.evaluation.guards import check_trained_on
    from cme.models.load import base_fingerprint
    from tests.evaluation.runs import save_adapter
    from tests.evaluation.test_guards import record

    adapter = save_adapter(base, tmp_path / "adapter", 0.3)
    own = base_fingerprint(base)
    record(adapter, base_fingerprint=own, prompt_format="chat", tokenizer_fingerprint="a" * 64)
    assert adapter_fingerprint(adapter)
    check_trained_on(adapter, "base", own, "chat", "a" * 64)
    check_trained_on(adapter, "base", own, "plain", "b" * 64)
    with pytest.raises(AdapterError, match="another tokenizer or chat template"):
        check_trained_on(adapter, "base", own, "chat", "b" * 64)
    record(adapter, base_fingerprint=own, prompt_format="chat", tokenizer_fingerprint="")
    check_trained_on(adapter, "base", own, "chat", "b" * 64)


def short_context(base, length):
    path = base / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"max_position_embeddings": length}))


def test_a_row_that_exceeds_the_context_is_refused_before_the_evaluation(base, tmp_path):
    """Although datasets with short rows come first, nothing is answered, and the folder can be used for fewer datasets."""
    short_context(base, 130)
    out = tmp_path / "out"
    with pytest.raises(UsageError, match=r"^arc: example .* Leave the dataset out"):
        evaluate(settings(base, datasets=("qqp", "arc")), out)
    assert not out.exists()
    assert [item.dataset for item in evaluate(settings(base, datasets=("qqp",)), out).scores.datasets] == ["qqp"]


def test_finished_datasets_survive_a_refusal(base, tmp_path, monkeypatch):
    """The evaluation continues with fewer datasets in the same folder, and finished datasets are not computed again."""
    from cme.errors import CMEError
    from cme.evaluation.lm_eval_runner import Harness

    out, run = tmp_path / "out", Harness.run

    def fails(self, spec, *args, **options):
        if spec.name == "nq_open":
            raise CMEError("nq_open: refused late")
        return run(self, spec, *args, **options)

    monkeypatch.setattr(Harness, "run", fails)
    with pytest.raises(CMEError, match="refused late"):
        evaluate(settings(base), out)
    done = (out / "parts" / "qqp" / "done.json").read_bytes()
    result = evaluate(settings(base, datasets=("qqp",)), out)
    assert (out / "parts" / "qqp" / "done.json").read_bytes() == done
    assert list(result.task_fingerprints) == ["qqp"]
    assert json.loads((out / ".cme.json").read_text())["settings"]["datasets"].keys() == {"qqp"}
    with pytest.raises(UsageError, match="finished output"):
        evaluate(settings(base, datasets=("qqp",)), out)
    with pytest.raises(UsageError, match=r"other settings \(datasets"):
        evaluate(settings(base), out)


def test_other_settings_are_refused(base, tmp_path):
    out = tmp_path / "out"
    evaluate(settings(base), out)
    reopen(out)
    with pytest.raises(UsageError, match="other settings"):
        evaluate(settings(base, datasets=("qqp",), batch_size=3), out)
