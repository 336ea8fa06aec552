"""What a measurement of adapters is to measure."""

from typing import Annotated, Any

from pydantic import Field

from cme.adapters.methods import METHODS
from cme.adapters.read_settings import settings_from
from cme.config import Items, validated
from cme.errors import UsageError, unknown
from cme.readers.yaml_file import parse_yaml
from cme.records.method import UNMEASURED

__all__ = ["BASE", "FORMS", "MODES", "BenchSettings", "benchable", "method_of", "settings_of"]

MODES = ("train", "prefill", "decode")
FORMS = ("fused", "loop")
BASE = "base"
"""The base without any adapter, among the methods."""
_OWN = ("rank", "experts", "target_modules")
"""Settings that the benchmark chooses for all methods."""


@validated("benchmark settings")
class BenchSettings:
    """What is measured, and how often.

    Attributes:
        methods: keys of `METHODS`, and ``"base"``; empty: all of them. A key may be followed by settings, as in
            ``teamlora:gate_sum=1``; it is then also compared with the same method without them. LoRA and the base are the
            references of the ratios, so without them there are fewer.
        experts: numbers of experts k; methods with experts are measured at each.
        total_rank: rank R of the whole adapter, the same for all methods: one of k experts has R / k.
        forms: of methods with experts: ``fused`` (as CME runs them), ``loop`` (expert by expert, as the papers' code).
        modes: of `MODES`.
        rounds: measured rounds; in each, every case runs once, in an order drawn anew.
        warmup: rounds that come first and are not counted.
        batch: rows.
        train_length: tokens in a row of a training step.
        answer_tokens: how many of them, at the end, are the answer that is learned.
        infer_length: tokens of the prompt, in prefill and in the cache of decode.
        decode_tokens: tokens that one timing of decode adds; its time is divided by them.
        target_modules: layers to adapt; None: the feed-forward projections.
        seed: of the order, the tokens and the adapters' weights.
    """

    methods: Items[str] = ()
    experts: Items[int] = (4,)
    total_rank: Annotated[int, Field(ge=1)] = 32
    forms: Items[str] = FORMS
    modes: Items[str] = MODES
    rounds: int = 20
    warmup: Annotated[int, Field(ge=0)] = 3
    batch: Annotated[int, Field(ge=1)] = 4
    train_length: int = 128
    answer_tokens: int = 8
    infer_length: Annotated[int, Field(ge=1)] = 256
    decode_tokens: Annotated[int, Field(ge=1)] = 8
    target_modules: Items[str] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Check everything.

        Raises:
            UsageError: an unknown name, a number out of range, or a rank that the experts cannot share.
        """
        for kind, names, known in (
            ("method", self.methods, benchable()),
            ("form", self.forms, FORMS),
            ("mode", self.modes, MODES),
        ):
            for name in names:
                if kind == "method" and method_of(name) in UNMEASURED:
                    raise UsageError(
                        f"the method {method_of(name)!r} cannot be measured here: cme bench adapters compares adapters of one "
                        f"total rank. It measures: {', '.join(known)}."
                    )
                if method_of(name) not in known:
                    raise unknown(kind, method_of(name), known)
                if kind == "method":
                    settings_of(name)
            if len(set(names)) < len(names):
                raise UsageError(f"each {kind} may be named once, found {', '.join(names)}.")
        for label, names in (("form (fused, loop)", self.forms), ("mode (train, prefill, decode)", self.modes)):
            if not names:
                raise UsageError(f"name at least one {label}.")
        self._check_numbers()

    def _check_numbers(self) -> None:
        if self.rounds < 2:
            raise UsageError(f"a median and its spread need at least 2 rounds, found {self.rounds}.")
        if self.train_length < 2:
            raise UsageError(f"train_length must be at least 2 (a token is predicted), found {self.train_length}.")
        if not 1 <= self.answer_tokens < self.train_length:
            raise UsageError(
                f"answer_tokens must be from 1 to {self.train_length - 1} (train_length - 1), found {self.answer_tokens}."
            )
        if not self.experts or min(self.experts) < 1 or len(set(self.experts)) < len(self.experts):
            raise UsageError(f"experts must be different numbers of at least 1, found {_listed(self.experts)}.")
        routed = any(
            "experts" in METHODS[method_of(name)].settings for name in self.methods or benchable() if name != BASE
        )
        if routed and (wrong := [k for k in self.experts if self.total_rank % k]):
            raise UsageError(
                f"a total rank of {self.total_rank} cannot be shared evenly by {wrong[0]} experts. Give a --total-rank "
                f"that {_listed(self.experts)} divide."
            )


def method_of(name: str) -> str:
    """The method in a name such as ``teamlora:gate_sum=1``."""
    return name.partition(":")[0]


def settings_of(name: str) -> dict[str, Any]:
    """The settings in a name such as ``teamlora:gate_sum=1:balance_weight=0.01``.

    Raises:
        UsageError: the method has no such setting or not this value of it, or the benchmark itself chooses it.
    """
    method, *texts = name.split(":")
    values: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or method == BASE or key in _OWN:
            wrong = f"{key} is the benchmark's own" if key in _OWN else f"{text!r} is no setting of {method}"
            raise UsageError(f"--methods {name}: {wrong}. Write METHOD:KEY=VALUE, such as teamlora:gate_sum=1.")
        values[key] = parse_yaml(value, f"--methods {name}", error=UsageError)
    if values:
        settings_from({"method": method, **values}, f"--methods {name}")
    return values


def benchable() -> tuple[str, ...]:
    """The base and every method that has an adapter: CME's, PEFT's that CME knows by name, and other packages'."""
    return (BASE, *(name for name in METHODS if name not in UNMEASURED))


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers)) or "none"
