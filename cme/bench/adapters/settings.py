"""Settings of a measurement of adapters."""

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
"""Name of the base without an adapter in the list of methods."""
_OWN = ("rank", "experts", "target_modules")
"""Settings that the benchmark chooses for all methods."""


@validated("benchmark settings")
class BenchSettings:
    """The settings of a measurement.

    Attributes:
        methods: Keys of `METHODS`, and ``"base"``. An empty list means all of them. Settings can follow a key, as in
            ``teamlora:gate_sum=1``. The case is then also compared with the same method without these settings. LoRA and the
            base are the references of the ratios.
        experts: Numbers of experts k. Methods with experts are measured with each of them.
        total_rank: Rank R of the whole adapter, which is the same for all methods. Each of k experts has the rank R / k.
        forms: Forms of methods with experts: ``fused`` as in CME, or ``loop`` over the experts as in the papers' code.
        modes: Modes out of `MODES`.
        rounds: Number of measured rounds. In each round, every case runs once, in a new random order.
        warmup: Number of rounds before the measured ones.
        batch: Number of rows in a batch.
        train_length: Number of tokens of a row in a training step.
        answer_tokens: Number of tokens at the end of a row that are the answer, on which the loss is computed.
        infer_length: Number of tokens of the prompt in prefill and decode.
        decode_tokens: Number of tokens that are decoded in one run. The time is divided by this number.
        target_modules: Layers to adapt. None means the feed-forward projections.
        seed: Seed of the order, the tokens and the adapters' weights.
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
        """Check all settings.

        Raises:
            UsageError: A name is unknown, a number is out of range, or a number of experts does not divide the rank.
        """
        for kind, names, known in (
            ("method", self.methods, benchable()),
            ("form", self.forms, FORMS),
            ("mode", self.modes, MODES),
        ):
            for name in names:
                if kind == "method" and method_of(name) in UNMEASURED:
                    raise UsageError(
                        f"the method {method_of(name)!r} cannot be measured, because cme bench adapters compares adapters of "
                        f"one total rank. Choose from {', '.join(known)}."
                    )
                if method_of(name) not in known:
                    raise unknown(kind, method_of(name), known)
                if kind == "method":
                    settings_of(name)
            if len(set(names)) < len(names):
                raise UsageError(f"each {kind} can be given only once, found {', '.join(names)}.")
        for label, names in (("form (fused, loop)", self.forms), ("mode (train, prefill, decode)", self.modes)):
            if not names:
                raise UsageError(f"no {label} is given. Give at least one.")
        self._check_numbers()

    def _check_numbers(self) -> None:
        if self.rounds < 2:
            raise UsageError(f"rounds must be at least 2, found {self.rounds}.")
        if self.train_length < 2:
            raise UsageError(f"train_length must be at least 2, found {self.train_length}.")
        if not 1 <= self.answer_tokens < self.train_length:
            raise UsageError(
                f"answer_tokens must be from 1 to {self.train_length - 1} (train_length - 1), found {self.answer_tokens}."
            )
        if not self.experts or min(self.experts) < 1 or len(set(self.experts)) < len(self.experts):
            raise UsageError(f"experts must be distinct numbers above 0, found {_listed(self.experts)}.")
        routed = any(
            "experts" in METHODS[method_of(name)].settings for name in self.methods or benchable() if name != BASE
        )
        if routed and (wrong := [k for k in self.experts if self.total_rank % k]):
            raise UsageError(
                f"a total rank of {self.total_rank} is not divisible by {wrong[0]} experts. Give a --total-rank that is "
                f"divisible by all numbers of experts ({_listed(self.experts)})."
            )


def method_of(name: str) -> str:
    """Return the method in a name such as ``teamlora:gate_sum=1``."""
    return name.partition(":")[0]


def settings_of(name: str) -> dict[str, Any]:
    """Return the settings in a name such as ``teamlora:gate_sum=1:balance_weight=0.01``.

    Raises:
        UsageError: The method has no such setting, the value is invalid, or the benchmark itself chooses the setting.
    """
    method, *texts = name.split(":")
    values: dict[str, Any] = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign or method == BASE or key in _OWN:
            wrong = f"the benchmark sets {key} itself" if key in _OWN else f"{text!r} is not a setting of {method}"
            raise UsageError(f"--methods {name}: {wrong}. Write METHOD:KEY=VALUE, such as teamlora:gate_sum=1.")
        if key in values:
            raise UsageError(f"--methods {name}: {key} is given twice. Give it once.")
        values[key] = parse_yaml(value, f"--methods {name}", error=UsageError)
    if values:
        settings_from({"method": method, **values}, f"--methods {name}")
    return values


def benchable() -> tuple[str, ...]:
    """Return the names of the base and of every method with an adapter, including methods of other packages."""
    return (BASE, *(name for name in METHODS if name not in UNMEASURED))


def _listed(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers)) or "none"
