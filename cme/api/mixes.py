"""Training mixes: build, load, verify, inspect, upload."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, names, path, public
from cme.api.tables import as_html, as_text
from cme.errors import UsageError
from cme.machine import usable_processors
from cme.records import Manifest

if TYPE_CHECKING:
    import pandas as pd

    from cme.mix import Checked
    from cme.mix.inspect import Inspection
    from cme.mix.push import Pushed
    from cme.mix.verify import Verified

__all__ = ["Mix", "build_mix", "check_mix", "inspect_mix", "load_mix", "push_mix", "verify_mix"]


@dataclass(frozen=True, repr=False)
class Mix:
    """A training mix on disk. It can stand wherever a folder is asked for, such as ``cme.train(data=mix, …)``.

    Attributes:
        folder: where it lies.
        manifest: what it is made of.
        pushed: where it was uploaded to; None: it was not.
    """

    folder: Path
    manifest: Manifest
    pushed: "Pushed | None" = None

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def rows(self) -> int:
        """Training rows."""
        return self.manifest.rows

    @property
    def fingerprint(self) -> str:
        """Equal mixes have equal fingerprints."""
        return self.manifest.fingerprint

    def load(self, split: str | None = None) -> Any:
        """The rows, see `load_mix`."""
        return load_mix(self.folder, split=split)

    def to_frame(self) -> "pd.DataFrame":
        """What became of each dataset's training rows.

        Returns:
            One row per dataset: ``dataset``, ``family``, ``licence``; rows ``read``, ``dropped`` by the normaliser,
            ``conflicting`` (the same text with two labels), ``duplicates``, ``leaks`` (rows that leak an evaluation row),
            ``validation``, ``available`` before the cap, and ``rows`` in the mix.
        """
        import pandas as pd

        columns = ["read", "dropped", "conflicting", "duplicates", "leaks", "validation", "available", "rows"]
        rows = [
            {"dataset": name, "family": item.family, "licence": item.licence}
            | {column: _count(getattr(item, column)) for column in columns}
            for name, item in self.manifest.datasets.items()
        ]
        return pd.DataFrame(rows, columns=["dataset", "family", "licence", *columns])

    def __repr__(self) -> str:
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())

    def _shown(self) -> "tuple[str, pd.DataFrame]":
        return f"Mix of {self.rows:,} training rows in {self.folder}", self.to_frame().drop(columns=["licence"])


def _count(value: Any) -> int:
    return sum(value.values()) if isinstance(value, dict) else int(value)


@public
def build_mix(
    out: StrPath,
    *,
    source: str = "hub",
    size: int | None = None,
    seed: int = 0,
    datasets: str | Sequence[str] | None = None,
    mixing: str = "proportional",
    temperature: float = 2.0,
    prompt_variant_share: float = 0.5,
    layout: str = "alpaca",
    licence: str | Sequence[str] | None = None,
    decontamination: bool = True,
    validation_share: float = 0.005,
    rows_per_shard: int = 100_000,
    workers: int | None = None,
    push_to_hub: str | None = None,
    have_rights: bool = False,
    allow_missing: bool = False,
) -> Mix:
    """Build a training mix: ``cme build-data``.

    Rows are normalised, freed of duplicates and of evaluation rows, capped, put in a fixed order and written as Parquet with a
    manifest and a card. After an interruption the same call continues.

    Args:
        out: output folder; new, empty, or this call's own unfinished work.
        source: ``hub``, a mirror folder, or ``mini`` (a synthetic corpus; ``mini:hard,long,seed=3``).
        size: training rows in all; None: all that are left.
        seed: seed of the row order and of the prompt variants.
        datasets: dataset or family names, as a list or separated by commas; None: the whole suite.
        mixing: how rows are shared out: ``proportional`` (capped), ``temperature`` or ``uniform``.
        temperature: of ``mixing="temperature"``, at least 1.
        prompt_variant_share: share of rows whose instruction is a prompt variant, from 0 to 1.
        layout: ``alpaca`` (instruction, input, output), or ``chat`` (messages as well); ``--format`` on the command line.
        licence: only datasets whose licence allows these uses: ``commercial``, ``noncommercial``, ``unstated``.
        decontamination: compare rows with all evaluation rows by every rule; False: by whole texts only.
        validation_share: share of each dataset that is set aside for validation and not counted in ``size``, up to 0.5.
        rows_per_shard: most rows in one Parquet file.
        workers: processes; None: one per CPU. Any number gives the same bytes. A script that asks for several must be importable
            without side effects (``if __name__ == "__main__":``).
        push_to_hub: upload the finished mix to this private dataset repository.
        have_rights: for ``push_to_hub``: you may publish datasets whose licence is non-commercial or not stated.
        allow_missing: go on without splits that the source lacks; they are listed in the manifest.

    Returns:
        The mix.

    Raises:
        CMEError: an unknown name, an impossible value, a source that lacks something, or a folder that holds something else.

    Example:
        >>> mix = cme.build_mix("mix", source="mini", size=200, datasets="qqp,rte", workers=1)
        >>> mix.rows
        200
    """
    from cme.mix import build

    folder = path(out)
    settings = _settings(
        folder, source, size, seed, datasets, mixing, temperature, prompt_variant_share, layout, licence, decontamination,
        validation_share, rows_per_shard, workers, allow_missing,
    )  # fmt: skip
    manifest = build(settings)
    return Mix(folder, manifest, push_mix(folder, push_to_hub, have_rights=have_rights) if push_to_hub else None)


@public
def check_mix(
    *,
    source: str = "hub",
    size: int | None = None,
    seed: int = 0,
    datasets: str | Sequence[str] | None = None,
    mixing: str = "proportional",
    temperature: float = 2.0,
    prompt_variant_share: float = 0.5,
    layout: str = "alpaca",
    licence: str | Sequence[str] | None = None,
    decontamination: bool = True,
    validation_share: float = 0.005,
    rows_per_shard: int = 100_000,
    workers: int | None = None,
    allow_missing: bool = False,
) -> "Checked":
    """Say what decontamination finds and how many rows would be left, and write nothing: ``cme build-data --check-only``.

    Args:
        source: see `build_mix`, as all others.
        size: see there.
        seed: see there.
        datasets: see there.
        mixing: see there.
        temperature: see there.
        prompt_variant_share: see there.
        layout: see there.
        licence: see there.
        decontamination: see there.
        validation_share: see there.
        rows_per_shard: see there.
        workers: see there.
        allow_missing: see there.

    Returns:
        ``rows`` left by dataset, the ``overlap`` by training dataset, evaluation dataset and rule, and the evaluation
        splits that could not be compared (``unchecked``).

    Raises:
        CMEError: as `build_mix`.

    Example:
        >>> sorted(cme.check_mix(source="mini", datasets="rte", workers=1).rows)
        ['rte']
    """
    from cme.mix import check_only

    settings = _settings(
        Path(), source, size, seed, datasets, mixing, temperature, prompt_variant_share, layout, licence, decontamination,
        validation_share, rows_per_shard, workers, allow_missing,
    )  # fmt: skip
    return check_only(settings)


def _settings(
    out: Path,
    source: str,
    size: int | None,
    seed: int,
    datasets: str | Sequence[str] | None,
    mixing: str,
    temperature: float,
    prompt_variant_share: float,
    layout: str,
    licence: str | Sequence[str] | None,
    decontamination: bool,
    validation_share: float,
    rows_per_shard: int,
    workers: int | None,
    allow_missing: bool,
) -> Any:
    from cme.mix import BuildSettings

    return BuildSettings(
        source=source,
        out=out,
        size=size,
        seed=seed,
        datasets=names(datasets),
        mixing=mixing,
        temperature=temperature,
        paraphrase_share=prompt_variant_share,
        validation_share=validation_share,
        rows_per_shard=rows_per_shard,
        layout=layout,
        uses=names(licence),
        decontamination=decontamination,
        workers=usable_processors() if workers is None else workers,
        allow_missing=allow_missing,
    )


@public
def load_mix(mix: StrPath, *, split: str | None = None, columns: Sequence[str] | None = None) -> Any:
    """Load a mix that `build_mix` wrote, with the `datasets` library.

    Args:
        mix: its folder.
        split: ``train`` or ``validation``; None: both.
        columns: columns to load; None: all (``instruction``, ``input``, ``output``, ``id``, ``dataset``, ``family``, …).

    Returns:
        A `datasets.Dataset` of the split, or a `datasets.DatasetDict` of both, in memory (1 to 2 KB per row with all columns).
        The first rows of a split are a fair sample of it.

    Raises:
        CMEError: the folder is no mix, is unfinished or damaged, or has no such split or column.

    Example:
        >>> mix = cme.build_mix("loaded", source="mini", size=100, datasets="rte", workers=1)
        >>> cme.load_mix(mix, split="train").column_names[:3]
        ['instruction', 'input', 'output']
    """
    import datasets

    from cme.errors import unknown
    from cme.mix import load_mix as table
    from cme.mix import read_manifest
    from cme.mix.rows import SPLITS, schema

    folder = path(mix)
    known = schema(read_manifest(folder).layout).names
    for column in columns or ():
        if column not in known:
            raise unknown("column of a mix", column, known)
    if split is not None:
        return datasets.Dataset(table(folder, split, columns))
    there = [name for name in SPLITS if _rows(read_manifest(folder), name)]
    return datasets.DatasetDict({name: datasets.Dataset(table(folder, name, columns)) for name in there})


def _rows(manifest: Manifest, split: str) -> int:
    return manifest.rows if split == "train" else manifest.validation_rows


@public
def verify_mix(mix: StrPath) -> "Verified":
    """Compare a mix with its manifest: ``cme verify``.

    Args:
        mix: its folder.

    Returns:
        Number of ``files``, their ``size`` in bytes, ``rows`` by split, the ``problems`` (empty for a sound mix) and
        ``notes``.

    Raises:
        CMEError: the folder is no mix or is unfinished.

    Example:
        >>> mix = cme.build_mix("sound", source="mini", size=100, datasets="rte", workers=1)
        >>> cme.verify_mix(mix).problems
        ()
    """
    from cme.mix.verify import verify

    return verify(path(mix))


@public
def inspect_mix(
    mix: StrPath,
    *,
    n: int = 2,
    seed: int = 0,
    prompt_format: str = "plain",
    base: str | None = None,
    tokenizer: Any = None,
) -> "Inspection":
    """Look at rows of a mix as the model sees them, their lengths and labels: ``cme inspect``.

    Args:
        mix: its folder.
        n: rows of each dataset to show.
        seed: which rows are looked at and shown.
        prompt_format: ``plain``, ``chat`` or ``teamlora``.
        base: whose tokenizer measures; None: the embedded base's if it is installed, else words are counted.
        tokenizer: a tokenizer that is in memory, instead.

    Returns:
        ``examples``, lengths by ``families`` and ``datasets``, and how often each choice is right (``labels``).

    Raises:
        CMEError: the folder is no mix, or no such base or format.

    Example:
        >>> mix = cme.build_mix("seen", source="mini", size=100, datasets="rte", workers=1)
        >>> len(cme.inspect_mix(mix, n=1).examples["rte"])
        1
    """
    from cme.mix.inspect import inspect_mix as inspect

    if n < 0 or seed < 0:
        raise UsageError(f"n and seed must be 0 or more, found n={n} and seed={seed}.")
    return inspect(path(mix), n=n, seed=seed, prompt_format=prompt_format, tokenizer=tokenizer or _tokenizer(base))


def _tokenizer(base: str | None) -> Any:
    """The tokenizer of the named base, or of the embedded one if that is installed."""
    from cme.models.embedded import EMBEDDED, gguf_file

    if base is None and gguf_file() is None:
        return None
    from cme.models.load import load_tokenizer, resolve_base

    return load_tokenizer(resolve_base(base or EMBEDDED))


@public
def push_mix(mix: StrPath, repo: str, *, public: bool = False, have_rights: bool = False) -> "Pushed":
    """Upload a mix to the Hugging Face hub: ``cme push``. The mix is verified first.

    Args:
        mix: its folder.
        repo: dataset repository, ``owner/name``; made if it is not there.
        public: let everybody see it.
        have_rights: you may publish datasets whose licence is non-commercial or not stated.

    Returns:
        The ``repository``, the ``url`` of the commit, and whether it is ``private``.

    Raises:
        CMEError: a licence does not allow it, the mix is not sound, or the hub refuses or cannot be reached.

    Example:
        >>> cme.push_mix("mix", "me/cme-mix")  # doctest: +SKIP
    """
    from cme.mix.push import push

    return push(path(mix), repo, public=public, have_rights=have_rights)
