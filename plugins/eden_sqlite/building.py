"""Filling a window database."""

import hashlib

import apsw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.errors import InputError, NotSupportedError
from eden_core.tiling import Tiling

_ROWS_A_STATEMENT = 256
_WINDOWS_AT_ONCE = 1 << 18


class WindowWriter:
    """Writes the rows of `window_mappings`, then the metadata and the index on `sequence_id`.

    Args:
        connection: an open transaction on a database that has the two tables.
        tiling: how to cut.
    """

    def __init__(self, connection: apsw.Connection, tiling: Tiling) -> None:
        self._connection = connection
        self._tiling = tiling
        self._digest = hashlib.blake2b(digest_size=7)  # 56 bits fit an SQLite integer
        self._last = b""
        self.sequences = 0
        self.windows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add contigs (contig_id, length) that follow those before in byte order.

        Raises:
            InputError: the ids are out of order or repeat.
            NotSupportedError: the batch has a column `start`.
        """
        if "start" in batch.schema.names:
            raise NotSupportedError('intervals (a column "start") do not fit the window database of index "sqlite"')
        ids: list[str] = batch.column("contig_id").to_pylist()
        lengths = np.asarray(batch.column("length").to_numpy(zero_copy_only=False), np.int64)
        self._check_order(ids)
        self._digest.update("".join(f"{i}\t{n}\n" for i, n in zip(ids, lengths.tolist(), strict=True)).encode())
        counts = self._tiling.counts(lengths)
        self.sequences += int(np.count_nonzero(counts))
        ends = np.cumsum(counts)
        first = 0
        while first < len(ids):
            done = int(ends[first - 1]) if first else 0
            stop = max(first + 1, int(np.searchsorted(ends, done + _WINDOWS_AT_ONCE, side="right")))
            self._insert(ids[first:stop], counts[first:stop])
            first = stop

    def finish(self) -> None:
        """Write what completes the database."""
        tiling = self._tiling
        metadata = {
            "window_size": tiling.window_size,
            "stride": tiling.stride,
            "window_min_length_threshold": tiling.min_length,
            "total_windows": self.windows,
            "distinct_sequences": self.sequences,
            "keep_tail": int(tiling.keep_tail),
            "reserve": tiling.reserve,
            "contigs_digest": int.from_bytes(self._digest.digest(), "big"),
        }
        self._connection.executemany("INSERT INTO metadata VALUES (?, ?)", metadata.items())
        self._connection.execute("CREATE INDEX idx_sequence_id ON window_mappings(sequence_id)")

    def _check_order(self, ids: list[str]) -> None:
        for sequence_id in ids:
            encoded = sequence_id.encode()
            if encoded <= self._last:
                what = "occurs more than once" if encoded == self._last else f"comes after {self._last.decode()!r}"
                raise InputError(f"contig_id {sequence_id!r} {what}; contigs must be unique and in byte order of their ids")
            self._last = encoded

    def _insert(self, ids: list[str], counts: NDArray[np.int64]) -> None:
        """Insert the windows of some contigs with many rows a statement, the fastest way for short contigs."""
        total = int(counts.sum())
        numbers = np.arange(total) - np.repeat(np.cumsum(counts) - counts, counts)
        cells: list[str | int] = [0] * (3 * total)
        cells[0::3] = range(self.windows, self.windows + total)
        cells[1::3] = [i for i, count in zip(ids, counts.tolist(), strict=True) for _ in range(count)]
        cells[2::3] = numbers.tolist()
        whole = total - total % _ROWS_A_STATEMENT
        statement = _insert_statement(_ROWS_A_STATEMENT)
        step = 3 * _ROWS_A_STATEMENT
        self._connection.executemany(statement, (cells[at : at + step] for at in range(0, 3 * whole, step)))
        if total > whole:
            self._connection.execute(_insert_statement(total - whole), cells[3 * whole :])
        self.windows += total


def _insert_statement(rows: int) -> str:
    return "INSERT INTO window_mappings VALUES " + ",".join(["(?,?,?)"] * rows)  # noqa: S608 - placeholders only
