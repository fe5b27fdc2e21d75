"""Rows of several segments, one for each window: what packing and other objectives than the causal one need."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.encoded import Arrays, Empty, EncodedBatch, Segments
from eden_core.kernels import count_up
from eden_core.layout import Layout
from eden_core.vocabulary import Vocabulary


class SegmentLayout(Layout):
    """Lays one or several windows out in a row, each as a segment `[bos] prefix… [sep] bases [eos]`.

    Args:
        vocabulary, seq_length: as for `Layout`.
        pad_segments_to: what the tokens of a segment are padded to a multiple of.
        separate: whether sep stands between segments.
        restart: whether position ids begin anew in each segment, and `cu_seqlens` says where.
        most_segments: segments of the fullest row.
        shifted: whether a base is the label of the token before it, or of its own place.
        options: as for `Layout`.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        seq_length: int,
        *,
        pad_segments_to: int = 1,
        separate: bool = False,
        restart: bool = False,
        most_segments: int = 1,
        shifted: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(vocabulary, seq_length, **options)
        self.most_segments = most_segments
        self._multiple, self._separate, self._restart, self._shifted = pad_segments_to, separate, restart, shifted

    def segments(self, encoded: EncodedBatch) -> Segments:
        """Return where the windows of a batch lie."""
        batch = encoded.batch
        rows = batch.picks.rows
        lengths = batch.bases.lengths if encoded.ids is None else encoded.ids.lengths
        heads = self._heads(batch.prefix.lengths)
        tokens = heads + lengths + (self._eos is not None)
        space = -(-tokens // self._multiple) * self._multiple + self._separate
        before = np.cumsum(space) - space
        starts = rows * self.seq_length + before - before[np.searchsorted(rows, rows)]
        return Segments(rows, starts, heads, lengths, starts + tokens, starts + space - self._separate)

    def expand(self, encoded: EncodedBatch, empty: Empty = np.empty, *, narrow: bool = False) -> Arrays:
        """Return the arrays of `Layout.expand`, and with `restart` those of the segments.

        These are `cu_seqlens` (int32 [B, most_segments + 2], where segments begin and, last, the row ends; -1 behind that) and
        `max_seqlen` (int32 [B], the longest segment). With padded segments `cu_seqlens` counts without the padding, and
        `cu_seqlens_padded` with it. Padding behind the last segment counts as a segment.
        """
        arrays = super().expand(encoded, empty, narrow=narrow)
        if not self._restart:
            return arrays
        segments = self.segments(encoded)
        ends = self._row_bounds(segments, segments.ends, encoded.rows)
        positions: NDArray[np.int64] = empty((encoded.rows, self.seq_length), np.int64)
        begins = ends + np.arange(encoded.rows)[:, None] * self.seq_length
        count_up(begins[(ends >= 0) & (ends < self.seq_length)], positions)
        return arrays | {"position_ids": positions} | self._packed_keys(segments, ends, encoded.rows)

    def used(self, encoded: EncodedBatch) -> NDArray[np.int64]:
        """Return how many tokens of each row are not padding, those between segments included, int64 [B]."""
        segments = self.segments(encoded)
        separators = self._separate & (segments.starts % self.seq_length > 0)
        return np.bincount(segments.rows, segments.stops - segments.starts + separators, encoded.rows).astype(np.int64)

    def segment_numbers(self, encoded: EncodedBatch) -> NDArray[np.int64]:
        """Return which segment of its row each token belongs to, int64 [B, S]; padding behind the last is one of its own."""
        segments = self.segments(encoded)
        begins = np.zeros(encoded.rows * self.seq_length + 1, np.int64)
        begins[segments.ends] = 1
        begins[segments.starts] = 1
        return np.cumsum(begins[:-1].reshape(encoded.rows, self.seq_length), 1)

    def _specials(
        self, encoded: EncodedBatch, segments: Segments
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        places, ids, first = super()._specials(encoded, segments)
        sep = self.vocabulary.sep
        if not self._separate or sep is None:
            return places, ids, first
        between = segments.ends[:-1][segments.rows[1:] == segments.rows[:-1]]
        more = np.full(between.size, sep)
        return np.append(places, between), np.append(ids, more), np.append(first, np.zeros(between.size, bool))

    def _row_bounds(self, segments: Segments, stops: NDArray[np.int64], rows: int) -> NDArray[np.int32]:
        """Return where the segments of each row begin, and, last, where the row ends; -1 behind that."""
        bounds = np.full((rows, self.most_segments + 2), -1, np.int32)
        bounds[:, 0] = 0
        number = np.arange(segments.rows.size) - np.searchsorted(segments.rows, segments.rows)
        bounds[segments.rows, number + 1] = stops - segments.rows * self.seq_length
        counts = np.bincount(segments.rows, minlength=rows)
        last = bounds[np.arange(rows), counts]
        open_rows = np.flatnonzero(last < self.seq_length)
        bounds[open_rows, counts[open_rows] + 1] = self.seq_length
        return bounds

    def _packed_keys(self, segments: Segments, ends: NDArray[np.int32], rows: int) -> Arrays:
        longest = np.where(ends[:, 1:] >= 0, ends[:, 1:] - ends[:, :-1], 0).max(1).astype(np.int32)
        if self._multiple == 1:
            return {"cu_seqlens": ends, "max_seqlen": longest}
        unpadded = ends.copy()
        number = np.arange(segments.rows.size) - np.searchsorted(segments.rows, segments.rows)
        tokens = segments.stops - segments.starts
        running = np.cumsum(tokens)
        unpadded[segments.rows, number + 1] = running - (running - tokens)[np.searchsorted(segments.rows, segments.rows)]
        counts = np.bincount(segments.rows, minlength=rows)
        tails = np.flatnonzero(ends[np.arange(rows), counts] < self.seq_length)
        unpadded[tails, counts[tails] + 1] = unpadded[tails, counts[tails]]  # padding alone is a segment of no tokens
        return {"cu_seqlens": unpadded, "cu_seqlens_padded": ends, "max_seqlen": longest}
