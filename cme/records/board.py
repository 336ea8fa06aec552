"""The file of a board, ``board.yaml``: which methods, rates, seeds and studies are trained and compared, and how."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from cme.config import Items, Model
from cme.records.base import Count, Positive

__all__ = [
    "SUITE",
    "BoardFile",
    "BoardPart",
    "Costs",
    "Experts",
    "Exports",
    "GridRule",
    "MethodRow",
    "MixPart",
    "PromptVariants",
    "Study",
]


SUITE = "cme-22"
"""The suite of a board that names none."""


def _words(value: object) -> object:
    """Accept one word for a list of words."""
    return [value] if isinstance(value, str) else value


def _under(key: str) -> BeforeValidator:
    """Accept a text in place of a mapping with this key, and nothing in place of an empty mapping."""

    def short(value: object) -> object:
        return {key: value} if isinstance(value, str) else {} if value is None else value

    return BeforeValidator(short)


def _switch(value: object) -> object:
    """Accept ``true`` for a part with its defaults, and ``false`` for none."""
    return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value


def _run_code(value: object) -> object:
    """Accept ``true`` for the sandbox, and ``false`` for not running code."""
    return {True: "sandboxed", False: None}.get(value, value) if isinstance(value, bool) else value


def _rates(value: object) -> object:
    """Accept numbers that are written as text, such as ``1e-3`` in YAML 1.1."""
    if not isinstance(value, list | tuple):
        return value
    return [_number(item) for item in value]


def _number(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return float(value)
    except ValueError:
        return value


def _source(value: object) -> object:
    """Accept a mirror folder and its name in tables, ``{path: DIR, name: NAME}``, for ``NAME=DIR``."""
    if not isinstance(value, Mapping):
        return value
    wrong = [key for key in value if key not in ("path", "name")]
    if wrong or not all(isinstance(item, str) and item for item in value.values()) or "path" not in value:
        raise ValueError("must be hub, mini, a mirror folder, or {path: DIR, name: NAME}")
    return f"{value['name']}={value['path']}" if "name" in value else value["path"]


Words = Annotated[Items[str], BeforeValidator(_words)]
"""A list of words, or one word."""

Rate = Annotated[float, Field(gt=0)]
"""A learning rate."""


class BoardPart(Model):
    """Base class of the parts of a board file."""


class MixPart(BoardPart):
    """The training mix. The settings are those of ``cme build-data``.

    Attributes:
        folder: folder of a mix that exists. No mix is built then.
        ids: file of row ids of a mix (``cme ids``), which is then built again from the source.
        size: number of training rows; None for all.
        seed: seed of the choice of the rows and of their order.
        datasets: datasets or families; empty for the whole suite of the board, or for that of ``suite``.
        suite: the suite of the mix, which may be ``all``; None for that of the board.
        mixing: how rows are distributed over the datasets.
        temperature: temperature of the mixing ``temperature``.
        prompt_variant_share: share of rows with another prompt variant.
        validation_share: share of rows for validation, by which the learning rate is chosen.
        decontamination: whether rows that leak evaluation rows are removed.
        allow_missing: whether to continue without splits that the source lacks.
        licence: uses that the licences must allow.
    """

    folder: str | None = None
    ids: str | None = None
    size: Positive | None = None
    seed: int | None = None
    datasets: Words = ()
    suite: str | None = None
    mixing: str | None = None
    temperature: float | None = None
    prompt_variant_share: float | None = None
    validation_share: float | None = None
    decontamination: bool = True
    allow_missing: bool = False
    licence: str | None = None


class MethodRow(BoardPart):
    """One row of the board.

    Attributes:
        recipe: recipe: YAML file, or a name that ``cme ls recipes`` lists. Without it, the name of the row is the method.
        settings: settings that override the recipe, such as ``gate_sum: 1``.
        gpus: GPUs of one run. None means those of the board.
        tune: settings of the adapter that the grid chooses together with the learning rate: values by setting, such as
            ``rank: [8, 16, 32]``. Every combination is trained with every rate. alpha / rank stays the same.
    """

    recipe: str | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    tune: dict[str, Annotated[Items[Any], BeforeValidator(_rates)]] = Field(default_factory=dict)
    gpus: Count | None = None


class GridRule(BoardPart):
    """How learning rates are chosen.

    Attributes:
        widen: how often the grid may be widened if the best rate of a method is at its edge. All methods get the same rates.
        seed: seed of the runs of the grid.
        steps: number of steps of these runs. None means those of the recipe; the best run is then the row's run of this seed.
    """

    widen: Count = 2
    seed: Count = 0
    steps: Positive | None = None


class Study(BoardPart):
    """Rows that differ from a method of the board in a few settings only.

    Attributes:
        of: the methods.
        vary: values by setting. The study has all combinations. ``total_rank`` varies the rank of all experts together.
        hold: ``total_rank`` keeps experts times rank, if the number of experts varies.
        rates: ``grid`` chooses the rate of every row with the board's grid. ``method`` takes the rate of the method.
        seeds: seeds; empty for those of the board.
        retention: whether the rows are also evaluated for retention, as those of the board.
    """

    of: Words
    vary: dict[str, Items[Any]]
    hold: str | None = None
    rates: str = "grid"
    seeds: Items[Count] = ()
    retention: bool = False


class PromptVariants(BoardPart):
    """Rows that are evaluated with other prompt variants too.

    Attributes:
        rows: names of rows, or ``base``.
        which: indices of the prompt variants, from 1.
    """

    rows: Words = ()
    which: Items[Positive] = ()


class Costs(BoardPart):
    """The measurement of what the methods cost, side by side. The settings are those of ``cme bench adapters``.

    Attributes:
        rounds: number of measured rounds.
        warmup: number of rounds before them.
        batch: rows of a batch.
        train_length: tokens of a row in training.
        infer_length: tokens of the prompt; None for the default.
        dtype: data type.
        alone: whether nothing else of the board runs at the same time.
    """

    rounds: Annotated[int, Field(ge=2)] = 20
    warmup: Count = 1
    batch: Positive = 8
    train_length: Positive = 80
    infer_length: Positive | None = None
    dtype: str = "bfloat16"
    alone: bool = True


class Experts(BoardPart):
    """The analysis of what the experts do, which becomes part of the rows. The settings are those of ``cme analyse``.

    Attributes:
        rows: names of rows with experts, or ``routed`` for all of them.
        parts: parts of the analysis; empty for all that a row allows. At least one of load, redundancy and shapley is needed.
        tier: tier, which can only be that of the board, because the analysis needs the samples of the results.
        seeds: seeds whose adapters are analysed; empty for all of the board. Rows are compared if each has at least two.
    """

    rows: Words = ("routed",)
    parts: Words = ()
    tier: str | None = None
    seeds: Items[Count] = ()


class Exports(BoardPart):
    """Exports to plain LoRA, which show in the rows what the routers are worth. The settings are those of ``cme export-lora``.

    Attributes:
        rows: names of rows with experts, or ``routed`` for all of them.
        how: ways of exporting: mean, family, fit and distil. At least one other than family is needed.
        seeds: seeds whose adapters are exported; empty for the first one of the board.
        rank: rank of fit and distil; None for that of all experts together.
        ridge: penalty of fit and distil towards mean; None for the default.
        steps: optimiser steps of distil; None for the default.
        lr: peak learning rate of distil; None for the default.
        batch_size: examples per step of distil; None for the default.
    """

    rows: Words = ("routed",)
    how: Words = ("mean", "fit")
    seeds: Items[Count] = ()
    rank: Positive | None = None
    ridge: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    steps: Positive | None = None
    lr: Annotated[Rate | None, BeforeValidator(_number)] = None
    batch_size: Positive | None = None


class BoardFile(BoardPart):
    """A board.

    Attributes:
        name: name of the board.
        out: folder of the tables and entries.
        work: folder of the mix, the runs and the results. Default: ``boards/`` and the name.
        base: base model, or several. Each base has its own table.
        source: source of the rows: ``hub``, ``mini``, or a mirror folder, also with a name: ``{path: DIR, name: NAME}``.
        suite: the suite that is evaluated: ``cme-22`` or ``cme-r``.
        tier: samples per dataset: smoke, quick, standard or full.
        datasets: datasets or families that are evaluated; empty for the whole suite.
        ids: file of row ids (``cme ids``) whose rows are evaluated. It determines the tier and the datasets.
        mix: the training mix, or the folder of one.
        methods: recipe of each row, by the row's name.
        training: training settings that override all recipes, such as ``steps``.
        rates: learning rates of the grid. Without it, every recipe's own rate is used.
        grid: how the learning rate is chosen.
        seeds: seeds of the runs of each row.
        studies: studies by name.
        references: rows without training: ``base``, ``base-4-shot`` and baselines.
        prompt_variants: rows that are evaluated with other prompt variants too.
        costs: the measurement of costs; None for none.
        analysis: the analysis of experts, which becomes part of the rows: ``true`` for the defaults; None for none.
        exports: exports of routed rows to plain LoRA, which show what the router is worth: ``true`` for the defaults; None for
            none.
        retention: whether what the adapters changed of the base's old skill is measured.
        retention_text: text file for the change of the loss.
        dtype: data type of the evaluation.
        threads: CPU threads of one step. It is fixed because results on a CPU depend on it.
        device: ``cpu`` or ``cuda``; None takes a GPU for each step if the machine has one.
        allow_missing: whether evaluation continues without splits that the source lacks.
        run_code: how the programs that the models write run, which mbpp and humaneval need: ``true`` or ``sandboxed`` (in
            bubblewrap), or ``unsandboxed``. It is ``--run-code`` of ``cme eval``.
    """

    name: str
    out: str
    work: str | None = None
    base: Words = ("smollm2-135m",)
    source: Annotated[str, BeforeValidator(_source)] = "hub"
    suite: str = SUITE
    tier: str = "quick"
    datasets: Words = ()
    ids: str | None = None
    mix: Annotated[MixPart, _under("folder")] = MixPart()
    methods: dict[str, Annotated[MethodRow, _under("recipe")]]
    training: dict[str, Any] = Field(default_factory=dict)
    rates: Annotated[Items[Rate], BeforeValidator(_rates)] = ()
    grid: GridRule = GridRule()
    seeds: Items[Count] = (0, 1, 2)
    studies: dict[str, Study] = Field(default_factory=dict)
    references: Words = ("base",)
    prompt_variants: PromptVariants = PromptVariants()
    costs: Annotated[Costs | None, BeforeValidator(_switch)] = None
    analysis: Annotated[Experts | None, BeforeValidator(_switch)] = None
    exports: Annotated[Exports | None, BeforeValidator(_switch)] = None
    retention: bool = False
    retention_text: str | None = None
    dtype: str = "auto"
    threads: Positive = 1
    device: str | None = None
    allow_missing: bool = False
    run_code: Annotated[str | None, BeforeValidator(_run_code)] = None

    @property
    def source_name(self) -> str:
        """The source in the settings of outputs: the name of a named folder, or the source itself."""
        name, equals, _ = self.source.partition("=")
        named = equals and "/" not in name and name.partition(":")[0] != "mini"
        return name if named else self.source
