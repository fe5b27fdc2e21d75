"""The stages in order, from row numbers to arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Ragged, SequenceBatch, Windows
from eden_core.draws import Draws
from eden_core.errors import ConfigurationError, InvalidBaseError, PluginContractError, StaleIndexError
from eden_core.interfaces import SequenceStore, Transform, WindowIndex
from eden_core.layout import Arrays, Empty, EncodedBatch, InvalidRowError, Layout
from eden_core.order import Order
from eden_core.patience import Patience


@dataclass(frozen=True, eq=False)
class BatchReader:
    """Reads rows of a run: a pure function of (configuration, seed, rows). Pickles without open files."""

    order: Order
    index: WindowIndex
    store: SequenceStore
    transforms: Sequence[Transform]
    layout: Layout
    seed: int
    patience: Patience = field(default_factory=Patience)
    count_once: bool = False
    """whether bases that the window before has read already get no loss weight"""

    def fetch(self, rows: NDArray[np.int64]) -> EncodedBatch:
        """Do what a worker does: everything up to the layout.

        Args:
            rows: int64 [B], rows of the run, in any order.

        Raises:
            InvalidBaseError: a byte that is no IUPAC letter (found here only where a tokenizer is called per row).
        """
        picks = self.order.pick(rows)
        windows = self.locate(self.patience.lookup(self.index, picks.window_ids))
        bases, unread = self._read(windows)
        weights = self._weigh_once(windows, bases) if self.count_once else None
        batch = SequenceBatch(picks, windows, bases, Ragged.empty(len(windows), np.int64), weights)
        draws = Draws(self.seed, picks)
        for transform in self.transforms:
            batch = transform.apply(batch, draws)
        self._check_fit(batch, windows)
        try:
            encoded = self.layout.encode(batch)
        except InvalidRowError as found:
            raise self._name(found, batch) from None
        return encoded if unread is None else replace(encoded, unread=unread)

    def expand(self, encoded: EncodedBatch, empty: Empty = np.empty) -> Arrays:
        """Lay fetched rows out as token arrays (see `Layout.expand`).

        Raises:
            InvalidBaseError: a byte that is no IUPAC letter; the message names sequence and position.
        """
        try:
            arrays = self.layout.expand(encoded, empty)
        except InvalidRowError as found:
            raise self._name(found, encoded.batch) from None
        if encoded.unread is not None:
            arrays["loss_mask"] = np.where(encoded.unread[:, None], np.float32(0), arrays["loss_mask"])
        return arrays

    def locate(self, windows: Windows) -> Windows:
        """Return windows with as many bases as fit into their rows."""
        room = self.room(windows)
        if self.layout.vocabulary.table is None:
            return windows
        tiling = self.index.tiling
        if tiling.keep_tail and room.size and int(room.min()) < tiling.row_bases:
            raise ConfigurationError(
                f"special and tag tokens take {self.layout.seq_length - int(room.min())} of a row, and the index reserved "
                f"{tiling.reserve}: bases would be lost between windows. Build it again with eden-precompute --keep-tail "
                f"--reserve {self.layout.seq_length - int(room.min())}"
            )
        return replace(windows, lengths=np.minimum(windows.lengths, room))

    def measured(self, windows: Windows) -> Windows:
        """Return windows with as many bases as the store has of them, reading them a thousand at a time."""
        lengths = windows.lengths.copy()
        for first in range(0, len(windows), 1024):
            part = slice(first, first + 1024)
            ids = windows.sequence_ids[part]
            some = Windows(windows.window_ids[part], ids, windows.starts[part], windows.lengths[part])
            lengths[part] = self._read(some)[0].lengths
        return replace(windows, lengths=lengths)

    def room(self, windows: Windows) -> NDArray[np.int64]:
        """Return how many tokens of bases fit into the windows' rows, int64 [W]."""
        prefixes = np.zeros(len(windows), np.int64)
        for transform in self.transforms:
            prefixes = prefixes + transform.prefix_lengths(windows)
        return self.layout.room(prefixes)

    def _weigh_once(self, windows: Windows, bases: Ragged[np.uint8]) -> Ragged[np.float32]:
        """Weigh each base of a sequence in the first of the windows that read it: 1 there, else 0."""
        before = self.locate(self.patience.lookup(self.index, np.maximum(windows.window_ids - 1, 0)))
        same = np.array([a == b for a, b in zip(before.sequence_ids, windows.sequence_ids, strict=True)], bool)
        shared = np.where(same & (before.starts < windows.starts), before.starts + before.lengths - windows.starts, 0)
        within = np.arange(bases.values.size) - np.repeat(bases.offsets[:-1], bases.lengths)
        return Ragged((within >= np.repeat(shared, bases.lengths)).astype(np.float32), bases.offsets)

    def _read(self, windows: Windows) -> tuple[Ragged[np.uint8], NDArray[np.bool_] | None]:
        bases, unread = self.patience.read(self.store, windows)
        lengths = bases.lengths
        if len(bases) != len(windows) or (lengths > windows.lengths).any():
            raise PluginContractError(
                f"store {self.store.name!r} gave {len(bases)} rows of {lengths.tolist()[:4]}… bases for {len(windows)} windows "
                f"of at most {windows.lengths.tolist()[:4]}…; that is a bug in the store"
            )
        if lengths.size and int(lengths.min()) < 1:
            i = int(np.argmin(lengths))
            raise StaleIndexError(
                f"the index places a window at base {int(windows.starts[i])} of {windows.sequence_ids[i]!r}, where the store "
                "has no bases: it was built for other sequences; build it again with eden-precompute"
            )
        return bases, unread

    def _check_fit(self, batch: SequenceBatch, asked: Windows) -> None:
        room = self.layout.room(batch.prefix.lengths)
        limit = asked.lengths if self.layout.vocabulary.table is None else np.minimum(asked.lengths, room)
        names = ", ".join(transform.name for transform in self.transforms)
        if batch.weights is not None and not np.array_equal(batch.weights.offsets, batch.bases.offsets):
            raise PluginContractError(f"the transforms ({names}) gave loss weights that are not one a base")
        if (batch.bases.lengths > limit).any():
            raise PluginContractError(
                f"the transforms ({names}) made a row longer than it may be: a transform must not add bases, nor more prefix "
                "tokens than its prefix_lengths() said"
            )

    def _name(self, found: InvalidRowError, batch: SequenceBatch) -> InvalidBaseError:
        """Return the error with the place in the sequence, which the row alone does not tell once it was flipped."""
        i = found.row
        windows = batch.windows
        only = Windows(windows.window_ids[i : i + 1], (windows.sequence_ids[i],), *_one(windows, i))
        places = np.flatnonzero(self.store.read(only).values == found.byte)
        where = f"position {int(windows.starts[i] + places[0]) + 1}" if places.size else "a place that a transform changed"
        advice = (
            "a zeroed hole in a damaged file: copy or write the shard again"
            if found.byte == 0
            else "no IUPAC nucleotide letter that the vocabulary knows; mend the sequence or set invalid_bases='unk'"
        )
        return InvalidBaseError(
            f"sequence {windows.sequence_ids[i]!r} holds the byte {found.byte} ({chr(found.byte)!r}) at {where} (counted from "
            f"1), {advice}"
        )


def _one(windows: Windows, i: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return windows.starts[i : i + 1], windows.lengths[i : i + 1]
