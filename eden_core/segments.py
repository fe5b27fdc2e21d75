"""Rows of several segments, one for each window: what packing and other objectives than the causal one need."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.layout import Arrays, Empty, EncodedBatch, Layout
from eden_core.vocabulary import Vocabulary


@dataclass(frozen=True, eq=False)
class Segments:
    """Where the windows of some rows lie in them, int64 [W] each; places are those of the rows laid end to end.

    Attributes:
        rows: the row of each segment, non-decreasing.
        starts: its first token.
        heads: tokens before its first base.
        lengths: its bases.
        stops: behind its last token.
        ends: behind its padding, where segments are padded.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    heads: NDArray[np.int64]
    lengths: NDArray[np.int64]
    stops: NDArray[np.int64]
    ends: NDArray[np.int64]


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

    def expand(self, encoded: EncodedBatch, empty: Empty = np.empty) -> Arrays:
        """Return the arrays of `Layout.expand`, and with `restart` those of the segments.

        These are `cu_seqlens` (int32 [B, most_segments + 2], where segments begin and, last, the row ends; -1 behind that) and
        `max_seqlen` (int32 [B], the longest segment). With padded segments `cu_seqlens` counts without the padding, and
        `cu_seqlens_padded` with it. Padding behind the last segment counts as a segment.
        """
        batch, ids = encoded.batch, encoded.ids
        codes = self.targets(encoded)
        targets = codes if self._labels is None else self._labels(batch.bases.values)
        shown = codes if encoded.shown is None else encoded.shown
        segments = self.segments(encoded)
        offsets = batch.bases.offsets if ids is None else ids.offsets
        buffer = self._buffer(shown, segments, encoded, offsets)
        label_buffer = buffer if targets is shown else self._buffer(targets, segments, encoded, offsets)
        shape = (encoded.rows, self.seq_length)
        tokens, labels = (empty(shape, np.int64) for _ in range(2))
        tokens[:] = buffer
        if self._shifted:
            labels[:, :-1] = label_buffer[:, 1:]
            labels[:, -1] = self.vocabulary.pad
            inner = segments.starts % self.seq_length > 0
            labels.reshape(-1)[segments.stops - 1] = labels.reshape(-1)[segments.starts[inner] - 1] = self.vocabulary.pad
        else:
            labels[:] = label_buffer
        loss_mask: NDArray[np.float32] = empty(shape, np.float32)
        self._write_mask(loss_mask, segments, encoded, offsets)
        arrays = {"tokens": tokens, "labels": labels, "loss_mask": loss_mask}
        if not self._restart:
            return arrays | {"position_ids": self._position_ids(encoded.rows)}
        positions: NDArray[np.int64] = empty(shape, np.int64)
        ends = self._row_bounds(segments, segments.ends, encoded.rows)
        self._write_positions(positions, ends)
        return arrays | {"position_ids": positions} | self._packed_keys(segments, ends, encoded.rows)

    def places(self, encoded: EncodedBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where windows begin and end in the rows laid end to end, int64 [W] each."""
        segments = self.segments(encoded)
        return segments.starts, segments.stops

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

    def _buffer(
        self, codes: NDArray[Any], segments: Segments, encoded: EncodedBatch, offsets: NDArray[np.int64]
    ) -> NDArray[Any]:
        """Lay tokens out in rows, in as few bytes as their ids allow."""
        prefix = encoded.batch.prefix
        largest = max([0, *self.vocabulary.specials.values(), int(prefix.values.max(initial=0))])
        dtype = codes.dtype if largest < 256 else np.dtype(np.int64)
        buffer: NDArray[Any] = np.full((encoded.rows, self.seq_length), self.vocabulary.pad, dtype)
        flat = buffer.reshape(-1)
        first = segments.starts
        if self._bos is not None:
            flat[first] = self._bos
            first = first + 1
        if prefix.values.size:
            flat[np.repeat(first - prefix.offsets[:-1], prefix.lengths) + np.arange(prefix.values.size)] = prefix.values
            if self.vocabulary.sep is not None:
                flat[(segments.starts + segments.heads - 1)[prefix.lengths > 0]] = self.vocabulary.sep
        if self._eos is not None:
            flat[segments.stops - 1] = self._eos
        if self._separate and self.vocabulary.sep is not None:
            followed = np.flatnonzero(segments.rows[1:] == segments.rows[:-1])
            flat[segments.ends[followed]] = self.vocabulary.sep
        begins = segments.starts + segments.heads
        for begin, source, stop in zip(begins.tolist(), offsets.tolist(), offsets[1:].tolist(), strict=False):
            flat[begin : begin + stop - source] = codes[source:stop]
        return buffer

    def _write_mask(
        self, loss_mask: NDArray[np.float32], segments: Segments, encoded: EncodedBatch, offsets: NDArray[np.int64]
    ) -> None:
        loss_mask[:] = 0
        flat = loss_mask.reshape(-1)
        weights = self._weights_of(encoded)
        lost = (segments.heads == 0) if self._shifted else np.zeros(segments.heads.size, bool)  # no token is before them
        firsts = (segments.starts + segments.heads - self._shifted + lost).tolist()
        sources, stops = (offsets[:-1] + lost).tolist(), offsets[1:].tolist()
        read = [True] * len(firsts) if encoded.unread is None else (~encoded.unread).tolist()
        for first, source, stop, is_read in zip(firsts, sources, stops, read, strict=True):
            if is_read:
                flat[first : first + stop - source] = 1 if weights is None else weights[source:stop]

    def _weights_of(self, encoded: EncodedBatch) -> NDArray[np.float32] | None:
        weights = None if encoded.ids is not None else self._base_weights(encoded.batch)
        if encoded.chosen is None:
            return None if weights is None else weights.values
        chosen = encoded.chosen.astype(np.float32)
        return chosen if weights is None else weights.values * chosen

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

    def _write_positions(self, positions: NDArray[np.int64], bounds: NDArray[np.int32]) -> None:
        every = self._position_ids(1)[0]
        for row, ends in zip(positions, bounds.tolist(), strict=True):
            for begin, end in pairwise(ends):
                if end < 0:
                    break
                row[begin:end] = every[: end - begin]

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
