"""Encoding of a Parquet file of a mix into an Arrow file of token ids.

The module is also a program, so that several files can be encoded in parallel:
``python -m cme.training.shard '{"source": …, "target": …, "base": …, "prompt_format": …, "max_length": …}'``
"""

import json
import sys
from collections import Counter
from pathlib import Path

from cme.data.example import Dropped
from cme.files import atomic_path
from cme.readers.parquet_file import open_parquet, read_rows
from cme.training.encode import Encoder

__all__ = ["COUNTS", "encode_shard"]

COUNTS = b"cme"
"""Key of the counts (JSON) in the metadata of the Arrow schema."""

_ROWS = 2_000


def encode_shard(source: Path, target: Path, encoder: Encoder) -> None:
    """Encode a Parquet file of a mix.

    Args:
        source: The Parquet file, with the columns of `cme.mix.rows.schema`.
        target: The Arrow file, which is written atomically. It has the columns ``ids`` (list of int32) and ``context``
            (int32), and the metadata ``{"dropped": {reason: rows}, "cut": rows}`` in its schema.
        encoder: The encoder for the base's tokenizer.
    """
    import pyarrow as pa

    dropped: Counter[str] = Counter()
    cut = 0
    ids, contexts = [], []
    with open_parquet(source, advice="Copy the mix again, or build it again.") as file:
        for batch in file.batches(size=_ROWS):
            sequences: list[list[int]] = []
            for row in read_rows(batch):
                encoded = encoder.row(row)
                if isinstance(encoded, Dropped):
                    dropped[encoded.reason] += 1
                    continue
                cut += encoded.cut
                sequences.append(encoded.ids)
                contexts.append(encoded.context)
            ids.append(pa.array(sequences, pa.list_(pa.int32())))
    columns = {
        "ids": pa.concat_arrays(ids) if ids else pa.array([], pa.list_(pa.int32())),
        "context": pa.array(contexts, pa.int32()),
    }
    counts = json.dumps({"dropped": dict(sorted(dropped.items())), "cut": cut})
    table = pa.table(columns).replace_schema_metadata({COUNTS: counts})
    with atomic_path(target) as temporary, pa.ipc.new_file(str(temporary), table.schema) as writer:
        writer.write_table(table)


def _main() -> None:
    from cme.models.load import load_tokenizer

    job = json.loads(sys.argv[1])
    encoder = Encoder(load_tokenizer(Path(job["base"])), job["prompt_format"], job["max_length"])
    encode_shard(Path(job["source"]), Path(job["target"]), encoder)


if __name__ == "__main__":
    _main()
