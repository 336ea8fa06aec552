"""Origin of the numbers of a run: its rows, evaluation, adapter and training."""

from pydantic import Field

from cme.config import Items
from cme.records.base import PartialRecord, Positive

__all__ = ["AdapterOrigin", "EvaluationOrigin", "MixOrigin", "Provenance", "TrainingOrigin"]


class EvaluationOrigin(PartialRecord):
    """How a run was evaluated.

    Attributes:
        device: name of the device.
        dtype: data type of the weights.
        batch_size: choice requests per batch in lm-eval's own code.
        engine: the requested engine: ``prefix``, or ``hf`` (lm-eval's own code). Absent if lm-eval itself evaluated.
        token_budget: requested positions per pass of the prefix engine; None for the device's default.
        threads: CPU threads.
        origin: ``cme``, or ``lm-eval`` if the result was imported from lm-eval's logs. Absent in entries of earlier versions.
        tokenizer_fingerprint: same as `Result.tokenizer_fingerprint`. Absent in entries of earlier versions.
        run_code: how the programs that the model wrote ran: ``sandboxed`` or ``unsandboxed``. Absent without programs.
        seconds: evaluation time.
        finished: UTC time, ISO 8601.
        versions: versions of the libraries.
    """

    device: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    engine: str | None = None
    token_budget: Positive | None = None
    threads: Positive | None = None
    origin: str | None = None
    tokenizer_fingerprint: str | None = None
    run_code: str | None = None
    seconds: float | None = None
    finished: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)


class AdapterOrigin(PartialRecord):
    """The adapter that was evaluated.

    Attributes:
        fingerprint: SHA-256 of configuration and weights of the adapter, or of the model if all parameters were trained.
        changes_output: whether the adapter changes the base's output.
    """

    fingerprint: str | None = None
    changes_output: bool | None = None


class MixOrigin(PartialRecord):
    """Settings of a mix, as far as its manifest and its folder record them.

    Attributes:
        source: hub, mini or the mirror's name.
        seed: seed of the hash order and the permutation.
        size: requested number of training rows; None for all available rows.
        mixing: how the rows are distributed over the datasets.
        temperature: temperature of the mixing ``temperature``.
        paraphrase_share: share of training rows whose instruction is another prompt variant.
        layout: alpaca or chat.
        gate: whether decontamination used all rules.
        validation_rows: number of validation rows.
        datasets: names of the datasets.
        validation_share: share of each dataset's rows in the validation split.
        rows_per_shard: most rows in one file.
        allow_missing: whether splits may be missing.
        uses: uses that the licences of the datasets allow; None if the mix was not restricted.
    """

    source: str | None = None
    seed: int | None = None
    size: int | None = None
    mixing: str | None = None
    temperature: float | None = None
    paraphrase_share: float | None = None
    layout: str | None = None
    gate: bool | None = None
    validation_rows: int | None = None
    datasets: Items[str] | None = None
    validation_share: float | None = None
    rows_per_shard: int | None = None
    allow_missing: bool | None = None
    uses: Items[str] | None = None


class TrainingOrigin(PartialRecord):
    """How a run was trained.

    Attributes:
        mix_fingerprint: fingerprint of the mix.
        mix: settings of the mix; None if its folder no longer existed.
        threads: CPU threads; None for torch's default.
        world_size: number of processes.
        examples: number of training examples.
        validation_loss: loss on the mix's validation split at the end, if there is one.
        dropped: training rows that were left out, by reason.
        cut: training rows whose long text was cut to fit.
        interruptions: number of times that the run was resumed from a checkpoint.
        started: UTC time, ISO 8601.
        finished: UTC time, ISO 8601.
        versions: versions of the libraries.
    """

    mix_fingerprint: str | None = None
    mix: MixOrigin | None = None
    threads: Positive | None = None
    world_size: Positive | None = None
    examples: int | None = None
    validation_loss: float | None = None
    dropped: dict[str, int] = Field(default_factory=dict)
    cut: int | None = None
    interruptions: int | None = None
    started: str | None = None
    finished: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)


class Provenance(PartialRecord):
    """The origin of the numbers of a run.

    Attributes:
        data: for each dataset, what identifies its rows: a revision, hashes of files, or the version of the mini corpus.
        missing: splits that the source lacks.
        evaluation: how the run was evaluated.
        adapter: the adapter that was evaluated; absent for a base or a baseline.
        training: how it was trained; absent for a base or a baseline.
    """

    data: dict[str, dict[str, str]] = Field(default_factory=dict)
    missing: Items[str] = ()
    evaluation: EvaluationOrigin = EvaluationOrigin()
    adapter: AdapterOrigin = AdapterOrigin()
    training: TrainingOrigin = TrainingOrigin()
