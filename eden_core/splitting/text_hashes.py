"""64-bit hashes of many texts at once, the same in every process and version."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.mixing import mix

_WORD = 8
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(_WORD + 1)], np.uint64)
"""which bits of a word belong to a text of which so many bytes are left"""


def hash_texts(texts: pa.Array) -> NDArray[np.uint64]:
    """Return a hash of each text (uint64 [N]), of its bytes in UTF-8 alone; a null counts as an empty text.

    Args:
        texts: strings of any of Arrow's types, [N].
    """
    texts = texts.cast(pa.large_string()).fill_null("")
    bounds = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1] if len(texts) else None
    if bounds is None:
        return np.empty(0, np.uint64)
    starts, lengths = bounds[:-1] - bounds[0], np.diff(bounds)
    words = _words(texts.buffers()[2], int(bounds[0]), int(bounds[-1]))
    state = mix(np.uint64(0), lengths)
    for begin in range(0, int(lengths.max()), _WORD):
        rows = np.flatnonzero(lengths > begin)
        word = words[starts[rows] + begin] & _MASKS[np.minimum(lengths[rows] - begin, _WORD)]
        state[rows] = mix(state[rows], word)
    return state


def _words(data: pa.Buffer | None, first: int, last: int) -> NDArray[np.uint64]:
    """Return the eight bytes, little-endian, that begin at each of the bytes `first … last - 1`."""
    padded = np.zeros(last - first + _WORD, np.uint8)
    if data is not None:
        padded[: last - first] = np.frombuffer(data, np.uint8)[first:last]
    return np.ndarray((padded.size - _WORD + 1,), np.dtype("<u8"), buffer=padded, strides=(1,))
