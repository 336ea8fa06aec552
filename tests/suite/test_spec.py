import pytest
import yaml

from cme.data.normalise import NORMALISERS
from cme.errors import CMEError, UsageError
from cme.paths import tasks_dir
from cme.suite import Subset, dataset, datasets, select
from cme.suite.families import FAMILIES, REASONING_FAMILIES, title
from cme.suite.spec import load_spec
from cme.suite.suites import ALL

SPECS = list(datasets(ALL).values())
each_dataset = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)


def test_the_skeletons_six_are_there():
    assert {"anli", "arc", "cnn_dailymail", "nq_open", "qqp", "squad_v2"} <= set(datasets())


def test_every_yaml_is_one_dataset():
    files = [path for path in tasks_dir().glob("*/*.yaml") if not path.name.startswith("_")]
    assert sorted(path.stem for path in files) == sorted(datasets(ALL, beside=True))


def test_the_order_is_that_of_the_families():
    order = (*FAMILIES, *REASONING_FAMILIES)
    places = [(order.index(spec.family), spec.name) for spec in SPECS]
    assert places == sorted(places)


@each_dataset
def test_a_spec_agrees_with_itself_and_its_place(spec):
    assert spec.path.stem == spec.name and spec.path.parent.name == spec.family
    assert spec.task == f"cme_{spec.name}"
    assert spec.primary_metric == spec.metrics[0]
    assert len(spec.fingerprint) == 64
    assert spec.normaliser in NORMALISERS
    assert spec.licence
    assert spec.hub_id.count("/") == 1, "the hub resolves owner/name only"
    roots = {name.split(".")[0] for name in (*spec.key, *spec.cluster)}
    assert spec.key and roots <= set(spec.columns)


@each_dataset
def test_a_choice_is_scored_by_accuracy_and_an_answer_has_room(spec):
    if spec.kind == "choice":
        assert spec.primary_metric == "acc" and spec.max_gen_toks == 0
        assert set(spec.corpus_metrics) <= {"f1", "macro_f1"}
    else:
        assert spec.choices is None and spec.max_gen_toks > 0
        assert not spec.corpus_metrics


@each_dataset
def test_training_and_evaluation_splits_differ(spec):
    train = {(subset.folder, subset.config, subset.train) for subset in spec.subsets}
    held_out = {(subset.folder, subset.config, subset.eval) for subset in spec.subsets}
    assert len(train) == len(held_out) == len(spec.subsets)
    assert not train & held_out
    assert all(subset.train.startswith(("train", "auxiliary_train")) for subset in spec.subsets_of("train"))
    assert spec.trains == bool(spec.subsets_of("train"))


@each_dataset
def test_at_least_six_distinct_paraphrases(spec):
    spoken = {" ".join(text.lower().split()) for text in spec.instructions}
    assert len(spoken) == len(spec.instructions) >= 7
    assert spec.instruction == spec.instructions[0]
    assert all(text == text.strip() and "\n" not in text for text in spec.instructions)


@each_dataset
def test_every_instruction_names_every_label_word(spec):
    words = [*(spec.choices or ()), *filter(None, [spec.unanswerable])]
    lacking = [(text, word) for text in spec.instructions for word in words if f'"{word}"' not in text]
    assert lacking == []


@pytest.mark.parametrize(
    ("name", "fingerprint"),
    [
        ("qqp", "9f843f5c6f6f"),
        ("mmlu", "13315bd4d9cb"),
        ("squad_v2", "19266a7f59fb"),
        ("emotion", "ced86934c72f"),
    ],
)
def test_fingerprints_outlive_the_renaming_of_packages(name, fingerprint):
    # As version 0.1.0 computed them, when the loader was cme.evaluate.task.load. Committed results name these.
    assert dataset(name).fingerprint.startswith(fingerprint)


def test_fingerprints_tell_datasets_apart():
    assert len({spec.fingerprint for spec in SPECS}) == len(SPECS)


def test_anlis_nine_splits_are_three_parts():
    assert dataset("anli").subsets == tuple(
        Subset(name=f"r{k}", folder="anli", config="plain_text", train=f"train_r{k}", eval=f"test_r{k}")
        for k in (1, 2, 3)
    )


def test_arcs_two_configurations_are_two_parts():
    easy = Subset(name="arc_easy", folder="arc_easy", config="ARC-Easy", train="train", eval="test")
    assert easy in dataset("arc").subsets
    assert {subset.config for subset in dataset("arc").subsets} == {"ARC-Easy", "ARC-Challenge"}


def test_hidden_test_labels_are_never_evaluated_on():
    for name in ("qqp", "nq_open", "squad_v2"):
        assert {subset.eval for subset in dataset(name).subsets} == {"validation"}


def test_select_keeps_the_order_and_takes_families():
    assert [spec.name for spec in select(["squad_v2", "arc"])] == ["arc", "squad_v2"]
    family = [spec.name for spec in SPECS if spec.family == "paraphrase_detection"]
    assert [spec.name for spec in select(["paraphrase_detection"])] == family
    assert [spec.name for spec in select(["paraphrase_detection", "qqp"])] == family
    assert select(None) == list(datasets().values())


def test_an_unknown_dataset_gets_the_nearest_name():
    with pytest.raises(UsageError, match=r"unknown dataset 'squad'\. Did you mean 'squad_v2'"):
        dataset("squad")
    with pytest.raises(UsageError, match=r"unknown dataset 'qpq'\. Did you mean 'qqp'"):
        select(["arc", "qpq"])


def test_titles_are_for_people():
    assert title("open_domain_qa") == "Open-domain QA"
    assert title("natural_language_inference") == "Natural language inference"


@pytest.fixture
def edited(tmp_path):
    """A function that writes QQP's YAML with changes, beside a copy of what it includes, and loads it."""

    def load(change):
        source = dataset("qqp").path
        (tmp_path / "_choice.yaml").write_text((source.parent.parent / "_choice.yaml").read_text())
        values = yaml.safe_load(source.read_text().replace("!function ", ""))
        change(values, values["metadata"]["cme"])
        target = tmp_path / "family" / "qqp.yaml"
        target.parent.mkdir(exist_ok=True)
        target.write_text(yaml.safe_dump(values))
        return load_spec(target)

    return load


def test_the_copy_is_a_spec_as_long_as_nothing_is_changed(edited):
    copy, original = edited(lambda values, cme: None), dataset("qqp")
    assert (copy.fingerprint, copy.instructions, copy.subsets) == (
        original.fingerprint,
        original.instructions,
        original.subsets,
    )


def test_the_fingerprint_sees_every_word(edited):
    def reword(values, cme):
        cme["instructions"][3] += " "

    assert edited(reword).fingerprint != dataset("qqp").fingerprint


def test_the_fingerprint_sees_the_included_file(edited, tmp_path):
    before = edited(lambda values, cme: None)
    shared = tmp_path / "_choice.yaml"
    shared.write_text(shared.read_text().replace('fewshot_delimiter: "\\n\\n"', 'fewshot_delimiter: "\\n"'))
    assert load_spec(before.path).fingerprint != before.fingerprint


BROKEN = {
    "unknown key": (
        lambda v, cme: cme.update(max_input_word=3),
        "unknown key 'max_input_word' (did you mean 'max_input_words'?)",
    ),
    "missing key": (lambda v, cme: cme.pop("licence"), "missing key 'licence'"),
    "unknown family": (lambda v, cme: cme.update(family="paraphrases"), "(did you mean 'paraphrase_detection'?)"),
    "bare yes and no": (lambda v, cme: cme.update(choices=[False, True]), "choices: item 1: expected str, found False"),
    "number as text": (lambda v, cme: cme.update(max_input_words="200"), "max_input_words: expected int, found '200'"),
    "no words at all": (lambda v, cme: cme.update(max_input_words=0), "max_input_words: must be at least 1, found 0"),
    "unknown way to answer": (
        lambda v, cme: cme.update(answer="last_line"),
        "expected one of 'first_line', 'joined_lines'",
    ),
    "no instruction": (lambda v, cme: cme.update(instructions=[]), "instructions are empty"),
    "primary metric unlisted": (
        lambda v, cme: cme.update(metrics=["f1"]),
        "primary_metric 'acc' is not among metrics f1",
    ),
    "subset without splits": (
        lambda v, cme: cme.update(parts={"qqp": "train"}),
        "parts: 'qqp': expected a mapping, found 'train'",
    ),
    "subset without eval": (lambda v, cme: cme["parts"]["qqp"].pop("eval"), "subset 'qqp': missing key 'eval'"),
    "subset with a typo": (lambda v, cme: cme["parts"]["qqp"].update(foldr="x"), "(did you mean 'folder'?)"),
    "no task": (lambda v, cme: v.pop("task"), "lm-eval's key 'task' must be a string"),
    "no hub id": (lambda v, cme: v.pop("dataset_path"), "lm-eval's key 'dataset_path' must be a string"),
    "no cme": (lambda v, cme: v["metadata"].pop("cme"), "'metadata.cme' is missing"),
    "no metadata": (lambda v, cme: v.pop("metadata"), "'metadata.cme' is missing"),
}


@pytest.mark.parametrize(("change", "says"), BROKEN.values(), ids=list(BROKEN))
def test_a_broken_description_gives_a_plain_message(edited, change, says):
    with pytest.raises(CMEError) as caught:
        edited(change)
    assert says in str(caught.value)
    assert "qqp.yaml" in str(caught.value)


def test_all_problems_of_a_description_come_at_once(edited):
    def change(values, cme):
        cme.update(licence=7, dataest="x")
        cme.pop("key")

    with pytest.raises(CMEError) as caught:
        edited(change)
    assert all(
        word in str(caught.value) for word in ("licence", "'dataest' (did you mean 'dataset'?)", "missing key 'key'")
    )


@pytest.mark.parametrize("text", ["a: [1, 2", "- a\n- b\n", "include: nowhere.yaml\n"])
def test_an_unreadable_yaml_is_reported(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(CMEError, match=r"\.yaml"):
        load_spec(tmp_path / "x.yaml")
