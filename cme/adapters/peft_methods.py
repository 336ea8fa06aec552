"""PEFT's own methods as methods of CME: AdaLoRA with its schedule, and all others by the fields of their configuration."""

import math
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cme.adapters.settings import AdapterSettings, option_problems
from cme.adapters.starts import refuse_ignored, unsaveable_reason
from cme.errors import UsageError, nearest

__all__ = [
    "adalora_rank",
    "adalora_schedule",
    "check_adalora",
    "check_peft",
    "make_adalora",
    "make_full",
    "make_peft",
    "names_own_layers",
    "read_peft_config",
]

_OF_RUN = {"auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version", "revision", "task_type"}
"""Fields that a run sets itself. In a saved ``adapter_config.json`` they describe the run that saved it."""

_NO_OPTIONS = _OF_RUN | {"target_modules"}
"""Fields that cannot be options, because the run or a setting of CME sets them."""

_LANGUAGE_TASKS = (None, "CAUSAL_LM", "SEQ_2_SEQ_LM")

_OF_SETTINGS = {"r", "target_r", "lora_alpha", "lora_dropout", "total_step"}
"""AdaLoRA's fields that come from rank, alpha and dropout, or from the run's steps."""

_UNUSABLE = {
    "ADAPTION_PROMPT": "adds prompts to attention layers, but CME only loads methods that adapt layers",
    "LILY": "averages its gate weights over the batch and all positions, so a row's score depends on other rows and later tokens",
    "POLY": "needs a task number for every row, which the rows of a mix do not have",
    "XLORA": "combines existing adapters and does not train new ones",
    "TRAINABLE_TOKENS": "trains the embeddings of selected tokens, but the suite has no new tokens",
}
_NEED_DATA = ("eva", "corda", "lora_ga", "loftq")
"""Initialisations of LoRA that need a pass over data, or another base, before training."""

_UNUSABLE_LORA = {
    "alora_invocation_tokens": "activates the adapter at certain tokens, which the suite's prompts do not contain",
    "arrow_config": "combines existing adapters and does not train new ones",
    "kasa_config": "needs losses of its own in every step, which cme train does not compute",
    "monteclora_config": "needs a loss of its own in every step, which cme train does not compute",
}
"""Variants of LoRA that cannot be trained on a mix."""

_OWN_TARGETS = ("LN_TUNING", "SHADOW")
"""Types that adapt other layers than feed-forward projections. PEFT chooses these layers."""

_WARM, _FINAL, _ALLOCATIONS = 0.1, 0.5, 1_000
_START = 1.5


def adalora_schedule(steps: int) -> dict[str, int]:
    """Compute AdaLoRA's pruning schedule for a number of optimiser steps.

    The authors' scripts (QingruZhang/AdaLoRA, ``NLU/scripts``) do not prune in the first 9 to 15 % and the last 46 to 58 %
    of the steps (MNLI: 8,000 and 50,000 of 86,000; RTE: 600 and 1,800 of 3,900). They allocate ranks every 100 steps (MNLI)
    or at every step (RTE). CME uses 10 %, 50 %, and about 1,000 allocations in total.

    Returns:
        The fields ``tinit``, ``tfinal``, ``deltaT`` and ``total_step`` of PEFT's AdaLoraConfig.

    Raises:
        UsageError: There are fewer than 3 steps, so nothing could be pruned before the end.
    """
    tinit, tfinal = math.floor(_WARM * steps), math.floor(_FINAL * steps)
    if steps - tfinal < 2:
        raise UsageError(
            f"adalora needs at least 3 steps to prune ranks, but the run has {steps}. Train for more steps."
        )
    return {"tinit": tinit, "tfinal": tfinal, "deltaT": max(1, steps // _ALLOCATIONS), "total_step": steps}


def adalora_rank(settings: AdapterSettings) -> int:
    """Return the rank with which AdaLoRA starts: the option ``init_r``, or 1.5 times the rank, rounded up."""
    return int(settings.options.get("init_r", math.ceil(_START * settings.rank)))


def make_adalora(settings: AdapterSettings, common: Mapping[str, Any]) -> Any:
    """Create PEFT's AdaLoraConfig. The run inserts its own `adalora_schedule` when the number of steps is known.

    The rank is the average rank AFTER pruning. Training starts at 1.5 times this rank (arXiv 2303.10512, section 4: "we set
    b(0) as 1.5 times of b(T)"). PEFT scales the output by alpha / init_r. Alpha is raised accordingly, so that the scale is
    alpha / rank as in every other method. The orthogonality term has the weight of the authors' scripts (0.1) instead of
    PEFT's 0.5.
    """
    from peft import AdaLoraConfig

    options = {"orth_reg_weight": 0.1, **settings.options, "init_r": adalora_rank(settings)}
    if options["init_r"] <= settings.rank:
        raise ValueError(f"init_r must be above the rank after pruning ({settings.rank}), but is {options['init_r']}.")
    planned = adalora_schedule(_ALLOCATIONS)
    return AdaLoraConfig(
        target_r=settings.rank,
        lora_alpha=settings.lora_alpha * options["init_r"] / settings.rank,
        lora_dropout=settings.dropout,
        **common,
        **(planned | options),
    )


def check_adalora(options: Mapping[str, Any]) -> list[str]:
    """Return the problems of AdaLoRA's options, which are fields of PEFT's AdaLoraConfig such as ``init_r``."""
    from peft import AdaLoraConfig

    # AdaLoRA's rank_pattern is not a setting. It stores which ranks are left after pruning.
    return _unknown(options, AdaLoraConfig, _NO_OPTIONS | _OF_SETTINGS | {"rank_pattern"})


def make_peft(settings: AdapterSettings, common: Mapping[str, Any]) -> Any:
    """Create the configuration that the options describe with ``peft_type`` and the fields of this type."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    options = dict(settings.options)
    kind = str(options.pop("peft_type", ""))
    values = dict(common)
    if settings.target_modules is None and names_own_layers(settings.options):
        del values["target_modules"]
    if kind == "IA3" and "feedforward_modules" not in options:
        # IA3 scales the input of these modules and the output of all others. The paper (arXiv 2205.05638) scales the input
        # of the last projection of the feed-forward layer.
        options["feedforward_modules"] = [name for name in _names(common) if name.endswith(_LAST)]
    return PEFT_TYPE_TO_CONFIG_MAPPING[kind](**values, **options)


def names_own_layers(options: Mapping[str, Any]) -> bool:
    """Return whether the options of ``peft`` determine the adapted layers themselves, by their type or ``target_parameters``."""
    return options.get("peft_type") in _OWN_TARGETS or bool(options.get("target_parameters"))


def make_full(settings: AdapterSettings, common: Mapping[str, Any]) -> None:
    """Return None, because full fine-tuning has no PEFT configuration."""


_LAST = ("down_proj", "fc2", "fc_out", "dense_4h_to_h", "c_proj", "wo")


def _names(common: Mapping[str, Any]) -> list[str]:
    targets = common["target_modules"]
    return targets if isinstance(targets, list) else []


def check_peft(options: Mapping[str, Any]) -> list[str]:
    """Return the problems of ``peft_type`` and the fields of this type, one line each."""
    from peft.config import PromptLearningConfig
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING

    kind = options.get("peft_type")
    known = sorted(item.value for item in PEFT_TYPE_TO_CONFIG_MAPPING)
    if kind not in known:
        if kind is None:
            return [f"peft_type is missing. It must be one of {', '.join(known)}"]
        hint = nearest(str(kind), [name.lower() for name in known])
        offer = f" (did you mean {str(hint).upper()!r}?)" if hint else f" (known: {', '.join(known)})"
        return [f"unknown peft_type {kind!r}{offer}"]
    config = PEFT_TYPE_TO_CONFIG_MAPPING[kind]
    if issubclass(config, PromptLearningConfig):
        return [
            f"{kind} is a prompt learning method, whose models return more logits than input tokens, so lm-eval cannot "
            "score them. Use a method that adapts layers, such as LORA or IA3"
        ]
    if kind in _UNUSABLE:
        return [f"{kind} {_UNUSABLE[kind]}. Use another method"]
    start = options.get("init_lora_weights")
    if isinstance(start, str) and start in _NEED_DATA:
        return [f"init_lora_weights {start!r} needs a pass over data, or another base, before training. Leave it out"]
    values = {key: value for key, value in options.items() if key != "peft_type"}
    if values.get("use_asa"):
        return ["use_asa allocates the ranks anew in every step, which cme train does not do. Leave it out"]
    for key in ("modules_to_save", "feedforward_modules"):
        # PEFT reads the letters of a text as names, or the whole text as a regular expression.
        if isinstance(given := values.get(key), str) and given.replace("_", "").isalnum():
            return [f"{key} is the text {given!r}. Give a list, such as [{given}]"]
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
            return f"{key} {reason}. Leave it out"
    return unsaveable_reason(options)


def _unknown(options: Mapping[str, Any], config: type, taken: set[str]) -> list[str]:
    names = (item.name for item in fields(config) if item.name not in taken | {"peft_type"})
    return option_problems(options, names)


def read_peft_config(path: Path) -> dict[str, Any]:
    """Read a PEFT configuration from a YAML or JSON file as the ``adapter`` section of a recipe.

    Args:
        path: A file with ``peft_type`` and the fields of this type. It can be an ``adapter_config.json``, whose fields
            about its own run are ignored.

    Raises:
        UsageError: The file does not exist, is not YAML, or does not hold a mapping.
    """
    from cme.readers.yaml_file import read_yaml

    if not path.is_file():
        raise UsageError(
            f"the file {path} does not exist. --peft-config takes a YAML file of peft_type and its fields."
        )
    values = read_yaml(path, str(path), error=UsageError)
    if not isinstance(values, dict):
        raise UsageError(f"{path} must be a mapping with peft_type and its fields, found {values!r}.")
    if (task := values.get("task_type")) not in _LANGUAGE_TASKS:
        raise UsageError(f"{path}: task_type is {task!r}, but CME trains language models only. Leave it out.")
    options = {key: value for key, value in values.items() if key not in _NO_OPTIONS}
    if not options.get("rank_pattern"):  # Saved configurations have an empty pattern if all layers have the same rank.
        options.pop("rank_pattern", None)
    section = {"method": "peft", "options": options}
    return section | ({"target_modules": values["target_modules"]} if values.get("target_modules") else {})
