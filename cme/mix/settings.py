"""Settings of a mix, and the command that builds it again."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, Strict

import cme
from cme.config import Items, known, validated
from cme.data.sources import source_identity, source_notes
from cme.errors import UsageError
from cme.files import digest
from cme.mix.cap import MIXINGS
from cme.suite import DatasetSpec

__all__ = ["LAYOUTS", "BuildSettings", "temperature_of"]

LAYOUTS = ("alpaca", "chat")
"""Layouts of a mix: ``alpaca`` has instruction, input and output, and ``chat`` has messages before them."""


_TEMPERATURE = 2.0


def temperature_of(given: float | None, mixing: str) -> float:
    """Return the temperature of a mix, which only the mixing ``temperature`` uses.

    Args:
        given: the temperature that a user gave, or None for the default.
        mixing: one of `cme.mix.cap.MIXINGS`.

    Raises:
        UsageError: if a temperature was given for another mixing.
    """
    if given is None:
        return _TEMPERATURE
    if mixing in MIXINGS and mixing != "temperature":
        raise UsageError(
            f"temperature is {given:g}, but the mixing is {mixing}, which has no temperature. Leave it out, or set the mixing to "
            "temperature."
        )
    return given


def _not_empty(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is not None and not names:
        raise ValueError("is an empty list; leave it out for the whole CME-22")
    return names


@validated("settings of a mix")
class BuildSettings:
    """Settings of ``cme build-data``.

    Attributes:
        source: ``hub``, ``mini``, a mirror folder, or ``NAME=DIR`` (`cme.data.sources.open_source`).
        out: folder to write. It is new, empty, or has unfinished work of this command.
        size: exact number of training rows; None for all remaining rows.
        seed: seed of the hash order and the final permutation. It does not change the validation rows, the prompt variant of a
            row, or the seed of the mini corpus. The latter is an option of ``source``.
        datasets: datasets or families; None for the whole CME-22.
        mixing: how rows are distributed over the datasets, one of `cme.mix.cap.MIXINGS`.
        temperature: temperature of the mixing ``temperature``, at least 1.
        layout: one of `LAYOUTS`.
        uses: use only datasets whose licence allows one of these uses, see `cme.mix.licences`; None for all datasets.
        decontamination: whether all rules compare the rows with the evaluation rows. If not, only key texts are compared.
        prompt_variant_share: share of training rows with a prompt variant other than the canonical instruction, in [0, 1].
        validation_share: share of the rows of each dataset for validation, in [0, 0.5]. Half a percent of the full mix is about
            14,000 rows, which determine the loss to about one percent. A dataset contributes at least 16 rows, but at most a
            tenth of its rows. With 0, there are no validation rows.
        allow_missing: continue without splits that the source lacks. The manifest lists them.
        rows_per_shard: most rows in one Parquet file.
        workers: most processes. The bytes of the mix do not depend on it. With more than one, `multiprocessing` imports the main
            program again, so that it needs ``if __name__ == "__main__":``.
    """

    source: str
    out: Annotated[Path, Strict(strict=False)]
    size: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0
    datasets: Annotated[Items[str] | None, AfterValidator(_not_empty)] = None
    mixing: Annotated[str, known("mixing", MIXINGS)] = "proportional"
    prompt_variant_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    validation_share: Annotated[float, Field(ge=0, le=0.5)] = 0.005
    allow_missing: bool = False
    rows_per_shard: Annotated[int, Field(ge=1)] = 100_000
    temperature: Annotated[float, Field(ge=1)] = _TEMPERATURE
    layout: Annotated[str, known("format of a mix", LAYOUTS)] = "alpaca"
    uses: Items[str] | None = None
    decontamination: bool = True
    workers: Annotated[int, Field(ge=1)] = 1

    def identity(self, specs: Sequence[DatasetSpec]) -> dict[str, Any]:
        """Return everything that determines the bytes of the mix, to claim the output folder.

        Args:
            specs: all datasets of the suite, because work that began with other task files must not be continued.
        """
        return {
            "source": source_identity(self.source),
            "size": self.size,
            "seed": self.seed,
            "datasets": sorted(self.datasets) if self.datasets is not None else None,
            "mixing": self.mixing,
            "paraphrase_share": self.prompt_variant_share,
            "validation_share": self.validation_share,
            "allow_missing": self.allow_missing,
            "rows_per_shard": self.rows_per_shard,
            "temperature": self.temperature,
            "layout": self.layout,
            "uses": sorted(self.uses) if self.uses is not None else None,
            "gate": self.decontamination,
            "cme": cme.__version__,
            "tasks": digest({spec.name: spec.fingerprint for spec in specs})[:16],
        }

    def command(self, source: str) -> str:
        """Return the command line that builds this mix again. Options with their default value are omitted.

        Args:
            source: name of the source in the manifest.
        """
        default = BuildSettings(source=self.source, out=self.out)
        given = f"{source}=DIR" if source_notes(self.source) else source
        words = ["cme", "build-data", "--source", given]
        flags = {
            "size": "size",
            "seed": "seed",
            "mixing": "mixing",
            "temperature": "temperature",
            "prompt_variant_share": "prompt-variant-share",
            "validation_share": "validation-share",
            "rows_per_shard": "rows-per-shard",
            "layout": "format",
        }
        for name, flag in flags.items():
            if (value := getattr(self, name)) != getattr(default, name):
                words += [f"--{flag}", str(value)]
        if self.uses is not None:
            words += ["--licence", ",".join(sorted(self.uses))]
        if not self.decontamination:
            words.append("--no-decontamination")
        if self.datasets is not None:
            words += ["--datasets", ",".join(sorted(self.datasets))]
        if self.allow_missing:
            words.append("--allow-missing")
        return shlex.join([*words, "--out", "DIR"])
