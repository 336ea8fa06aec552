"""What an evaluation is asked to do."""

from typing import Annotated

from pydantic import Field

from cme.config import Items, known, validated
from cme.errors import UsageError
from cme.models.load import DTYPES
from cme.prompt.formats import FORMATS
from cme.suite import select
from cme.suite.baselines import covered
from cme.suite.tiers import TIERS

__all__ = ["ENGINES", "EvalSettings"]

ENGINES = ("prefix", "hf")


RESULT = "result.json"
"""A result's file, in its folder."""


@validated("evaluation settings")
class EvalSettings:
    """One evaluation.

    Attributes:
        base: base model: hub id, folder or the embedded one.
        adapter: adapter folder; None evaluates the base itself.
        tier: smoke, quick, standard or full.
        source: hub, mini or a mirror folder.
        datasets: dataset or family names; None is the whole suite.
        prompt_format: plain, chat or teamlora.
        shots: examples before each question, from the training split.
        wording: index of every dataset's instruction: 0, or one of its paraphrases, to see how far the wording moves scores.
        dtype: of the base's weights. float32 is the reference; bfloat16 is faster and moves single answers; auto is bfloat16
            where the machine computes in it. Rows of one table should share it; the leaderboard says so where they do not.
        engine: prefix reads what requests share once (`cme.evaluation.engine`), with the same answers as hf up to rounding; hf is
            lm-eval's own code, which also answers where the model does not allow prefix.
        batch_size: choice requests per batch where hf answers (four times as many texts are generated at once); None: 8 on
            a CPU, 32 on a GPU. The prefix engine has a budget of tokens instead.
        token_budget: positions (padding included) per pass of the prefix engine; what it keeps at once grows and shrinks with
            them. Less where memory runs out; None: 512 on a CPU, 8192 on a GPU.
        device: where to run; None: the first GPU, else the CPU.
        threads: CPU threads; None: torch's own choice. Recorded, since float32 sums depend on it.
        allow_missing: go on without splits that the source lacks, and list them.
        name: name in tables; None: the adapter's folder name, or the base's name, or the baseline's.
        baseline: answer without a model, see `cme.suite.baselines.BASELINES`; only tier, source, datasets, allow_missing
            and name matter then.
    """

    base: str
    adapter: str | None = None
    tier: Annotated[str, known("tier", TIERS)] = "quick"
    source: str = "hub"
    datasets: Items[str] | None = None
    prompt_format: Annotated[str, known("prompt format", FORMATS)] = "plain"
    shots: Annotated[int, Field(ge=0)] = 0
    wording: int = 0
    dtype: Annotated[str, known("dtype", ("auto", *DTYPES))] = "float32"
    engine: Annotated[str, known("engine", ENGINES)] = "prefix"
    batch_size: Annotated[int, Field(ge=1)] | None = None
    token_budget: Annotated[int, Field(ge=1)] | None = None
    device: str | None = None
    threads: Annotated[int, Field(ge=1)] | None = None
    allow_missing: bool = False
    name: str | None = None
    baseline: str | None = None

    def check(self) -> None:
        """Check what the suite decides, and settings that must fit each other; the values themselves are checked when made.

        Raises:
            UsageError: an unknown dataset or instruction, or settings that exclude each other.
        """
        for spec in select(self.datasets):
            spec.instruction_at(self.wording)
        if self.wording and self.baseline is not None:
            raise UsageError("a baseline does not read the instruction. Leave prompt_variant out.")
        if self.baseline is not None:
            covered(self.baseline, self.datasets)
            if self.adapter is not None:
                raise UsageError(
                    "--baseline does not use a model, so it cannot be combined with --adapter. Remove one of them."
                )
        if self.shots and self.prompt_format != "plain":
            raise UsageError(f"--shots requires --format plain, but the format is {self.prompt_format!r}.")
