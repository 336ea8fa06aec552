"""Several adapters are evaluated on a base that is loaded once, with the results of separate evaluations."""

import json
import shutil

import pytest

from cme.errors import AdapterError, CMEWarning, UsageError
from cme.evaluation.adapters import AdapterSwitcher, adapter_name, distinct_names
from cme.evaluation.row_rules import GivenRows
from cme.evaluation.run import evaluate, evaluate_each
from cme.evaluation.settings import EvalSettings
from cme.models import load
from tests.data.hub_server import HubClient, HubServer
from tests.evaluation.runs import assert_same, responses, result, save_adapter

METHODS = ("lora", "pissa", "dora", "ia3", "head", "prefix", "teamlora")


def settings(base, **changes):
    values = {"base": str(base), "tier": "smoke", "source": "mini", "datasets": ("qqp", "nq_open"), "threads": 1}
    return EvalSettings(**{**values, **changes})


@pytest.fixture(scope="module")
def adapters(tiny_base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("adapters")
    return {name: save_adapter(tiny_base, folder / name, fill) for name, fill in {"one": 0.3, "two": 0.5}.items()}


def test_each_result_equals_that_of_a_single_evaluation(tiny_base, adapters, tmp_path, monkeypatch):
    import cme.evaluation.session as session

    loads = []
    monkeypatch.setattr(session, "load_model", lambda *a, **k: loads.append(a) or load.load_model(*a, **k))
    requested = [str(adapters["one"]), "base", str(adapters["two"])]
    results = evaluate_each(settings(tiny_base), requested, tmp_path / "all")
    assert len(loads) == 1, "the base is loaded once"
    assert [result.name for result in results] == ["one", tiny_base.name, "two"]
    for name, adapter in zip(("one", "base", "two"), requested, strict=True):
        evaluate(settings(tiny_base, adapter=adapter), tmp_path / "single" / name)
        assert_same(tmp_path / "all" / name, tmp_path / "single" / name)
    assert responses(tmp_path / "all" / "one") != responses(tmp_path / "all" / "base")


def test_finished_ones_are_not_evaluated_again(tiny_base, adapters, tmp_path):
    out, one, two = tmp_path / "out", *map(str, adapters.values())
    evaluate_each(settings(tiny_base), [one], out)
    before = (out / "one" / "result.json").stat().st_mtime_ns
    first, second = evaluate_each(settings(tiny_base), [one, two], out)
    assert (out / "one" / "result.json").stat().st_mtime_ns == before
    assert (first.name, second.name) == ("one", "two")
    with pytest.raises(UsageError, match="other settings"):
        evaluate_each(settings(tiny_base, shots=1), [one], out)


def test_two_adapters_of_the_same_name_are_refused(tiny_base, adapters, tmp_path):
    requested = [str(adapters["one"]), str(save_adapter(tiny_base, tmp_path / "elsewhere" / "one", 0.1))]
    with pytest.raises(UsageError, match="have the name 'one'"):
        evaluate_each(settings(tiny_base), requested, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("method", METHODS)
def test_the_base_is_restored_after_every_method(tiny_base, tmp_path, method):
    import torch

    save_adapter(tiny_base, tmp_path / method, 0.3, method)
    switcher = AdapterSwitcher(lambda: load.load_model(tiny_base, device="cpu"), several=True)
    ids = torch.tensor([[5, 6, 7, 8]])

    def logits(model):
        with torch.inference_mode():
            return model(input_ids=ids).logits

    before = logits(switcher.base).clone()
    adapted = logits(switcher.attach(tmp_path / method))[:, -4:].clone()
    assert not torch.equal(adapted, before)
    assert torch.equal(logits(switcher.base), before)
    assert torch.equal(logits(switcher.attach(tmp_path / method))[:, -4:], adapted)


def test_a_base_that_a_method_changed_is_loaded_again(tiny_base, adapters):
    """As with PiSSA, the weights of the base itself were changed."""
    import torch

    loads = []

    def loaded():
        loads.append(load.load_model(tiny_base, device="cpu"))
        return loads[-1]

    switcher = AdapterSwitcher(loaded, several=True)
    attached = switcher.attach(adapters["one"])
    assert switcher.base is loads[0]
    attached = switcher.attach(adapters["one"])
    with torch.no_grad():
        attached.get_base_model().model.norm.weight[3] += 2**-20
    assert switcher.base is loads[1]


def test_a_broken_adapter_is_refused_before_another_one_is_evaluated(tiny_base, adapters, tmp_path, monkeypatch):
    from safetensors.torch import load_file, save_file

    import cme.evaluation.session as session

    def changed(name, change):
        shutil.copytree(adapters["two"], tmp_path / name)
        file = tmp_path / name / "adapter_model.safetensors"
        weights = load_file(file)
        change(weights)
        save_file(weights, file)
        return str(tmp_path / name)

    lacking = changed("lacking", lambda weights: weights.pop(min(weights)))
    spoiled = changed("spoiled", lambda weights: weights[min(weights)].fill_(float("nan")))
    (tmp_path / "damaged").mkdir()
    for file in adapters["two"].iterdir():
        (tmp_path / "damaged" / file.name).write_bytes(file.read_bytes()[:-9])
    good, rule = str(adapters["one"]), GivenRows({"qqp": 2, "nq_open": 2})
    for chosen in (None, rule):
        with pytest.raises(AdapterError, match="lacking: the adapter lacks"):
            evaluate_each(settings(tiny_base), [good, lacking], tmp_path / "out", chosen)
        assert not list((tmp_path / "out").rglob("*")), "the first one was evaluated"
    # The files alone are checked before the base is loaded.
    monkeypatch.setattr(session, "load_model", None)
    for broken, says in ((spoiled, "spoiled.* contains NaN"), (str(tmp_path / "damaged"), "damaged")):
        with pytest.raises(AdapterError, match=says):
            evaluate_each(settings(tiny_base), [good, broken], tmp_path / "out")


@pytest.mark.parametrize(("adapter", "name"), [("owner/adapter", "adapter"), ("owner/adapter/", "adapter")])
def test_names_of_hub_ids(adapter, name):
    assert adapter_name(adapter) == name


def test_a_process_per_device(tiny_base, adapters, tmp_path):
    from cme.evaluation.devices import evaluate_on

    requested = [*map(str, adapters.values()), "base"]
    results = evaluate_on(["cpu", "cpu"], settings(tiny_base), requested, tmp_path / "two")
    evaluate_each(settings(tiny_base, device="cpu"), requested, tmp_path / "one")
    assert [result.name for result in results] == ["one", "two", tiny_base.name]
    for name in ("one", "two", "base"):
        assert_same(tmp_path / "two" / name, tmp_path / "one" / name)


def test_warnings_of_the_processes_are_repeated_once(tiny_base, adapters, tmp_path, recwarn):
    from cme.evaluation.devices import evaluate_on

    copies = []
    for name in ("newer", "newest"):
        shutil.copytree(adapters["one"], tmp_path / name)
        file = tmp_path / name / "adapter_config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | {"use_magic": True, "peft_version": "9.0"}))
        copies.append(str(tmp_path / name))
    evaluate_on(["cpu", "cpu"], settings(tiny_base, datasets=("qqp",)), copies, tmp_path / "out")
    texts = [str(item.message) for item in recwarn if item.category is CMEWarning]
    assert len(texts) == 2
    for name, text in zip(("newer", "newest"), texts, strict=True):
        assert f"{name}/adapter_config.json: the installed PEFT ignores use_magic=True" in text


@pytest.mark.long
def test_the_error_of_a_failed_process_is_reported(tiny_base, adapters, tmp_path):
    from cme.errors import CMEError
    from cme.evaluation.devices import evaluate_on

    with pytest.raises(CMEError, match=r"on cpu: the adapter folder .*missing does not exist"):
        evaluate_on(
            ["cpu", "cpu"], settings(tiny_base), [str(adapters["one"]), str(tmp_path / "missing")], tmp_path / "x"
        )
    assert (tmp_path / "x" / "one" / "result.json").is_file(), "the other one goes on"


def test_an_adapter_on_the_hub(tiny_base, adapters, tmp_path):
    """Only the adapter's files are downloaded, without optimizer state and pickle files."""
    files = {file.name: file.read_bytes() for file in adapters["one"].iterdir()}
    pickles = dict.fromkeys(("adapter_model.bin", "optimizer.pt", "checkpoint-5/adapter_model.safetensors"), b"large")
    out = tmp_path / "hub"
    words = ["--base", tiny_base, "--tier", "smoke", "--source", "mini", "--datasets", "qqp,nq_open", "--threads", 1]
    with HubServer({"test/adapter": files | pickles}, large=("safetensors",)) as hub:
        valid = {"cme": [str(word) for word in ["eval", "--adapter", "test/adapter", "--out", out, *words]]}
        lost = {"cme": [*valid["cme"][:2], "test/lost", *valid["cme"][3:]]}
        with HubClient(hub.endpoint, tmp_path / "hf") as client:
            done, refused = (client({**request, "in": str(tmp_path)}) for request in (valid, lost))
        fetched = {path.removeprefix("test/adapter/") for path in hub.downloads()}
    assert done["exit"] == 0, done["stderr"]
    assert fetched == {"adapter_config.json", "adapter_model.safetensors", "README.md"}
    assert refused["exit"] == 1 and "'test/lost' is not a local folder" in refused["stderr"]
    evaluate(settings(tiny_base, adapter=str(adapters["one"])), tmp_path / "folder")
    assert responses(out) == responses(tmp_path / "folder")
    assert (result(out)["name"], result(out)["adapter"]["path"]) == ("adapter", "test/adapter")


def test_the_name_of_a_run_of_a_grid_has_that_of_the_grid(tmp_path):
    for grid in ("lora", "team"):
        (tmp_path / grid / "lr-1e-03").mkdir(parents=True)
        (tmp_path / grid / "lr-grid.json").write_text("{}")
    (tmp_path / "plain" / "lr-1e-03").mkdir(parents=True)
    runs = [str(tmp_path / folder / "lr-1e-03") for folder in ("lora", "team", "plain")]
    assert distinct_names(runs) == ["lora-lr-1e-03", "team-lr-1e-03", "lr-1e-03"]
