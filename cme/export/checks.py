"""Everything about an export that can be determined before any work."""

import warnings
from functools import cached_property
from pathlib import Path
from typing import Any

from cme.adapters.checks import check_finite, known_type, read_config
from cme.adapters.load import adapter_fingerprint
from cme.adapters.methods import ranks_of
from cme.analysis.checks import check_equal_numbers, expert_rank, is_untrained
from cme.data.sources import Source, check_source, open_source
from cme.errors import CMEWarning, UsageError
from cme.evaluation.adapters import adapter_name, resolve_adapter
from cme.evaluation.code import without_programs
from cme.evaluation.guards import check_trained_on
from cme.evaluation.start import with_rows
from cme.export.rows import ValidationRows, validation_rows
from cme.export.settings import ExportSettings
from cme.mix.rows import read_manifest
from cme.models.load import base_fingerprint, context_length, load_tokenizer, resolve_base
from cme.models.tokenizer_files import tokenizer_fingerprint
from cme.prompt import TEMPLATE_DATE
from cme.records import Manifest
from cme.suite import DatasetSpec
from cme.suite.score import SCORER_VERSION
from cme.training.encode import Encoder
from cme.training.mix_rows import MAX_LENGTH, own_run

__all__ = ["Checked", "adapter_kind", "check_routed"]


def adapter_kind(adapter: str) -> tuple[Path, str]:
    """Return the folder of an adapter and its PEFT type.

    Args:
        adapter: folder or hub id.

    Raises:
        AdapterError: the folder holds no adapter, or its method is unknown.
    """
    folder = resolve_adapter(adapter)
    return folder, known_type(folder, read_config(folder))


def check_routed(folder: Path, kind: str) -> None:
    """Check that an adapter has experts with gate weights.

    Args:
        folder: folder of the adapter.
        kind: its PEFT type.

    Raises:
        UsageError: it has no experts.
    """
    from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING

    from cme.adapters.routed.model import RoutedModel

    if issubclass(PEFT_TYPE_TO_TUNER_MAPPING[kind], RoutedModel):
        return
    if kind == "LORA" and not read_config(folder).get("use_dora"):
        raise UsageError(f"{folder} already is a plain LoRA adapter. Use it as it is.")
    raise UsageError(
        f"{folder} has no experts (its method is {kind.lower()}), so it cannot be exported. Give an adapter of moslora or of a "
        "method with experts, such as moelora, teamlora or mola ('cme ls methods' lists them)."
    )


class Checked:
    """What was determined before any work.

    Args:
        settings: settings of the export.

    Attributes:
        folder: folder of the routed adapter.
        kind: its PEFT type.
        config: its configuration as JSON values.
        experts: number of experts of each layer, k.
        expert_rank: rank of each expert, r.
        fingerprint: its fingerprint.
        run: its run record, or None.
        base_name: name of the base.
        base: folder of the base.
        mix: folder of the mix.
        manifest: its manifest.
        prompt_format: prompt format of the rows.
        max_length: most tokens of a row.
        specs: the datasets to evaluate; empty if nothing is measured.

    Raises:
        CMEError: something does not fit.
    """

    def __init__(self, settings: ExportSettings) -> None:
        settings.check()
        self.settings = settings
        self.folder, self.kind = adapter_kind(settings.adapter)
        check_routed(self.folder, self.kind)
        check_finite(self.folder)
        if is_untrained(self.folder):
            raise UsageError(
                f"{self.folder} was never trained: all matrices B of its experts are zero, so it does nothing. Train it first."
            )
        self.config = read_config(self.folder)
        check_equal_numbers(self.folder, self.config, "their mean gate weights cannot be computed")
        self.experts, self.expert_rank = int(self.config["experts"]), self._rank_of_expert()
        self.fingerprint = adapter_fingerprint(self.folder)
        if settings.rank is not None and settings.rank > self.full_rank:
            raise UsageError(
                f"rank is {settings.rank}, but {self.experts} experts of rank {self.expert_rank} have at most rank "
                f"{self.full_rank} together. Give at most that."
            )
        self.run = own_run(self.folder)
        self.prompt_format = settings.prompt_format or (self.run.prompt_format if self.run else "plain")
        self.base_name = self._named_base()
        self.base = resolve_base(self.base_name)
        length = int((self.run and self.run.training.max_length) or MAX_LENGTH)
        self.max_length = min(length, context_length(self.base) or length)
        self.base_fingerprint = base_fingerprint(self.base)
        self.tokenizer_fingerprint = tokenizer_fingerprint(
            self.base, TEMPLATE_DATE if self.prompt_format == "chat" else None
        )
        check_trained_on(
            self.folder, self.base_name, self.base_fingerprint, self.prompt_format, self.tokenizer_fingerprint
        )
        self.mix, self.manifest = self._mix()
        self.specs: list[DatasetSpec] = []
        if settings.measure is not None:
            settings.measure.check()
            self.specs = self._specs(open_source(settings.measure.source))

    @property
    def name(self) -> str:
        """Name of the adapter's folder."""
        return adapter_name(self.settings.adapter)

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer of the base."""
        return load_tokenizer(self.base)

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder of the mix's rows, as in training."""
        return Encoder(self.tokenizer, self.prompt_format, self.max_length, list(self.manifest.datasets))

    @cached_property
    def validation(self) -> ValidationRows:
        """The encoded validation rows.

        Raises:
            UsageError: no row fits, or a family that is evaluated with an adapter of its own has none.
        """
        rows = validation_rows(self.mix, self.encoder)
        if "family" in self.settings.how:
            lacking = sorted({spec.family for spec in self.specs} - {*rows.names})
            if lacking:
                raise UsageError(
                    f"{self.mix} has no validation rows of the family {lacking[0]}, so 'family' has no adapter for it. Leave it "
                    "out of --datasets, or give another mix with --data."
                )
        return rows

    def _rank_of_expert(self) -> int:
        return 1 if ranks_of(self.kind.lower()) == "single" else expert_rank(self.config)

    @property
    def full_rank(self) -> int:
        """The rank of all experts together: k·r, or r if they share A and B."""
        return self.expert_rank if ranks_of(self.kind.lower()) == "shared" else self.experts * self.expert_rank

    @property
    def identity(self) -> dict[str, Any]:
        """All settings that determine the output."""
        settings = self.settings
        measure = settings.measure
        own = {name: settings.value(name) for name in ("ridge", "steps", "learning_rate", "batch_size", "seed")}
        return {
            "adapter": self.fingerprint,
            "base": self.base_fingerprint,
            "tokenizer": self.tokenizer_fingerprint,
            "mix": self.manifest.fingerprint,
            "format": self.prompt_format,
            "dtype": settings.dtype,
            "how": list(settings.how),
            "rank": settings.rank,
            **own,
            "measure": measure
            and {
                "tier": measure.tier,
                "source": measure.source,
                "datasets": {spec.name: spec.fingerprint for spec in self.specs},
                "retention_text": measure.retention_text,
                "scorer": SCORER_VERSION,
            },
        }

    def _named_base(self) -> str:
        name = self.settings.base or (self.run.base if self.run else self.config.get("base_model_name_or_path"))
        if not name:
            raise UsageError(f"{self.folder} does not name its base. Give it with --base.")
        return str(name)

    def _mix(self) -> tuple[Path, Manifest]:
        given = self.settings.data
        named = given or (self.run.training.data if self.run else None)
        if not named:
            raise UsageError(
                f"{self.folder} has no run.json that names its mix, whose validation rows are needed. Give the mix with --data."
            )
        mix = Path(named).expanduser()
        if not given and not mix.is_dir():
            raise UsageError(
                f"the mix {named}, which the run.json of {self.folder} names, does not exist here. Give its folder with --data."
            )
        manifest = read_manifest(mix)
        for split, rows in (("validation", manifest.validation_rows), ("train", manifest.rows)):
            if not rows and (split == "validation" or "distil" in self.settings.how):
                raise UsageError(
                    f"{mix} has no {split} rows, which the export needs. Give a mix that has some with --data."
                )
        if self.run is not None and manifest.fingerprint != self.run.mix_fingerprint:
            warnings.warn(
                f"{mix} is not the mix with which {self.folder} was trained (their fingerprints differ). The export is computed "
                "from its rows all the same.",
                CMEWarning,
                stacklevel=2,
            )
        return mix, manifest

    def _specs(self, source: Source) -> list[DatasetSpec]:
        measure = self.settings.measure
        assert measure is not None
        specs = without_programs(measure.datasets, "cme export-lora")
        check_source(source, specs, ("eval",), allow_missing=measure.allow_missing)
        return with_rows(specs, source, ("eval",))
