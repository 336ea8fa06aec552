"""Evaluations that use some experts of a routed adapter only."""

import pytest

from cme.errors import UsageError
from cme.evaluation.expert_choice import ExpertChoice
from cme.evaluation.lm_eval_runner import Harness
from cme.evaluation.run import evaluate, evaluate_masked
from cme.evaluation.settings import EvalSettings
from cme.models import load
from tests.evaluation.runs import assert_close, assert_same, responses, result, save_adapter


def settings(base, **changes):
    values = {"base": str(base), "tier": "smoke", "source": "mini", "datasets": ("qqp", "nq_open"), "threads": 1}
    return EvalSettings(**{**values, **changes})


@pytest.fixture(scope="module")
def team(tiny_base, tmp_path_factory):
    return str(save_adapter(tiny_base, tmp_path_factory.mktemp("adapters") / "team", 0.5, "teamlora"))


def test_no_expert_gives_the_answers_of_the_base_and_all_those_of_the_adapter(tiny_base, team, tmp_path):
    evaluate(settings(tiny_base, adapter=team), tmp_path / "adapter")
    evaluate(settings(tiny_base), tmp_path / "base")
    for choice, same in (("keep:0,1,2,3", "adapter"), ("keep:", "base")):
        evaluate(settings(tiny_base, adapter=team, experts=choice), tmp_path / choice)
        assert responses(tmp_path / choice) == responses(tmp_path / same)
        assert result(tmp_path / choice)["experts"] == choice
    assert responses(tmp_path / "adapter") != responses(tmp_path / "base")
    assert "experts" not in result(tmp_path / "adapter")


@pytest.mark.parametrize("choice", ["top1", "drop:1", "keep:0,2:renormalise"])
def test_the_prefix_engine_answers_like_plain_passes(tiny_base, team, tmp_path, choice):
    for engine in ("prefix", "hf"):
        evaluate(settings(tiny_base, adapter=team, experts=choice, engine=engine), tmp_path / engine)
    assert_close(tmp_path / "prefix", tmp_path / "hf")
    assert set(result(tmp_path / "prefix")["engines"].values()) == {"prefix"}


def test_several_choices_share_what_is_loaded_and_equal_single_evaluations(tiny_base, team, tmp_path, monkeypatch):
    import cme.adapters.load as adapters
    import cme.evaluation.session as session

    loads, attached = [], []
    monkeypatch.setattr(session, "load_model", lambda *a, **k: loads.append(a) or load.load_model(*a, **k))
    load_adapter = adapters.load_adapter
    monkeypatch.setattr(adapters, "load_adapter", lambda *a, **k: attached.append(a) or load_adapter(*a, **k))
    read = []
    task = Harness.task
    monkeypatch.setattr(Harness, "task", lambda self, spec: read.append(spec.name) or task(self, spec))
    choices = {"all": None, "top1": "top1", "0": "keep:0", "without-0": "drop:0"}
    results = evaluate_masked(settings(tiny_base, adapter=team), choices, tmp_path / "masks")
    assert (len(loads), len(attached), sorted(read)) == (1, 1, ["nq_open", "qqp"])
    assert [item.experts for item in results] == list(choices.values())
    for name, choice in choices.items():
        evaluate(settings(tiny_base, adapter=team, experts=choice), tmp_path / "single" / name)
        assert_same(tmp_path / "masks" / name, tmp_path / "single" / name)
    texts = [str(responses(tmp_path / "masks" / name)) for name in choices]
    assert len(set(texts)) == len(texts)
    before = len(loads)
    evaluate_masked(settings(tiny_base, adapter=team), choices, tmp_path / "masks")
    assert len(loads) == before, "finished results are read"


def test_another_choice_does_not_continue_a_folder(tiny_base, team, tmp_path):
    evaluate(settings(tiny_base, adapter=team, experts="top1"), tmp_path / "out")
    with pytest.raises(UsageError, match="other settings"):
        evaluate(settings(tiny_base, adapter=team, experts="drop:1"), tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"experts": "best"}, "'best' is not a choice of experts.*top1, keep:0,2 or drop:1"),
        ({"experts": "keep:one"}, "'keep:one' is not a choice"),
        ({"experts": "drop:"}, "drops no expert"),
        ({"experts": "keep:4"}, "no expert 4.*0 to 3"),
        ({"experts": "top1", "adapter": None}, "the base has no experts"),
        ({"experts": "top1", "adapter": None, "baseline": "majority"}, "baseline has no experts"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused_before_any_work(
    tiny_base, team, tmp_path, monkeypatch, changes, message
):
    monkeypatch.setattr("cme.evaluation.run.Session", None)
    with pytest.raises(UsageError, match=message):
        evaluate(settings(tiny_base, **({"adapter": team} | changes)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_adapter_without_experts_is_refused(tiny_base, tmp_path):
    adapter = save_adapter(tiny_base, tmp_path / "lora", 0.3)
    with pytest.raises(UsageError, match=r"lora has no experts.*'LORA'"):
        evaluate(settings(tiny_base, adapter=str(adapter), experts="top1"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_in_memory_can_use_some_experts(tiny_base, team, tmp_path):
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    import cme

    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny_base), team)
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    values = {"tier": "smoke", "source": "mini", "datasets": ("qqp", "nq_open"), "threads": 1}
    cme.evaluate(model=model, tokenizer=tokenizer, experts="top1", out=tmp_path / "memory", **values)
    cme.evaluate(team, base=str(tiny_base), experts="top1", out=tmp_path / "folder", **values)
    assert responses(tmp_path / "memory") == responses(tmp_path / "folder")
    assert not any(layer.masks for layer in model.modules() if hasattr(layer, "masks"))
    with pytest.raises(UsageError, match="no expert 7"):
        cme.evaluate(model=model, tokenizer=tokenizer, experts="keep:7", out=tmp_path / "wrong", **values)


def test_choices_have_one_spelling():
    assert str(ExpertChoice.parse("keep:2,0,2")) == "keep:0,2"
    assert str(ExpertChoice.parse(" top1:renormalise")) == "top1:renormalise"


def test_a_board_does_not_take_such_a_result(tiny_base, team, tmp_path):
    import cme

    evaluate(settings(tiny_base, adapter=team, experts="top1"), tmp_path / "out")
    with pytest.raises(UsageError, match=r"some experts only.*top1"):
        cme.submit(tmp_path / "out", entries=tmp_path / "entries")


def routed(base, folder, method, **fields):
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from tests.adapters.conftest import make_config, randomise

    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), make_config(method, **fields))
    randomise(model)
    model.save_pretrained(folder)
    return folder


def test_drop_leaves_all_other_experts_of_every_layer(tiny_base, tmp_path):
    from cme.adapters.load import load_adapter
    from cme.adapters.routed.gates import routed_layers
    from cme.evaluation.expert_choice import masked

    adapter = routed(tiny_base, tmp_path / "uneven", "mola", experts_pattern={r"layers\.0\..*": 2})
    model = load_adapter(load.load_model(tiny_base), adapter)
    with masked(model, "drop:1"):
        kept = {path: layer.masks["default"].kept for path, layer in routed_layers(model).items()}
    assert {path: numbers for path, numbers in kept.items() if ".0." in path} == dict.fromkeys(
        [path for path in kept if ".0." in path], frozenset({0})
    )
    assert {tuple(sorted(numbers)) for path, numbers in kept.items() if ".1." in path} == {(0, 2, 3)}


@pytest.mark.parametrize("choice", ["drop:2", "keep:3", "keep:0,2"])
def test_an_expert_that_some_layers_lack_is_refused_before_the_base_is_loaded(tiny_base, tmp_path, monkeypatch, choice):
    adapter = routed(tiny_base, tmp_path / "uneven", "mola", experts_pattern={r"layers\.1\..*": 2})
    monkeypatch.setattr("cme.evaluation.run.Session", None)
    with pytest.raises(
        UsageError, match=r"no expert \d\. The layer model\.layers\.1\.mlp\.\w+ .* has the experts 0 to 1"
    ):
        evaluate(settings(tiny_base, adapter=str(adapter), experts=choice), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_damaged_pattern_of_experts_is_one_message(tiny_base, tmp_path):
    import json

    from cme.errors import AdapterError
    from cme.evaluation.expert_choice import check_experts

    adapter = routed(tiny_base, tmp_path / "uneven", "mola", experts_pattern={r"layers\.1\..*": 2})
    file = adapter / "adapter_config.json"
    for pattern in ({"(": 2}, {".*": "two"}, [3]):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"experts_pattern": pattern}))
        with pytest.raises(AdapterError, match="experts_pattern is not a mapping from regular expressions to numbers"):
            check_experts("drop:0", adapter)


def test_the_best_expert_of_a_token_is_refused_if_gate_weights_tie(tiny_base, tmp_path, monkeypatch):
    from cme.adapters.load import load_adapter
    from cme.evaluation.expert_choice import check_experts, masked

    adapter = routed(tiny_base, tmp_path / "fly", "flylora")
    model = load_adapter(load.load_model(tiny_base), adapter)
    monkeypatch.setattr("cme.evaluation.run.Session", None)
    for choice in ("top1", "top1:renormalise"):
        with pytest.raises(
            UsageError, match="top1 does not exist for flylora: all chosen experts of a token have the same"
        ):
            evaluate(settings(tiny_base, adapter=str(adapter), experts=choice), tmp_path / "out")
        with pytest.raises(UsageError, match="top1 does not exist for flylora"), masked(model, choice):
            pass
    check_experts("drop:1", adapter)
    check_experts("top1", routed(tiny_base, tmp_path / "one", "flylora", top_k=1))
    check_experts("top1", routed(tiny_base, tmp_path / "smora", "smora"))
