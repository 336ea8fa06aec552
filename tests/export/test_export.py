"""``cme export-lora`` of routed adapters, from Python and from the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import torch

import cme
from cme.adapters.load import load_adapter
from cme.adapters.routed.gates import routed_layers
from cme.errors import UsageError
from cme.export.checks import Checked
from cme.export.settings import ExportSettings
from cme.models.load import load_model
from cme.records import Export, read_record
from cme.records.schema import json_schema
from tests.adapters.variants import RANKWISE, ROUTED

STOCK = """
import sys

class NoCme:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("cme", "cme_topk"):
            raise ImportError("cme is not installed here")

sys.meta_path.insert(0, NoCme())
import torch
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM

base, adapter, target = sys.argv[1:]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
assert type(model.peft_config["default"]) is LoraConfig and "cme" not in sys.modules
ids = torch.arange(3, 43).reshape(2, 20)
with torch.no_grad():
    adapted = model(input_ids=ids).logits
    merged = model.merge_and_unload()
    torch.save((adapted, merged(input_ids=ids).logits, type(merged.model.layers[0].mlp.up_proj).__name__), target)
"""


def stock_logits(base: Path, adapter: Path, folder: Path):
    """Return the logits with the adapter, those after merging, and the type of a merged layer, from PEFT without CME."""
    target = folder / "logits.pt"
    words = [sys.executable, "-W", "ignore", "-c", STOCK, str(base), str(adapter), str(target)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stderr
    return torch.load(target, weights_only=True)


def logits_with_gates(base: Path, adapter: Path, gates):
    """Return the logits of the routed adapter with constant gate weights in every layer."""
    model = load_adapter(load_model(base), adapter)
    for path, layer in routed_layers(model).items():
        own = torch.tensor(gates[path])
        layer.masks["default"] = lambda given, own=own: own.expand_as(given)
    with torch.no_grad():
        return model(input_ids=torch.arange(3, 43).reshape(2, 20)).logits


@pytest.mark.parametrize(
    "method",
    [name if name in ("teamlora", "flylora") else pytest.param(name, marks=pytest.mark.long) for name in ROUTED],
)
def test_mean_is_the_routed_adapter_with_constant_gate_weights(tiny_base, mix, routed, tmp_path, method):
    adapter = routed(method)
    exported = cme.export_lora(adapter, tmp_path / "out", how="mean", data=mix, threads=1)
    record = exported.record
    expected = logits_with_gates(tiny_base, adapter, record.gates)
    adapted, merged, kind = stock_logits(tiny_base, exported.folder, tmp_path)
    torch.testing.assert_close(adapted, expected, rtol=0, atol=1e-4)
    torch.testing.assert_close(merged, expected, rtol=0, atol=1e-4)
    assert kind == "Linear"
    (item,) = record.exports
    assert (item.how, item.rank) == ("mean", 3 if method in ("hydralora", "comol") else 12) and item.divergence > 0
    assert (record.experts, record.expert_rank) == ((12, 1) if method in RANKWISE else (4, 3))
    assert item.adapters["all"].folder == "."
    assert sum(map(sum, record.gates.values())) / len(record.gates) == pytest.approx(1, abs=0.5)


def test_the_record_fits_its_schema_and_the_folder_has_nothing_else(mix, routed, tmp_path):
    exported = cme.export_lora(routed(), tmp_path / "out", how="mean", data=mix)
    assert read_record(tmp_path / "out" / "export.json", Export) == exported.record
    jsonschema.validate(json.loads((tmp_path / "out" / "export.json").read_text()), json_schema(Export))
    names = {path.name for path in (tmp_path / "out").iterdir()}
    own = {"adapter_config.json", "adapter_model.safetensors", "README.md", "export.json", "export.md", ".cme.json"}
    assert names == own
    record = exported.record
    assert (record.rows, record.experts, record.expert_rank, record.adapter.method) == (18, 4, 3, "teamlora")
    assert record.measured is None and "| mean | 12 | 1 |" in exported.markdown


def test_the_card_names_the_lines_for_servers(tiny_base, mix, routed, tmp_path):
    cme.export_lora(routed(experts=8), tmp_path / "mine", how="mean", data=mix)
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "vllm serve BASE --enable-lora --max-lora-rank 32 --lora-modules mine=path/to/this/folder" in card
    assert "python convert_lora_to_gguf.py --base path/to/base --outfile mine.gguf path/to/this/folder" in card
    assert "library_name: peft" in card and "8 experts of rank 3" in card and "PeftModel.from_pretrained" in card
    assert "import cme" not in card


def test_family_writes_one_adapter_per_family_and_says_that_the_task_must_be_known(tiny_base, mix, routed, tmp_path):
    exported = cme.export_lora(routed(), tmp_path / "out", how="family", data=mix)
    (item,) = exported.record.exports
    assert list(item.adapters) == ["paraphrase_detection", "reading_comprehension", "textual_entailment"]
    assert sum(adapter.rows for adapter in item.adapters.values()) == 18
    assert len({adapter.fingerprint for adapter in item.adapters.values()}) == 3
    for family, adapter in item.adapters.items():
        card = (tmp_path / "out" / family / "README.md").read_text()
        assert adapter.folder == family and "The caller must know the task" in card
        adapted, merged, kind = stock_logits(tiny_base, tmp_path / "out" / family, tmp_path)
        torch.testing.assert_close(merged, adapted, rtol=0, atol=1e-4)
        assert kind == "Linear"
    assert "The caller must know the task" in exported.markdown


def test_several_ways_have_folders_of_their_own(mix, routed, tmp_path):
    exported = cme.export_lora(routed(), tmp_path / "out", how="family,mean", data=mix)
    mean, family = exported.record.exports
    assert (mean.how, mean.adapters["all"].folder) == ("mean", "mean")
    assert family.adapters["paraphrase_detection"].folder == "family/paraphrase_detection"
    assert family.divergence < mean.divergence, "gate weights of the family are nearer than those of all"


def test_the_command_line_does_the_same(mix, routed, tmp_path):
    from typer.testing import CliRunner

    from cme.cli.main import app

    exported = cme.export_lora(routed(), tmp_path / "python", how="mean", data=mix)
    words = [
        "export-lora",
        str(routed()),
        "--how",
        "mean",
        "--data",
        str(mix),
        "--out",
        str(tmp_path / "cli"),
        "--json",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    written = json.loads((tmp_path / "python" / "export.json").read_text())
    assert (record["exports"], record["gates"]) == (written["exports"], written["gates"])
    assert exported.record.exports[0].divergence == record["exports"][0]["divergence"]


def test_an_interrupted_export_does_no_way_twice(mix, routed, tmp_path, monkeypatch):
    import cme.export.run as run

    values = {"how": "mean,family", "data": mix}
    with monkeypatch.context() as patch:
        patch.setattr(run._Work, "_family", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            cme.export_lora(routed(), tmp_path / "out", **values)
    monkeypatch.setattr(run._Work, "_mean", None)
    monkeypatch.setattr(run, "gate_means", None)
    resumed = cme.export_lora(routed(), tmp_path / "out", **values).record
    monkeypatch.undo()
    whole = cme.export_lora(routed(), tmp_path / "whole", **values).record
    assert resumed.exports == whole.exports and resumed.gates == whole.gates
    assert not (tmp_path / "out" / ".work").exists()
    with pytest.raises(UsageError, match="finished output"):
        cme.export_lora(routed(), tmp_path / "out", **values)
    with pytest.raises(UsageError, match=r"other settings .how"):
        cme.export_lora(routed(), tmp_path / "out", how="mean", data=mix)


def test_other_tensors_and_lower_precision_stay(tiny_base, mix, tmp_path):
    from peft import get_peft_model
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    from tests.adapters.conftest import make_config, randomise

    config = make_config("teamlora", modules_to_save=["norm"], base_model_name_or_path=str(tiny_base))
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base), config)
    randomise(model)
    with torch.no_grad():
        model.base_model.model.model.norm.modules_to_save["default"].weight.mul_(1.5)
    model.to(torch.bfloat16).save_pretrained(tmp_path / "team")
    exported = cme.export_lora(tmp_path / "team", tmp_path / "out", how="mean", data=mix, base=str(tiny_base))
    tensors = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.bfloat16}
    assert any("norm" in name for name in tensors)
    expected = logits_with_gates(tiny_base, tmp_path / "team", exported.record.gates)
    adapted, _, _ = stock_logits(tiny_base, exported.folder, tmp_path)
    torch.testing.assert_close(adapted, expected, rtol=0, atol=0.05 * float(expected.abs().max()))
    assert "Merge the adapter into the base first" in (tmp_path / "out" / "README.md").read_text()


def test_rows_are_cut_to_the_context_of_the_base(tiny_base, mix, routed, tmp_path):
    shutil.copytree(tiny_base, tmp_path / "short")
    config = json.loads((tmp_path / "short" / "config.json").read_text())
    (tmp_path / "short" / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 48}))
    whole = Checked(ExportSettings(str(routed()), ("mean",), data=str(mix)))
    short = Checked(ExportSettings(str(routed()), ("mean",), data=str(mix), base=str(tmp_path / "short")))
    assert max(len(row.ids) for row in whole.validation.rows) > 48
    assert max(len(row.ids) for row in short.validation.rows) <= 48


def test_moslora_needs_no_choice_and_takes_none(tiny_base, tmp_path):
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    from tests.adapters.conftest import make_config

    get_peft_model(AutoModelForCausalLM.from_pretrained(tiny_base), make_config("moslora")).save_pretrained(
        tmp_path / "m"
    )
    with pytest.raises(UsageError, match=r"exactly its outputs\. --how would have no effect"):
        cme.export_lora(tmp_path / "m", tmp_path / "out", how="mean")
    exported = cme.export_lora(tmp_path / "m", tmp_path / "out")
    assert exported.record is None and exported.markdown == "" and (tmp_path / "out" / "adapter_config.json").is_file()


def test_fit_is_nearer_than_mean_and_loads_without_cme(tiny_base, mix, routed, tmp_path):
    exported = cme.export_lora(routed(), tmp_path / "out", how="mean,fit", data=mix)
    mean, fit = exported.record.exports
    assert fit.divergence < mean.divergence and fit.ridge == 1.0 and mean.ridge is None
    assert all(0 < layer.loss < layer.mean_loss < 1 for layer in fit.layers) and len(fit.layers) == 6
    adapted, merged, kind = stock_logits(tiny_base, tmp_path / "out" / "fit", tmp_path)
    torch.testing.assert_close(merged, adapted, rtol=0, atol=1e-4)
    assert kind == "Linear" and "flatters `fit`." in exported.markdown


def test_a_lower_rank_is_in_the_configuration_and_the_tensors(mix, routed, tmp_path):
    from safetensors.torch import load_file

    (item,) = cme.export_lora(routed(), tmp_path / "out", how="fit", rank=5, ridge=0.0, data=mix).record.exports
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert (item.rank, config["r"], config["lora_alpha"]) == (5, 5, 5)
    assert {
        len(of) for name, of in load_file(tmp_path / "out" / "adapter_model.safetensors").items() if "_A." in name
    } == {5}


DISTIL = {"how": "distil", "steps": 6, "lr": 3e-3, "batch_size": 4, "threads": 1}


@pytest.fixture(scope="module")
def distilled(tiny_base, mix, routed, tmp_path_factory):
    return cme.export_lora(routed(), tmp_path_factory.mktemp("distil") / "out", data=mix, **DISTIL)


def test_distil_comes_nearer_than_the_fit_from_which_it_starts(distilled, tiny_base, tmp_path):
    (item,) = distilled.record.exports
    assert item.how == "distil" and item.divergence < item.distilled.start
    assert (item.distilled.steps, item.distilled.batch_size, item.rank) == (6, 4, 12)
    names = {path.name for path in distilled.folder.iterdir()}
    assert not names & {".work", "checkpoints", "fit"}
    adapted, merged, _ = stock_logits(tiny_base, distilled.folder, tmp_path)
    torch.testing.assert_close(merged, adapted, rtol=0, atol=1e-4)


def test_an_interrupted_distillation_continues_with_the_same_result(distilled, mix, routed, tmp_path, monkeypatch):
    from cme.training.callbacks import BarMover

    steps = []

    def stops(self, args, state, control, **kwargs):
        steps.append(state.global_step)
        if len(steps) == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr("cme.export.distil._SAVE_EVERY", 2)
    monkeypatch.setattr(BarMover, "on_step_end", stops)
    with pytest.raises(KeyboardInterrupt):
        cme.export_lora(routed(), tmp_path / "out", data=mix, **DISTIL)
    again = cme.export_lora(routed(), tmp_path / "out", data=mix, **DISTIL)
    assert steps == [1, 2, 3, 4, 3, 4, 5, 6], "it continues from the checkpoint after step 2"
    assert again.record.exports == distilled.record.exports
    first, second = (folder / "adapter_model.safetensors" for folder in (distilled.folder, again.folder))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(("method", "most"), [("comol", 3), ("smora", 12), ("flylora", 12)])
def test_the_whole_rank_of_an_export_is_that_of_the_adapter(mix, routed, tmp_path, method, most):
    """CoMoL's experts share the rank, and in SMoRA and FlyLoRA every rank is an expert."""
    with pytest.raises(UsageError, match=f"have at most rank {most} together"):
        cme.export_lora(routed(method), tmp_path / "out", how="fit", rank=most + 1, data=mix)
    exported = cme.export_lora(routed(method), tmp_path / "out", how="fit", data=mix, threads=1)
    (item,) = exported.record.exports
    assert item.rank == most and all(layer.loss < layer.mean_loss for layer in item.layers)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_stated_loss_is_that_of_the_written_file(tiny_base, mix, routed, tmp_path, dtype):
    from safetensors.torch import load_file, save_file

    adapter = shutil.copytree(routed(), tmp_path / "adapter")
    file = adapter / "adapter_model.safetensors"
    save_file({name: of.to(dtype) for name, of in load_file(file).items()}, file, metadata={"format": "pt"})
    # Without a penalty, the rounding of the file is a large part of the loss.
    exported = cme.export_lora(adapter, tmp_path / "out", how="fit", ridge=1e-6, data=mix, threads=1)
    written = load_file(tmp_path / "out" / "adapter_model.safetensors")
    assert {of.dtype for of in written.values()} == {dtype}
    model = load_adapter(load_model(tiny_base), adapter)
    errors, energies = {}, {}

    def compare(path):
        down, up = (written[f"base_model.model.{path}.lora_{name}.weight"].double() for name in "AB")

        def hook(layer, args, output):
            own = (output - layer.base_layer(args[0])).double()
            energies[path] = energies.get(path, 0.0) + float(own.square().sum())
            errors[path] = errors.get(path, 0.0) + float((own - args[0].double() @ down.T @ up.T).square().sum())

        return hook

    for path, layer in routed_layers(model).items():
        layer.register_forward_hook(compare(path))
    checked = Checked(ExportSettings(str(adapter), ("fit",), data=str(mix)))
    with torch.no_grad():
        for row in checked.validation.rows:
            model(input_ids=torch.tensor([row.ids]))
    (item,) = exported.record.exports
    for layer in item.layers:
        assert layer.loss == pytest.approx(errors[layer.layer] / energies[layer.layer], rel=0.02, abs=1e-6)
        if dtype == torch.float32:
            assert errors[layer.layer] / energies[layer.layer] <= layer.mean_loss * (1 + 1e-4)
