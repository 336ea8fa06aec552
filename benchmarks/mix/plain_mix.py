"""A pipeline with Hugging Face `datasets`, with which `python -m benchmarks.mix` compares CME.

It loads the rows, maps the normaliser with the same number of processes, drops exact duplicates with a set, caps, concatenates,
shuffles and saves. Normalisers, cutting of long inputs and key texts are those of CME, so both do the same work per row. The
pipeline does less than CME. It has no detection of conflicting labels, decontamination, validation split, prompt variants or
manifest.
"""

import json
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cme.data.columns import needed_columns
from cme.data.load import normalise_all
from cme.data.match import match_digest
from cme.prompt import cut_words
from cme.suite import DatasetSpec, dataset
from cme.suite import datasets as suite

if TYPE_CHECKING:
    import datasets

__all__ = ["capped", "plain_mix"]

_BATCH = 1000
_ROWS_PER_SHARD = 100_000


def plain_mix(folder: Path, out: Path, workers: int, size: int, seed: int = 0) -> dict[str, int]:
    """Build a mix of a mirror's training rows.

    Args:
        folder: The folder of the mirror.
        out: A new folder. Parquet shards are written to ``out/train``.
        workers: Number of processes.
        size: Total number of rows.
        seed: Seed of the order.

    Returns:
        A dict with the numbers of dropped ``duplicates`` and of written ``rows``.
    """
    import datasets

    datasets.disable_progress_bars()
    cache = out / ".cache"
    parts, seen, duplicates = [], set[bytes](), 0
    for spec in suite().values():
        rows = _normalised(spec, folder, cache, workers)
        keep = []
        for number, digest in enumerate(rows["digest"][:]):
            if digest not in seen:
                seen.add(digest)
                keep.append(number)
        duplicates += len(rows) - len(keep)
        parts.append(rows.select(keep).remove_columns("digest"))
    counts = capped([len(part) for part in parts], size)
    chosen = [
        part if count == len(part) else part.shuffle(seed=seed).select(range(count))
        for part, count in zip(parts, counts, strict=True)
    ]
    mix = datasets.concatenate_datasets(chosen).shuffle(seed=seed)
    _save(mix, out / "train", workers)
    shutil.rmtree(cache)
    return {"duplicates": duplicates, "rows": len(mix)}


def capped(sizes: list[int], size: int) -> list[int]:
    """Return the number of rows of each dataset, min(n, K). The largest datasets contribute the remainder."""
    low, high = 0, max(sizes)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(count, middle) for count in sizes) <= size:
            low = middle
        else:
            high = middle - 1
    counts = [min(count, low) for count in sizes]
    largest = sorted(range(len(sizes)), key=lambda number: -sizes[number])
    for number in largest[: size - sum(counts)]:
        counts[number] += 1
    return counts


def _normalised(spec: DatasetSpec, folder: Path, cache: Path, workers: int) -> "datasets.Dataset":
    import datasets

    files = [
        str(file)
        for subset in spec.subsets
        for file in sorted((folder / subset.folder).glob(f"{subset.train}-*.parquet"))
    ]
    raw = datasets.load_dataset(
        "parquet", data_files=files, split="train", columns=sorted(needed_columns(spec)), cache_dir=str(cache)
    )
    return raw.map(
        partial(_columns, name=spec.name),
        batched=True,
        batch_size=_BATCH,
        num_proc=min(workers, len(raw)),
        remove_columns=raw.column_names,
        features=_features(),
    )


def _columns(batch: dict[str, list[Any]], name: str) -> dict[str, list[Any]]:
    """Convert a batch of raw rows to the columns of a mix, without the rows that the normaliser drops."""
    spec = dataset(name)
    rows = [dict(zip(batch, values, strict=True)) for values in zip(*batch.values(), strict=True)]
    examples = normalise_all(rows, spec).examples
    cut = [cut_words(example, spec.max_input_words) for example in examples]
    return {
        "instruction": [example.instruction for example in cut],
        "input": [example.input for example in cut],
        "output": [example.output for example in cut],
        "id": [example.id for example in cut],
        "dataset": [example.dataset for example in cut],
        "family": [example.family for example in cut],
        "part": [example.subset for example in cut],
        "cluster": [example.cluster for example in cut],
        "choices": [example.choices for example in cut],
        "gold": [example.gold for example in cut],
        "answers": [example.answers for example in cut],
        "digest": [match_digest(example, spec) for example in examples],
    }


def _features() -> "datasets.Features":
    from datasets import Features, List, Value

    text = Value("string")
    names = ("instruction", "input", "output", "id", "dataset", "family", "part", "cluster")
    lists = {"choices": List(text), "gold": Value("int32"), "answers": List(text)}
    return Features(dict.fromkeys(names, text) | lists | {"digest": Value("binary")})


def _save(mix: "datasets.Dataset", folder: Path, workers: int) -> None:
    """Save the mix as Parquet shards in parallel."""
    from multiprocessing import get_context

    folder.mkdir(parents=True)
    shards = max(workers, -(-len(mix) // _ROWS_PER_SHARD))
    tasks = [(mix, shards, number, folder / f"part-{number:05d}.parquet") for number in range(shards)]
    with get_context("fork").Pool(workers) as pool:
        pool.starmap(_save_shard, tasks, chunksize=1)


def _save_shard(mix: "datasets.Dataset", shards: int, number: int, path: Path) -> None:
    mix.shard(shards, number, contiguous=True).to_parquet(path)


if __name__ == "__main__":
    folder, out, workers, size = sys.argv[1:]
    sys.stdout.write(json.dumps(plain_mix(Path(folder), Path(out), int(workers), int(size))))
