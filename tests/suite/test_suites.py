"""The suites: which datasets belong together, and that CME-22 is not changed by another suite."""

import pytest

from cme.errors import DataError, UsageError
from cme.files import digest
from cme.suite import by_suite, dataset, datasets, in_suite, select, suites_of
from cme.suite.families import FAMILIES
from cme.suite.score import aggregate, explain, suite_of, without_rouge
from cme.suite.suites import ALL, SUITES, check_suite, suite_of_families, suite_of_family


def sample(name, score, number=0):
    spec = dataset(name)
    scores = dict.fromkeys(spec.metrics, float(score))
    choice = spec.kind == "choice"
    return {
        "id": f"{name}-{number}",
        "dataset": name,
        "family": spec.family,
        "part": spec.subsets[0].name,
        "cluster": f"{name}-{number}",
        "score": float(score),
        "scores": scores,
        "options": spec.options,
        "gold": 0 if choice else None,
        "predicted": (0 if score else 1) if choice else None,
        "gold_probability": (0.6 if score else 0.2) if choice else None,
        "empty": False,
        "truncated": False,
        "cut": False,
    }


def samples(*names):
    return [sample(name, number % 2, number) for name in names for number in range(4)]


def test_cme_22_has_its_22_datasets_with_the_task_files_of_the_demo_board():
    assert len(datasets()) == 22 and len(FAMILIES) == 11
    assert {spec.family for spec in datasets().values()} == set(FAMILIES)
    # The identity of unfinished mixes and the fingerprints of all entries depend on these files.
    fingerprints = {spec.name: spec.fingerprint for spec in datasets(beside=True).values()}
    assert digest(fingerprints) == "c9cea7bbc8d813e6e1826165e52ca055205f12dfff861ae1d5da90ffb74cfeac"


def test_every_dataset_is_of_one_suite():
    every = datasets(ALL, beside=True)
    assert [name for suite in SUITES for name in datasets(suite, beside=True)] == list(every)
    assert all(spec.family in SUITES[spec.suite].families for spec in every.values())
    assert every["gsm8k"].suite == "cme-r" and every["qqp"].suite == "cme-22"


def test_the_average_of_cme_r_is_the_mean_of_its_families():
    scores = aggregate(samples("gsm8k", "aqua_rat"), tier="quick")
    assert [family.family for family in scores.families] == ["mathematical_reasoning"]
    assert scores.average == 50.0 and scores.without_rouge is None
    assert suite_of(scores).average == "CME-R average"
    assert any(line.startswith("CME-R average = (50.00) / 1") for line in explain(scores))
    assert not any(line.startswith("CME average") for line in explain(scores))


def test_a_dataset_of_cme_r_never_counts_in_the_cme_average():
    with pytest.raises(DataError, match="CME-22 and CME-R, whose averages are never mixed"):
        aggregate(samples("qqp", "gsm8k"), tier="quick")


def test_cme_22_is_complete_without_cme_r():
    assert aggregate(samples(*datasets()), tier="quick").complete
    assert not aggregate(samples("gsm8k"), tier="quick").complete
    assert aggregate(samples(*datasets("cme-r")), tier="quick").complete


def test_only_cme_22_has_an_average_without_rouge():
    assert without_rouge(SUITES["cme-r"]) == ()
    assert without_rouge(SUITES["cme-22"]) == tuple(name for name in FAMILIES if name != "text_summarization")


@pytest.mark.parametrize(("given", "nearest"), [("cme-r2", "cme-r"), ("cme22", "cme-22"), ("al", "all")])
def test_an_unknown_suite_names_the_nearest(given, nearest):
    with pytest.raises(UsageError, match=f"unknown suite '{given}'. Did you mean '{nearest}'?"):
        datasets(given)


def test_all_is_refused_where_one_suite_is_needed():
    with pytest.raises(UsageError, match=r"one suite is needed here\. Choose cme-22 or cme-r"):
        check_suite(ALL, several=False)


def test_the_whole_cme_22_has_no_names():
    # The identity of a mix and of an evaluation contains the names, so it must stay empty.
    assert in_suite(None, None) is None and in_suite("cme-22", None) is None


def test_named_datasets_need_no_suite():
    assert in_suite(None, ["gsm8k"]) == in_suite("cme-r", ["gsm8k"]) == in_suite(ALL, ["gsm8k"]) == ("gsm8k",)
    assert [spec.name for spec in select(["mathematical_reasoning"])] == ["aqua_rat", "gsm8k"]


def test_a_suite_stands_for_its_families():
    names = in_suite("cme-r", None)
    assert names and set(select(names)) == set(datasets("cme-r").values())
    every = in_suite(ALL, None)
    assert every and set(select(every)) == set(datasets(ALL).values())


def test_a_dataset_of_another_suite_is_refused():
    with pytest.raises(UsageError, match="gsm8k is a dataset of cme-r, not of cme-22"):
        in_suite("cme-22", ["qqp", "gsm8k"])


def test_datasets_are_grouped_by_suite():
    assert by_suite(["gsm8k", "qqp", "rte"]) == {"cme-22": ("qqp", "rte"), "cme-r": ("gsm8k",)}
    assert by_suite(None) == {"cme-22": tuple(datasets())}
    assert suites_of([dataset("svamp")]) == ["cme-r"]


def test_families_of_several_suites_have_no_average():
    assert suite_of_families(["knowledge_reasoning", "open_domain_qa"]).name == "cme-22"
    assert suite_of_family("code_generation").name == "cme-r"
    with pytest.raises(UsageError, match=r"unknown family 'code_generator'\. Did you mean 'code_generation'\?"):
        suite_of_family("code_generator")
