"""Loss weights of the labels of a batch."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.encoded import Empty, EncodedBatch, Segments
from eden_core.kernels import mark, may_have, spread_weights


class LossMask:
    """Writes loss masks: 0 where the label is no base, else its weight. Those of full rows without weights are shared.

    Args:
        seq_length: tokens a row.
        by_letter: float32 [256], the weight of each letter; None: every letter weighs 1.
    """

    def __init__(self, seq_length: int, by_letter: NDArray[np.float32] | None) -> None:
        self.by_letter = by_letter
        self._seq_length = seq_length
        self._flags = np.zeros(256, np.uint8) if by_letter is None else (by_letter != 1).astype(np.uint8)
        self._shared: dict[tuple[int, int, bool], NDArray[Any]] = {}

    def __call__(self, encoded: EncodedBatch, segments: Segments, empty: Empty, *, shifted: bool, narrow: bool) -> NDArray[Any]:
        """Return the mask of a batch, float32 [B, S], or with `narrow` uint8 where it holds 0 and 1 only.

        Args:
            encoded: the batch.
            segments: where its windows lie.
            empty: gives memory.
            shifted: whether a base is the label of the place before it.
            narrow: whether the mask may be uint8.
        """
        lost = (segments.heads == 0) & shifted  # no token is before them
        counts = np.maximum(segments.lengths - lost, 0)
        if encoded.unread is not None:
            counts = np.where(encoded.unread, 0, counts)
        firsts = segments.firsts - shifted + lost
        by_letter, given = self._weights(encoded)
        shape = encoded.rows, self._seq_length
        if by_letter is None and given is None:
            place = _place_in_all(firsts, counts, *shape)
            if place is not None:
                return self._same_in_all(encoded.rows, *place, narrow)
            if narrow:
                marks: NDArray[np.uint8] = empty(shape, np.uint8)
                mark(firsts, counts, marks)
                return marks
        mask: NDArray[np.float32] = empty(shape, np.float32)
        spread_weights(encoded.batch.bases.values, encoded.tokens_of_bases[:-1] + lost, counts, firsts, by_letter, given, mask)
        return mask

    def _weights(self, encoded: EncodedBatch) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Return weights by letter, and by base, where they are not all 1."""
        given = None if encoded.batch.weights is None else encoded.batch.weights.values
        if encoded.chosen is not None:
            chosen = encoded.chosen.astype(np.float32)
            given = chosen if given is None else given * chosen
        if self.by_letter is None or encoded.ids is not None or not may_have(encoded.batch.bases.values, self._flags):
            return None, given
        return self.by_letter, given

    def _same_in_all(self, rows: int, first: int, count: int, narrow: bool) -> NDArray[Any]:
        kept = self._shared.get((first, count, narrow))
        if kept is None or len(kept) < rows:
            if len(self._shared) >= 16:  # rows of ever new lengths must not pile up
                self._shared.clear()
            kept = np.zeros((rows, self._seq_length), np.uint8 if narrow else np.float32)
            kept[:, first : first + count] = 1
            self._shared[first, count, narrow] = kept
        return kept[:rows]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_shared": {}}


def _place_in_all(firsts: NDArray[np.int64], counts: NDArray[np.int64], rows: int, seq_length: int) -> tuple[int, int] | None:
    """Return where the labels of bases begin in each row, and how many there are, if that is the same in all."""
    if firsts.size != rows or not rows:
        return None
    first, count = int(firsts[0]), int(counts[0])
    same = (counts == count).all() and (firsts == np.arange(rows) * seq_length + first).all()
    return (first, count) if same and 0 <= first < seq_length else None
