"""Training mixes: build, load, verify, inspect and upload them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.api.call import StrPath, path, public
from cme.api.ids import rebuilt_mix
from cme.api.mix_settings import check_effect, mix_settings
from cme.api.tables import as_html, as_text
from cme.errors import UsageError
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
    """A training mix on disk. Functions that take a folder accept it too, such as ``cme.train(data=mix, …)``.

    Attributes:
        folder: folder of the mix.
        manifest: counts, settings and hashes.
        pushed: the repository that it was uploaded to, or None.
    """

    folder: Path
    manifest: Manifest
    pushed: "Pushed | None" = None

    def __fspath__(self) -> str:
        return str(self.folder)

    @property
    def rows(self) -> int:
        """Number of training rows."""
        return self.manifest.rows

    @property
    def fingerprint(self) -> str:
        """SHA-256 digest of the mix. Equal mixes have equal fingerprints."""
        return self.manifest.fingerprint

    def load(self, split: str | None = None) -> Any:
        """Load the rows, see `load_mix`."""
        return load_mix(self.folder, split=split)

    def to_frame(self) -> "pd.DataFrame":
        """Return what became of each dataset's training rows.

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
    suite: str | None = None,
    datasets: str | Sequence[str] | None = None,
    mixing: str = "proportional",
    temperature: float | None = None,
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
    ids: StrPath | None = None,
) -> Mix:
    """Build a training mix: ``cme build-data``.

    Rows are normalised. Duplicates and leaked evaluation rows are removed, large datasets are capped, and the order is fixed by
    the seed. The output is a folder of Parquet files with a manifest and a card. After an interruption, the same call
    continues.

    Args:
        out: output folder: new, empty, or this call's unfinished output.
        source: ``hub``, ``mini`` (a synthetic corpus; ``mini:graded,long,seed=3``), a mirror folder, or ``NAME=DIR``: a mirror
            folder with a name for records and tables, such as ``cme-sample-1=../data``.
        size: number of training rows. None means all rows that remain after cleaning.
        seed: seed of the choice of the rows and of their order. The validation rows and the prompt variants do not depend on it.
        suite: ``cme-22``, ``cme-r`` or ``all``. None means the suite of the named datasets, and ``cme-22`` if none is named.
        datasets: dataset or family names, as a list or separated by commas. None means the whole suite.
        mixing: weighting of datasets: ``proportional`` (capped), ``temperature`` or ``uniform``.
        temperature: temperature for ``mixing="temperature"``, at least 1. None means 2.
        prompt_variant_share: share of rows whose instruction is a prompt variant, from 0 to 1.
        layout: columns: ``alpaca`` (instruction, input, output) or ``chat`` (adds messages). On the command line: ``--format``.
        licence: keep only datasets whose licence allows these uses: ``commercial``, ``noncommercial``, ``unstated``.
        decontamination: remove rows that leak evaluation rows by all rules. False means by whole-text matches only.
        validation_share: share of each dataset for validation, up to 0.5. These rows do not count in ``size``.
        rows_per_shard: maximum number of rows per Parquet file.
        workers: number of processes. None means one per CPU. The output does not depend on it. A script that uses several must
            be importable without side effects (``if __name__ == "__main__":``).
        push_to_hub: private dataset repository to upload the finished mix to.
        have_rights: for ``push_to_hub``: confirm the right to upload non-commercial datasets and those without a licence.
        allow_missing: continue without splits (with ``ids``: rows) that the source lacks. The manifest lists them.
        ids: file of row ids of a mix (`write_ids`). The same mix is built from any source that has its rows. The file determines
            all other settings but ``source``, ``workers`` and ``allow_missing``.

    Returns:
        The mix.

    Raises:
        CMEError: if a name is unknown, a value is invalid, the source lacks data, or the folder holds something else.

    Example:
        >>> mix = cme.build_mix("mix", source="mini", size=200, datasets="qqp,rte", workers=1)
        >>> mix.rows
        200
    """
    from cme.mix import build

    if have_rights and push_to_hub is None:
        raise UsageError("have_rights applies to push_to_hub only. Leave it out, or name a repository for push_to_hub.")
    folder = path(out)
    settings = mix_settings(
        folder, source=source, size=size, seed=seed, suite=suite, datasets=datasets, mixing=mixing, temperature=temperature,
        prompt_variant_share=prompt_variant_share, layout=layout, licence=licence, decontamination=decontamination,
        validation_share=validation_share, rows_per_shard=rows_per_shard, workers=workers, allow_missing=allow_missing,
    )  # fmt: skip
    manifest = build(settings) if ids is None else rebuilt_mix(settings, path(ids))
    return Mix(folder, manifest, push_mix(folder, push_to_hub, have_rights=have_rights) if push_to_hub else None)


@public
def check_mix(
    *,
    source: str = "hub",
    size: int | None = None,
    seed: int = 0,
    suite: str | None = None,
    datasets: str | Sequence[str] | None = None,
    mixing: str = "proportional",
    temperature: float | None = None,
    prompt_variant_share: float = 0.5,
    layout: str = "alpaca",
    licence: str | Sequence[str] | None = None,
    decontamination: bool = True,
    validation_share: float = 0.005,
    rows_per_shard: int = 100_000,
    workers: int | None = None,
    allow_missing: bool = False,
) -> "Checked":
    """Report what decontamination would remove, and write nothing: ``cme build-data --check-only``.

    Args:
        source: see `build_mix`.
        size: see `build_mix`. It determines how many rows the source ``mini`` generates, and has no effect on other sources.
        seed: has no effect on a check, as ``mixing``, ``temperature``, ``prompt_variant_share``, ``layout`` and
            ``rows_per_shard``. Values other than the defaults are refused.
        suite: see `build_mix`.
        datasets: see `build_mix`.
        mixing: see ``seed``.
        temperature: see ``seed``.
        prompt_variant_share: see ``seed``.
        layout: see ``seed``.
        licence: see `build_mix`.
        decontamination: see `build_mix`.
        validation_share: see `build_mix`.
        rows_per_shard: see ``seed``.
        workers: see `build_mix`.
        allow_missing: see `build_mix`.

    Returns:
        The ``rows`` that would remain of each dataset, the ``overlap`` by training dataset, evaluation dataset and rule, and the
        evaluation splits that could not be compared (``unchecked``).

    Raises:
        CMEError: as for `build_mix`.

    Example:
        >>> sorted(cme.check_mix(source="mini", datasets="rte", workers=1).rows)
        ['rte']
    """
    from cme.mix import check_only

    check_effect(
        source=source, size=size, seed=seed, mixing=mixing, temperature=temperature,
        prompt_variant_share=prompt_variant_share, layout=layout, rows_per_shard=rows_per_shard,
    )  # fmt: skip
    settings = mix_settings(
        Path(), source=source, size=size, seed=seed, suite=suite, datasets=datasets, mixing=mixing, temperature=temperature,
        prompt_variant_share=prompt_variant_share, layout=layout, licence=licence, decontamination=decontamination,
        validation_share=validation_share, rows_per_shard=rows_per_shard, workers=workers, allow_missing=allow_missing,
    )  # fmt: skip
    return check_only(settings)


@public
def load_mix(mix: StrPath, *, split: str | None = None, columns: Sequence[str] | None = None) -> Any:
    """Load a mix that `build_mix` wrote, with the `datasets` library.

    Args:
        mix: the mix or its folder.
        split: ``train`` or ``validation``. None means both.
        columns: columns to load. None means all (``instruction``, ``input``, ``output``, ``id``, ``dataset``, ``family``, …).

    Returns:
        A `datasets.Dataset` of the split, or a `datasets.DatasetDict` of both. The rows are in memory and need 1 to 2 KB each
        with all columns. The first rows of a split are a random sample of it.

    Raises:
        CMEError: if the folder is not a mix, is unfinished or damaged, or has no such split or column.

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
    splits = [name for name in SPLITS if _rows(read_manifest(folder), name)]
    return datasets.DatasetDict({name: datasets.Dataset(table(folder, name, columns)) for name in splits})


def _rows(manifest: Manifest, split: str) -> int:
    return manifest.rows if split == "train" else manifest.validation_rows


@public
def verify_mix(mix: StrPath) -> "Verified":
    """Compare a mix with its manifest: ``cme verify``.

    Args:
        mix: the mix or its folder.

    Returns:
        Number of ``files``, their ``size`` in bytes, ``rows`` by split, the ``problems`` (empty if the mix matches its manifest)
        and ``notes``.

    Raises:
        CMEError: if the folder is not a mix, or the mix is unfinished.

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
    """Return rows of a mix as the model sees them, with statistics of lengths and labels: ``cme inspect``.

    Args:
        mix: the mix or its folder.
        n: number of rows to show from each dataset.
        seed: seed of the random sample of rows.
        prompt_format: ``plain``, ``chat`` or ``teamlora``.
        base: base whose tokenizer is used. None means the embedded base. If that is not installed, lengths are in words.
        tokenizer: a tokenizer in memory, in place of ``base``.

    Returns:
        The ``examples``, lengths by ``families`` and ``datasets``, and how often each choice is the correct answer (``labels``).

    Raises:
        CMEError: if the folder is not a mix, or the base or the format does not exist.

    Example:
        >>> mix = cme.build_mix("seen", source="mini", size=100, datasets="rte", workers=1)
        >>> len(cme.inspect_mix(mix, n=1).examples["rte"])
        1
    """
    from cme.mix.inspect import inspect_mix as inspect

    if n < 0 or seed < 0:
        raise UsageError(f"n is {n} and seed is {seed}. Both must be at least 0.")
    return inspect(path(mix), n=n, seed=seed, prompt_format=prompt_format, tokenizer=tokenizer or _tokenizer(base))


def _tokenizer(base: str | None) -> Any:
    """Load the tokenizer of a base, or of the embedded base if it is installed."""
    from cme.models.embedded import EMBEDDED, gguf_file

    if base is None and gguf_file() is None:
        return None
    from cme.models.load import load_tokenizer, resolve_base

    return load_tokenizer(resolve_base(base or EMBEDDED))


@public
def push_mix(mix: StrPath, repo: str, *, public: bool = False, have_rights: bool = False) -> "Pushed":
    """Verify a mix and upload it to the Hugging Face hub: ``cme push``.

    Args:
        mix: the mix or its folder.
        repo: dataset repository, as ``owner/name``. It is created if it does not exist.
        public: make the repository public.
        have_rights: confirm the right to upload non-commercial datasets and those without a licence.

    Returns:
        The ``repository``, the ``url`` of the commit, and whether it is ``private``.

    Raises:
        CMEError: if a licence does not allow it, the mix differs from its manifest, or the hub refuses or cannot be reached.

    Example:
        >>> cme.push_mix("mix", "me/cme-mix")  # doctest: +SKIP
    """
    from cme.mix.push import push

    return push(path(mix), repo, public=public, have_rights=have_rights)
