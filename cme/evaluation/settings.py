"""Settings of an evaluation."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Annotated

from pydantic import Field

from cme.config import Items, known, validated
from cme.errors import UsageError
from cme.evaluation.expert_choice import ExpertChoice
from cme.models.load import DTYPES
from cme.prompt.formats import FORMATS
from cme.sandbox import RUN_CODE
from cme.suite import DatasetSpec, datasets, select
from cme.suite.baselines import covered
from cme.suite.suites import ALL, suite_of_families
from cme.suite.tiers import TIERS

__all__ = ["ENGINES", "EvalSettings"]

ENGINES = ("prefix", "hf")

RESULT = "result.json"
"""Name of the file with the result, in the result's folder."""


_OF_MODELS = {
    "prompt_format": "--format",
    "shots": "--shots",
    "dtype": "--dtype",
    "engine": "--engine",
    "batch_size": "--batch-size",
    "token_budget": "--token-budget",
    "run_code": "--run-code",
}
"""Options that determine the answers and scores of a model, which a baseline does not have. Device and threads have no effect on
it."""


@validated("evaluation settings")
class EvalSettings:
    """Settings of one evaluation.

    Attributes:
        base: base model: a hub id, a folder or the name of the embedded model.
        adapter: adapter folder or hub id. None evaluates the base model itself.
        tier: ``smoke``, ``quick``, ``standard`` or ``full``.
        source: ``hub``, ``mini``, the folder of a mirror, or ``NAME=DIR``.
        datasets: names of datasets or families, all of one suite. None means the whole CME-22.
        prompt_format: ``plain``, ``chat`` or ``teamlora``.
        shots: number of training examples that precede each question.
        prompt_variant: index of the instruction of every dataset. 0 is the canonical instruction.
        dtype: dtype of the base model's weights. ``float32`` is the reference. ``bfloat16`` is faster and changes some answers.
            ``auto`` means ``bfloat16`` on hardware that supports it and ``float32`` elsewhere. All rows of a board should have
            the same dtype; the board reports if they do not.
        engine: ``prefix`` computes shared prompt prefixes once (`cme.evaluation.engine`). ``hf`` is lm-eval's own code and
            works with every model. Their answers are equal up to rounding.
        batch_size: number of requests per batch of lm-eval's own code for choice datasets. Batches of generated texts are
            four times as large. None means 8 on a CPU and 32 on a GPU. The prefix engine uses ``token_budget`` instead.
        token_budget: maximum number of positions, padding included, in one pass of the prefix engine. The size of its cache
            is proportional to it, so a smaller budget needs less memory. None means 512 on a CPU and 8192 on a GPU.
        device: PyTorch device. None means the first GPU, or the CPU if there is none.
        threads: number of CPU threads. None means PyTorch's default. The result records the number because float32 sums
            depend on it.
        allow_missing: whether to continue without splits that the source lacks. The result lists them. With ``ids``, this is
            about training splits only.
        name: name in tables. None means the name of the adapter's folder, of the base model, or of the baseline.
        baseline: one of `cme.suite.baselines.BASELINES`, which answers without a model. Only ``tier``, ``source``,
            ``datasets``, ``allow_missing`` and ``name`` apply to it.
        retention: whether to measure what the adapter changed of the base's old skill (`cme.evaluation.retention`).
        retention_text: text file on which the change of the loss is measured. None means wikitext-2 from the hub if the rows are
            from there, and no text otherwise.
        experts: the experts of a routed adapter to use, such as ``top1`` or ``drop:1`` (`cme.evaluation.expert_choice`). None
            means all.
        retention_base: base of a merged or fully trained model, with which retention compares it. None for an adapter.
        run_code: how programs that the model writes run: ``sandboxed`` or ``unsandboxed``. None leaves out the datasets that need
            it.
        ids: file of row ids (`cme.records.ids`). Its rows are evaluated in place of those of the tier, which it states as well.
    """

    base: str
    adapter: str | None = None
    tier: Annotated[str, known("tier", TIERS)] = "quick"
    source: str = "hub"
    datasets: Items[str] | None = None
    prompt_format: Annotated[str, known("prompt format", FORMATS)] = "plain"
    shots: Annotated[int, Field(ge=0)] = 0
    prompt_variant: int = 0
    dtype: Annotated[str, known("dtype", ("auto", *DTYPES))] = "float32"
    engine: Annotated[str, known("engine", ENGINES)] = "prefix"
    batch_size: Annotated[int, Field(ge=1)] | None = None
    token_budget: Annotated[int, Field(ge=1)] | None = None
    device: str | None = None
    threads: Annotated[int, Field(ge=1)] | None = None
    allow_missing: bool = False
    name: str | None = None
    baseline: str | None = None
    retention: bool = False
    retention_text: str | None = None
    retention_base: str | None = None
    experts: str | None = None
    ids: str | None = None
    run_code: Annotated[str, known("way to run code", RUN_CODE)] | None = None

    def check(self) -> None:
        """Check names against the suite, and settings against each other.

        Each value alone was checked when the object was constructed.

        Raises:
            UsageError: if a dataset or prompt variant is unknown, the datasets are of several suites, or settings exclude each
                other.
        """
        if self.name is not None and not (self.name.strip() and self.name.isprintable()):
            raise UsageError(
                f"name is {self.name!r}. Give a name with visible characters only, which tables and files can show."
            )
        specs = select(self.datasets)
        suite_of_families(spec.family for spec in specs)
        for spec in specs:
            spec.instruction_at(self.prompt_variant)
        if self.prompt_variant and self.baseline is not None:
            raise UsageError(
                "prompt_variant cannot be combined with a baseline, which does not read the instruction. Remove one of them."
            )
        if self.baseline is not None:
            covered(self.baseline, self.datasets)
            defaults = {item.name: item.default for item in fields(self)}
            if given := [name for name in _OF_MODELS if getattr(self, name) != defaults[name]]:
                options = ", ".join(_OF_MODELS[name] for name in given)
                raise UsageError(
                    f"the baseline {self.baseline} answers without a model, so it does not use {options}. Leave "
                    f"{'it' if len(given) == 1 else 'them'} out."
                )
            if self.adapter is not None:
                raise UsageError(
                    "--baseline does not use a model, so it cannot be combined with --adapter. Remove one of them."
                )
        if self.experts is not None:
            ExpertChoice.parse(self.experts)
            if self.baseline is not None:
                raise UsageError("a baseline has no experts. Leave out the choice of experts, or the baseline.")
        self._check_effects(specs)
        if self.shots and self.prompt_format != "plain":
            raise UsageError(f"--shots requires --format plain, but the format is {self.prompt_format!r}.")

    def _check_effects(self, specs: Sequence[DatasetSpec]) -> None:
        """Refuse settings that would be recorded, or read as a promise, and have no effect."""
        if self.engine != "prefix" and self.token_budget is not None:
            raise UsageError(
                f"--token-budget applies to --engine prefix only, but the engine is {self.engine!r}. Leave it out, or set "
                "--batch-size."
            )
        if self.run_code is not None and not any(spec.runs_code for spec in specs):
            names = " and ".join(spec.name for spec in datasets(ALL).values() if spec.runs_code)
            raise UsageError(
                f"--run-code applies to datasets whose programs must run ({names}), but none of them is chosen. Leave it out, or "
                "choose one with --datasets."
            )
        if self.ids is not None and self.allow_missing and not self.shots and self.baseline != "majority":
            raise UsageError(
                f"--allow-missing has no effect with --ids, which evaluates all rows of {self.ids} and no others. Leave it out."
            )
