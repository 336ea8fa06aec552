"""What a mix is built from, and the command that builds it again."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field, Strict

import cme
from cme.config import Items, known, validated
from cme.files import digest
from cme.mix.cap import MIXINGS
from cme.suite import DatasetSpec

__all__ = ["LAYOUTS", "BuildSettings"]

LAYOUTS = ("alpaca", "chat")
"""Columns of a mix: ``alpaca`` has instruction, input and output; ``chat`` has messages before them."""


def _not_empty(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    if names is not None and not names:
        raise ValueError("is an empty list; leave it out for the whole suite")
    return names


@validated("settings of a mix")
class BuildSettings:
    """Settings of ``cme build-data``.

    Attributes:
        source: ``hub``, ``mini`` or a mirror folder.
        out: folder to write; new, empty, or this command's unfinished work.
        size: training rows in all, exactly; None: all that are left.
        seed: of the hash order and the final permutation. It does not change which rows are validation rows, which
            instruction a row gets, or which world ``mini`` shows (evaluation asks about world 0).
        datasets: datasets or families; None: the whole suite.
        mixing: how rows are shared out, one of `cme.mix.cap.MIXINGS`.
        temperature: of the mixing of that name, at least 1.
        layout: one of `LAYOUTS`.
        uses: only datasets whose licence allows one of these uses, see `cme.mix.licences`; None: all.
        decontamination: whether rows are compared with the evaluation rows by all rules; otherwise by their key texts alone.
        paraphrase_share: share of training rows whose instruction is a paraphrase, in [0, 1].
        validation_share: share of each dataset's rows set aside for validation, in [0, 0.5]. Half a percent of the
            full mix is about 14,000 rows: the loss is then known to about one percent, and 99.5 % of the rows still
            train. Small datasets give at least 16 rows, but never more than a tenth; 0 sets none aside.
        allow_missing: go on without splits that the source lacks; they are listed in the manifest.
        rows_per_shard: most rows in one Parquet file.
        workers: most processes; any number gives the same bytes. A program that asks for more than one must be importable
            without side effects (``if __name__ == "__main__":``), as always with `multiprocessing`.
    """

    source: str
    out: Annotated[Path, Strict(strict=False)]
    size: Annotated[int, Field(ge=1)] | None = None
    seed: int = 0
    datasets: Annotated[Items[str] | None, AfterValidator(_not_empty)] = None
    mixing: Annotated[str, known("mixing", MIXINGS)] = "proportional"
    paraphrase_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    validation_share: Annotated[float, Field(ge=0, le=0.5)] = 0.005
    allow_missing: bool = False
    rows_per_shard: Annotated[int, Field(ge=1)] = 100_000
    temperature: Annotated[float, Field(ge=1)] = 2.0
    layout: Annotated[str, known("format of a mix", LAYOUTS)] = "alpaca"
    uses: Items[str] | None = None
    decontamination: bool = True
    workers: Annotated[int, Field(ge=1)] = 1

    def identity(self, specs: Sequence[DatasetSpec]) -> dict[str, Any]:
        """Everything that decides the mix's bytes, for the claim on the output folder.

        Args:
            specs: every dataset of the suite: a changed task file must not continue work begun with the old one.
        """
        return {
            "source": self.source,
            "size": self.size,
            "seed": self.seed,
            "datasets": sorted(self.datasets) if self.datasets is not None else None,
            "mixing": self.mixing,
            "paraphrase_share": self.paraphrase_share,
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
        """The command line that builds this mix again; what has its default value is left out.

        Args:
            source: the source as the manifest names it.
        """
        default = BuildSettings(source=self.source, out=self.out)
        words = ["cme", "build-data", "--source", source]
        flags = {
            "size": "size",
            "seed": "seed",
            "mixing": "mixing",
            "temperature": "temperature",
            "paraphrase_share": "prompt-variant-share",
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
