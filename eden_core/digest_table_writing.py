"""Writing a `DigestTable`: rows in any order, sorted in runs that fit into memory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from eden_core.digest_table import HEADER_BYTES, DigestTable, checksums, directory_of, header, leading_bits

ROWS_IN_MEMORY = 1 << 21
"""rows that are sorted at a time, 80 MiB"""

_MOST_BITS = 12
"""leading bits of digests by which rows on disk can be told apart"""


class RowSorter:
    """Takes rows of a table in any order, and gives them in order of their digests. Memory does not grow with their number.

    Use it in a `with` block.

    Args:
        scratch: file for what memory does not hold, removed in the end.
        row: the type of rows.
        rows_in_memory: rows that are sorted at a time.
    """

    def __init__(self, scratch: Path, row: np.dtype[np.void], rows_in_memory: int = ROWS_IN_MEMORY) -> None:
        self._scratch = scratch
        self._row = row
        self._rows_in_memory = rows_in_memory
        self._waiting: list[NDArray[Any]] = []
        self._waiting_rows = 0
        self._runs: list[NDArray[np.int64]] = []  # of each, where in the file the rows with each leading bits begin
        self._opened = ExitStack()
        self._file: Any = None
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._opened.close()
        self._scratch.unlink(missing_ok=True)

    def add(self, rows: NDArray[Any]) -> None:
        """Add rows, [n]."""
        self._waiting.append(rows)
        self._waiting_rows += rows.size
        self.rows += rows.size
        if self._waiting_rows >= self._rows_in_memory:
            if self._file is None:
                self._file = self._opened.enter_context(self._scratch.open("w+b"))
            run = self._sorted()
            bounds = np.searchsorted(run["digest"] >> np.uint64(64 - _MOST_BITS), np.arange(2**_MOST_BITS + 1, dtype=np.uint64))
            self._runs.append(bounds + (self.rows - run.size))
            run.tofile(self._file)

    def batches(self) -> Iterator[NDArray[Any]]:
        """Yield all rows in order of their digests, so many at a time as fit into memory; rows of one digest come together."""
        last = self._sorted()
        if not self._runs:
            yield last
            return
        self._file.flush()
        bits = min(_MOST_BITS, (2 * self.rows // self._rows_in_memory).bit_length())
        step = 2 ** (_MOST_BITS - bits)
        firsts = last["digest"] >> np.uint64(64 - bits)
        for number in range(2**bits):
            some = [last[firsts == number]]
            for bounds in self._runs:
                first, end = int(bounds[number * step]), int(bounds[(number + 1) * step])
                self._file.seek(first * self._row.itemsize)
                some.append(np.fromfile(self._file, self._row, end - first))
            yield _in_order(np.concatenate(some))

    def _sorted(self) -> NDArray[Any]:
        found = _in_order(np.concatenate([np.empty(0, self._row), *self._waiting]))
        self._waiting, self._waiting_rows = [], 0
        return found


def write_digest_table(
    draft: Path, table: type[DigestTable], rows: RowSorter, tail: bytes, repeated: Callable[[NDArray[Any]], Exception]
) -> None:
    """Write a table.

    Args:
        draft: where to write.
        table: what kind of table it is.
        rows: all of them, of its type.
        tail: what its owner keeps there.
        repeated: gives the error to raise for two rows that have one digest.
    """
    bits = leading_bits(rows.rows)
    counts = np.zeros(2**bits, np.int64)
    last = np.empty(0, table.ROW)
    with draft.open("wb") as file:
        file.write(bytes(HEADER_BYTES))
        for batch in rows.batches():
            both = np.concatenate([last, batch])
            same = (both["digest"][1:] == both["digest"][:-1]) & (both["check"][1:] == both["check"][:-1])
            if same.any():
                place = int(np.argmax(same))
                raise repeated(both[place : place + 2])
            last = both[-1:]
            words = batch["digest"] >> np.uint64(64 - bits) if bits else np.zeros(batch.size, np.uint64)
            counts += np.bincount(words.astype(np.int64), minlength=counts.size)
            batch["checksum"] = checksums(batch)
            file.write(batch.data)
        directory = directory_of(counts)
        file.write(directory.data)
        begin = file.tell()
        file.write(tail)
        file.seek(0)
        file.write(header(table.MAGIC, rows.rows, bits, begin, tail, directory))


def _in_order(rows: NDArray[Any]) -> NDArray[Any]:
    return rows[np.lexsort((rows["check"], rows["digest"]))]
