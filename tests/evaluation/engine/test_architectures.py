"""Each architecture is trained, saved, loaded and evaluated. It agrees with transformers or is refused with one message."""

import json
from dataclasses import dataclass

import pytest

from cme.errors import CMEError, UsageError
from tests.evaluation.engine.architectures import ARCHITECTURES, TARGETS, save_architecture
from tests.evaluation.engine.lab import (
    SHARING,
    SMALL,
    by_passage,
    choices,
    loop_scores,
    loop_texts,
    share_always,
    texts,
)
from tests.evaluation.engine.test_choice import LABELS, SHOTS, rows

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")

CONTEXTS = [*rows(start=SHOTS, count=5), *rows(count=3), *by_passage(2, 2)]
CHOICES = choices(*[(row, [*LABELS[:2], " A", " B"]) for row in CONTEXTS])
TEXTS = texts(CONTEXTS, max_gen_toks=10)
TENTH = list(ARCHITECTURES)[::10]


@dataclass
class Outcome:
    """Outcome for an architecture.

    Attributes:
        refused: the message, if it was refused.
        engine: what answered.
    """

    refused: str | None = None
    engine: str = ""


def train_and_load(name, folder, out):
    """Train a LoRA for one step, save and load it. Return the loaded model and the logits of the trained one."""
    import numpy as np
    import torch

    from cme.adapters import AdapterSettings
    from cme.adapters.load import load_adapter
    from cme.models.load import load_model, load_tokenizer
    from cme.training.collate import Collator, takes_sparse_logits
    from cme.training.model import adapted_model, save_adapter

    def adapted(**targets):
        settings = AdapterSettings("lora", rank=4, **targets)
        return adapted_model(folder, settings, dtype="float32", device="cpu", seed=0, steps=1)[0]

    try:
        model = adapted()
    except UsageError:  # the feed-forward layers are unknown, so the test names the layers
        model = adapted(target_modules=TARGETS.get(name, "all-linear"))
    tokenizer = load_tokenizer(folder)

    items = [(np.array(tokenizer.encode(text), dtype=np.int32), 3) for text in ("a question with an answer", "yes")]
    items = [(ids, min(context, len(ids) - 1)) for ids, context in items]
    batch = Collator(tokenizer.pad_token_id, sparse_logits=takes_sparse_logits(model.get_base_model()))(items)
    model.train()
    optimizer = torch.optim.SGD([weight for weight in model.parameters() if weight.requires_grad], lr=1.0)
    loss = model(**batch).loss
    assert loss.isfinite()
    loss.backward()
    optimizer.step()
    model.eval()
    out.mkdir()
    save_adapter(model, "base", out)
    probe = torch.tensor([tokenizer.encode(CONTEXTS[-1])])
    with torch.no_grad():
        trained = model(probe).logits
        loaded = load_adapter(load_model(folder, device="cpu"), out)
        assert torch.allclose(trained, loaded(probe).logits, atol=1e-4), "saved is not trained"
    return loaded


def outcome(name, tmp_path):
    """Train and evaluate an architecture. Anything but agreement or a `CMEError` fails the test."""
    from cme.evaluation.engine.lm import PrefixLM
    from cme.evaluation.engine.plain import PlainLM
    from cme.models.load import load_tokenizer

    folder = tmp_path / "base"
    save_architecture(name, folder)
    try:
        model = train_and_load(name, folder, tmp_path / "adapter")
        tokenizer = load_tokenizer(folder)
        scores, written = loop_scores(model, tokenizer, CHOICES), loop_texts(model, tokenizer, TEXTS)
        used = []
        for lm in (
            PrefixLM(model, tokenizer, batch_size=4, budget=SMALL),
            PrefixLM(model, tokenizer, batch_size=4, budget=SHARING),
            PlainLM(model, tokenizer, batch_size=4),
        ):
            with share_always():
                answers = [value for value, _ in lm.loglikelihood(CHOICES)]
            used.append(lm.used)
            assert answers == pytest.approx(scores, abs=2e-3), f"{name}: scores of {lm.used}"
            with share_always():
                assert lm.generate_until(TEXTS) == written, f"{name}: texts of {lm.used}"
            used.append(lm.used)
    except CMEError as error:
        return Outcome(refused=str(error))
    return Outcome(engine=" | ".join(dict.fromkeys(used[:2])))


# PEFT converts the patterns of mixtures with fused experts, and warns of those that the dense layers lack.
@pytest.mark.filterwarnings("ignore:The following (rank|alpha)_pattern keys did not match:RuntimeWarning")
@pytest.mark.parametrize("name", TENTH)
def test_some_architectures_agree_with_plain_transformers(name, tmp_path):
    assert outcome(name, tmp_path).refused is None


@pytest.mark.long
def test_architectures_agree_or_are_refused(tmp_path, capsys):
    outcomes, broken = {}, {}
    for name in ARCHITECTURES:
        try:
            outcomes[name] = outcome(name, tmp_path / name.replace(" ", "-"))
        except Exception as error:
            broken[name] = f"{type(error).__name__}: {error}"[:400]
    agreed = {name: item.engine for name, item in outcomes.items() if item.refused is None}
    refused = {name: item.refused for name, item in outcomes.items() if item.refused is not None}
    with capsys.disabled():
        print(f"\narchitectures: {len(agreed)} agree, {len(refused)} refused, {len(broken)} broken")
        print(json.dumps({"agree": agreed, "refused": refused, "broken": broken}, indent=1))
    assert not broken
    assert len(ARCHITECTURES) >= 40 and len(agreed) >= 30
    assert all(0 < len(message) < 500 and "\n" not in message.strip() for message in refused.values())
