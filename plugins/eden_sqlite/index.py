"""Index "sqlite": the window database of the seed's format, one row a window."""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import apsw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.batch import Windows
from eden_core.contigs import BATCH_ROWS
from eden_core.errors import FormatError, InputError, WindowOutOfRangeError
from eden_core.interfaces import IndexSummary, WindowIndex
from eden_core.mixing import digest_of
from eden_core.tiling import DEFAULT_RESERVE, Tiling
from eden_sqlite.checking import check_windows
from eden_sqlite.connections import file_system_error, process_pool
from eden_sqlite.stretches import CONTIG_SCHEMA, stretches
from eden_sqlite.writing import new_database

_SCHEMA = """
CREATE TABLE metadata (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
CREATE TABLE window_mappings (
    window_idx INTEGER PRIMARY KEY, sequence_id TEXT NOT NULL, window_in_seq_idx INTEGER NOT NULL
);
"""
_LOOKUP = """
SELECT w.sequence_id, w.window_in_seq_idx FROM carray(?) AS wanted
CROSS JOIN window_mappings AS w ON w.window_idx = wanted.value
"""
_TILING = {"window_size", "stride", "window_min_length_threshold", "keep_tail", "reserve"}
_INTEGERS = _TILING | {"total_windows", "intervals", "contigs_digest", "bases_digest"}
_FILES = 128
_CACHE_PAGES = 512
_SAMPLED_ROWS = 64


class SqliteIndex(WindowIndex):
    """Reads and writes window databases; one query a batch, nothing per contig in memory.

    Args:
        location: path of the database.

    Raises:
        FormatError: there is no such file, it is damaged, of another format or incomplete.
    """

    name: ClassVar[str] = "sqlite"

    def __init__(self, location: str) -> None:
        super().__init__(location)
        self.close()  # what this process has open there may have been replaced since
        try:
            self._metadata = self._checked_metadata()
            self._length = self._checked_length()
            self.tiling = self._tiling()
            self.contigs_digest, self.bases_digest = (self._metadata.get(key) for key in ("contigs_digest", "bases_digest"))
        except FormatError:
            self.close()
            raise

    @classmethod
    def build(cls, location: str, contigs: Iterable[pa.RecordBatch], tiling: Tiling) -> IndexSummary:
        """Write a window database from contigs, or intervals of them."""
        from eden_sqlite.building import WindowWriter

        with new_database(location, _SCHEMA) as connection:
            writer = WindowWriter(connection, tiling)
            for batch in contigs:
                writer.add(batch)
            if not writer.windows:
                raise InputError(f"not one window: {writer.why_none()}")
            writer.finish()
        return IndexSummary(str(location), writer.sequences, writer.windows)

    def __len__(self) -> int:
        return self._length

    def lookup(self, window_ids: NDArray[np.int64]) -> Windows:
        """Return where windows lie; `lengths` is the window size, since the format holds no sequence lengths."""
        ids = np.ascontiguousarray(window_ids, np.int64)
        if not ids.size:
            return Windows(ids, (), np.empty(0, np.int64), np.empty(0, np.int64))
        outside = ids[(ids < 0) | (ids >= self._length)]
        if outside.size:
            raise WindowOutOfRangeError(f"window {int(outside[0])} of {self.location}, which has {self._length} windows")
        rows = self._query(_LOOKUP, (apsw.carray(ids),))
        if len(rows) != ids.size:
            raise FormatError(f"{self.location} lacks some of the windows 0 to {self._length - 1}; {_REBUILD}")
        sequence_ids, numbers = zip(*rows, strict=True)
        starts = np.array(numbers, np.int64) * self.tiling.stride
        return Windows(ids, sequence_ids, starts, np.full(ids.size, self.tiling.window_size, np.int64))

    def contigs(self) -> Iterator[pa.RecordBatch]:
        """Yield the sequences, or stretches of them, in order of windows; lengths are unknown to the format, so null."""
        if self._metadata.get("intervals"):
            yield from stretches(self._windows(), self.tiling.stride)
            return
        first = 0
        while first < self._length:
            query = (
                "SELECT sequence_id, window_idx FROM window_mappings WHERE window_in_seq_idx = 0 AND window_idx >= ? "
                "ORDER BY window_idx LIMIT ?"
            )
            rows = self._query(query, (first, BATCH_ROWS + 1))
            if not rows or rows[0][1] != first:
                raise FormatError(f"window {first} of {self.location} does not begin a sequence, as it should; {_REBUILD}")
            whole, last = rows[:BATCH_ROWS], rows[BATCH_ROWS:]
            first = last[0][1] if last else self._length
            ids, firsts = zip(*whole, strict=True)
            counts = np.diff(np.array([*firsts, first], np.int64))
            columns = [pa.array(ids, pa.string()), pa.array(firsts, pa.int64()), pa.array(counts)]
            yield pa.RecordBatch.from_arrays([*columns, pa.nulls(len(ids), pa.int64())], schema=CONTIG_SCHEMA)

    def _windows(self) -> Iterator[list[tuple[str, int]]]:
        """All rows, without their numbers."""
        query = "SELECT sequence_id, window_in_seq_idx FROM window_mappings WHERE window_idx >= ? ORDER BY window_idx LIMIT ?"
        for first in range(0, self._length, BATCH_ROWS):
            rows = self._query(query, (first, BATCH_ROWS))
            if len(rows) != min(BATCH_ROWS, self._length - first):
                raise FormatError(f"{self.location} lacks some of the windows 0 to {self._length - 1}; {_REBUILD}")
            yield rows

    def check(self) -> None:
        """Let SQLite look at every page, and see that windows are numbered without gaps."""
        check_windows(self.location, self._query, self._length, intervals=bool(self._metadata.get("intervals")))

    def fingerprint(self) -> str:
        """Return a digest of the metadata and of rows sampled evenly through the table."""
        count = min(self._length, _SAMPLED_ROWS)
        windows = self.lookup(np.arange(count) * self._length // count)
        return f"{self.name}:{digest_of(sorted(self._metadata.items()), windows.sequence_ids, windows.starts.tolist())}"

    def close(self) -> None:
        """Close this process's connection to the file."""
        pool = process_pool()
        with pool.lock:
            pool.close_where(lambda path: path == self.location)

    def _query(self, statement: str, bindings: tuple[Any, ...] = ()) -> list[Any]:
        pool = process_pool()
        with pool.lock:
            try:
                database = pool.database(self.location, _FILES, _CACHE_PAGES)
            except FileNotFoundError as error:
                raise FormatError(f"{self.location}: there is no such window database; {_REBUILD}") from error
            try:
                return database.connection.execute(statement, bindings).fetchall()
            except apsw.Error as error:
                damage = FormatError(f"{self.location} is no window database that can be read ({error}); {_REBUILD}")
                raise file_system_error(error, database.path, database.connection) or damage from error

    def _checked_metadata(self) -> dict[str, int]:
        metadata = dict(self._query("SELECT key, value FROM metadata"))
        missing = [key for key in ("window_size", "stride") if key not in metadata]
        if missing:
            raise FormatError(f"the metadata of {self.location} lack {' and '.join(missing)}; {_REBUILD}")
        for key in _INTEGERS & set(metadata):
            if not isinstance(metadata[key], int):
                raise FormatError(f"{self.location} has {metadata[key]!r} as its {key}, which is no integer; {_REBUILD}")
        return metadata

    def _checked_length(self) -> int:
        first, last = self._query("SELECT min(window_idx), max(window_idx) FROM window_mappings")[0]
        found = 0 if last is None else last + 1
        promised = self._metadata.get("total_windows", found)
        if found != promised or found == 0 or first != 0:
            raise FormatError(
                f"{self.location} is incomplete: its metadata promise {promised} windows, and its table holds windows "
                f"{first} to {last}; {_REBUILD}"
            )
        return int(found)

    def _tiling(self) -> Tiling:
        get = self._metadata.get
        return Tiling(
            self._metadata["window_size"],
            self._metadata["stride"],
            min_length=get("window_min_length_threshold", 0),
            keep_tail=bool(get("keep_tail", 0)),
            reserve=get("reserve", DEFAULT_RESERVE),
        )


_REBUILD = "build it with: eden-precompute SPLIT.parquet WINDOWS.db --window-size N --stride N"
