"""The rule "same problem, other numbers", and decontamination between CME-R and CME-22."""

import pytest

from cme.mix import build
from cme.mix.build import check_only
from cme.mix.other_numbers import RULE, problem_shape
from tests.hub_rows.knowledge import mmlu_row, mmlu_train_row
from tests.hub_rows.mathematics import aqua_row, gsm8k_row, svamp_row

TOLD = "A miller grinds {a} sacks of rye on Monday and {b} sacks of oats on Friday. How many sacks is that?"
OTHER = "A ferry carries {a} goats over the river and returns with {b} geese in a cage. How many animals cross?"

THIRD = "A weaver makes {a} rugs in spring and sells {b} of them at the fair. How many rugs does the weaver keep?"


def problem(text, a, b):
    return gsm8k_row(question=text.format(a=a, b=b), answer=f"{a}+{b}=<<{a}+{b}={a + b}>>{a + b}\n#### {a + b}")


def filler(count=60):
    return [gsm8k_row(900 + k, question=f"Word{k} has {k} of these things here.") for k in range(count)]


def detected(rows, names, fake_source, settings, **more):
    made = settings(datasets=names, validation_share=0, allow_missing=True, **more)
    overlap = check_only(made, source=fake_source(rows)).overlap
    return {(train, other): rules for train, others in overlap.items() for other, rules in others.items() if rules}


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("Question: Ada has 3 red pens and buys 1,250 more.", "ada has # red pens and buys # more"),
        ("Ada pays $3.50 for 2 kg of rice; now what?\nA. 3\nB. 4", "ada pays $ # for # kg of rice now what"),
        ("Question: Ada has 3 pens.", None),
        ("Nothing in this long sentence is a number at all.", None),
    ],
)
def test_numbers_are_replaced_and_options_ignored(text, shape):
    assert problem_shape(text) == shape


def test_the_same_problem_with_other_numbers_is_counted_and_kept(fake_source, settings):
    rows = {
        "gsm8k/train": [problem(TOLD, 7, 12), problem(OTHER, 4, 5), *filler()],
        "gsm8k/test": [problem(TOLD, 30, 41)],
    }
    found = detected(rows, ("gsm8k",), fake_source, settings)
    assert found[("gsm8k", "gsm8k")].pop(RULE) == 1
    made = settings(datasets=("gsm8k",), allow_missing=True, validation_share=0)
    manifest = build(
        made, source=fake_source(rows | {"gsm8k/train": [problem(OTHER, 4, 5), problem(TOLD, 7, 12), *filler()]})
    )
    assert manifest.overlap["gsm8k"]["gsm8k"][RULE] == 1


def test_the_very_problem_is_removed_and_not_counted_twice(fake_source, settings):
    rows = {"gsm8k/train": [problem(TOLD, 7, 12), *filler()], "gsm8k/test": [problem(TOLD, 7, 12)]}
    found = detected(rows, ("gsm8k",), fake_source, settings)
    assert found[("gsm8k", "gsm8k")]["exact"] == 1 and RULE not in found[("gsm8k", "gsm8k")]


def test_training_rows_are_compared_with_svamp_aqua_and_mmlu(fake_source, settings):
    one, two, three = TOLD.format(a=7, b=12), OTHER.format(a=4, b=5), THIRD.format(a=80, b=9)
    rows = {
        "gsm8k/train": [problem(TOLD, 7, 12), problem(OTHER, 4, 5), problem(THIRD, 6, 2), *filler()],
        "gsm8k/test": [gsm8k_row(1)],
        "svamp/test": [svamp_row(Body=one.split(". ")[0] + ".", Question=one.split(". ")[1])],
        "aqua_rat/test": [aqua_row(question=two)],
        "mmlu/test": [mmlu_row(question=three, subject="elementary_mathematics")],
    }
    found = detected(rows, ("gsm8k",), fake_source, settings)
    # SVAMP has the same key text. Questions with options have another one, so their 13-grams decide.
    assert found[("gsm8k", "svamp")]["exact"] == 1
    assert found[("gsm8k", "aqua_rat")]["13-gram"] == 1
    assert found[("gsm8k", "mmlu")] == {RULE: 1}


def test_rows_of_cme_22_are_compared_with_cme_r_only_if_it_is_in_the_mix(fake_source, settings):
    told = TOLD.format(a=7, b=12)
    rows = {
        "mmlu/auxiliary_train": [mmlu_train_row(1, question=told), *(mmlu_train_row(100 + k) for k in range(40))],
        "mmlu/test": [mmlu_row(3)],
        "gsm8k/train": filler(),
        "gsm8k/test": [problem(TOLD, 7, 12)],
    }
    assert ("mmlu", "gsm8k") not in detected(rows, ("mmlu",), fake_source, settings)
    assert detected(rows, ("mmlu", "gsm8k"), fake_source, settings)[("mmlu", "gsm8k")]["13-gram"] == 1


def test_without_decontamination_the_rule_is_off(fake_source, settings):
    rows = {"gsm8k/train": [problem(TOLD, 7, 12), *filler()], "gsm8k/test": [problem(TOLD, 30, 41)]}
    found = detected(rows, ("gsm8k",), fake_source, settings, decontamination=False)
    assert ("gsm8k", "gsm8k") not in found


def test_real_rows(real_data, settings):
    """The samples of the real datasets share no problem."""
    made = settings(datasets=("gsm8k",), source=str(real_data), allow_missing=True)
    overlap = check_only(made).overlap["gsm8k"]
    assert {"gsm8k", "svamp", "aqua_rat", "mmlu"} <= set(overlap)
    assert sum(rules.get("exact", 0) for rules in overlap.values()) == 0
