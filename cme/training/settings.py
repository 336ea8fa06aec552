"""Settings of a training run; every default says where it comes from."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, get_type_hints

from cme.config import from_mapping, type_problem
from cme.errors import UsageError
from cme.prompt import FORMATS

__all__ = ["DTYPES", "SCHEDULES", "TRACKERS", "TrainSettings", "settings_from", "stored"]

SCHEDULES = ("cosine", "linear", "constant")
DTYPES = ("auto", "bfloat16", "float32")
"""float16 is not offered: it needs loss scaling, and overflows are what a zero or NaN loss mostly comes from."""
TRACKERS = ("tensorboard", "wandb", "trackio")


@dataclass(frozen=True)
class TrainSettings:
    """How an adapter is trained. The paper's public summary states none of these numbers.

    Where a default says "HydraLoRA", it is the published script of that paper (Clin0212/HydraLoRA,
    ``HydraLoRA/fine-tuning.sh``), a multi-task LoRA baseline on the same feed-forward layers.

    Attributes:
        data: folder of a mix, from ``cme build-data``.
        base: base model: hub id, folder, or the embedded default.
        prompt_format: plain, chat or teamlora. Plain needs no chat template, so it fits every base.
        learning_rate: peak. 2e-4: HydraLoRA.
        schedule: one of `SCHEDULES`, to zero except for ``constant``. Cosine: HydraLoRA.
        warmup: share of the steps in which the learning rate rises linearly. 0.03: HydraLoRA.
        epochs: passes over the mix; one if neither this nor ``steps`` is given (HydraLoRA). There is no limit by
            minutes: what is trained must not depend on the machine.
        steps: optimiser steps, in place of ``epochs``.
        batch_size: examples on one device at a time. 8: Trainer's default.
        gradient_accumulation: batches per optimiser step and device. 1: Trainer's default.
        max_length: most tokens of an example, prompt and answer. 1024 holds the suite's longest inputs (500 words)
            uncut with common tokenizers.
        seed: of the adapter's start, the order of the examples, and dropout.
        dtype: of the base's weights and the matrix products; the adapter's own weights are float32 always. ``auto``:
            bfloat16 where the machine computes in it (measured in CPU time, avx512_bf16: 2.3 times the tokens per
            second of float32, at half the memory), else float32.
        weight_decay: of AdamW. 0: HydraLoRA.
        max_grad_norm: gradients are clipped to this norm. 1: Trainer's default.
        save_every: steps between checkpoints. 200: a few minutes lost at most on the machines we know.
        keep_checkpoints: keep all checkpoints; else only the newest is kept, and none when training has ended.
        logging_steps: steps between two losses in the run record. 10: HydraLoRA.
        train_on_prompt: learn the prompt's tokens too. Off: what is scored is the answer.
        gradient_checkpointing: recompute activations in the backward pass (the non-reentrant kind): less memory,
            slower. Off: the bases most tried here fit without.
        threads: threads per process on a CPU; none: torch's choice. It decides speed only.
        report_to: Experiment trackers to log to, out of `TRACKERS`; a list, or names separated by commas. None by default.
            A run is the same with and without a tracker, so neither its record nor its recipe has this setting.
    """

    data: str
    base: str = "smollm2-135m"
    prompt_format: str = "plain"
    learning_rate: float = 2e-4
    schedule: str = "cosine"
    warmup: float = 0.03
    epochs: float | None = None
    steps: int | None = None
    batch_size: int = 8
    gradient_accumulation: int = 1
    max_length: int = 1024
    seed: int = 0
    dtype: str = "auto"
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    save_every: int = 200
    keep_checkpoints: bool = False
    logging_steps: int = 10
    train_on_prompt: bool = False
    gradient_checkpointing: bool = False
    threads: int | None = None
    report_to: tuple[str, ...] = ()

    def check(self) -> None:
        """Check the values.

        Raises:
            UsageError: a value is out of its range; all of them in one message.
        """
        if problems := _problems(asdict(self)):
            raise UsageError("; ".join(problems) + ".")


_POSITIVE = (
    *("learning_rate", "epochs", "steps", "batch_size", "gradient_accumulation", "max_grad_norm"),
    *("save_every", "logging_steps", "threads"),
)
_REAL = ("learning_rate", "warmup", "epochs", "weight_decay", "max_grad_norm")
_WORDS = {"prompt_format": FORMATS, "schedule": SCHEDULES, "dtype": DTYPES}


def settings_from(values: Mapping[str, Any], where: str = "training settings") -> TrainSettings:
    """Read settings from a mapping (a recipe's section, flags).

    Raises:
        UsageError: every unknown key, wrong type and value out of range, in one message.
    """
    problems: list[str] = []
    values = {key: float(value) if key in _REAL and type(value) is int else value for key, value in values.items()}
    if isinstance(names := values.get("report_to"), str):
        names = [] if names == "none" else [name.strip() for name in names.split(",") if name.strip()]
    if isinstance(names, list):
        values["report_to"] = tuple(names)
    try:
        settings = from_mapping(TrainSettings, values, where)
    except UsageError as error:
        problems = str(error).removeprefix(f"{where}: ").removesuffix(".").split("; ")
        lacking = "data: missing; give the folder of a mix (make one with: cme build-data)"
        problems = [lacking if problem == "missing key 'data'" else problem for problem in problems]
    hints = get_type_hints(TrainSettings)
    fitting = {key: value for key, value in values.items() if key in hints and not type_problem(value, hints[key])}
    problems += _problems(fitting)
    if problems:
        raise UsageError(f"{where}:\n" + "\n".join(f"  {problem}" for problem in problems))
    return settings


def stored(settings: TrainSettings) -> dict[str, Any]:
    """Return the settings as records and recipes hold them: without the trackers, which change nothing about a run."""
    return {name: value for name, value in asdict(settings).items() if name != "report_to"}


def _problems(values: Mapping[str, Any]) -> list[str]:
    """What is out of range among values of the right types."""
    found = []
    for field in fields(TrainSettings):
        value = values.get(field.name)
        if value is None:
            continue
        if field.name in _POSITIVE and not 0 < value < float("inf"):
            found.append(f"{field.name}: must be above 0, found {value}")
        elif field.name in _WORDS and value not in _WORDS[field.name]:
            found.append(f"{field.name}: must be one of {', '.join(_WORDS[field.name])}, found {value!r}")
        elif field.name == "report_to" and (unknown := [name for name in value if name not in TRACKERS]):
            found.append(f"report_to: {unknown[0]!r} is not a tracker; choose from {', '.join(TRACKERS)}")
        elif field.name == "max_length" and value < 2:
            found.append(f"max_length: must be at least 2, found {value}")
        elif field.name == "warmup" and not 0 <= value < 1:
            found.append(f"warmup: must be a share of the steps, at least 0 and below 1, found {value}")
        elif field.name == "weight_decay" and not 0 <= value < float("inf"):
            found.append(f"weight_decay: must be at least 0, found {value}")
        elif field.name == "seed" and not 0 <= value < 2**32:
            found.append(f"seed: must be at least 0 and below 2**32, found {value}")
    if values.get("epochs") is not None and values.get("steps") is not None:
        found.append("epochs and steps are both given; give one of them")
    return found
