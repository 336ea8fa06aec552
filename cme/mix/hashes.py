"""Every choice in a mix is a hash of a row's id, so the same rows give the same mix in any order and on any machine.

A key is the first 8 bytes (big-endian) of BLAKE2b of ``purpose:id`` or ``purpose:seed:id``.
"""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["keys", "paraphrase_numbers"]


def keys(ids: Iterable[str], purpose: str, seed: int | None = None) -> "NDArray[np.uint64]":
    """Keys of ids, uniform over 64 bits and independent between purposes and seeds.

    Args:
        ids: row ids.
        purpose: what the keys decide, such as ``"take"``.
        seed: the mix's seed, where the choice depends on it.
    """
    import numpy as np

    head = (f"{purpose}:" if seed is None else f"{purpose}:{seed}:").encode()
    blake2b = hashlib.blake2b
    joined = b"".join([blake2b(head + text.encode(), digest_size=8).digest() for text in ids])
    return np.frombuffer(joined, dtype=">u8").astype(np.uint64)


def paraphrase_numbers(ids: Iterable[str], share: float, count: int) -> "NDArray[np.int64]":
    """The instruction of each row: 0 for the canonical one, else a paraphrase.

    It depends on the id and the share alone. A larger share only turns more rows to paraphrases.

    Args:
        ids: row ids.
        share: share of rows with a paraphrase, in [0, 1].
        count: number of instructions, the canonical one included.
    """
    import numpy as np

    ids = list(ids)
    if count < 2 or not share:
        return np.zeros(len(ids), dtype=np.int64)
    drawn = keys(ids, "paraphrase")
    high, low = drawn >> np.uint64(32), drawn & np.uint64(0xFFFFFFFF)
    which = 1 + (low % np.uint64(count - 1)).astype(np.int64)
    return np.where(high.astype(np.float64) < share * 2.0**32, which, 0)
