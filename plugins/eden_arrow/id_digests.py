"""Digests by which sequence ids are found: the same in every process and on every machine."""

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 16


def digests_of(sequence_ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return BLAKE2b digests of 128 bits of ids' UTF-8, little-endian, uint64 [n, 2].

    The first word orders the table of ids; the second tells ids apart whose first word is the same.
    """
    found = b"".join(
        [blake2b(text.encode(errors="surrogateescape"), digest_size=DIGEST_BYTES).digest() for text in sequence_ids]
    )
    return np.frombuffer(found, "<u8").reshape(-1, 2)
