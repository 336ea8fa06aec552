"""Where the numbers of a run come from: rows, evaluation, adapter, training."""

from pydantic import Field

from cme.config import Items
from cme.records.base import PartialRecord, Positive

__all__ = ["AdapterOrigin", "EvaluationOrigin", "MixOrigin", "Provenance", "TrainingOrigin"]


class EvaluationOrigin(PartialRecord):
    """How a run was evaluated.

    Attributes:
        device: name of the device.
        dtype: of the weights.
        batch_size: choice requests per batch where lm-eval's own code answered.
        threads: CPU threads.
        seconds: evaluation time.
        finished: UTC time, ISO 8601.
        versions: of the libraries.
    """

    device: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    threads: Positive | None = None
    seconds: float | None = None
    finished: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)


class AdapterOrigin(PartialRecord):
    """The adapter that was evaluated.

    Attributes:
        fingerprint: SHA-256 of configuration and weights; of the model, where all of it was trained.
        changes_output: whether the adapter changes the base's output.
    """

    fingerprint: str | None = None
    changes_output: bool | None = None


class MixOrigin(PartialRecord):
    """What a mix was built with, as far as its manifest and its folder tell.

    Attributes:
        source: hub, mini or the mirror's name.
        seed: of the hash order and the permutation.
        size: training rows asked for; None: all that are left.
        mixing: how rows are shared out between the datasets.
        temperature: of the mixing of that name.
        paraphrase_share: share of training rows with a paraphrased instruction.
        layout: alpaca or chat.
        gate: whether rows were compared with the evaluation rows by all rules.
        validation_rows: rows in the validation part.
        datasets: names of the datasets.
        validation_share: share of each dataset's rows set aside for validation.
        rows_per_shard: most rows in one file.
        allow_missing: whether splits may be missing.
        uses: only datasets whose licence allows one of these uses; None: all.
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
        mix_fingerprint: of the mix's manifest.
        mix: what the mix was built with; None: its folder was no longer there.
        threads: CPU threads; None: torch's choice.
        world_size: number of processes.
        examples: training examples seen.
        validation_loss: loss on the mix's validation part at the end, if it has one.
        dropped: training rows left out, by reason.
        cut: training rows whose long text was cut to fit.
        interruptions: how often the run was continued from a checkpoint.
        started: UTC time, ISO 8601.
        finished: UTC time, ISO 8601.
        versions: of the libraries.
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
    """Where the numbers of a run come from.

    Attributes:
        data: by dataset, what pins its rows: a revision, hashes of files, the version of the mini corpus.
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
