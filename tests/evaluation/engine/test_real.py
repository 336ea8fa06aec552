"""The engine agrees with lm-eval for SmolLM2 on real rows."""

import pytest

from cme.evaluation.engine.lm import PrefixLM
from cme.evaluation.engine.plain import PlainLM
from cme.evaluation.lm_eval_runner import Harness, quiet
from cme.suite import dataset
from tests.evaluation.engine.lab import share_always

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def base():
    from cme.models.embedded import embedded_folder
    from cme.models.load import load_model, load_tokenizer

    folder = embedded_folder()
    return load_model(folder, device="cpu"), load_tokenizer(folder)


@pytest.mark.parametrize("name", ["emotion", "anli", "qqp", "rte", "winogrande", "sciq", "trivia_qa"])
def test_answers_are_lm_evals(base, real_data, name):
    from lm_eval.api.instance import Instance

    metadata, spec = {"cme_source": str(real_data), "cme_tier": "smoke"}, dataset(name)
    task = Harness(base[1], batch_size=1).take(base[0], metadata).task(spec)
    with quiet():
        stock, ours = PlainLM(*base, batch_size=1), PrefixLM(*base, batch_size=1)
    stock.logits_cache = False
    if spec.kind == "generate":
        requests = [
            Instance("generate_until", {}, (row["prompt"], dict(task.config.generation_kwargs)), index)
            for index, row in enumerate(task.eval_docs)
        ]
        assert ours.generate_until(requests) == stock.generate_until(requests)
    else:
        requests = [
            Instance("loglikelihood", {}, (row["prompt"], option), index)
            for index, row in enumerate(task.eval_docs)
            for option in row["continuations"]
        ]
        answers, expected = ours.loglikelihood(requests), stock.loglikelihood(requests)
        assert [answer[0] for answer in answers] == pytest.approx([answer[0] for answer in expected], abs=1e-4)
        assert [answer[1] for answer in answers] == [answer[1] for answer in expected]
    assert ours.used == "prefix"
    assert ours.work.tokens < stock.work.tokens


@pytest.mark.parametrize("name", ["squad_v2", "race", "qnli"])
def test_questions_about_the_same_passage(base, real_data, name):
    """Rows of the largest clusters are answered as by lm-eval, whether passages are shared or not."""
    from collections import Counter

    from lm_eval.api.instance import Instance

    metadata, spec = {"cme_source": str(real_data), "cme_tier": "full"}, dataset(name)
    task = Harness(base[1], batch_size=1).take(base[0], metadata).task(spec)
    sizes = Counter(row["cluster"] for row in task.eval_docs)
    largest = dict(sizes.most_common(4))
    docs = [row for row in task.eval_docs if row["cluster"] in largest]
    with quiet():
        stock, ours, flat = PlainLM(*base, batch_size=1), PrefixLM(*base, batch_size=1), PrefixLM(*base, batch_size=1)
    stock.logits_cache, flat.share_passages = False, False
    with share_always():
        if spec.kind == "generate":
            requests = [
                Instance("generate_until", {}, (row["prompt"], dict(task.config.generation_kwargs)), index)
                for index, row in enumerate(docs)
            ]
            expected = stock.generate_until(requests)
            assert ours.generate_until(requests) == expected and flat.generate_until(requests) == expected
        else:
            requests = [
                Instance("loglikelihood", {}, (row["prompt"], option), index)
                for index, row in enumerate(docs)
                for option in row["continuations"]
            ]
            expected = stock.loglikelihood(requests)
            for lm in (ours, flat):
                answers = lm.loglikelihood(requests)
                assert [answer[0] for answer in answers] == pytest.approx([answer[0] for answer in expected], abs=1e-4)
                assert [answer[1] for answer in answers] == [answer[1] for answer in expected]
    assert ours.used == flat.used == "prefix"
    # The self-check reads a few prompts again. Clusters of two short questions save less than that.
    assert ours.work.tokens < flat.work.tokens or name == "qnli"
