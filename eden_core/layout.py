"""Bases and prefixes laid out as rows of tokens, labels and masks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eden_core.batch import Ragged, SequenceBatch
from eden_core.errors import ConfigurationError
from eden_core.tables import ByteTable, label_table, token_table, weight_table
from eden_core.vocabulary import Vocabulary

Empty = Callable[[tuple[int, ...], DTypeLike], NDArray[Any]]
"""gives uninitialised memory, as `np.empty` does"""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """A batch as it travels from a worker to the trainer process.

    Attributes:
        batch: the bases and what belongs to them.
        rows: rows of the batch, also those that hold no window.
        ids: token ids of each row, where the tokenizer had to be called; else the table makes them from the bases.
        unread: bool [W], the windows that could not be read, which get no loss weight; None: all could.
        shown: [tokens of bases], what the model is shown in their place, where the objective changes them.
        chosen: bool [tokens of bases], which of them it must predict; None: all.
    """

    batch: SequenceBatch
    rows: int
    ids: Ragged[np.int64] | None = None
    unread: NDArray[np.bool_] | None = None
    shown: NDArray[Any] | None = None
    chosen: NDArray[np.bool_] | None = None


class InvalidRowError(Exception):
    """Carries the number of a row that holds an invalid byte to the one who can name the place."""

    def __init__(self, row: int, position: int, byte: int) -> None:
        super().__init__(row, position, byte)
        self.row, self.position, self.byte = row, position, byte


class Layout:
    """Rows `[bos] prefix… [sep] bases [eos] pad…` of `seq_length` tokens; sep stands only behind a prefix.

    Args:
        vocabulary: token ids of bases and specials; a special that it lacks is left out of the row.
        seq_length: tokens a row.
        include_bos, include_eos: whether rows begin and end with these tokens.
        case: "upper" folds lower case in tokens and labels, "keep" keeps it in both, "keep-in-labels" folds the tokens only.
        loss_weights: weight by class of letter ("ambiguous", "lower") or by letter; every other letter weighs 1.
        invalid_bases: "error", or "unk" to read bytes that are no IUPAC letters as UNK with weight 0.

    Raises:
        ConfigurationError: an argument that the vocabulary cannot serve.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        seq_length: int,
        *,
        include_bos: bool = True,
        include_eos: bool = True,
        case: str = "upper",
        loss_weights: Mapping[str, float] | None = None,
        invalid_bases: str = "error",
    ) -> None:
        self.vocabulary = vocabulary
        self.seq_length = seq_length
        self._bos = vocabulary.bos if include_bos else None
        self._eos = vocabulary.eos if include_eos else None
        self._case = case
        tokens = token_table(vocabulary, case, invalid_bases)
        self._tokens = ByteTable(tokens)
        self._labels = ByteTable(label_table(vocabulary, case, invalid_bases)) if case == "keep-in-labels" else None
        self._weights = weight_table(loss_weights, invalid_bases)
        if self._weights is not None and invalid_bases == "unk":
            self._weights[tokens == vocabulary.unk] = 0
        if vocabulary.table is None and (self._weights is not None or case == "keep-in-labels"):
            raise ConfigurationError(
                f"loss_weights, invalid_bases='unk' and case='keep-in-labels' need one token a base, which tokenizer "
                f"{vocabulary.name} does not give"
            )
        self._constants: dict[tuple[int, int], NDArray[np.float32]] = {}
        self._positions = np.empty((0, seq_length), np.int64)

    @property
    def weighted(self) -> bool:
        """Whether letters have loss weights."""
        return self._weights is not None

    def room(self, prefix_lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return how many tokens of bases fit behind prefixes of these lengths, int64 [W].

        Raises:
            ConfigurationError: not even one fits.
        """
        room = self.seq_length - self._heads(prefix_lengths) - (self._eos is not None)
        if room.size and int(room.min()) < 1:
            raise ConfigurationError(
                f"seq_length {self.seq_length} leaves no room for bases: special and tag tokens alone take "
                f"{self.seq_length - int(room.min())}; raise seq_length or leave tags out"
            )
        return room

    def encode(self, batch: SequenceBatch, rows: int) -> EncodedBatch:
        """Call the tokenizer on each window where there is no table; cut what does not fit."""
        if self.vocabulary.table is not None:
            return EncodedBatch(batch, rows)
        if batch.weights is not None:
            raise ConfigurationError(
                f"a transform sets loss weights by base, which tokenizer {self.vocabulary.name} cannot place: it does not give "
                "one token a base"
            )
        self._check(self._tokens(batch.bases.values), batch)
        texts = (row.tobytes().decode("ascii") for row in batch.bases)
        folded = (text.upper() if self._case == "upper" else text for text in texts)
        room = self.room(batch.prefix.lengths).tolist()
        ids = [self.vocabulary.encode(text)[:fits] for text, fits in zip(folded, room, strict=True)]
        return EncodedBatch(batch, rows, Ragged.from_rows(ids, np.int64))

    def places(self, encoded: EncodedBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where windows begin and end in the rows laid end to end, int64 [W] each."""
        starts = np.arange(encoded.rows, dtype=np.int64) * self.seq_length
        return starts, starts + self.used(encoded)

    def base_places(self, encoded: EncodedBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the bases of windows begin and end in the rows laid end to end, int64 [W] each."""
        stops = self.places(encoded)[1] - (self._eos is not None)
        return stops - (encoded.batch.bases if encoded.ids is None else encoded.ids).lengths, stops

    def used(self, encoded: EncodedBatch) -> NDArray[np.int64]:
        """Return how many tokens of each row are not padding, int64 [B]."""
        lengths = encoded.batch.bases.lengths if encoded.ids is None else encoded.ids.lengths
        return np.asarray(self._heads(encoded.batch.prefix.lengths) + lengths + (self._eos is not None), np.int64)

    def targets(self, encoded: EncodedBatch) -> NDArray[Any]:
        """Return the token ids of all bases, uint8 or int64, in the inputs' case.

        Raises:
            InvalidRowError: a byte that has none.
        """
        if encoded.ids is not None:
            return encoded.ids.values
        codes = self._tokens(encoded.batch.bases.values)
        self._check(codes, encoded.batch)
        return codes

    def expand(self, encoded: EncodedBatch, empty: Empty = np.empty) -> Arrays:
        """Return tokens, labels, position_ids (int64 [B, S]) and loss_mask (float32 [B, S]).

        Masks of full rows without weights, and position ids, are shared between batches: do not write to them.
        """
        batch, rows = encoded.batch, encoded.rows
        offsets = batch.bases.offsets if encoded.ids is None else encoded.ids.offsets
        codes = self.targets(encoded)
        tokens, labels = (empty((rows, self.seq_length), np.int64) for _ in range(2))
        heads, lengths = self._heads(batch.prefix.lengths), np.diff(offsets)
        runs = list(_runs(heads, lengths))
        self._write_tokens(tokens, batch.prefix, Ragged(codes, offsets), runs)
        label_codes = codes if self._labels is None else self._labels(batch.bases.values)
        self._write_labels(labels, tokens, Ragged(label_codes, offsets), runs)
        loss_mask = self._loss_mask(batch, runs, empty)
        if encoded.unread is not None:
            loss_mask = np.where(encoded.unread[:, None], np.float32(0), loss_mask)
        return {"tokens": tokens, "labels": labels, "loss_mask": loss_mask, "position_ids": self._position_ids(rows)}

    def _heads(self, prefix_lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens before the first base."""
        separated = (prefix_lengths > 0) if self.vocabulary.sep is not None else np.zeros_like(prefix_lengths)
        return np.asarray(prefix_lengths + separated + (self._bos is not None), np.int64)

    def _check(self, codes: NDArray[Any], batch: SequenceBatch) -> None:
        place = self._tokens.first_invalid(codes)
        if place is not None:
            row = int(np.searchsorted(batch.bases.offsets, place, side="right")) - 1
            raise InvalidRowError(row, place - int(batch.bases.offsets[row]), int(batch.bases.values[place]))

    def _write_tokens(
        self, tokens: NDArray[np.int64], prefix: Ragged[np.int64], codes: Ragged[Any], runs: "list[_Run]"
    ) -> None:
        bos, sep, eos = self._bos, self.vocabulary.sep, self._eos
        for run in runs:
            rows, end = tokens[run.first : run.stop], run.head + run.length
            start = 0
            if bos is not None:
                rows[:, 0] = bos
                start = 1
            ids = prefix.values[prefix.offsets[run.first] : prefix.offsets[run.stop]].reshape(len(rows), -1)
            rows[:, start : start + ids.shape[1]] = ids
            if ids.shape[1] and sep is not None:
                rows[:, run.head - 1] = sep
            rows[:, run.head : end] = _block(codes, run)
            if eos is not None:
                rows[:, end] = eos
                end += 1
            rows[:, end:] = self.vocabulary.pad

    def _write_labels(
        self, labels: NDArray[np.int64], tokens: NDArray[np.int64], codes: Ragged[Any], runs: "list[_Run]"
    ) -> None:
        """Write the tokens one place to the left; bases come from their codes, an eighth of the memory to read."""
        for run in runs:
            to, source, end = labels[run.first : run.stop], tokens[run.first : run.stop], max(run.head + run.length, 1)
            to[:, : max(run.head - 1, 0)] = source[:, 1 : max(run.head, 1)]
            to[:, end - 1 : -1] = source[:, end:]
            to[:, -1] = self.vocabulary.pad
        _write_shifted(labels, codes, runs)

    def _loss_mask(self, batch: SequenceBatch, runs: "list[_Run]", empty: Empty) -> NDArray[np.float32]:
        weights = self._base_weights(batch)
        if weights is None and len(runs) == 1:
            return self._constant_mask(runs[0])
        mask: NDArray[np.float32] = empty((len(batch.windows), self.seq_length), np.float32)
        mask[:] = 0
        if weights is not None:
            _write_shifted(mask, weights, runs)
        else:
            for run in runs:
                mask[run.first : run.stop, run.first_label : run.stop_label] = 1
        return mask

    def _base_weights(self, batch: SequenceBatch) -> Ragged[np.float32] | None:
        if self._weights is None:
            return batch.weights
        by_letter = self._weights[batch.bases.values]
        values = by_letter if batch.weights is None else by_letter * batch.weights.values
        return Ragged(values, batch.bases.offsets)

    def _constant_mask(self, run: "_Run") -> NDArray[np.float32]:
        kept = self._constants.get((run.head, run.length))
        if kept is None or len(kept) < run.stop:
            if len(self._constants) >= 16:  # rows of ever new lengths must not pile up
                self._constants.clear()
            kept = np.zeros((run.stop, self.seq_length), np.float32)
            kept[:, run.first_label : run.stop_label] = 1
            self._constants[run.head, run.length] = kept
        return kept[: run.stop]

    def _position_ids(self, rows: int) -> NDArray[np.int64]:
        if len(self._positions) < rows:
            self._positions = np.tile(np.arange(self.seq_length), (rows, 1))
        return self._positions[:rows]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_constants": {}, "_positions": np.empty((0, self.seq_length), np.int64)}


@dataclass(frozen=True)
class _Run:
    """Consecutive rows `first … stop - 1` of one shape: `head` tokens, then `length` bases."""

    first: int
    stop: int
    head: int
    length: int

    @property
    def first_label(self) -> int:
        """Where the label is the first base that is one."""
        return max(self.head - 1, 0)

    @property
    def stop_label(self) -> int:
        """Behind where the label is the last base."""
        return max(self.head + self.length - 1, 0)


def _runs(heads: NDArray[np.int64], lengths: NDArray[np.int64]) -> "list[_Run]":
    changes = np.flatnonzero((np.diff(heads) != 0) | (np.diff(lengths) != 0)) + 1
    bounds = [0, *changes.tolist(), heads.size] if heads.size else []
    return [_Run(first, stop, int(heads[first]), int(lengths[first])) for first, stop in pairwise(bounds)]


def _block(items: Ragged[Any], run: _Run) -> NDArray[Any]:
    values = items.values[items.offsets[run.first] : items.offsets[run.stop]]
    return values.reshape(run.stop - run.first, run.length)


def _write_shifted(target: NDArray[Any], items: Ragged[Any], runs: list[_Run]) -> None:
    """Write items of the bases one place to the left, where they are labels; a base in the first place is no label."""
    for run in runs:
        lost = 1 - min(run.head, 1)
        start = run.head - 1 + lost
        kept = _block(items, run)[:, lost:]
        target[run.first : run.stop, start : start + kept.shape[1]] = kept
