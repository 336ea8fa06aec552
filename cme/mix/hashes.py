"""Hash keys of row ids, which replace random choices. The same rows give the same mix in any order and on any machine.

A key is the first 8 bytes (big-endian) of BLAKE2b of ``purpose:id`` or ``purpose:seed:id``.
"""

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["keys", "variant_numbers"]


def keys(ids: Iterable[str], purpose: str, seed: int | None = None) -> "NDArray[np.uint64]":
    """Return keys of ids, which are uniform over 64 bits and independent between purposes and seeds.

    Args:
        ids: row ids.
        purpose: what the keys are for, such as ``"take"``.
        seed: seed of the mix, if the keys depend on it.
    """
    import numpy as np

    head = (f"{purpose}:" if seed is None else f"{purpose}:{seed}:").encode()
    blake2b = hashlib.blake2b
    joined = b"".join([blake2b(head + text.encode(), digest_size=8).digest() for text in ids])
    return np.frombuffer(joined, dtype=">u8").astype(np.uint64)


def variant_numbers(ids: Iterable[str], share: float, count: int) -> "NDArray[np.int64]":
    """Return the prompt variant of each row. Variant 0 is the canonical instruction.

    The variant depends only on the id and the share. With a larger share, more rows leave variant 0 and no row returns to it.

    Args:
        ids: row ids.
        share: share of rows with a prompt variant other than 0, in [0, 1].
        count: number of prompt variants, including the canonical instruction.
    """
    import numpy as np

    ids = list(ids)
    if count < 2 or not share:
        return np.zeros(len(ids), dtype=np.int64)
    drawn = keys(ids, "paraphrase")
    high, low = drawn >> np.uint64(32), drawn & np.uint64(0xFFFFFFFF)
    which = 1 + (low % np.uint64(count - 1)).astype(np.int64)
    return np.where(high.astype(np.float64) < share * 2.0**32, which, 0)
