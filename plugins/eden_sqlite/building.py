"""Filling a window database."""

import apsw
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core.contigs import OrderCheck, first_rows
from eden_core.cutting import Cut
from eden_core.digests import ContigDigests
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
        self._check_order = OrderCheck()
        self._digests = ContigDigests()
        self._intervals = False
        self._last: str | None = None
        self.sequences = 0
        self.windows = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Add contigs, or intervals of them, that follow those before (columns: see `WindowIndex.build`).

        Raises:
            InputError: the ids are out of order or repeat, or intervals overlap.
        """
        self._check_order(batch)
        self._digests.add(batch)
        self._intervals |= "start" in batch.schema.names
        cut = Cut.of(batch, self._tiling)
        self._count(batch.column("contig_id").filter(pa.array(cut.counts > 0)))
        ids: list[str] = batch.column("contig_id").to_pylist()
        ends = np.cumsum(cut.counts)
        first = 0
        while first < len(ids):
            done = int(ends[first - 1]) if first else 0
            stop = max(first + 1, int(np.searchsorted(ends, done + _WINDOWS_AT_ONCE, side="right")))
            self._insert(ids[first:stop], cut.firsts[first:stop], cut.counts[first:stop])
            first = stop

    def why_none(self) -> str:
        """Say why there may be not one window."""
        tiling = self._tiling
        if self._intervals:
            return (
                f"no interval holds a whole window of {tiling.window_size} bases that begins at a multiple of the stride, "
                f"{tiling.stride}, in its contig"
            )
        least = max(1, tiling.min_length)
        return f"no sequence has {least} bases or more, or the window size {tiling.window_size} is below the minimum length"

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
            "contigs_digest": self._digests.contigs,
        }
        if self._intervals:
            metadata["intervals"] = 1
        if self._digests.bases is not None:
            metadata["bases_digest"] = self._digests.bases
        self._connection.executemany("INSERT INTO metadata VALUES (?, ?)", metadata.items())
        self._connection.execute("CREATE INDEX idx_sequence_id ON window_mappings(sequence_id)")

    def _count(self, ids: pa.Array) -> None:
        """Count sequences that have windows: intervals of one stand side by side."""
        if len(ids):
            self.sequences += int(pc.sum(first_rows(ids, self._last)).as_py())
            self._last = ids[-1].as_py()

    def _insert(self, ids: list[str], firsts: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        """Insert the windows of some contigs with many rows a statement, the fastest way for short contigs."""
        total = int(counts.sum())
        numbers = np.arange(total) - np.repeat(np.cumsum(counts) - counts - firsts, counts)
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
