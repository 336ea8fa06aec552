"""Scores on the cards of a row's adapters, as the hub's own parser reads them."""

import os

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import metadata_load
from huggingface_hub.repocard_data import eval_results_to_model_index, model_index_to_eval_results

from cme.leaderboard import make_entry
from cme.leaderboard.submission.model_card import update_cards
from cme.suite.families import FAMILIES, title
from tests.leaderboard.workshop import make_samples


@pytest.fixture
def submitted(workshop):
    """``submitted(name, seeds, **result)``: the entry and the folders of its runs."""

    def submit(name="lora", seeds=(0,), names=None, tier="quick", **other):
        results, runs = [], []
        for seed in seeds:
            adapter = f"{seed + 1}" * 64
            samples = make_samples(0.6, f"{name}{seed}", 8 if tier == "smoke" else 24, names)
            results.append(workshop.result(f"{name}-{seed}", samples, adapter=adapter, tier=tier, **other))
            runs.append(workshop.run(f"{name}-{seed}", "lora", adapter=adapter, seed=seed))
        return make_entry(results, runs, workshop.entries, name=f"{name}-{tier}"), runs

    return submit


def check_as_the_hub_does(card):
    """What can be checked without the hub: its parser, strict, its round trip, and the fields that its specification asks for."""
    data = ModelCard.load(card, ignore_metadata_errors=False).data
    metadata = metadata_load(card)
    index = metadata["model-index"]
    assert eval_results_to_model_index(*model_index_to_eval_results(index)) == index
    assert data.to_dict()["model-index"] == index
    for model in index:
        assert isinstance(model["name"], str) and model["name"]
        for result in model["results"]:
            assert result["task"]["type"] and result["dataset"]["type"] and result["dataset"]["name"]
            assert all(metric["type"] and isinstance(metric["value"], float) for metric in result["metrics"])
    return data.eval_results


def test_every_run_gets_its_own_scores(submitted):
    entry, runs = submitted(seeds=(0, 1, 2))
    messages = update_cards(entry, runs[::-1])
    assert len(messages) == 3 and all("scores were written" in line for line in messages)
    for folder, item in zip(runs, entry.runs, strict=True):
        average, *families = check_as_the_hub_does(folder / "README.md")
        assert (average.metric_type, average.metric_name) == ("cme_average", "CME average")
        assert average.metric_value == pytest.approx(item.scores.average, abs=1e-4)
        assert average.metric_args["stderr"] == pytest.approx(item.scores.average_stderr, abs=1e-4)
        assert average.verified is False and average.dataset_config == "quick"
        assert average.dataset_args == {"source": "mini", "prompt_format": "plain", "shots": 0}
        assert [result.metric_name for result in families] == [title(family) for family in FAMILIES]
        assert [result.metric_value for result in families] == pytest.approx(
            [family.value for family in item.scores.families], abs=1e-4
        )
        text = (folder / "README.md").read_text()
        assert f"is **{item.scores.average:.2f} ± {item.scores.average_stderr:.2f}**" in text
        assert f"the run with seed {item.seed}. The mean over the seeds 0, 1, 2" in text


def test_again_changes_nothing_and_another_tier_takes_its_place(submitted):
    entry, (folder,) = submitted()
    update_cards(entry, [folder])
    before = (folder / "README.md").read_bytes()
    assert update_cards(entry, [folder]) == [] and (folder / "README.md").read_bytes() == before
    smoke, _ = submitted(tier="smoke")
    assert len(update_cards(smoke, [folder])) == 1
    results = check_as_the_hub_does(folder / "README.md")
    assert {result.dataset_config for result in results} == {"smoke"}
    assert all(result.metric_args is None for result in results), "eight samples carry no standard error"
    assert "±" not in (folder / "README.md").read_text()


def test_what_others_wrote_stays(submitted):
    entry, (folder,) = submitted()
    theirs = {
        "name": "mine",
        "results": [
            {"task": {"type": "a"}, "dataset": {"type": "b", "name": "B"}, "metrics": [{"type": "acc", "value": 0.5}]}
        ],
    }
    front = yaml.safe_dump({"license": "mit", "model-index": [theirs]})
    (folder / "README.md").write_text(f"---\n# Mine.\n{front}---\n\nMy text.\n")
    for _ in range(2):
        update_cards(entry, [folder])
    first, *ours = check_as_the_hub_does(folder / "README.md")
    assert (first.dataset_type, first.metric_value) == ("b", 0.5) and len(ours) == 12
    text = (folder / "README.md").read_text()
    assert "# Mine.\nlicense: mit\n" in text and "\nMy text.\n" in text


def test_an_average_over_some_datasets_is_called_so(submitted):
    entry, (folder,) = submitted(names=("qqp", "rte"))
    update_cards(entry, [folder])
    average = check_as_the_hub_does(folder / "README.md")[0]
    assert average.metric_name == "average over 2 datasets of CME"
    assert "CME average" not in (folder / "README.md").read_text()


def test_the_scores_of_another_suite_stand_beside_those_of_cme_22(submitted):
    entry, (folder,) = submitted(names=("qqp", "rte"))
    update_cards(entry, [folder])
    reasoning, _ = submitted(name="reasoning", names=("aqua_rat",))
    for _ in range(2):
        update_cards(reasoning, [folder])
    names = [result.metric_name for result in check_as_the_hub_does(folder / "README.md")]
    assert names[0] == "average over 2 datasets of CME" and "average over 1 datasets of CME-R" in names
    text = (folder / "README.md").read_text()
    assert text.count("## Scores\n") == text.count("## Scores on CME-R\n") == 1
    before = text
    assert len(update_cards(entry, [folder])) == 0 and (folder / "README.md").read_text() == before


def test_a_card_that_cannot_be_changed_stops_nothing(submitted, monkeypatch):
    entry, (folder,) = submitted()
    card = folder / "README.md"
    for content, why in (
        ("---\na: [\n---\n", "not valid YAML"),
        ("---\nmodel-index: 3\n---\n", "not valid for the Hugging Face hub"),
    ):
        card.write_text(content)
        (messages,) = update_cards(entry, [folder])
        assert why in messages and card.read_text() == content
    card.unlink()
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    (messages,) = update_cards(entry, [folder])
    assert "is not writable" in messages and not card.exists()


def test_another_adapters_run_gets_no_scores(submitted, workshop):
    entry, _ = submitted()
    other = workshop.run("other", "lora", adapter="9" * 64)
    assert update_cards(entry, [other]) == [] and not (other / "README.md").exists()


@pytest.mark.parametrize(
    "trick", ["x: y\n---\n", "<!-- /cme:scores -->", "<script>", "|`*_[a](b)", "mini\nlicense: mit"]
)
def test_no_name_leaves_its_place(submitted, trick):
    entry, (folder,) = submitted()
    entry = entry.replace(source=trick, name=trick)
    for _ in range(2):
        update_cards(entry, [folder])
    results = check_as_the_hub_does(folder / "README.md")
    assert all(result.dataset_args["source"] == trick for result in results)
    assert set(metadata_load(folder / "README.md")) == {"model-index"}
    assert ModelCard.load(folder / "README.md").text.count("<!-- /cme:scores -->") == 1
