"""CME's extraction of numbers against the filters of lm-eval's own gsm8k task, with a name for every kind of disagreement."""

import random
import re
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from cme.suite.metrics import number_scores

EACH, REAL = 10, 100


@pytest.fixture(scope="module")
def lm_eval():
    """Return lm-eval's strict and flexible score of an answer, from its own task file, filters and metric."""
    import lm_eval
    from lm_eval.api.metrics import exact_match_fn
    from lm_eval.filters.extraction import RegexFilter

    file = Path(lm_eval.__file__).parent / "tasks" / "gsm8k" / "gsm8k.yaml"
    task = yaml.safe_load(file.read_text())
    options = {key: task["metric_list"][0][key] for key in ("ignore_case", "ignore_punctuation", "regexes_to_ignore")}
    filters = {}
    for item in task["filter_list"]:
        settings = {key: value for key, value in item["filter"][0].items() if key != "function"}
        filters[item["name"]] = RegexFilter(**settings)

    def scores(answer, gold):
        # lm-eval stops at these texts; an answer of CME is cut there by its own rule.
        for stop in task["generation_kwargs"]["until"]:
            answer = answer.split(stop)[0]
        found = {name: made.apply([[answer]], [{}])[0][0] for name, made in filters.items()}
        return [
            exact_match_fn(predictions=[found[name]], references=[f"so\n#### {gold}"], **options)["exact_match"]
            for name in ("strict-match", "flexible-extract")
        ]

    return scores


def hand_made():
    """Make answers as models write them, each with the right number and the kind of its form."""
    rng, made = random.Random(0), []
    forms = {
        "marked": "First {a} + 2.\nThen {n}.\n#### {n}",
        "marked, then on": "That is {n}.\n#### {n}\nQuestion: What is {a} + 1?\n\nAnswer: #### {a}",
        "marked, unrelated numbers after": "It is {n}.\n#### {n}\nThere were {a} of them.",
        "plain sentence": "After {a} days the answer is {n}.",
        "sentence with a unit": "The answer is {n} apples.",
        "currency": "She pays ${n}.",
        "marked currency": "So:\n#### ${n}",
        "marked percent": "So:\n#### {n}%",
        "marked, decimals": "So:\n#### {n}.00",
        "marked, bold": "So:\n#### **{n}**",
        "marked, no space": "So:\n####{n}",
        "marked, unicode minus": "So:\n#### −{n}",
        "range": "between {a}-{n}",
        "no number": "I cannot say.",
        "other number": "#### {a}",
        "fraction": "It is {m}/2 of them.",
        "heading": "#### Step {a}\nThe answer is {n}.",
        "thousands": "So:\n#### {k:,}",
        "digit": "The answer is {d}",
        "list": "They are {a}, {b} and {n}",
        "marked, unit": "So:\n#### {n} dollars per day",
        "marked, long remark": "So:\n#### {n} is what she earns every day",
        "marked, remark with a number": "So:\n#### {n} (of {a})",
        "marked, boxed": "So:\n#### \\boxed{{{n}}}",
        "marked, minus and space": "So:\n#### - {n}",
        "marked, minus and currency": "So:\n#### -${n}",
        "marked, spaces in thousands": "So:\n#### {spaced}",
        "marked, LaTeX thousands": "So:\n#### {latex}",
        "marked, LaTeX fraction": "So:\n#### \\frac{{1}}{{2}}",
        "marked calculation": "So:\n#### {m}/2 = {n}",
        "marked calculation, several steps": "So:\n#### {a} + {n} - {a} = {n}",
        "marked calculation without a result": "So:\n#### {n} + {a}",
        "marked scale word": "So:\n#### {d} million",
        "marked power": "So:\n#### 10^{d}",
        "numbered headings": "#### 1. Eggs\n{a} eggs.\n#### 2. Money\nThat is {n}.\n#### {n}",
        "numbered headings, then a sentence": "#### 1. Eggs\n{a} eggs.\n#### 2. Money\nThat is {n}.",
        "numbered headings without a point": "#### 1\n{a} eggs.\n#### 2\nThat is {n}.",
        "heading with a word, then marked": "#### Step 1: eggs\n{a} eggs.\n#### {n}",
        "question restated": "Question: Ann has {a} eggs?\nAnswer: She has {n}.\n#### {n}",
        "marked with words": "So:\n#### The answer is {n}",
    }
    for number in range(EACH * len(forms)):
        kind = list(forms)[number % len(forms)]
        n, a = rng.randrange(10, 1000), rng.randrange(1000, 2000)
        d = n % 8 + 2
        values = {"n": n, "a": a, "b": a + 1, "m": 2 * n, "k": 1000 * n, "d": d}
        values |= {"spaced": f"{a:,}".replace(",", " "), "latex": f"{a:,}".replace(",", "{,}")}
        golds = {
            **dict.fromkeys(("marked, unicode minus", "marked, minus and space", "marked, minus and currency"), -n),
            **dict.fromkeys(("marked, spaces in thousands", "marked, LaTeX thousands"), a),
            "marked, LaTeX fraction": 0.5,
            "marked calculation without a result": n + a,
            "marked scale word": d * 10**6,
            "marked power": 10**d,
            "thousands": 1000 * n,
            "digit": d,
        }
        gold = golds.get(kind, n)
        made.append((kind, forms[kind].format(**values), str(gold)))
    return made


CME_BETTER = {
    # kind: (lm-eval's strict and flexible score, CME's)
    "marked, unrelated numbers after": ((1, 0), (1, 1)),
    "marked currency": ((0, 1), (1, 1)),
    "marked, decimals": ((0, 0), (1, 1)),
    "marked, bold": ((0, 1), (1, 1)),
    "marked, boxed": ((0, 1), (1, 1)),
    "marked, no space": ((0, 1), (1, 1)),
    "marked, unicode minus": ((0, 0), (1, 1)),
    "marked, minus and space": ((0, 0), (1, 1)),
    "marked, minus and currency": ((0, 1), (1, 1)),
    "marked, spaces in thousands": ((0, 0), (1, 1)),
    "marked, LaTeX thousands": ((0, 0), (1, 1)),
    "marked, LaTeX fraction": ((0, 0), (1, 1)),
    "marked calculation": ((0, 1), (1, 1)),
    "marked calculation, several steps": ((0, 1), (1, 1)),
    "numbered headings": ((0, 1), (1, 1)),
    "question restated": ((0, 0), (1, 1)),
    "range": ((0, 0), (0, 1)),
    "fraction": ((0, 0), (0, 1)),
}
"""The kinds of hand-made answers that CME reads and lm-eval does not."""

CME_WORSE = {
    "marked, long remark": ((1, 1), (0, 1)),
    "marked, remark with a number": ((1, 0), (0, 0)),
    "numbered headings without a point": ((0, 1), (0, 0)),
}
"""The kinds of hand-made answers that lm-eval reads and CME does not."""

DISAGREEMENTS = {**CME_BETTER, **CME_WORSE}


def ours(answer, gold):
    scores = number_scores(answer, (gold,))
    return scores["strict_match"], scores["flexible_match"]


def test_hand_made_answers_differ_only_in_the_named_kinds(lm_eval):
    agree: Counter[str] = Counter()
    for kind, answer, gold in hand_made():
        theirs, mine = tuple(lm_eval(answer, gold)), ours(answer, gold)
        agree[kind] += theirs == mine
        assert (theirs, mine) == DISAGREEMENTS.get(kind, (mine, mine)), (kind, answer)
    assert {kind for kind in agree if not agree[kind]} == set(DISAGREEMENTS)
    assert sum(agree.values()) == EACH * (len(agree) - len(DISAGREEMENTS))
    assert len(agree) >= 40
    # Neither direction is a matter of taste: each score is 1 if and only if the right number was read.
    assert all(max(mine) >= max(theirs) and sum(mine) > sum(theirs) for theirs, mine in CME_BETTER.values())
    assert all(sum(mine) < sum(theirs) for theirs, mine in CME_WORSE.values())


def headed(row):
    """Write a real solution under numbered headings, with the answer as the last one."""
    *steps, last = re.sub(r"<<[^<>]*>>", "", row["answer"]).split("\n")
    return "\n".join([*(f"#### {number}. Step\n{step}" for number, step in enumerate(steps, 1)), last])


def test_real_solutions_under_numbered_headings_are_read(real_data):
    rows = pq.read_table(real_data / "gsm8k/test.parquet").to_pylist()
    assert len(rows) >= REAL
    assert all(ours(headed(row), row["answer"].split("#### ")[1]) == (1.0, 1.0) for row in rows)


def test_real_solutions_agree(real_data, lm_eval):
    rows = pq.read_table(real_data / "gsm8k/test.parquet").slice(0, REAL).to_pylist()
    assert len(rows) == REAL
    for row in rows:
        # The solutions without the marks of the calculator, as a trained model writes them, and without the last line.
        solution = re.sub(r"<<[^<>]*>>", "", row["answer"])
        gold = row["answer"].split("#### ")[1]
        assert tuple(lm_eval(solution, gold)) == ours(solution, gold) == (1.0, 1.0)
        wrong = str(int(gold.replace(",", "")) + 1)
        assert tuple(lm_eval(solution, wrong)) == ours(solution, wrong) == (0.0, 0.0)
