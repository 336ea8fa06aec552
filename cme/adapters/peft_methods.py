"""PEFT's own methods as methods of CME: AdaLoRA with its schedule, and any other by its configuration's fields."""

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cme.adapters.settings import AdapterSettings, option_problems
from cme.adapters.starts import inexpressible, refuse_ignored
from cme.errors import UsageError, nearest

__all__ = [
    "adalora_schedule",
    "check_adalora",
    "check_peft",
    "make_adalora",
    "make_full",
    "make_peft",
    "read_peft_config",
]

_OF_RUN = {"auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "task_type"}
"""Fields that a run sets itself. A saved ``adapter_config.json`` has them, and says there what its own run was."""

_NO_OPTIONS = _OF_RUN | {"target_modules"}
"""Fields that are no options: set by the run, or by a setting of their own."""

_LANGUAGE_TASKS = (None, "CAUSAL_LM", "SEQ_2_SEQ_LM")

_OF_SETTINGS = {"r", "target_r", "lora_alpha", "lora_dropout", "total_step"}
"""AdaLoRA's fields that come from rank, alpha and dropout, or from the run's steps."""

_UNUSABLE = {
    "ADAPTION_PROMPT": "puts prompts into attention layers, and CME loads adapters of layers only",
    "POLY": "needs the number of the task with every row, and rows of a mix have none",
    "XLORA": "mixes adapters that exist already, and trains none",
    "TRAINABLE_TOKENS": "trains the embeddings of chosen tokens, and the suite has no new tokens",
}
_NEED_DATA = ("eva", "corda", "lora_ga", "loftq")
"""Starts of LoRA that are computed from data, or change the base that the adapter belongs to, before training."""

_UNUSABLE_LORA = {
    "alora_invocation_tokens": "is for adapters that begin to work at certain tokens, which the suite's prompts do not have",
    "arrow_config": "mixes adapters that exist already, and trains none",
}
"""Variants of LoRA that cannot be trained on a mix."""

_OWN_TARGETS = ("LN_TUNING", "SHADOW")
"""Types whose layers are no feed-forward projections: PEFT knows which."""

_WARM, _FINAL, _ALLOCATIONS = 0.1, 0.5, 1_000
_START = 1.5


def adalora_schedule(steps: int) -> dict[str, int]:
    """When AdaLoRA prunes in a run of so many optimiser steps.

    The authors' scripts (QingruZhang/AdaLoRA, ``NLU/scripts``) leave the first 9 to 15 % and the last 46 to 58 % of the
    steps without pruning (MNLI: 8,000 and 50,000 of 86,000; RTE: 600 and 1,800 of 3,900) and allocate every 100th
    (MNLI) or every step (RTE). Here: 10 %, 50 %, and about 1,000 allocations in all.

    Raises:
        UsageError: two steps or fewer: nothing could be pruned before the end.
    """
    tinit, tfinal = math.floor(_WARM * steps), math.floor(_FINAL * steps)
    if steps - tfinal < 2:
        raise UsageError(f"adalora needs at least 3 steps to prune ranks, the run has {steps}.")
    return {"tinit": tinit, "tfinal": tfinal, "deltaT": max(1, steps // _ALLOCATIONS), "total_step": steps}


def make_adalora(settings: AdapterSettings, common: Mapping[str, Any]) -> Any:
    """PEFT's AdaLoraConfig; `adalora_schedule` is put in when the number of steps is known.

    The rank is the average one AFTER pruning; it starts at 1.5 times that (arXiv 2303.10512, section 4: "we set b(0)
    as 1.5 times of b(T)"). PEFT multiplies by alpha / init_r; alpha is raised so that, as in every method, the adapter is
    multiplied by alpha / rank. The weight of the orthogonality term is the authors' scripts' (0.1), not PEFT's 0.5.
    """
    from peft import AdaLoraConfig

    options = {"orth_reg_weight": 0.1, "init_r": math.ceil(_START * settings.rank), **settings.options}
    if options["init_r"] <= settings.rank:
        raise ValueError(
            f"init_r must be above the rank that is left after pruning ({settings.rank}), found {options['init_r']}."
        )
    planned = adalora_schedule(_ALLOCATIONS)
    return AdaLoraConfig(
        target_r=settings.rank,
        lora_alpha=settings.lora_alpha * options["init_r"] / settings.rank,
        lora_dropout=settings.dropout,
        **common,
        **(planned | options),
    )


def check_adalora(options: Mapping[str, Any]) -> list[str]:
    """What is wrong with AdaLoRA's options: fields of PEFT's AdaLoraConfig, such as ``init_r`` and ``tinit``."""
    from peft import AdaLoraConfig

    # Its rank_pattern is no setting but a result: which ranks are left after pruning.
    return _unknown(options, AdaLoraConfig, _NO_OPTIONS | _OF_SETTINGS | {"rank_pattern"})


def make_peft(settings: AdapterSettings, common: Mapping[str, Any]) -> Any:
    """The configuration that the options spell out: ``peft_type`` and that type's fields."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    options = dict(settings.options)
    kind = str(options.pop("peft_type", ""))
    values = dict(common)
    if settings.target_modules is None and (kind in _OWN_TARGETS or options.get("target_parameters")):
        del values["target_modules"]
    if kind == "IA3" and "feedforward_modules" not in options:
        # IA3 scales the input of these, the output of others; the paper (arXiv 2205.05638) does the former in the
        # feed-forward layer, before its last projection.
        options["feedforward_modules"] = [name for name in _names(common) if name.endswith(_LAST)]
    return PEFT_TYPE_TO_CONFIG_MAPPING[kind](**values, **options)


def make_full(settings: AdapterSettings, common: Mapping[str, Any]) -> None:
    """Full fine-tuning has no configuration of PEFT's."""


_LAST = ("down_proj", "fc2", "fc_out", "dense_4h_to_h", "c_proj", "wo")


def _names(common: Mapping[str, Any]) -> list[str]:
    targets = common["target_modules"]
    return targets if isinstance(targets, list) else []


def check_peft(options: Mapping[str, Any]) -> list[str]:
    """What is wrong with ``peft_type`` and the fields beside it, a line each."""
    from peft.config import PromptLearningConfig
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    kind = options.get("peft_type")
    known = sorted(item.value for item in PEFT_TYPE_TO_CONFIG_MAPPING)
    if kind not in known:
        if kind is None:
            return [f"peft_type is missing; it is one of {', '.join(known)}"]
        hint = nearest(str(kind), [name.lower() for name in known])
        offer = f" (did you mean {str(hint).upper()!r}?)" if hint else f" (known: {', '.join(known)})"
        return [f"unknown peft_type {kind!r}{offer}"]
    config = PEFT_TYPE_TO_CONFIG_MAPPING[kind]
    if issubclass(config, PromptLearningConfig):
        return [
            f"{kind} learns tokens before the prompt, so its model gives more logits than it is given tokens; lm-eval "
            "cannot score it, so CME does not train it. Take a method of layers, such as LORA or IA3"
        ]
    if kind in _UNUSABLE:
        return [f"{kind} {_UNUSABLE[kind]}. Take another method"]
    start = options.get("init_lora_weights")
    if isinstance(start, str) and start in _NEED_DATA:
        return [f"init_lora_weights {start!r} needs a pass over data, or another base, before training; leave it out"]
    values = {key: value for key, value in options.items() if key != "peft_type"}
    if problems := _unknown(values, config, _NO_OPTIONS):
        return problems
    if kind == "LORA" and (problem := _lora_problem(values)):
        return [problem]
    try:
        with refuse_ignored(values):
            config(**values)
    except (AttributeError, TypeError, ValueError, UsageError) as error:
        return [f"{kind}: {error}"]
    return []


def _lora_problem(options: Mapping[str, Any]) -> str | None:
    for key, reason in _UNUSABLE_LORA.items():
        if options.get(key) is not None:
            return f"{key} {reason}; leave it out"
    return inexpressible(options)


def _unknown(options: Mapping[str, Any], config: type, taken: set[str]) -> list[str]:
    names = (item.name for item in fields(config) if item.name not in taken | {"peft_type"})
    return option_problems(options, names)


def read_peft_config(path: Path) -> dict[str, Any]:
    """A YAML (or JSON) file of a PEFT configuration → the ``adapter`` section of a recipe.

    Args:
        path: ``peft_type`` and fields; an ``adapter_config.json`` will do: what it says of its own run is left out.

    Raises:
        UsageError: no such file, no YAML, or no mapping.
    """
    from cme.readers.yaml_file import read_yaml

    if not path.is_file():
        raise UsageError(f"there is no file {path} (--peft-config: a YAML file of peft_type and its fields).")
    values = read_yaml(path, str(path), error=UsageError)
    if not isinstance(values, dict):
        raise UsageError(f"{path} must be a mapping with peft_type and its fields, found {values!r}.")
    if (task := values.get("task_type")) not in _LANGUAGE_TASKS:
        raise UsageError(f"{path}: task_type is {task!r}, but CME trains language models. Leave it out.")
    options = {key: value for key, value in values.items() if key not in _NO_OPTIONS}
    if not options.get("rank_pattern"):  # as a saved configuration has it where no layer has a rank of its own
        options.pop("rank_pattern", None)
    found = {"method": "peft", "options": options}
    return found | ({"target_modules": values["target_modules"]} if values.get("target_modules") else {})
