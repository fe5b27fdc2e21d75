"""Bases and prefixes laid out as rows of tokens, labels and masks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Ragged, SequenceBatch
from eden_core.encoded import Arrays, Empty, EncodedBatch, InvalidRowError, Segments
from eden_core.errors import ConfigurationError
from eden_core.kernels import INVALID, scatter, spread
from eden_core.loss_mask import LossMask
from eden_core.tables import ByteTable, label_table, token_table, weight_table
from eden_core.vocabulary import Vocabulary


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
        weights = weight_table(loss_weights, invalid_bases)
        if weights is not None and invalid_bases == "unk":
            weights[tokens == vocabulary.unk] = 0
        self._mask = LossMask(seq_length, weights)
        if vocabulary.table is None and (weights is not None or case == "keep-in-labels"):
            raise ConfigurationError(
                f"loss_weights, invalid_bases='unk' and case='keep-in-labels' need one token a base, which tokenizer "
                f"{vocabulary.name} does not give"
            )
        self._shifted = True
        self._positions = np.empty((0, seq_length), np.int64)

    @property
    def weighted(self) -> bool:
        """Whether letters have loss weights."""
        return self._mask.by_letter is not None

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

    def segments(self, encoded: EncodedBatch) -> Segments:
        """Return where the windows of a batch lie in its rows."""
        lengths = np.diff(encoded.tokens_of_bases)
        heads = self._heads(encoded.batch.prefix.lengths)
        rows = encoded.batch.picks.rows
        starts = rows * self.seq_length
        stops = starts + heads + lengths + (self._eos is not None)
        return Segments(rows, starts, heads, lengths, stops, stops)

    def places(self, encoded: EncodedBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where windows begin and end in the rows laid end to end, int64 [W] each."""
        segments = self.segments(encoded)
        return segments.starts, segments.stops

    def base_places(self, encoded: EncodedBatch) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return where the bases of windows begin and end in the rows laid end to end, int64 [W] each."""
        segments = self.segments(encoded)
        return segments.firsts, segments.firsts + segments.lengths

    def used(self, encoded: EncodedBatch) -> NDArray[np.int64]:
        """Return how many tokens of each row are not padding, int64 [B]."""
        segments = self.segments(encoded)
        return np.bincount(segments.rows, segments.stops - segments.starts, encoded.rows).astype(np.int64)

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

    def expand(self, encoded: EncodedBatch, empty: Empty = np.empty, *, narrow: bool = False) -> Arrays:
        """Return tokens, labels, position_ids (int64 [B, S]) and loss_mask (float32 [B, S]).

        Masks of full rows without weights, and position ids, are shared between batches: do not write to them.

        Args:
            encoded: what the workers gave.
            empty: gives the memory of the arrays.
            narrow: whether tokens and labels are uint8 where their ids allow, and the mask too where it holds 0 and 1 only, and
                position ids that just count up are left out (see `eden_core.expanded`).
        """
        segments = self.segments(encoded)
        shape = encoded.rows, self.seq_length
        shown, targets = self._shown(encoded), self._targets(encoded)
        kind = np.uint8 if narrow and self._fits_bytes(encoded, shown, targets) else np.int64
        tokens, labels = (empty(shape, kind) for _ in range(2))
        offsets = encoded.tokens_of_bases
        if self._shifted and shown == targets:
            self._spread(shown, encoded, segments, offsets, tokens, labels)
        else:
            self._spread(shown, encoded, segments, offsets, tokens, None)
            outputs = (None, labels) if self._shifted else (labels, None)
            self._spread(targets, encoded, segments, offsets, *outputs)
        self._write_specials(encoded, segments, tokens, labels)
        positions = {} if narrow else {"position_ids": self._position_ids(encoded.rows)}
        return {
            "tokens": tokens,
            "labels": labels,
            "loss_mask": self._mask(encoded, segments, empty, shifted=self._shifted, narrow=narrow),
            **positions,
        }

    def _shown(self, encoded: EncodedBatch) -> "_Items":
        if encoded.shown is not None:
            fits = encoded.shown.dtype == np.uint8 and int(encoded.shown.max(initial=0)) < INVALID
            return _Items(encoded.shown, _IDENTITY if fits else None)
        return self._inputs(encoded)

    def _targets(self, encoded: EncodedBatch) -> "_Items":
        if self._labels is None or encoded.ids is not None:
            return self._inputs(encoded)
        bases = encoded.batch.bases.values
        return _Items(bases, self._labels.bytes) if self._labels.bytes is not None else _Items(self._labels(bases), None)

    def _inputs(self, encoded: EncodedBatch) -> "_Items":
        if encoded.ids is not None:
            return _Items(encoded.ids.values, None)
        if self._tokens.bytes is None:
            return _Items(self.targets(encoded), None)
        return _Items(encoded.batch.bases.values, self._tokens.bytes)

    def _fits_bytes(self, encoded: EncodedBatch, *items: "_Items") -> bool:
        prefix = encoded.batch.prefix.values
        ids = [*self.vocabulary.specials.values(), int(prefix.min(initial=0)), int(prefix.max(initial=0))]
        return min(ids) >= 0 and max(ids) <= 255 and all(some.table is not None for some in items)

    def _spread(
        self,
        items: "_Items",
        encoded: EncodedBatch,
        segments: Segments,
        offsets: NDArray[np.int64],
        tokens: NDArray[Any] | None,
        shifted: NDArray[Any] | None,
    ) -> None:
        if items.table is None:
            for shift, out in enumerate((tokens, shifted)):
                if out is not None:
                    scatter(items.values, offsets, segments.firsts, self.vocabulary.pad, out, shift=shift)
            return
        place = spread(items.values, offsets, segments.firsts, items.table, self.vocabulary.pad, tokens, shifted)
        if place is not None:
            raise _invalid(place, encoded.batch)

    def _write_specials(self, encoded: EncodedBatch, segments: Segments, tokens: NDArray[Any], labels: NDArray[Any]) -> None:
        """Write what is neither base nor padding, and pad where a label would be that of another segment."""
        places, ids, first = self._specials(encoded, segments)
        flat, label_flat = tokens.reshape(-1), labels.reshape(-1)
        flat[places] = ids
        if not self._shifted:
            label_flat[places] = ids
            return
        label_flat[places[~first] - 1] = ids[~first]
        inner = segments.starts[segments.starts % self.seq_length > 0]
        label_flat[segments.stops - 1] = label_flat[inner - 1] = self.vocabulary.pad

    def _specials(
        self, encoded: EncodedBatch, segments: Segments
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
        """Return places and ids of special and tag tokens, and which of them begin a segment."""
        prefix, starts = encoded.batch.prefix, segments.starts
        places: list[NDArray[np.int64]] = []
        ids: list[Any] = []
        first: list[NDArray[np.bool_]] = []
        behind = starts if self._bos is None else starts + 1
        tagged = prefix.lengths > 0
        for token, where, start in (
            (self._bos, starts, starts),
            (self.vocabulary.sep, (starts + segments.heads - 1)[tagged], starts[tagged]),
            (self._eos, segments.stops - 1, starts),
        ):
            if token is not None and where.size:
                places.append(where)
                ids.append(np.full(where.size, token))
                first.append(where == start)
        if prefix.values.size:
            places.append(np.repeat(behind - prefix.offsets[:-1], prefix.lengths) + np.arange(prefix.values.size))
            ids.append(prefix.values)
            first.append(places[-1] == np.repeat(starts, prefix.lengths))
        if not places:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, bool)
        return np.concatenate(places), np.concatenate(ids), np.concatenate(first)

    def _heads(self, prefix_lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Tokens before the first base."""
        separated = (prefix_lengths > 0) if self.vocabulary.sep is not None else np.zeros_like(prefix_lengths)
        return np.asarray(prefix_lengths + separated + (self._bos is not None), np.int64)

    def _check(self, codes: NDArray[Any], batch: SequenceBatch) -> None:
        place = self._tokens.first_invalid(codes)
        if place is not None:
            raise _invalid(place, batch)

    def _position_ids(self, rows: int) -> NDArray[np.int64]:
        if len(self._positions) < rows:
            self._positions = np.tile(np.arange(self.seq_length), (rows, 1))
        return self._positions[:rows]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_positions": np.empty((0, self.seq_length), np.int64)}


@dataclass(frozen=True, eq=False)
class _Items:
    """What becomes tokens: bytes with their table (uint8 [256]), or token ids of any size."""

    values: NDArray[Any]
    table: NDArray[np.uint8] | None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Items) and self.values is other.values and self.table is other.table

    def __hash__(self) -> int:
        return id(self)


_IDENTITY = np.arange(256, dtype=np.uint8)


def _invalid(place: int, batch: SequenceBatch) -> InvalidRowError:
    row = int(np.searchsorted(batch.bases.offsets, place, side="right")) - 1
    return InvalidRowError(row, place - int(batch.bases.offsets[row]), int(batch.bases.values[place]))
