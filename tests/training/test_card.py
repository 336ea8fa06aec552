"""The card of a run, as read by the hub's own parser."""

import pytest

from cme.adapters import AdapterSettings
from cme.records import Run
from cme.training import load_recipe, train


@pytest.mark.parametrize("method", ["lora", "teamlora", "full"])
def test_the_card_says_what_it_is_how_to_load_it_what_it_cost_and_how_to_train_it_again(
    settings, base, mix, tmp_path, method
):
    from huggingface_hub import ModelCard

    out = tmp_path / "run"
    run = train(settings(), AdapterSettings(method), out=out)
    card = ModelCard.load(out / "README.md", ignore_metadata_errors=False)
    assert card.data.to_dict() == {
        "language": "en",
        # Neither a base model nor a licence: this base has no id on the hub.
        "library_name": "transformers" if method == "full" else "peft",
        "pipeline_tag": "text-generation",
        "tags": ["cme", method],
    }
    lines = card.text.splitlines()
    assert ("import cme" in lines) == (method == "teamlora") and "More Information Needed" not in card.text
    for known in (run.base_fingerprint, run.adapter_fingerprint, run.mix_fingerprint, f"{run.trainable_parameters:,}"):
        assert known in card.text
    assert f"{run.peak_memory_bytes / 2**30:.2f} GiB" in card.text
    snippet = card.text.split("```python")[1].split("```")[0].replace("path/to/this/folder", str(out))
    names = {}
    exec(snippet, names)
    assert sum(weight.numel() for weight in names["model"].parameters()) >= run.base_parameters
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(card.text.split("```yaml")[1].split("```")[0])
    used, adapter = load_recipe(out / "config.yaml")
    assert load_recipe(recipe, {"data": used.data, "threads": used.threads}) == (used, adapter)
    assert str(mix) not in card.text


def test_the_card_of_an_embedded_base_on_the_mini_corpus_names_base_and_licence():

    from cme.mix.card import MINI_LICENCE
    from cme.records import Manifest
    from cme.training.card import _metadata
    from tests.records.test_records import make

    run, manifest = make(Run, base="smollm2-135m", method="lora"), make(Manifest, source="mini", datasets={})
    metadata = _metadata(run, manifest)
    assert (metadata["base_model"], metadata["license"]) == (
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        MINI_LICENCE.lower(),
    )
    for base in ("/home/me/model", "../model", "a/b/c", "a b/c", "model", "owner/"):
        assert "base_model" not in _metadata(run.replace(base=base), manifest), base
    metadata = _metadata(run.replace(base="owner/model"), manifest)
    assert metadata["base_model"] == "owner/model" and "license" not in metadata


def test_a_card_that_somebody_has_begun_is_kept(settings, tmp_path, monkeypatch):
    import cme.training.card

    out, text = tmp_path / "run", "---\nlicense: mit\n---\n\nMine.\n"
    write = cme.training.card.write_card
    monkeypatch.setattr(
        cme.training.card, "write_card", lambda *args: [(out / "README.md").write_text(text), write(*args)]
    )
    train(settings(steps=2), AdapterSettings("lora"), out=out)
    card = (out / "README.md").read_text()
    assert "\nMine.\n" in card and "license: mit\n" in card and "library_name: peft\n" in card
