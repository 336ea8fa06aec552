"""An adapter on a LLaVA is evaluated, analysed and exported with the numbers of the language model alone."""

import json

import pytest

import cme
from cme.adapters.load import load_adapter
from cme.bench.adapters import BenchSettings, measure_adapters
from cme.models.load import load_model, load_tokenizer
from tests.cli.conftest import cme as command  # noqa: F401 (a fixture)
from tests.evaluation.runs import responses
from tests.training.conftest import base, mix  # noqa: F401 (fixtures)
from tests.vision import save_llava

pytestmark = pytest.mark.filterwarnings("ignore:tier smoke", "ignore:teamlora. the base is a vision")

SHORT = {"rank": 2, "experts": 3, "lr": 1e-2, "steps": 3, "batch_size": 2, "max_length": 256, "threads": 1}
SMALL = {"source": "mini", "tier": "smoke", "datasets": "qqp,nq_open", "threads": 1}


@pytest.fixture(scope="module")
def bases(base, tmp_path_factory):  # noqa: F811 (the fixture)
    folder = tmp_path_factory.mktemp("bases") / "llava"
    save_llava(folder, base)
    return {"alone": base, "whole": folder}


@pytest.fixture(scope="module")
def runs(bases, mix, tmp_path_factory):  # noqa: F811 (the fixture)
    home = tmp_path_factory.mktemp("runs")
    return {
        name: cme.train(home / name, data=mix, base=str(folder), method="teamlora", dtype="float32", **SHORT)
        for name, folder in bases.items()
    }


def test_scores_and_texts_are_those_of_the_language_model(bases, runs, tmp_path, command):  # noqa: F811
    results = {
        name: cme.evaluate(
            base=str(bases[name]), adapter=runs[name], out=tmp_path / name, dtype="float32", retention=True, **SMALL
        )
        for name in bases
    }
    alone, whole = results["alone"].record, results["whole"].record
    assert responses(tmp_path / "alone") == responses(tmp_path / "whole")
    assert whole.engines == alone.engines and set(whole.engines.values()) == {"prefix"}
    assert whole.scores == alone.scores and whole.tokens == alone.tokens and whole.adapter.changes_output
    assert whole.retention.drift == alone.retention.drift

    options = [str(item) for key, value in SMALL.items() for item in (f"--{key}", value)]
    options += ["--base", bases["whole"], "--adapter", runs["whole"].folder, "--dtype", "float32"]
    outcome = command("eval", *options, "--out", tmp_path / "cli")
    assert outcome.exit_code == 0, outcome.stderr
    assert responses(tmp_path / "cli") == responses(tmp_path / "whole")

    model = load_adapter(load_model(bases["whole"], device="cpu"), runs["whole"].folder)
    model.config.use_cache = model.config.text_config.use_cache = False
    cme.evaluate(model=model, tokenizer=load_tokenizer(bases["whole"]), out=tmp_path / "memory", **SMALL)
    assert responses(tmp_path / "memory") == responses(tmp_path / "whole")
    assert model.config.text_config.use_cache is False


def test_the_experts_are_analysed_as_on_the_language_model(bases, runs, tmp_path):
    reports = {}
    for name in bases:
        analysis = cme.analyse(
            runs[name],
            tmp_path / name,
            base=str(bases[name]),
            parts="load,similarity,validation",
            dtype="float32",
            **SMALL,
        )
        reports[name] = analysis.record.plain()
    for part in ("similarity", "validation"):
        texts = [json.dumps(reports[name][part]).replace("language_model.", "") for name in bases]
        assert texts[0] == texts[1], part


def test_the_adapter_is_exported_to_plain_lora(bases, runs, tmp_path):
    exports = {name: cme.export_lora(runs[name], tmp_path / name, how="mean") for name in bases}
    values = [export.record.exports[0].plain() for export in exports.values()]
    assert values[0]["divergence"] == values[1]["divergence"]
    (card,) = (tmp_path / "whole").rglob("README.md")
    assert "AutoModelForImageTextToText.from_pretrained" in card.read_text()
    folder = card.parent
    loaded = load_adapter(load_model(bases["whole"], device="cpu"), folder)
    assert sum(hasattr(module, "base_layer") for module in loaded.modules()) == 6


@pytest.mark.filterwarnings("ignore")
def test_costs_are_measured(bases):
    small = {
        "total_rank": 4,
        "experts": (2,),
        "rounds": 2,
        "warmup": 0,
        "batch": 2,
        "train_length": 12,
        "infer_length": 8,
    }
    settings = BenchSettings(
        methods=("base", "teamlora"), forms=("fused",), modes=("train", "prefill", "decode"), **small
    )
    counts = []
    for folder in bases.values():
        report = measure_adapters(load_model(folder, device="cpu"), settings)
        counts.append([cost.flops for case in report.cases for cost in case.modes])
    assert counts[0] == counts[1] and all(counts[0])
