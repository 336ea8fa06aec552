"""What lm-eval shows the model is what `render` says, byte for byte; and which files are read for it."""

import os
import shutil
from pathlib import Path

import pytest

from cme.data.load import load_examples
from cme.data.sources import open_source
from cme.errors import SourceError, UsageError
from cme.evaluation import task as loader
from cme.paths import tasks_dir
from cme.prompt import FORMATS, cut_words, render
from cme.suite import dataset, datasets
from cme.suite.tiers import tier_order
from tests.hub_rows import HAND_ROWS
from tests.tiny import tiny_tokenizer

SPECS = list(datasets("all").values())
EACH = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
STOPS = ["\nassert ", "\nprint(", "\nif __name__", "\nQuestion:"]
"""What ends the generation of a program."""
WITH_TRAINING = pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.trains], ids=lambda spec: spec.name)


@pytest.fixture(scope="module")
def folder(hand_mirror):
    """Real rows where there are some, else the hand-written ones."""
    real = os.environ.get("CME_DATA_DIR")

    def of(spec):
        return (
            real if real and all((Path(real) / subset.folder).is_dir() for subset in spec.subsets) else str(hand_mirror)
        )

    return of


def load_task(spec, source, **metadata):
    from lm_eval.tasks import TaskManager

    manager = TaskManager(
        include_path=str(tasks_dir()),
        include_defaults=False,
        metadata={"cme_source": str(source), "cme_tier": "quick", "cme_allow_missing": True, **metadata},
    )
    return manager.load([spec.task])["tasks"][spec.task]


def requests(task, shots=0):
    """lm-eval's requests, grouped by row."""
    task.set_config(key="num_fewshot", value=shots)
    task.build_all_requests()
    rows = {}
    for instance in task.instances:
        rows.setdefault(instance.doc_id, []).append(instance)
    return [sorted(group, key=lambda instance: instance.idx) for _, group in sorted(rows.items())]


def rendered(spec, source, name, tokenizer):
    outcome = load_examples(spec, "eval", open_source(str(source)), allow_missing=True)
    examples = tier_order(outcome.examples)[:64]
    return [(example, render(cut_words(example, spec.max_input_words), name, tokenizer)) for example in examples]


@EACH
@pytest.mark.parametrize("name", FORMATS)
def test_requests_are_what_render_says(spec, folder, name):
    tokenizer, folder = tiny_tokenizer(), folder(spec)
    built = requests(load_task(spec, folder, cme_format=name, tokenizer=tokenizer))
    expected = rendered(spec, folder, name, tokenizer)
    assert len(built) == len(expected) > 5
    for group, (example, text) in zip(built, expected, strict=True):
        assert group[0].doc["id"] == example.id
        if spec.kind == "choice":
            assert [instance.args for instance in group] == [(text.context, option) for option in text.continuations]
            assert group[0].doc["gold"] == example.gold
        else:
            (instance,) = group
            context, settings = instance.args
            assert context == text.context
            assert settings == {
                "until": STOPS if spec.runs_code else [],
                "max_gen_toks": spec.max_gen_toks,
                "do_sample": False,
            }
            assert group[0].doc["answers"] == list(example.answers)
        assert group[0].doc["target"] == text.target


@WITH_TRAINING
def test_shots_are_training_rows_in_the_same_layout(spec, hand_mirror):
    splits = loader.load(cme_dataset=spec.name, cme_source=str(hand_mirror), cme_shots=2)
    train = load_examples(spec, "train", open_source(str(hand_mirror))).examples
    texts = {example.id: render(cut_words(example, spec.max_input_words)) for example in train}
    assert [row["id"] in texts for row in splits["fewshot"]] == [True, True]
    prefix = "".join(f"{texts[row['id']].context}{texts[row['id']].target}\n\n" for row in splits["fewshot"])
    assert prefix == loader.shots_text(splits["fewshot"])
    built = requests(load_task(spec, hand_mirror, cme_shots=2), shots=2)
    plain = requests(load_task(spec, hand_mirror))
    assert [group[0].args[0] for group in built] == [prefix + group[0].args[0] for group in plain]


class Spy:
    """A source that keeps what it was asked for."""

    def __init__(self, source):
        self._source, self.requested = source, []

    def __getattr__(self, name):
        return getattr(self._source, name)

    def files(self, spec, subset, split):
        self.requested.append(f"{subset.folder}/{split}")
        return self._source.files(spec, subset, split)


@pytest.fixture
def spy(monkeypatch, hand_mirror):
    source = Spy(open_source(str(hand_mirror)))
    monkeypatch.setattr(loader, "open_source", lambda name: source)
    return source


@EACH
def test_zero_shot_reads_the_evaluation_splits_alone(spec, spy):
    loader.load(cme_dataset=spec.name, cme_source="x", cme_tier="smoke")
    assert spy.requested == [f"{subset.folder}/{subset.eval}" for subset in spec.subsets]


@WITH_TRAINING
def test_few_shot_reads_the_training_splits_too(spec, spy):
    loader.load(cme_dataset=spec.name, cme_source="x", cme_tier="smoke", cme_shots=1)
    assert sorted(spy.requested) == sorted(
        f"{subset.folder}/{split}" for subset in spec.subsets for split in (subset.train, subset.eval)
    )


@pytest.fixture
def without_training(hand_mirror, tmp_path):
    folder = shutil.copytree(hand_mirror, tmp_path / "mirror")
    for subset in (subset for spec in SPECS for subset in spec.subsets_of("train")):
        (folder / subset.folder / f"{subset.train}.parquet").unlink()
    return folder


@EACH
def test_a_mirror_without_training_splits_is_enough(spec, without_training):
    splits = loader.load(cme_dataset=spec.name, cme_source=str(without_training), cme_tier="full")
    assert len(splits["eval"]) == 10 * len(spec.subsets) and len(splits["fewshot"]) == 0
    assert requests(load_task(spec, without_training, cme_allow_missing=False))
    with pytest.raises(SourceError if spec.trains else UsageError, match="train"):
        loader.load(cme_dataset=spec.name, cme_source=str(without_training), cme_shots=1)


def test_shots_never_come_from_the_evaluation_split(make_mirror):
    # Seven of ten training rows are evaluation rows, one of them with its questions exchanged.
    held_out = [dict(row) for row in HAND_ROWS["qqp/validation"]]
    planted = [dict(row) for row in held_out[:7]]
    planted[0]["question1"], planted[0]["question2"] = planted[0]["question2"], planted[0]["question1"]
    mirror = make_mirror({"qqp/validation": held_out, "qqp/train": [*planted, *HAND_ROWS["qqp/train"][:3]]})
    splits = loader.load(cme_dataset="qqp", cme_source=str(mirror), cme_shots=3)
    spec = dataset("qqp")
    leaks = {example.match for example in load_examples(spec, "eval", open_source(str(mirror))).examples}
    train = {example.id: example for example in load_examples(spec, "train", open_source(str(mirror))).examples}
    assert len(splits["fewshot"]) == 3
    assert not {train[row["id"]].match for row in splits["fewshot"]} & leaks
    with pytest.raises(UsageError, match="4 few-shot examples were requested, but only 3 training rows exist"):
        loader.load(cme_dataset="qqp", cme_source=str(mirror), cme_shots=4)


def test_shots_avoid_evaluation_rows_outside_of_the_tier(make_mirror):
    # 30 evaluation rows, 8 of them in tier smoke; the training rows are the other 22 and three of their own.
    held_out = [dict(HAND_ROWS["qqp/validation"][0], question1=f"Held out {k}?") for k in range(30)]
    own = list(HAND_ROWS["qqp/train"][:3])
    mirror = make_mirror({"qqp/validation": held_out, "qqp/train": [*held_out, *own]})
    splits = loader.load(cme_dataset="qqp", cme_source=str(mirror), cme_tier="smoke", cme_shots=3)
    shown = [row["prompt"] for row in splits["fewshot"]]
    assert all("Held out" not in prompt for prompt in shown)
