"""What the bases of contigs come to: digest, counts of letters, runs, NUL bytes; a few megabytes are in memory at a time."""

from collections.abc import Iterator, Sequence
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Windows
from eden_core.contigs import COUNTED
from eden_core.errors import FormatError
from eden_core.importing.composition import count_letters
from eden_core.interfaces import SequenceStore
from eden_core.runs import N_RUNS, SOFT_MASKED, Runs, n_runs, soft_masked

_BASES_AT_ONCE = 1 << 22
_BASES_NEAR_A_FAULT = 1 << 10
_FINDERS = {N_RUNS: n_runs, SOFT_MASKED: soft_masked}
_DIGITS = 32
"""of a digest, as `eden_core.contigs.DETAILS` says"""


class Contents:
    """What the bases of one contig come to, piece by piece.

    Attributes:
        length: bases so far.
        letters: int64 [7], bases as `eden_core.contigs.COUNTED` counts them, where that was asked for.
        nul: zero-based position of the first NUL byte; None: there is none.
        fault: why the bases from some place on could not be read; None: they could.
    """

    def __init__(self, *, counted: bool = False) -> None:
        self.length = 0
        self.letters = np.zeros(len(COUNTED), np.int64) if counted else None
        self.nul: int | None = None
        self.fault: str | None = None
        self._digest = sha256()
        self._runs: dict[str, list[Runs]] = {table: [] for table in _FINDERS}

    def add(self, bases: bytes) -> None:
        """Go on with the bases that follow."""
        self._digest.update(bases)
        place = bases.find(0)
        if place >= 0:
            self.nul = self.length + place if self.nul is None else self.nul
        for table, finder in _FINDERS.items():
            found = finder(bases)
            if found is not None:
                self._runs[table].append((found[0] + self.length, found[1] + self.length))
        if self.letters is not None:
            self.letters += np.array(count_letters(bases))
        self.length += len(bases)

    @property
    def digest(self) -> str:
        """The digest that `eden_core.contigs.DETAILS` describes."""
        return self._digest.hexdigest()[:_DIGITS]

    @property
    def counts(self) -> list[int]:
        """Bases as `eden_core.contigs.COUNTED` counts them."""
        if self.letters is None:
            raise ValueError("letters were not counted")
        return self.letters.tolist()

    def runs(self, table: str) -> Runs:
        """Return the runs that a table such as `n_runs.parquet` must list."""
        pieces = self._runs[table]
        if not pieces:
            return np.empty(0, np.int64), np.empty(0, np.int64)
        starts, ends = (np.concatenate([piece[side] for piece in pieces]) for side in (0, 1))
        apart = starts[1:] != ends[:-1]  # a run that goes on in the next piece touches it
        return starts[np.append(True, apart)], ends[np.append(apart, True)]


def contents_of(
    store: SequenceStore, contig_ids: Sequence[str], lengths: NDArray[np.int64], *, counted: bool = False
) -> Iterator[Contents]:
    """Yield what the bases of each contig come to, in the order given.

    Args:
        store: where they are read.
        contig_ids: ids; neighbours should lie in one shard.
        lengths: int64, bases of each contig.
        counted: whether letters are counted.
    """
    ends = np.cumsum(lengths)
    first = 0
    while first < len(contig_ids):
        done = int(ends[first - 1]) if first else 0
        stop = max(first + 1, int(np.searchsorted(ends, done + _BASES_AT_ONCE, side="right")))
        if stop == first + 1:
            yield _contents_of_one(store, contig_ids[first], int(lengths[first]), counted=counted)
        else:
            yield from _contents_of_some(store, contig_ids[first:stop], lengths[first:stop], counted=counted)
        first = stop


def _contents_of_one(store: SequenceStore, contig_id: str, length: int, *, counted: bool) -> Contents:
    contents = Contents(counted=counted)
    for start in range(0, length, _BASES_AT_ONCE):
        stop = min(start + _BASES_AT_ONCE, length)
        try:
            contents.add(_read_piece(store, contig_id, start, stop))
        except FormatError:
            _add_to_fault(contents, store, contig_id, stop)
            break
    return contents


def _add_to_fault(contents: Contents, store: SequenceStore, contig_id: str, stop: int) -> None:
    """Go on in small pieces, up to the one that is damaged."""
    for start in range(contents.length, stop, _BASES_NEAR_A_FAULT):
        try:
            contents.add(_read_piece(store, contig_id, start, min(start + _BASES_NEAR_A_FAULT, stop)))
        except FormatError as error:
            contents.fault = f"from position {start} on they cannot be read: {error}"
            return
        if contents.nul is not None:  # a hole, of which SQLite reads single pages without complaint
            return
    contents.fault = f"they can be read in small pieces only up to position {stop}"


def _contents_of_some(
    store: SequenceStore, contig_ids: Sequence[str], lengths: NDArray[np.int64], *, counted: bool
) -> Iterator[Contents]:
    filled = np.flatnonzero(lengths)  # of no bases there is nothing to read
    try:
        pieces = iter(_read(store, [contig_ids[i] for i in filled.tolist()], np.zeros(filled.size, np.int64), lengths[filled]))
    except FormatError:
        for contig_id, length in zip(contig_ids, lengths.tolist(), strict=True):
            yield _contents_of_one(store, contig_id, length, counted=counted)
        return
    for length in lengths.tolist():
        contents = Contents(counted=counted)
        if length:
            contents.add(next(pieces))
        yield contents


def _read_piece(store: SequenceStore, contig_id: str, start: int, stop: int) -> bytes:
    return _read(store, [contig_id], np.array([start]), np.array([stop - start]))[0]


def _read(
    store: SequenceStore, contig_ids: Sequence[str], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> list[bytes]:
    if not contig_ids:
        return []
    windows = Windows(np.arange(len(contig_ids)), tuple(contig_ids), starts, lengths)
    return [row.tobytes() for row in store.read(windows)]
