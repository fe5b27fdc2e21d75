"""Reading columns of an Arrow file where they lie: through a memory map, or by reads of small ranges."""

import mmap
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import offsets_of
from eden_core.errors import FormatError
from eden_core.open_files import PlainFile

_WIDTH = 8  # bytes of an int64, which all numbers and offsets are


@dataclass(frozen=True)
class Layout:
    """Where the columns of a file lie.

    Attributes:
        rows: how many there are.
        numbers: column of int64 -> the byte at which it begins.
        offsets: the byte at which the offsets of the ids begin, int64, one more than rows.
        text: the byte at which the text of the ids begins, UTF-8.
        text_bytes: how much text there is.
    """

    rows: int
    numbers: Mapping[str, int]
    offsets: int
    text: int
    text_bytes: int


class Columns(ABC):
    """The columns of an open file, in one process.

    Args:
        file: descriptor of the file, which is closed together with this.
        path: what messages call it.
        layout: where the columns lie.
    """

    def __init__(self, file: int, path: str, layout: Layout) -> None:
        self._file, self._path, self._layout = file, path, layout

    def __del__(self, close: Callable[[int], None] = os.close) -> None:  # at the process's end `os` may be gone before this
        close(self._file)

    @abstractmethod
    def blocks(self, name: str, blocks: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        """Return blocks of `size` values of a column, int64 [len(blocks), size]; behind the last row they hold zeros."""

    @abstractmethod
    def ids(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the ids of rows."""

    def range(self, name: str, first: int, count: int) -> NDArray[np.int64]:
        """Read values of a column that follow each other, int64 [count]."""
        return self._integers(self._layout.numbers[name] + first * _WIDTH, count)

    def text(self, first: int, count: int) -> tuple[NDArray[np.int64], bytes]:
        """Read ids that follow each other: their offsets (int64 [count + 1], from 0 on) and their text."""
        offsets = self._integers(self._layout.offsets + first * _WIDTH, count + 1)
        begin, end = int(offsets[0]), int(offsets[-1])
        if begin < 0 or end > self._layout.text_bytes or bool((np.diff(offsets) < 0).any()):
            raise self._damaged_ids()
        return offsets - begin, self._read(self._layout.text + begin, end - begin)

    def _integers(self, place: int, count: int) -> NDArray[np.int64]:
        return np.frombuffer(self._read(place, count * _WIDTH), np.int64)

    def _read(self, place: int, count: int) -> bytes:
        parts = []
        while count > 0:
            part = os.pread(self._file, count, place)
            if not part:
                raise FormatError(f"{self._path} ends before its last column does; copy or build it again")
            parts.append(part)
            place, count = place + len(part), count - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _decoded(self, texts: Sequence[bytes]) -> list[str]:
        try:
            return [text.decode() for text in texts]
        except UnicodeDecodeError as error:
            raise self._damaged_ids() from error

    def _check_bounds(self, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        if bool(((begins < 0) | (ends < begins) | (ends > self._layout.text_bytes)).any()):
            raise self._damaged_ids()

    def _damaged_ids(self) -> FormatError:
        return FormatError(f"{self._path} is damaged: its ids do not lie where it says; copy or build it again")


class MappedColumns(Columns):
    """Columns in a memory map: fastest, but what was read of a large file counts as this process's memory."""

    def __init__(self, file: int, path: str, layout: Layout) -> None:
        super().__init__(file, path, layout)
        self._map = mmap.mmap(file, 0, prot=mmap.PROT_READ)
        self._map.madvise(mmap.MADV_RANDOM)
        self._numbers = {name: self._view(place, layout.rows) for name, place in layout.numbers.items()}
        self._offsets = self._view(layout.offsets, layout.rows + 1)

    def blocks(self, name: str, blocks: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        """Return blocks of a column."""
        values = self._numbers[name]
        if size == 1:
            return values[blocks][:, np.newaxis]
        whole = values[: values.size - values.size % size].reshape(-1, size)
        if int(blocks.max(initial=0)) < len(whole):
            return whole[blocks]
        found, inside = np.zeros((blocks.size, size), np.int64), blocks < len(whole)
        found[inside] = whole[blocks[inside]]
        rest = values[whole.size :]
        found[~inside, : rest.size] = rest
        return found

    def ids(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the ids of rows."""
        begins, ends = self._offsets[rows], self._offsets[rows + 1]
        self._check_bounds(begins, ends)
        begins, ends, text = begins + self._layout.text, ends + self._layout.text, self._map
        return self._decoded([text[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)])

    def _view(self, place: int, count: int) -> NDArray[np.int64]:
        return np.frombuffer(self._map, np.int64, count, place)


class ReadColumns(Columns):
    """Columns that are read a few bytes at a time: no memory grows, and an error of the file system is an `OSError`."""

    def __init__(self, file: int, path: str, layout: Layout) -> None:
        super().__init__(file, path, layout)
        self._stretches = PlainFile(path, file, 0)

    def blocks(self, name: str, blocks: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        """Return blocks of a column."""
        begin, width = self._layout.numbers[name], size * _WIDTH
        places = blocks * width + begin
        counts = np.minimum(begin + self._layout.rows * _WIDTH - places, width)
        found = np.zeros((blocks.size, size), np.int64)
        self._stretches.copy(places, counts, found.view(np.uint8).reshape(-1), np.arange(blocks.size) * width)
        return found

    def ids(self, rows: NDArray[np.int64]) -> list[str]:
        """Return the ids of rows."""
        width = 2 * _WIDTH
        bounds, counts, targets = np.empty((rows.size, 2), np.int64), np.full(rows.size, width), np.arange(rows.size) * width
        self._stretches.copy(rows * _WIDTH + self._layout.offsets, counts, bounds.view(np.uint8).reshape(-1), targets)
        begins, ends = np.ascontiguousarray(bounds.T)
        self._check_bounds(begins, ends)
        offsets = offsets_of(ends - begins)
        text = np.empty(offsets[-1], np.uint8)
        self._stretches.copy(begins + self._layout.text, ends - begins, text, offsets[:-1])
        whole = text.tobytes()
        return self._decoded([whole[first:stop] for first, stop in pairwise(offsets.tolist())])
