"""The stages in order, from row numbers to arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Picks, Ragged, SequenceBatch, Windows
from eden_core.draws import Draws
from eden_core.encoded import Arrays, Empty, EncodedBatch, InvalidRowError
from eden_core.errors import InvalidBaseError, PluginContractError, StaleIndexError
from eden_core.interfaces import Objective
from eden_core.layout import Layout
from eden_core.order import Order
from eden_core.source import Source


@dataclass(frozen=True, eq=False)
class BatchReader:
    """Reads rows of a run: a pure function of (configuration, seed, rows). Pickles without open files."""

    order: Order
    sources: Sequence[Source]
    layout: Layout
    objective: Objective
    seed: int

    def fetch(self, rows: NDArray[np.int64]) -> EncodedBatch:
        """Do what a worker does: everything up to the layout.

        Args:
            rows: int64 [B], rows of the run, in any order.

        Raises:
            InvalidBaseError: a byte that is no IUPAC letter (found here only where a tokenizer is called per row).
            StaleIndexError: windows that were planned to share a row do not fit into it.
        """
        picks = self.order.pick(rows)
        batch, unread = self._read(picks)
        try:
            encoded = replace(self.layout.encode(batch, np.size(rows)), unread=unread)
            self._check_rows(encoded)
            if not self.objective.predicts_all:
                targets = self.layout.targets(encoded)
                tokens = Ragged(targets, batch.bases.offsets if encoded.ids is None else encoded.ids.offsets)
                shown, chosen = self.objective.choose(tokens, Draws(self.seed, picks))
                self._check_choice(targets, shown, chosen)
                encoded = replace(encoded, shown=shown, chosen=chosen)
        except InvalidRowError as found:
            raise self._name(found, batch) from None
        return encoded

    def expand(self, encoded: EncodedBatch, empty: Empty = np.empty, *, narrow: bool = False) -> Arrays:
        """Lay fetched rows out as token arrays (see `Layout.expand`).

        Raises:
            InvalidBaseError: a byte that is no IUPAC letter; the message names sequence and position.
        """
        try:
            return self.layout.expand(encoded, empty, narrow=narrow)
        except InvalidRowError as found:
            raise self._name(found, encoded.batch) from None

    def locate(self, picks: Picks) -> Windows:
        """Return where picked windows lie, with as many bases as fit into their rows."""
        if len(self.sources) == 1:
            return self.sources[0].locate(picks)
        parts = [(places, self.sources[number].locate(some)) for number, places, some in _by_source(picks)]
        return _merged_windows(parts)

    def measured(self, picks: Picks) -> Windows:
        """Return where picked windows lie, with as many bases as the stores have of them, which reads them."""
        parts = []
        for number, places, some in _by_source(picks):
            source = self.sources[number]
            parts.append((places, source.measured(source.locate(some))))
        return _merged_windows(parts)

    def stored(self, batch: SequenceBatch) -> Ragged[np.uint8]:
        """Return the bases of a batch's windows as they are in the stores."""
        rows: list[NDArray[np.uint8]] = [np.empty(0, np.uint8)] * len(batch.windows)
        for number, places, some in _by_source(batch.picks):
            windows = Windows(some.window_ids, *_taken(batch.windows, places))
            for place, row in zip(places.tolist(), self.sources[number].store.read(windows), strict=True):
                rows[place] = row
        return Ragged.from_rows(rows, np.uint8)

    def _read(self, picks: Picks) -> tuple[SequenceBatch, NDArray[np.bool_] | None]:
        if len(self.sources) == 1 or not len(picks):
            return self.sources[0].read(picks, Draws(self.seed, picks))
        places, batches, masks = [], [], []
        for number, place, some in _by_source(picks):
            batch, unread = self.sources[number].read(some, Draws(self.seed, some))
            places.append(place)
            batches.append(batch)
            masks.append(np.zeros(len(some), bool) if unread is None else unread)
        to_order = np.argsort(np.concatenate(places))
        weights = None
        if any(batch.weights is not None for batch in batches):
            weights = _merged([batch.weights or _ones(batch.bases) for batch in batches], to_order)
        unread = np.concatenate(masks)[to_order]
        merged = SequenceBatch(
            picks,
            _merged_windows([(place, batch.windows) for place, batch in zip(places, batches, strict=True)]),
            _merged([batch.bases for batch in batches], to_order),
            _merged([batch.prefix for batch in batches], to_order),
            weights,
        )
        return merged, unread if unread.any() else None

    def _check_choice(self, targets: NDArray[Any], shown: NDArray[Any], chosen: NDArray[np.bool_]) -> None:
        fits = shown.shape == chosen.shape == targets.shape and shown.dtype.kind in "iu" and chosen.dtype == np.bool_
        if not (fits and shown.flags.c_contiguous and chosen.flags.c_contiguous):
            raise PluginContractError(
                f"objective {self.objective.name!r} answered {targets.size} tokens with {shown.dtype} of {shown.shape} and "
                f"{chosen.dtype} of {chosen.shape}; expected integers and bool of shape {targets.shape}, contiguous"
            )

    def _check_rows(self, encoded: EncodedBatch) -> None:
        reach = self.layout.places(encoded)[1] - encoded.batch.picks.rows * self.layout.seq_length
        if reach.size and int(reach.max()) > self.layout.seq_length:
            windows = encoded.batch.windows
            i = int(np.argmax(reach))
            raise StaleIndexError(
                f"windows that were planned to share a row, {windows.sequence_ids[i]!r} among them, take {int(reach[i])} "
                f"tokens, and a row has {self.layout.seq_length}: the store has longer sequences than the table of contigs "
                "that the plan was made from. Make contigs.parquet and the index anew"
            )

    def _name(self, found: InvalidRowError, batch: SequenceBatch) -> InvalidBaseError:
        """Return the error with the place in the sequence."""
        source = self.sources[int(batch.picks.sources[found.row]) if len(self.sources) > 1 else 0]
        advice = (
            "a zeroed hole in a damaged file: copy or write the shard again"
            if found.byte == 0
            else "no IUPAC nucleotide letter that the vocabulary knows; mend the sequence or set invalid_bases='unk'"
        )
        return InvalidBaseError(
            f"sequence {batch.windows.sequence_ids[found.row]!r} holds the byte {found.byte} ({chr(found.byte)!r}) at "
            f"{source.place_of(batch.windows, found.row, found.byte)} (counted from 1), {advice}"
        )


def _by_source(picks: Picks) -> list[tuple[int, NDArray[np.int64], Picks]]:
    """Return, for each source that is picked from, its number, which of the windows are its own, and their picks."""
    numbers = np.unique(picks.sources).tolist()
    places = [np.flatnonzero(picks.sources == number) for number in numbers]
    return [(number, place, picks.take(place)) for number, place in zip(numbers, places, strict=True)]


def _taken(windows: Windows, places: NDArray[np.int64]) -> tuple[tuple[str, ...], NDArray[np.int64], NDArray[np.int64]]:
    ids = tuple(windows.sequence_ids[place] for place in places.tolist())
    return ids, windows.starts[places], windows.lengths[places]


def _merged_windows(parts: Sequence[tuple[NDArray[np.int64], Windows]]) -> Windows:
    if not parts:
        return Windows(np.empty(0, np.int64), (), np.empty(0, np.int64), np.empty(0, np.int64))
    to_order = np.argsort(np.concatenate([places for places, _ in parts]))
    ids = [sequence_id for _, windows in parts for sequence_id in windows.sequence_ids]
    columns = (np.concatenate([getattr(w, name) for _, w in parts])[to_order] for name in ("window_ids", "starts", "lengths"))
    window_ids, starts, lengths = columns
    return Windows(window_ids, tuple(ids[i] for i in to_order.tolist()), starts, lengths)


def _ones(bases: Ragged[np.uint8]) -> Ragged[np.float32]:
    return Ragged(np.ones(bases.values.size, np.float32), bases.offsets)


def _merged(parts: "Sequence[Ragged[Any]]", to_order: NDArray[np.int64]) -> "Ragged[Any]":
    rows = [row for part in parts for row in part]
    return Ragged.from_rows([rows[i] for i in to_order.tolist()], parts[0].values.dtype)
