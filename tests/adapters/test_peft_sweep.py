"""All types of PEFT and variants of LoRA are trained, saved, and loaded with CME and with PEFT alone, or refused.

A tenth of the cases always runs. The others run with the long tests.
"""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from transformers import AutoModelForCausalLM

from cme.adapters import METHODS, load_adapter, settings_from
from cme.errors import CMEWarning, UsageError
from cme.models.load import load_tokenizer
from cme.training.model import adapted_model, check_fit, save_adapter
from tests.tiny import save_tiny_base

TOKENS = torch.arange(20, 60).view(2, 20)

# Sizes that fit the tiny base, where PEFT's defaults do not.
TYPES: dict[str, dict[str, Any]] = {
    **{
        name: {}
        for name in (
            *(
                "ADAMSS",
                "BEFT",
                "BOFT",
                "DEFT",
                "DELORA",
                "FOURIERFT",
                "FROD",
                "GLORA",
                "GRALORA",
                "HIRA",
                "HRA",
                "IA3",
            ),
            *("LN_TUNING", "LOHA", "LOKR", "OFT", "OSF", "PEANUT", "PSOFT", "PVERA", "RANDLORA", "SHADOW"),
            *("SUPERTUNING", "TINYLORA", "UNILORA", "VERA"),
        )
    },
    "C3A": {"block_size": 8},
    "MISS": {"r": 4},
    "ROAD": {"group_size": 8},
    "SHIRA": {"r": 4},
    "VBLORA": {"vector_length": 8},
    "WAVEFT": {"n_frequency": 64},
}
REFUSED_TYPES = {
    **dict.fromkeys(("CARTRIDGE", "CPT", "P_TUNING", "PREFIX_TUNING"), "is a prompt learning method"),
    **dict.fromkeys(("PROMPT_TUNING", "MULTITASK_PROMPT_TUNING"), "is a prompt learning method"),
    "ADAPTION_PROMPT": "adds prompts to attention layers",
    "LILY": "averages its gate weights over the batch",
    "POLY": "needs a task number",
    "TRAINABLE_TOKENS": "the suite has no new tokens",
    "XLORA": "combines existing adapters",
    "ADALORA": "is available as the method 'adalora' of CME",
}
LORA: dict[str, dict[str, Any]] = {
    "plain": {},
    "dora": {"use_dora": True},
    "rslora": {"use_rslora": True},
    "pissa": {"init_lora_weights": "pissa"},
    "pissa_niter_4": {"init_lora_weights": "pissa_niter_4"},
    "olora": {"init_lora_weights": "olora"},
    "orthogonal": {"init_lora_weights": "orthogonal"},
    "gaussian": {"init_lora_weights": "gaussian"},
    "random": {"init_lora_weights": False},
    "pissa, rslora": {"init_lora_weights": "pissa", "use_rslora": True},
    "pissa_niter_16, rslora": {"init_lora_weights": "pissa_niter_16", "use_rslora": True},
    "olora, rslora": {"init_lora_weights": "olora", "use_rslora": True},
    "olora, patterns": {"init_lora_weights": "olora", "rank_pattern": {"up_proj": 2}, "alpha_pattern": {"up_proj": 5}},
    "pissa, dora": {"init_lora_weights": "pissa", "use_dora": True},
    "olora, a whole module": {"init_lora_weights": "olora", "modules_to_save": ["lm_head"]},
    "bias of B": {"lora_bias": True},
    "biases": {"bias": "all"},
    "ranks by name": {"rank_pattern": {"up_proj": 2}, "alpha_pattern": {"up_proj": 4}},
    "a whole module": {"modules_to_save": ["lm_head"]},
    "tokens": {"trainable_token_indices": [20, 21]},
    "qalora": {"use_qalora": True, "qalora_group_size": 16},
    "layers twice": {"layer_replication": [[0, 2], [0, 2]]},
    "velora": {"velora_config": {}},
    "megatron": {"megatron_config": {}},
    "weight tying": {"ensure_weight_tying": True},
    "one layer": {"layers_to_transform": [1]},
    "but one kind": {"exclude_modules": ["up_proj"]},
}
REFUSED_LORA: dict[str, tuple[dict[str, Any], str]] = {
    **{
        start: ({"init_lora_weights": start}, "needs a pass over data, or another base")
        for start in ("eva", "loftq", "corda", "lora_ga")
    },
    "pissa_niter_4, dora": (
        {"init_lora_weights": "pissa_niter_4", "use_dora": True},
        "PEFT does not support with use_dora",
    ),
    "pissa_niter_4, a whole module": (
        {"init_lora_weights": "pissa_niter_4", "modules_to_save": ["lm_head"]},
        "PEFT does not support with modules_to_save",
    ),
    "pissa_niter_4, biases": ({"init_lora_weights": "pissa_niter_4", "bias": "all"}, "PEFT does not support with bias"),
    "kasa": ({"kasa_config": {}}, "losses of its own in every step, which cme train does not compute"),
    "monteclora": ({"monteclora_config": {}}, "a loss of its own in every step, which cme train does not compute"),
    "a text of modules": ({"modules_to_save": "lm_head"}, r"is the text 'lm_head'. Give a list, such as \[lm_head\]"),
    "an unknown bias": ({"bias": "lora_onl"}, "lora_onl"),
    "arrow": ({"arrow_config": {}}, "combines existing adapters"),
    "alora": ({"alora_invocation_tokens": [5]}, "which the suite's prompts do not contain"),
    "bdlora": ({"use_bdlora": {}}, "matches neither A nor B block-diagonal patterns"),
    "a pattern that fits nothing": ({"rank_pattern": {"upproj": 2}}, r"rank_pattern keys did not match.*upproj"),
    "an alpha that fits nothing": ({"alpha_pattern": {"q_proj": 2}}, r"alpha_pattern keys did not match.*q_proj"),
    "a name that fits nothing": (
        {"exclude_modules": ["up_proj", "dwn_proj"]},
        r"no module 'dwn_proj' \(did you mean 'down_proj'",
    ),
    "a whole module that is none": (
        {"modules_to_save": ["lm_haed"]},
        r"no module 'lm_haed' \(did you mean 'lm_head'\?\)",
    ),
    "a layer too many": ({"layers_to_transform": [1, 7]}, "layers_to_transform: the base has no layer 7, only 0 to 1"),
    "pissa, bias of B": (
        {"init_lora_weights": "pissa", "lora_bias": True},
        "only supported with init_lora_weights=True",
    ),
    "settings of another start": ({"loftq_config": {"loftq_bits": 4}}, "loftq_config.*will be ignored"),
}
QUICK = (
    "ADAMSS",
    "FOURIERFT",
    "FROD",
    "LN_TUNING",
    "SHADOW",
    "POLY",
    "pissa_niter_4",
    "ranks by name",
    "layers twice",
    "arrow",
)


def cases(names: Any) -> list[Any]:
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.long) for name in names]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    save_tiny_base(folder)
    return folder


def fresh(base: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(base)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(input_ids=TOKENS).logits


def trained(base: Path, options: dict[str, Any]) -> Any:
    """Create a model with an adapter as ``cme train`` does, and train it for four steps."""
    settings = settings_from({"method": "peft", "options": options})
    check_fit(base, settings, load_tokenizer(base), 4)
    model, _ = adapted_model(base, settings, dtype="float32", device="cpu", seed=0, steps=4)
    own = [weight for weight in model.parameters() if weight.requires_grad]
    assert own and {weight.dtype for weight in own} == {torch.float32}
    before = [weight.detach().clone() for weight in own]
    optimizer = torch.optim.AdamW(own, lr=1e-2, weight_decay=0.0)
    for _ in range(4):
        model.train()(input_ids=TOKENS, labels=TOKENS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert not all(map(torch.equal, before, own))
    return model


AWAY = ("C3A", "FOURIERFT", "UNILORA", "VBLORA", "kasa", "layers twice", "random")
"""Types and variants whose untrained adapter changes the base's outputs by design."""


def agree(base: Path, options: dict[str, Any], out: Path, name: str = "") -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = trained(base, options)
    notes = [str(one.message) for one in caught if "before any training, the adapter already" in str(one.message)]
    assert len(notes) == (name in AWAY), f"{name}: {notes}"
    assert name not in ("C3A", "FOURIERFT") or "Set the option init_weights to true" in notes[0]
    own = logits(model)
    assert (own - logits(fresh(base))).abs().max() > 1e-4
    save_adapter(model, "tiny", out)
    loaders: tuple[Callable[..., Any], ...] = (load_adapter, PeftModel.from_pretrained)
    for load in loaders:
        torch.testing.assert_close(logits(load(fresh(base), out)), own, rtol=0, atol=1e-5)


def test_the_sweep_has_every_type_that_peft_has():
    ours = {name.upper() for name in METHODS} | {"TOPKLORA"}
    assert {kind.value for kind in PEFT_TYPE_TO_CONFIG_MAPPING} - ours == {*TYPES, *REFUSED_TYPES} - ours


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", cases(TYPES))
def test_saved_and_loaded_a_type_gives_the_trained_logits(base, tmp_path, kind):
    agree(base, {"peft_type": kind, **TYPES[kind]}, tmp_path, kind)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", cases(LORA))
def test_saved_and_loaded_a_variant_of_lora_gives_the_trained_logits(base, tmp_path, name):
    agree(base, {"peft_type": "LORA", "r": 4, **LORA[name]}, tmp_path, name)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", cases(REFUSED_TYPES))
def test_other_types_are_refused_before_training(base, kind):
    with pytest.raises(UsageError, match=REFUSED_TYPES[kind]):
        trained(base, {"peft_type": kind})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", cases(REFUSED_LORA))
def test_other_variants_are_refused_before_training(base, name):
    options, message = REFUSED_LORA[name]
    with pytest.raises(UsageError, match=message):
        trained(base, {"peft_type": "LORA", "r": 4, **options})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["C3A", "FOURIERFT"])
def test_a_type_starts_at_the_base_with_its_option(base, tmp_path, kind):
    agree(base, {"peft_type": kind, **TYPES[kind], "init_weights": True}, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["UNILORA", "VBLORA"])
def test_a_start_near_the_base_is_noted_in_bfloat16_too(base, kind):
    settings = settings_from({"method": "peft", "options": {"peft_type": kind, **TYPES[kind]}})
    with pytest.warns(CMEWarning, match="before any training, the adapter already changes the outputs"):
        adapted_model(base, settings, dtype="bfloat16", device="cpu", seed=0, steps=4)


@pytest.mark.filterwarnings("ignore")
def test_a_converted_adapter_is_plain_lora_of_twice_the_rank(base, tmp_path):
    """After PEFT's conversion, the adapter can be loaded without changing the base."""
    import json

    agree(base, {"peft_type": "LORA", "r": 4, "lora_alpha": 8, "init_lora_weights": "pissa"}, tmp_path)
    values = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (values["r"], values["lora_alpha"], values["init_lora_weights"]) == (8, 16, True)
    model = fresh(base)
    plain = {name: weight.clone() for name, weight in model.named_parameters()}
    loaded = load_adapter(model, tmp_path)
    for name, weight in loaded.get_base_model().named_parameters():
        if "lora_" not in name:
            assert torch.equal(weight, plain[name.replace("base_layer.", "")]), name


def test_a_pattern_of_frequencies_that_fits_nothing_is_refused(base):
    options = {"peft_type": "FOURIERFT", **TYPES["FOURIERFT"]}
    with pytest.raises(
        UsageError, match=r"n_frequency_pattern: the base has no module 'upproj' \(did you mean 'up_proj'\?\)"
    ):
        trained(base, {**options, "n_frequency_pattern": {"upproj": 2}})
