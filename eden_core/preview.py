"""What the tokens of rows are, as spans that can be drawn."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.dataset import EdenDataset
from eden_core.encoded import EncodedBatch
from eden_core.replay import ReplayedRow, described
from eden_core.sampler import RowBlock
from eden_core.tensors import LETTER_KINDS

KINDS = {
    "padding": "padding",
    "special": "bos, eos, sep",
    "tag": "control tag",
    "+": "bases as stored",
    "-": "bases of the reverse complement",
    "?": "bases that a transform changed, or that could not be read",
    "soft-masked": "lower-case bases",
    "ambiguous": "ambiguous letters, such as N",
    "masked": "bases without loss weight",
    "predicted": "bases that the objective chose to predict",
}
"""what a token is, and how to say so"""

_NUMBERS = {kind: number for number, kind in enumerate(KINDS)}
_NAMES = list(KINDS)


@dataclass(frozen=True)
class Span:
    """Tokens of a row that are alike.

    Attributes:
        kind: of `KINDS`.
        start, stop: its first token, and behind its last, counted in the row.
        segment: number of the segment that it belongs to, among those of the row; None for what lies between or behind them.
    """

    kind: str
    start: int
    stop: int
    segment: int | None


@dataclass(frozen=True)
class PreviewRow:
    """A row as it can be drawn.

    Attributes:
        rank: data-parallel rank that reads it; None where rows were asked for by number.
        row: its number in the run.
        length: its tokens.
        fill: share of them that are not padding.
        segments: its windows, in the order in which they lie in it.
        spans: all its tokens, from the first to the last.
    """

    rank: int | None
    row: int
    length: int
    fill: float
    segments: list[ReplayedRow]
    spans: list[Span]


def preview_rows(dataset: EdenDataset, blocks: Mapping[int | None, RowBlock], *, letters: bool = False) -> list[PreviewRow]:
    """Read rows, and say what each of their tokens is.

    A base without loss weight is "masked"; where the objective chooses what to predict, those that it did not choose are not.

    Args:
        dataset: what the rows are of.
        blocks: rows by data-parallel rank; None: whatever rank reads them.
        letters: whether ambiguous and lower-case letters are kinds of their own.
    """
    return [row for rank, block in blocks.items() for row in _preview(dataset, block, rank, letters=letters)]


def _preview(dataset: EdenDataset, block: RowBlock, rank: int | None, *, letters: bool) -> list[PreviewRow]:
    layout = dataset.reader.layout
    encoded = dataset.reader.fetch(block.rows)
    found = described(dataset, encoded, block, rank).rows
    kinds, segments = _kinds(dataset, encoded, block, [one.strand for one in found], letters=letters)
    used = layout.used(encoded)
    bounds = np.searchsorted(encoded.batch.picks.rows, np.arange(encoded.rows + 1)).tolist()
    return [
        PreviewRow(
            rank=rank,
            row=int(block.rows[i]),
            length=layout.seq_length,
            fill=round(int(used[i]) / layout.seq_length, 6),
            segments=found[bounds[i] : bounds[i + 1]],
            spans=_spans(kinds[i], np.where(segments[i] < 0, -1, segments[i] - bounds[i])),
        )
        for i in range(encoded.rows)
    ]


def _kinds(
    dataset: EdenDataset, encoded: EncodedBatch, block: RowBlock, strands: list[str], *, letters: bool
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the kind of each token, by number, and its segment, counted over all rows, -1 for none; [B, S] each."""
    layout, batch = dataset.reader.layout, encoded.batch
    arrays = dataset.reader.expand(encoded)
    kinds = np.where(arrays["tokens"] == layout.vocabulary.pad, _NUMBERS["padding"], _NUMBERS["special"]).astype(np.uint8)
    segments = np.full(kinds.shape, -1, np.int64)
    flat, flat_segments = kinds.reshape(-1), segments.reshape(-1)
    weights = (arrays["loss_mask"] * ~block.repeated[:, None]).reshape(-1)
    if dataset.reader.objective.shifted:
        weights = np.roll(weights, 1)  # that of a token stands where it is the label
    offsets = (batch.bases if encoded.ids is None else encoded.ids).offsets.tolist()
    tags = batch.prefix.lengths.tolist()
    places = [bound.tolist() for bound in (*layout.places(encoded), *layout.base_places(encoded))]
    for i, (start, stop, first, last) in enumerate(zip(*places, strict=True)):
        flat_segments[start:stop] = i
        flat[start:stop] = _NUMBERS["special"]
        tag = first - tags[i] - (layout.vocabulary.sep is not None)
        flat[tag : tag + tags[i]] = _NUMBERS["tag"]
        chosen = None if encoded.chosen is None else encoded.chosen[offsets[i] : offsets[i + 1]]
        stored = batch.bases[i] if letters and encoded.ids is None else None
        flat[first:last] = _kinds_of_bases(strands[i], weights[first:last] > 0, chosen, stored)
    return kinds, segments


def _kinds_of_bases(
    strand: str, weighted: NDArray[np.bool_], chosen: NDArray[np.bool_] | None, letters: NDArray[np.uint8] | None
) -> NDArray[np.uint8]:
    kinds = np.full(weighted.size, _NUMBERS[strand], np.uint8)
    if letters is not None:
        for kind, is_kind in zip(("ambiguous", "soft-masked"), LETTER_KINDS, strict=True):
            kinds[is_kind[letters] > 0] = _NUMBERS[kind]
    if chosen is None:
        kinds[~weighted] = _NUMBERS["masked"]
        return kinds
    kinds[chosen & weighted] = _NUMBERS["predicted"]
    kinds[chosen & ~weighted] = _NUMBERS["masked"]
    return kinds


def _spans(kinds: NDArray[np.uint8], segments: NDArray[np.int64]) -> list[Span]:
    changes: NDArray[Any] = np.flatnonzero((np.diff(kinds) != 0) | (np.diff(segments) != 0)) + 1
    starts = [0, *changes.tolist()]
    return [
        Span(_NAMES[kinds[start]], start, stop, None if segments[start] < 0 else int(segments[start]))
        for start, stop in zip(starts, [*starts[1:], kinds.size], strict=True)
    ]
