"""The live score agrees with the score of the result at the end."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from cme.evaluation.live_score import RunningScore
from cme.suite import dataset

SETTINGS = {"until": ["\n"]}


@dataclass
class Instance:
    """One of lm-eval's requests."""

    doc: dict
    idx: int
    args: tuple

    @property
    def doc_id(self):
        return int(self.doc["id"])


def choice(golds, prompts, options=(" no", " yes")):
    docs = [{"id": str(k), "dataset": "qqp", "gold": gold} for k, gold in enumerate(golds)]
    instances = [
        Instance(doc, k, (prompt, option))
        for doc, prompt in zip(docs, prompts, strict=True)
        for k, option in enumerate(options)
    ]
    return RunningScore(dataset("qqp"), SimpleNamespace(instances=instances))


def test_a_choice_counts_once_all_its_options_are_answered():
    score = choice((0, 1, 1), ("p0", "p1", "p2"))
    shown = [str(score)]
    # In the order in which an engine may answer: not that of the rows. The second is right, the third wrong.
    for prompt, option, logprob in [
        ("p2", " no", -1.0),
        ("p0", " yes", -3.0),
        ("p0", " no", -2.0),
        ("p1", " yes", -1.0),
        ("p2", " yes", -4.0),
        ("p1", " no", -9.0),
    ]:
        score.add_partial("loglikelihood", (prompt, option), (logprob, False))
        shown.append(str(score))
    assert shown == ["", "", "", "100.0", "100.0", "50.0", "66.7"]


def test_texts_count_by_the_primary_score():
    docs = [{"id": str(k), "dataset": "squad_v2", "answers": ["the red mill"]} for k in range(2)]
    instances = [Instance(doc, 0, (f"p{doc['id']}", SETTINGS)) for doc in docs]
    score = RunningScore(dataset("squad_v2"), SimpleNamespace(instances=instances))
    score.add_partial("generate_until", ("p1", SETTINGS), " a red barn")
    assert str(score) == "50.0"
    score.add_partial("generate_until", ("p0", {**SETTINGS, "do_sample": False}), " red mill")
    assert str(score) == "75.0"


def test_equal_requests_are_answered_together_and_count_once_each():
    score = choice((0, 1), ("one prompt", "one prompt"))
    for _ in range(2):
        score.add_partial("loglikelihood", ("one prompt", " no"), (-1.0, True))
        score.add_partial("loglikelihood", ("one prompt", " yes"), (-2.0, False))
    assert str(score) == "50.0"


@pytest.mark.parametrize("request_", [("other", " no"), ("p0", " maybe")])
def test_unknown_requests_do_not_count(request_):
    score = choice((0,), ("p0",), options=(" no",))
    score.add_partial("loglikelihood", request_, (-1.0, True))
    assert str(score) == ""


@pytest.mark.parametrize("engine", ["prefix", "hf"])
def test_at_the_end_it_is_the_results_score(tiny_base, tmp_path, monkeypatch, engine):
    """The live score in the last lines on a terminal equals the score of the result."""
    import sys

    from cme.evaluation.run import evaluate
    from cme.evaluation.settings import EvalSettings
    from tests.test_progress import Terminal, last_screen

    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setattr(sys, "stderr", stream := Terminal())
    names = ("qqp", "arc", "nq_open")
    wanted = EvalSettings(base=str(tiny_base), tier="smoke", source="mini", datasets=names, threads=1, engine=engine)
    result = evaluate(wanted, tmp_path / "out")
    screen = last_screen(stream)
    for item in result.scores.datasets:
        assert f"{100 * item.value:.1f}" in screen[item.dataset]
    assert "3/3" in screen["out:"]
