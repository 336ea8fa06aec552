"""The tokenizer is part of the identity of a training run."""

import json
import shutil

import pytest

from cme.adapters import AdapterSettings
from cme.errors import UsageError
from cme.files import digest
from cme.records import Run, read_record
from cme.training import train
from cme.workdir import FinishedError

LORA = AdapterSettings("lora", rank=2)


def test_a_run_knows_its_tokenizer(base, settings, tmp_path):
    own = shutil.copytree(base, tmp_path / "base")
    given, out = settings(base=str(own), steps=2), tmp_path / "out"
    run = train(given, LORA, out=out)
    assert len(run.tokenizer_fingerprint) == 64
    assert read_record(out / "run.json", Run).tokenizer_fingerprint == run.tokenizer_fingerprint
    with pytest.raises(FinishedError):
        train(given, LORA, out=out)
    # A run of an earlier version is finished all the same.
    marker = json.loads((out / ".cme.json").read_text())
    kept = {key: value for key, value in marker["settings"].items() if key != "tokenizer_fingerprint"}
    (out / ".cme.json").write_text(json.dumps(marker | {"settings": kept, "digest": digest(kept)}))
    with pytest.raises(FinishedError):
        train(given, LORA, out=out)
    (out / ".cme.json").write_text(json.dumps(marker | {"finished": False}))
    config = own / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"add_eos_token": True}))
    with pytest.raises(UsageError, match=r"other settings \(tokenizer_fingerprint: "):
        train(given, LORA, out=out)


def test_a_base_that_sees_what_follows_is_not_trained(settings, tmp_path):
    from cme.errors import SourceError
    from tests.evaluation.engine.architectures import save_architecture

    save_architecture("bert without a mask", tmp_path / "bert")
    with pytest.raises(SourceError, match="depend on later tokens"):
        train(
            settings(base=str(tmp_path / "bert"), steps=2),
            AdapterSettings("lora", rank=2, target_modules=("query",)),
            out=tmp_path / "out",
        )
