import dataclasses
import json

import pytest

from cme.errors import AdapterError, UsageError
from cme.evaluation.lm_eval_runner import Harness
from cme.evaluation.run import evaluate
from cme.evaluation.settings import EvalSettings
from cme.records import Result, read_record
from cme.records.samples import read_samples
from cme.suite.score import aggregate

DATASETS = ("qqp", "arc", "nq_open")


@pytest.fixture(scope="module")
def adapters(tiny_base, tmp_path_factory):
    """Four adapter folders: two with random weights, an untrained one, and one with a NaN."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    made = {}
    for name, fill in {"one": 0.3, "two": -0.3, "untrained": None, "broken": float("nan")}.items():
        torch.manual_seed(len(made))
        model = get_peft_model(
            AutoModelForCausalLM.from_pretrained(tiny_base),
            LoraConfig(r=2, target_modules=["up_proj"], task_type="CAUSAL_LM"),
        )
        for key, parameter in model.named_parameters():
            if "lora_B" in key and fill is not None:
                torch.nn.init.normal_(parameter) if fill == fill else parameter.data.fill_(fill)
                parameter.data *= fill
        made[name] = tmp_path_factory.mktemp("adapters") / name
        model.save_pretrained(made[name])
    return made


def settings(base, **changes):
    return EvalSettings(
        **{"base": str(base), "tier": "smoke", "source": "mini", "datasets": DATASETS, "threads": 1, **changes}
    )


@pytest.fixture(scope="module")
def undisturbed(tiny_base, adapters, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "one"
    evaluate(settings(tiny_base, adapter=str(adapters["one"])), out)
    return out


def test_every_number_comes_from_the_samples(undisturbed):
    result = read_record(undisturbed / "result.json", Result)
    samples = read_samples(undisturbed / "samples.parquet")
    assert aggregate(samples, tier="smoke") == result.scores
    assert {item.dataset: item.n for item in result.scores.datasets} == dict.fromkeys(DATASETS, 8)
    assert result.scores.average_stderr is None, "eight rows are too few for a standard error"
    assert result.adapter is not None and result.adapter.method == "lora" and result.adapter.changes_output


def test_samples_hold_no_text(undisturbed):
    import pyarrow.parquet as pq

    names = set(pq.read_table(undisturbed / "samples.parquet").column_names)
    assert not names & {"prompt", "input", "question", "text", "target", "answers", "response"}


def test_base_has_no_adapter(tiny_base, tmp_path):
    result = evaluate(settings(tiny_base, datasets=("qqp",)), tmp_path / "base")
    assert result.adapter is None
    assert result.name == tiny_base.name


def test_the_prompt_variant_is_recorded_and_makes_another_evaluation(tiny_base, tmp_path):
    result = evaluate(settings(tiny_base, datasets=("qqp",), prompt_variant=2), tmp_path / "x")
    assert result.prompt_variant == 2 and read_record(tmp_path / "x" / "result.json", Result).prompt_variant == 2
    usual = evaluate(settings(tiny_base, datasets=("qqp",)), tmp_path / "y")
    assert usual.prompt_variant == 0 and usual.samples_sha256 != result.samples_sha256
    stored = {name: json.loads((tmp_path / name / "result.json").read_text())["wording"] for name in ("x", "y")}
    assert stored == {"x": 2, "y": 0}, "files keep the name that earlier versions read"
    marked = {name: json.loads((tmp_path / name / ".cme.json").read_text())["settings"] for name in ("x", "y")}
    assert marked["x"]["wording"] == 2 and not {"wording", "prompt_variant"} & set(marked["y"])
    with pytest.raises(UsageError):
        evaluate(settings(tiny_base, datasets=("qqp",), prompt_variant=1), tmp_path / "x")
    for wrong, message in (
        ({"prompt_variant": 7}, "0 to 6"),
        ({"prompt_variant": 1, "baseline": "majority"}, "cannot be combined with a baseline"),
    ):
        with pytest.raises(UsageError, match=message):
            evaluate(settings(tiny_base, datasets=("qqp",), **wrong), tmp_path / "z")


def test_an_adapter_that_changes_nothing_is_reported(tiny_base, adapters, tmp_path):
    result = evaluate(settings(tiny_base, adapter=str(adapters["untrained"]), datasets=("qqp",)), tmp_path / "x")
    assert result.adapter is not None and not result.adapter.changes_output


def test_shots_leave_out_what_has_no_training_rows_if_that_is_allowed(tiny_base, tmp_path, make_mirror):
    from cme.errors import SourceError
    from tests.hub_rows import HAND_ROWS

    names = ("qqp/train", "qqp/validation", "nq_open/validation")
    mirror = str(make_mirror({name: HAND_ROWS[name] for name in names}))
    wanted = settings(tiny_base, source=mirror, datasets=("qqp", "nq_open"), shots=1)
    with pytest.raises(SourceError, match=r"nq_open: nq_open/train"):
        evaluate(wanted, tmp_path / "x")
    result = evaluate(dataclasses.replace(wanted, allow_missing=True), tmp_path / "x")
    assert [item.dataset for item in result.scores.datasets] == ["qqp"]
    assert result.missing == ("nq_open: nq_open/train.parquet",)
    # Without shots, training rows are not needed.
    zero = dataclasses.replace(wanted, allow_missing=True, shots=0)
    assert len(evaluate(zero, tmp_path / "y").scores.datasets) == 2


def responses(out):
    import pyarrow.parquet as pq

    return pq.read_table(out / "responses.parquet").to_pylist()


def test_interrupted_work_continues_with_the_next_dataset(tiny_base, adapters, tmp_path, undisturbed, monkeypatch):
    out = tmp_path / "again"
    wanted = settings(tiny_base, adapter=str(adapters["one"]))
    run, evaluated = Harness.run, []

    def interrupted(self, spec, task, **options):
        if evaluated:
            raise KeyboardInterrupt
        evaluated.append(spec.name)
        return run(self, spec, task, **options)

    monkeypatch.setattr(Harness, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(wanted, out)
    assert not (out / "result.json").exists()

    def counted(self, spec, task, **options):
        evaluated.append(spec.name)
        return run(self, spec, task, **options)

    monkeypatch.setattr(Harness, "run", counted)
    evaluate(wanted, out)
    assert sorted(evaluated) == sorted(DATASETS), "the finished dataset was evaluated again"
    assert (out / "samples.parquet").read_bytes() == (undisturbed / "samples.parquet").read_bytes()
    assert responses(out) == responses(undisturbed)


def test_the_engine_is_recorded_and_decides_what_an_output_folder_holds(tiny_base, adapters, tmp_path, undisturbed):
    resumed = read_record(undisturbed / "result.json", Result)
    assert resumed.engines == dict.fromkeys(DATASETS, "prefix")
    wanted = settings(tiny_base, adapter=str(adapters["one"]), datasets=("qqp", "nq_open"), engine="hf")
    result = evaluate(wanted, tmp_path / "hf")
    assert result.engines == dict.fromkeys(("qqp", "nq_open"), "hf")
    ours = {row["id"]: row for row in responses(undisturbed)}
    for row in responses(tmp_path / "hf"):
        assert row["text"] == ours[row["id"]]["text"]
        assert (row["logprobs"] or []) == pytest.approx(ours[row["id"]]["logprobs"] or [], abs=1e-4)
    with pytest.raises(UsageError, match="engine: 'hf' there, 'prefix' now"):
        evaluate(dataclasses.replace(wanted, engine="prefix"), tmp_path / "hf")
    with pytest.raises(UsageError, match=r"engine 'hff'.*'hf'"):
        evaluate(dataclasses.replace(wanted, engine="hff"), tmp_path / "x")


def test_a_second_adapter_never_gets_the_first_ones_answers(tiny_base, adapters, tmp_path, undisturbed):
    two = tmp_path / "two"
    evaluate(settings(tiny_base, adapter=str(adapters["two"])), two)
    assert responses(two) != responses(undisturbed)
    before = (undisturbed / "samples.parquet").read_bytes()
    with pytest.raises(UsageError, match="other settings"):
        evaluate(settings(tiny_base, adapter=str(adapters["two"])), undisturbed)
    assert (undisturbed / "samples.parquet").read_bytes() == before


def test_retrained_adapter_in_the_same_folder_is_another_adapter(tiny_base, adapters, tmp_path):
    import shutil

    folder, out = tmp_path / "adapter", tmp_path / "out"
    shutil.copytree(adapters["one"], folder)
    evaluate(settings(tiny_base, adapter=str(folder), datasets=("qqp",)), out)
    shutil.copytree(adapters["two"], folder, dirs_exist_ok=True)
    with pytest.raises(UsageError, match="adapter"):
        evaluate(settings(tiny_base, adapter=str(folder), datasets=("qqp",)), out)


def test_finished_output_is_not_overwritten(tiny_base, adapters, undisturbed):
    with pytest.raises(UsageError, match="finished"):
        evaluate(settings(tiny_base, adapter=str(adapters["one"])), undisturbed)


@pytest.mark.parametrize(
    ("name", "says"),
    [("broken", "NaN or infinity"), ("missing", "adapter_config.json|does not exist"), ("pickled", "safetensors")],
)
def test_bad_adapters_are_refused_and_leave_nothing(tiny_base, adapters, tmp_path, name, says):
    import shutil

    folder = adapters.get(name, tmp_path / "adapter")
    if name == "missing":
        folder.mkdir()
    if name == "pickled":
        shutil.copytree(adapters["one"], folder)
        (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(AdapterError, match=says):
        evaluate(settings(tiny_base, adapter=str(folder)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_adapter_of_another_base_is_refused(adapters, tiny_base, tmp_path):
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(tiny_base)
    config.intermediate_size *= 2
    wider = tmp_path / "wider"
    AutoModelForCausalLM.from_config(config).save_pretrained(wider)
    AutoTokenizer.from_pretrained(tiny_base).save_pretrained(wider)
    with pytest.raises(AdapterError, match="up_proj"):
        evaluate(settings(wider, adapter=str(adapters["one"])), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_answers_equal_those_of_lm_evals_own_model(tiny_base, adapters, undisturbed):
    """The same requests are answered by a model and an adapter that lm-eval loads itself."""
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    from cme.paths import tasks_dir

    manager = TaskManager(
        include_path=str(tasks_dir()), include_defaults=False, metadata={"cme_source": "mini", "cme_tier": "smoke"}
    )
    outcome = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(tiny_base), "peft": str(adapters["one"]), "dtype": "float32"},
        tasks=[f"cme_{name}" for name in DATASETS],
        task_manager=manager,
        device="cpu",
        batch_size=3,
        bootstrap_iters=0,
    )
    ours = {row["id"]: row for row in responses(undisturbed)}
    compared = 0
    for samples in outcome["samples"].values():
        for sample in samples:
            mine = ours[sample["doc"]["id"]]
            if mine["text"] is not None:
                assert mine["text"] == sample["filtered_resps"][0]
            else:
                assert mine["logprobs"] == pytest.approx([answer[0] for answer in sample["filtered_resps"]], abs=1e-4)
            compared += 1
    assert compared == 8 * len(DATASETS)


def test_result_is_strict_json(undisturbed):
    def refuse(name):
        raise AssertionError(f"{name} in result.json")

    json.loads((undisturbed / "result.json").read_text(), parse_constant=refuse)
