"""Index "arrow": the contigs and how they are cut; where a window lies is worked out when it is asked for."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_arrow.contig_file import FORMAT, REBUILD, VERSION, ContigFile
from eden_arrow.directory import Directory
from eden_arrow.tilings import PLACINGS, Placement, chosen_tiling
from eden_core.assembly import true_or_false
from eden_core.atomic import atomic_path
from eden_core.batch import Windows
from eden_core.contigs import OrderCheck, first_rows
from eden_core.digests import ContigDigests
from eden_core.errors import ConfigurationError, FormatError, InputError, WindowOutOfRangeError
from eden_core.interfaces import IndexSummary, WindowIndex
from eden_core.mixing import digest_of
from eden_core.scratch import scratch_folder
from eden_core.tiling import Tiling

_WINDOWS_AT_ONCE = 4096


class ArrowIndex(WindowIndex):
    """Reads and writes contigs in an Arrow file; cuts them in any way that is asked for, and nothing per contig is in memory.

    Args:
        location: path of the file.
        io: how the file is read: "mmap" through a memory map; "pread" by small reads, whose memory does not grow, and where
            an error of the file system is an exception and not the end of the process; "auto": a map of a file of up to 64 MiB
            on a local disk, else reads.
        window_size: bases a window; None: as built.
        stride: bases from one window's start to the next one's; None: as built, or of another window size its default.
        min_length: the shortest window to keep, in bases; None: as built.
        keep_tail: whether windows go on to the last base; None: as built.
        reserve: with `keep_tail`, tokens of a row that specials and tags may take; None: as built.
        allow_gaps: whether a stride that is asked for may leave bases between windows unread.
        intervals: a BED file (contig, start, end; plain or gzip): windows lie in its intervals only.
        placing: where windows lie in them: "grid", where they lie in their contigs, those that end in the interval (see
            `Tiling.interval_windows`; intervals must not overlap); "start", from the interval's first base on, cut as a
            sequence of its own, the last window no longer than the interval (intervals may overlap).

    Raises:
        FormatError: there is no such file, it is damaged, of another format or incomplete.
        ConfigurationError: the options have no meaning together, or leave not one window.
        InputError: the BED file cannot be read, or does not fit the contigs; the message names the line.
    """

    name: ClassVar[str] = "arrow"
    suffix: ClassVar[str] = ".arrow"
    retiles: ClassVar[bool] = True

    def __init__(
        self,
        location: str,
        *,
        io: str = "auto",
        window_size: int | None = None,
        stride: int | None = None,
        min_length: int | None = None,
        keep_tail: bool | None = None,
        reserve: int | None = None,
        allow_gaps: bool = False,
        intervals: str | None = None,
        placing: str = "grid",
    ) -> None:
        super().__init__(location)
        self.io, self.intervals, self.placing = io, intervals, placing
        self.allow_gaps = true_or_false("allow_gaps", allow_gaps)
        self.window_size, self.stride, self.min_length, self.keep_tail = window_size, stride, min_length, keep_tail
        self.reserve = reserve
        if placing not in PLACINGS or (placing == "start" and intervals is None):
            raise ConfigurationError(f"placing is {placing!r}; expected 'grid', or with intervals 'grid' or 'start'")
        built = ContigFile(self.location, io)
        tiling_built = _tiling_of(built)
        self.contigs_digest, self.bases_digest = _digests_of(built)
        self.tiling = chosen_tiling(
            tiling_built,
            window_size=window_size,
            stride=stride,
            min_length=min_length,
            keep_tail=keep_tail,
            reserve=reserve,
            allow_gaps=allow_gaps,
        )
        self._file, self._bed = built, ""
        if intervals is not None:
            from eden_arrow.intervals import interval_file

            self._file, self._bed = interval_file(built, str(intervals), placing, io)
        self._placement = Placement(self.tiling, placing)
        self._directory = Directory(self._file, self._placement)
        self._length = int(self._directory.first_windows[-1])
        self._check_length(built, tiling_built)

    @classmethod
    def build(cls, location: str, contigs: Iterable[pa.RecordBatch], tiling: Tiling) -> IndexSummary:
        """Write an Arrow file of contigs, or intervals of them; those without a window under this tiling are kept too."""
        from eden_arrow.writing import ContigWriter

        with atomic_path(location) as draft, scratch_folder(Path(location).absolute().parent, "index") as folder:
            writer, count = ContigWriter(folder), _Count(tiling)
            for batch in contigs:
                if batch.num_rows:
                    writer.add(batch)
                    count.add(batch)
            if not count.windows:
                raise InputError(f"not one window: {why_none(tiling, intervals=count.has_intervals)}")
            writer.write(draft, count.metadata)
        cls(str(location)).close()  # which also writes its directory, where that has many rows
        return IndexSummary(str(location), count.sequences, count.windows)

    def __len__(self) -> int:
        return self._length

    def lookup(self, window_ids: NDArray[np.int64]) -> Windows:
        """Return where windows lie; `lengths` never reach behind the end of the sequence, or of the interval."""
        ids = np.ascontiguousarray(window_ids, np.int64)
        if not ids.size:
            return Windows(ids, (), np.empty(0, np.int64), np.empty(0, np.int64))
        order = np.argsort(ids)
        wanted = ids[order]
        if wanted[0] < 0 or wanted[-1] >= self._length:
            outside = int(wanted[0] if wanted[0] < 0 else wanted[-1])
            raise WindowOutOfRangeError(f"window {outside} of {self.location}, which has {self._length} windows")
        parts = [self._places(wanted[at : at + _WINDOWS_AT_ONCE]) for at in range(0, ids.size, _WINDOWS_AT_ONCE)]
        rows, starts, lengths = parts[0] if len(parts) == 1 else map(np.concatenate, zip(*parts, strict=True))
        new = np.ones(rows.size, bool)
        np.not_equal(rows[1:], rows[:-1], out=new[1:])
        names = self._file.columns.ids(rows[new])
        back = np.empty_like(order)
        back[order] = np.arange(order.size)
        which = (np.cumsum(new) - 1)[back].tolist()
        return Windows(ids, tuple([names[i] for i in which]), starts[back], lengths[back])

    def contigs(self) -> Iterator[pa.RecordBatch]:
        """Yield the sequences, or intervals of them, that have windows, in order of windows.

        Intervals that were placed by "start" have a further column `end` (int64), behind which none of their windows reads.
        """
        done = 0
        for batch in self._file.batches():
            columns = {name: batch.column(name).to_numpy() for name in self._file.numbers}
            counts = self._placement.counts(columns)
            found = {"first_window": np.cumsum(counts) - counts + done, "windows": counts}
            done += int(counts.sum())
            arrays = {"contig_id": batch.column("contig_id")} | {name: pa.array(array) for name, array in found.items()}
            if not self._file.has_intervals:
                arrays["length"] = batch.column("length")
            else:
                known = "contig_length" in columns
                arrays["length"] = batch.column("contig_length") if known else pa.nulls(batch.num_rows, pa.int64())
                begins, ends = self._placement.bounds(columns)
                arrays["start"] = pa.array(begins)
                arrays |= {"end": pa.array(ends)} if self.placing == "start" else {}
            some = pa.RecordBatch.from_pydict(arrays).filter(pa.array(counts > 0))
            if some.num_rows:
                yield some

    def check(self) -> None:
        """Read the whole file, and see that its rows are in order and are those that it was built from."""
        built = ContigFile(self.location, self.io)
        check_order, digests = OrderCheck(self.location), ContigDigests()
        try:
            for batch in built.batches():
                check_order(batch)
                digests.add(batch)
        except InputError as error:
            raise FormatError(f"{error}; it is damaged: {REBUILD}") from error
        if digests.contigs != self.contigs_digest:
            raise FormatError(f"{self.location} is damaged: its rows are not those that it was built from; {REBUILD}")

    def fingerprint(self) -> str:
        """Return a digest of what it was built from, of the tiling, and of the intervals."""
        intervals = (self._bed, self.placing) if self._bed else ()
        return f"{self.name}:{digest_of(self.tiling, self.contigs_digest, self.bases_digest, intervals)}"

    def close(self) -> None:
        """Close this process's file."""
        self._file.close()

    def _places(self, wanted: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of windows, where they begin, and their bases."""
        firsts, size = self._directory.first_windows, self._directory.block_rows
        blocks = np.searchsorted(firsts, wanted, side="right") - 1
        read = self._file.columns.blocks
        columns = {name: read(name, blocks, size) for name in self._file.numbers}
        numbers, places = wanted - firsts[blocks], np.zeros_like(wanted)
        at = np.arange(wanted.size), places
        if size > 1:
            counts = self._placement.counts(columns)
            reach = np.cumsum(counts, axis=1)
            np.sum(reach <= numbers[:, np.newaxis], axis=1, out=places)
            if int(places.max()) >= size:
                raise FormatError(f"{self.location} is damaged: it has fewer windows than it should; {REBUILD}")
            numbers += counts[at] - reach[at]
        begins, ends = self._placement.bounds({name: column[at] for name, column in columns.items()})
        starts = begins + numbers * self.tiling.stride
        return blocks * size + places, starts, np.minimum(ends - starts, self.tiling.window_size)

    def _check_length(self, built: ContigFile, tiling_built: Tiling) -> None:
        if self._file is built and self.tiling == tiling_built and str(self._length) != built.metadata.get("windows"):
            raise FormatError(
                f"{self.location} is damaged: its metadata promise {built.metadata.get('windows')} windows, and its rows have "
                f"{self._length}; {REBUILD}"
            )
        if not self._length:
            where = f" in the intervals of {self.intervals}" if self.intervals else ""
            reason = why_none(self.tiling, intervals=self._file.has_intervals and self.placing == "grid")
            raise ConfigurationError(f"{self.location}: not one window{where}: {reason}")


def why_none(tiling: Tiling, *, intervals: bool) -> str:
    """Say why there may be not one window."""
    if intervals:
        return (
            f"no interval holds a whole window of {tiling.window_size} bases that begins at a multiple of the stride, "
            f"{tiling.stride}, in its contig"
        )
    least = max(1, tiling.min_length)
    return f"no sequence has {least} bases or more, or the window size {tiling.window_size} is below the minimum length"


class _Count:
    """Checks and counts contigs that an index is built from."""

    def __init__(self, tiling: Tiling) -> None:
        self._tiling, self._placement = tiling, Placement(tiling)
        self._check_order, self._digests = OrderCheck(), ContigDigests()
        self._last: str | None = None
        self.has_intervals = False
        self.sequences = self.windows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add contigs.

        Raises:
            InputError: the ids are out of order or repeat, or intervals overlap.
        """
        self._check_order(batch)
        self._digests.add(batch)
        names = [name for name in batch.schema.names if name in {"length", "start", "contig_length"}]
        self.has_intervals |= "start" in names
        counts = self._placement.counts({name: batch.column(name).to_numpy(zero_copy_only=False) for name in names})
        self.windows += int(counts.sum())
        ids = batch.column("contig_id").filter(pa.array(counts > 0))
        if len(ids):
            self.sequences += int(pc.sum(first_rows(ids, self._last)).as_py())
            self._last = ids[-1].as_py()

    @property
    def metadata(self) -> dict[str, str]:
        """What the schema says of the rows."""
        tiling = self._tiling
        found: dict[str, Any] = {
            "format": FORMAT,
            "format_version": VERSION,
            "window_size": tiling.window_size,
            "stride": tiling.stride,
            "min_length": tiling.min_length,
            "keep_tail": int(tiling.keep_tail),
            "reserve": tiling.reserve,
            "windows": self.windows,
            "sequences": self.sequences,
            "contigs_digest": self._digests.contigs,
        }
        if self._digests.bases is not None:
            found["bases_digest"] = self._digests.bases
        return {name: str(value) for name, value in found.items()}


def _integer(file: ContigFile, name: str) -> int:
    try:
        return int(file.metadata[name])
    except (KeyError, ValueError) as error:
        found = file.metadata.get(name)
        raise FormatError(f"{file.path} has {found!r} as its {name}, which is no integer; {REBUILD}") from error


def _tiling_of(file: ContigFile) -> Tiling:
    window_size, stride, min_length, keep_tail, reserve = (
        _integer(file, name) for name in ("window_size", "stride", "min_length", "keep_tail", "reserve")
    )
    try:
        return Tiling(window_size, stride, min_length, bool(keep_tail), reserve)
    except ConfigurationError as error:
        raise FormatError(f"{file.path} has a tiling that has no meaning ({error}); {REBUILD}") from error


def _digests_of(file: ContigFile) -> tuple[int, int | None]:
    return _integer(file, "contigs_digest"), _integer(file, "bases_digest") if "bases_digest" in file.metadata else None
