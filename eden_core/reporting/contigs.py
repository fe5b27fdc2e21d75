"""Coverage: how much of each contig and sample was read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.interfaces import WindowIndex
from eden_core.reporting.windows import WindowCounts
from eden_core.sequence_columns import samples_of
from eden_core.tiling import Tiling

MOST_READ, LARGEST_UNREAD, SAMPLES = 700, 300, 1000
"""contigs and samples that a report lists"""
STRETCHES = 40
"""stretches of a contig whose coverage is drawn"""


@dataclass
class SampleCount:
    """What was read of a sample.

    Attributes:
        contigs, contigs_read, windows: None where no index says.
        read, reads: windows that were read, and how often in all.
        bases, bases_read: None where the index does not know the lengths of contigs.
    """

    contigs: int | None = 0
    contigs_read: int | None = 0
    windows: int | None = 0
    read: int = 0
    reads: int = 0
    bases: int | None = 0
    bases_read: int | None = 0


@dataclass(frozen=True)
class ContigCount:
    """What was read of a contig; `contig` is None until its name is looked for in the logs.

    Attributes:
        first: number of its first window in the index of its source.
        windows: how many it has; those seen to, where no index says.
        read, reads: windows that were read, and how often in all.
        bases, bases_read: None where the index does not know the length.
        origin: where no index says the name, see `WindowCounts.stretches`.
    """

    source: int
    first: int
    contig: str | None
    windows: int
    read: int
    reads: int
    bases: int | None = None
    bases_read: int | None = None
    origin: int | None = None


@dataclass
class Coverage:
    """What was read of contigs and samples, the most read ones and the largest that never were by name.

    Attributes:
        contigs, contigs_read: how many there are, or were met, and how many were read.
        listed: the contigs that a report lists.
        samples: by name.
        bases, bases_read: of all; None where an index does not know the lengths.
    """

    contigs: int = 0
    contigs_read: int = 0
    listed: list[ContigCount] = field(default_factory=list)
    samples: dict[str, SampleCount] = field(default_factory=dict)

    def add_indexed(self, source: int, index: WindowIndex, counts: WindowCounts) -> None:
        """Add the contigs of an index, read or not."""
        total, read = counts.total(), counts.read
        for batch in index.contigs():
            self._add(batch, _Piece.of(batch, total, read, index), source)

    def add_met(self, source: int, counts: WindowCounts) -> None:
        """Add the contigs that logs name, each up to its window that was read last."""
        firsts, stops, origins = counts.stretches()
        piece = _Piece(firsts, stops - firsts, *_sums(firsts, stops, counts.total(), counts.read), None, None, origins)
        self.contigs += firsts.size
        self.contigs_read += firsts.size
        self._list(source, piece, None)

    def add_met_samples(self, samples: pa.Array, fresh: NDArray[np.int64]) -> None:
        """Add the samples of windows [W] in a log; `fresh` says at which places a window stands that was not read before."""
        encoded = samples.dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        names = encoded.dictionary.to_pylist()
        reads, read = np.bincount(codes, minlength=len(names)), np.bincount(codes[fresh], minlength=len(names))
        for name, *found in zip(names, reads.tolist(), read.tolist(), strict=True):
            one = self.samples.setdefault(name, SampleCount(None, None, None, 0, 0, None, None))
            one.reads, one.read = one.reads + found[0], one.read + found[1]

    def _add(self, batch: pa.RecordBatch, piece: "_Piece", source: int) -> None:
        self.contigs += batch.num_rows
        self.contigs_read += int((piece.read > 0).sum())
        self._list(source, piece, batch)
        encoded = samples_of(batch.column("contig_id")).dictionary_encode()
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        names = encoded.dictionary.to_pylist()
        for name, sums in zip(names, piece.sums(codes, len(names)), strict=True):
            one = self.samples.setdefault(name, SampleCount())
            for key, value in sums.items():
                before = getattr(one, key)
                setattr(one, key, None if value is None or before is None else before + value)

    def _list(self, source: int, piece: "_Piece", batch: pa.RecordBatch | None) -> None:
        read = np.lexsort((piece.windows, piece.reads))[::-1][:MOST_READ]
        unread = np.flatnonzero(piece.reads == 0)
        unread = unread[np.argsort(-piece.windows[unread], kind="stable")[:LARGEST_UNREAD]]
        chosen = [*read[piece.reads[read] > 0].tolist(), *unread.tolist()]
        found = [*self.listed, *(piece.contig(source, i, batch) for i in chosen)]
        self.listed = [
            *nlargest(MOST_READ, (one for one in found if one.reads), key=lambda one: (one.reads, one.windows)),
            *nlargest(LARGEST_UNREAD, (one for one in found if not one.reads), key=lambda one: one.windows),
        ]


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some contigs, C of them; each array has C items."""

    firsts: NDArray[np.int64]
    windows: NDArray[np.int64]
    reads: NDArray[np.int64]
    read: NDArray[np.int64]
    bases: NDArray[np.int64] | None
    bases_read: NDArray[np.int64] | None
    origins: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, batch: pa.RecordBatch, total: NDArray[np.uint32], read: NDArray[np.bool_], index: WindowIndex) -> "_Piece":
        firsts, windows = (np.asarray(batch.column(name).to_numpy(), np.int64) for name in ("first_window", "windows"))
        reads, found = _sums(firsts, firsts + windows, total, read)
        if batch.column("length").null_count or "start" in batch.schema.names:
            return cls(firsts, windows, reads, found, None, None)
        lengths = np.asarray(batch.column("length").to_numpy(), np.int64)
        return cls(firsts, windows, reads, found, lengths, _bases_read(firsts, windows, lengths, read, index.tiling))

    def contig(self, source: int, i: int, batch: pa.RecordBatch | None) -> ContigCount:
        name = None
        if batch is not None:
            name = batch.column("contig_id")[i].as_py()
            name += f":{batch.column('start')[i].as_py()}" if "start" in batch.schema.names else ""
        optional = (self.bases, self.bases_read, self.origins)
        bases, bases_read, origin = (None if column is None else int(column[i]) for column in optional)
        windows, read, reads = (int(column[i]) for column in (self.windows, self.read, self.reads))
        return ContigCount(source, int(self.firsts[i]), name, windows, read, reads, bases, bases_read, origin)

    def sums(self, codes: NDArray[np.int64], groups: int) -> Iterator[dict[str, int | None]]:
        """Yield the sums of the contigs with each code."""
        columns = {
            "contigs": np.ones(codes.size, np.int64), "contigs_read": self.read > 0, "windows": self.windows, "read": self.read,
            "reads": self.reads, "bases": self.bases, "bases_read": self.bases_read,
        }  # fmt: skip
        summed = {name: None if column is None else _grouped(column, codes, groups) for name, column in columns.items()}
        for group in range(groups):
            yield {name: None if column is None else int(column[group]) for name, column in summed.items()}


def _grouped(column: NDArray[Any], codes: NDArray[np.int64], groups: int) -> NDArray[np.int64]:
    sums = np.zeros(groups, np.int64)
    np.add.at(sums, codes, column.astype(np.int64))
    return sums


def _sums(
    firsts: NDArray[np.int64], stops: NDArray[np.int64], total: NDArray[np.uint32], read: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how often windows `first … stop - 1` were read in all, and how many of them were; those between were not."""
    reads, found = np.zeros(firsts.size, np.int64), np.zeros(firsts.size, np.int64)
    some = np.flatnonzero(stops > firsts)  # a sum over nothing would be that of one window
    if some.size:
        low, high = int(firsts[some[0]]), int(stops[some[-1]])
        for sums, column in ((reads, total), (found, read)):
            sums[some] = np.add.reduceat(column[low:high], firsts[some] - low, dtype=np.int64)
    return reads, found


def _bases_read(
    firsts: NDArray[np.int64],
    windows: NDArray[np.int64],
    lengths: NDArray[np.int64],
    read: NDArray[np.bool_],
    tiling: Tiling,
) -> NDArray[np.int64]:
    """Return how many different bases of each contig lie in windows that were read."""
    sums = np.zeros(firsts.size, np.int64)
    if not firsts.size:
        return sums
    low = int(firsts.min())
    found = low + np.flatnonzero(read[low : int((firsts + windows).max())])
    contigs = np.searchsorted(firsts, found, side="right") - 1
    starts = (found - firsts[contigs]) * tiling.stride
    ends = np.minimum(starts + tiling.window_size, lengths[contigs])
    goes_on = np.diff(contigs, append=-1) == 0
    ends = np.where(goes_on, np.minimum(ends, np.append(starts[1:], 0)), ends)
    np.add.at(sums, contigs, ends - starts)
    return sums


def stretches_of(one: ContigCount, total: NDArray[np.uint32]) -> list[float]:
    """Return how often the windows of each stretch of a contig were read, on average."""
    counts = total[one.first : one.first + one.windows].astype(np.int64)
    bins = min(STRETCHES, counts.size)
    edges = np.arange(bins + 1) * counts.size // bins
    return [round(float(mean), 3) for mean in np.add.reduceat(counts, edges[:-1]) / np.diff(edges)]
