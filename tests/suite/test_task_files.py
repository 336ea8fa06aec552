"""The task YAMLs as lm-eval reads them. It skips broken ones without a word, so their number is what a test must see."""

import shutil

import pytest
import yaml

from cme.paths import tasks_dir
from cme.sandbox import OUTCOMES
from cme.suite import datasets
from cme.suite.metrics import extract_program
from cme.suite.suites import ALL, SUITES


def manager(folder, source):
    from lm_eval.tasks import TaskManager

    return TaskManager(include_path=str(folder), include_defaults=False, metadata={"cme_source": str(source)})


@pytest.fixture(scope="module")
def tasks(hand_mirror):
    return manager(tasks_dir(), hand_mirror)


@pytest.fixture(scope="module")
def loaded(tasks):
    return tasks.load(["cme", "cme_r"])


def families(suite="cme-22"):
    """Family → its tasks, both in the suite's order."""
    names = SUITES[suite].families
    members = {name: [spec.task for spec in datasets(suite).values() if spec.family == name] for name in names}
    return {name: found for name, found in members.items() if found}


def test_lm_eval_finds_every_task(tasks):
    # Those beside the suite too: they can be asked for by name.
    assert sorted(tasks.all_subtasks) == sorted(spec.task for spec in datasets(ALL, beside=True).values())


def test_what_stands_beside_the_suite_is_in_no_group_and_loads_alone(tasks, loaded):
    beside = [spec.task for spec in datasets(ALL, beside=True).values() if spec.beside]
    assert beside == ["cme_mnli_mismatched", "cme_svamp"]
    assert not set(beside) & {*loaded["tasks"], *(task for members in loaded["group_map"].values() for task in members)}
    assert list(tasks.load(beside)["tasks"]) == beside


def test_lm_eval_finds_every_group(tasks):
    assert sorted(tasks.all_groups) == sorted(
        ["cme", "cme_r", *(f"cme_{family}" for suite in SUITES for family in families(suite))]
    )


def test_a_broken_yaml_would_be_missed(tmp_path, hand_mirror):
    # The two tests above rest on this.
    folder = shutil.copytree(tasks_dir(), tmp_path / "tasks")
    broken = folder / "paraphrase_detection" / "qqp.yaml"
    broken.write_text(broken.read_text().replace("include: ../_choice.yaml", "include: ../_choise.yaml"))
    assert "cme_qqp" not in manager(folder, hand_mirror).all_subtasks


@pytest.mark.parametrize("suite", SUITES)
def test_the_group_of_groups_loads_every_task_of_its_suite(tasks, suite):
    loaded = tasks.load([SUITES[suite].group])["tasks"]
    assert sorted(loaded) == sorted(spec.task for spec in datasets(suite).values())


def test_groups_hold_what_the_families_hold(loaded):
    groups = {name: sorted(members) for name, members in loaded["group_map"].items()}
    expected = {
        suite: {f"cme_{family}": sorted(members) for family, members in families(suite).items()} for suite in SUITES
    }
    tops = {SUITES[suite].group: sorted(of_suite) for suite, of_suite in expected.items()}
    assert groups == tops | expected["cme-22"] | expected["cme-r"]


def test_a_family_can_be_selected_alone(tasks):
    assert list(tasks.load(["cme_paraphrase_detection"])["tasks"]) == families()["paraphrase_detection"]


@pytest.mark.parametrize("spec", datasets(ALL).values(), ids=lambda spec: spec.name)
def test_tasks_emit_what_the_suite_scores(loaded, spec):
    task = loaded["tasks"][spec.task]
    listed = [entry["metric"] for entry in task.config.metric_list]
    assert listed[0] == spec.primary_metric
    assert listed == [*spec.metrics, *spec.corpus_metrics, "cme_score"]
    # The other scores of a program count what kept it from passing.
    worse = spec.metrics[1:] if spec.runs_code else ()
    assert [entry["metric"] for entry in task.config.metric_list if not entry["higher_is_better"]] == list(worse)
    kinds = {"multiple_choice": "choice", "generate_until": "generate"}
    assert kinds[task.OUTPUT_TYPE] == spec.kind


@pytest.mark.parametrize("spec", datasets(ALL).values(), ids=lambda spec: spec.name)
def test_tasks_may_be_given_shots(loaded, spec):
    # num_fewshot: 0 in a YAML could not be overridden on the command line.
    assert loaded["tasks"][spec.task].config.num_fewshot is None


@pytest.mark.parametrize(
    "spec", [spec for spec in datasets(ALL).values() if spec.kind == "generate"], ids=lambda spec: spec.name
)
def test_generation_is_greedy_and_ends(loaded, spec):
    settings = loaded["tasks"][spec.task].config.generation_kwargs
    assert settings["do_sample"] is False
    assert settings["max_gen_toks"] == spec.max_gen_toks
    # An answer of one line may follow line breaks; a blank line ends it (and stop strings must not cut the first token).
    if spec.runs_code:
        # None of these lines can begin a program, and the program ends before them.
        assert all(
            extract_program(f"def f(x):\n    return x{stop}1") == "def f(x):\n    return x"
            for stop in settings["until"]
        )
    else:
        assert settings["until"] == [], "a text that begins with a blank line must not end there"


@pytest.mark.parametrize(
    "group", ["cme", "cme_r", *(f"cme_{family}" for suite in SUITES for family in families(suite))]
)
def test_groups_average_the_primary_scores_without_weights(group):
    (entry,) = yaml.safe_load((tasks_dir() / f"{group}.yaml").read_text())["aggregate_metric_list"]
    assert entry == {"metric": "cme_score", "aggregation": "mean", "weight_by_size": False}


def test_the_scores_of_a_program_are_the_outcomes():
    for spec in datasets(ALL).values():
        if spec.runs_code:
            assert list(spec.metrics) == ["pass_at_1", *(name for name in OUTCOMES if name != "passed")]


def test_plain_lm_eval_knows_that_programs_run(loaded):
    unsafe = {spec.name for spec in datasets(ALL).values() if getattr(loaded["tasks"][spec.task], "UNSAFE_CODE", False)}
    assert unsafe == {spec.name for spec in datasets(ALL).values() if spec.runs_code}
