"""A table of ids in a file: rows of fixed width, found by the digests of their ids, however many there are.

Four parts: a header of one page, the rows in order of their digests, a directory that says where the digests with each leading
bits begin, and a tail that is its owner's. Numbers are little-endian.

The directory is held in memory, 17 MB for 217 million rows; the rows are read, one call for each id that is looked up: of a map
they would become part of the process's memory page by page, and cost as much time where they are not yet.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import FormatError
from eden_core.open_files import OpenFile

HEADER_BYTES = 4096
DIGEST_BYTES = 16
ROWS_A_PLACE = 128
"""rows that share their leading bits, on average"""

_HEAD = struct.Struct("<8s4QI")
_CHECKSUM = struct.Struct("<I")
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


def digests_of(sequence_ids: Iterable[str]) -> NDArray[np.uint64]:
    """Return BLAKE2b digests of 128 bits of ids' UTF-8, little-endian, uint64 [n, 2].

    The first word orders the table; the second tells ids apart whose first word is the same.
    """
    found = b"".join(
        [blake2b(text.encode(errors="surrogateescape"), digest_size=DIGEST_BYTES).digest() for text in sequence_ids]
    )
    return np.frombuffer(found, "<u8").reshape(-1, 2)


class DigestTable:
    """A table that is open.

    A subclass says what its rows are.

    Args:
        file: the table, closed with this one.
        remedy: what its user is to do where it is damaged.

    Raises:
        FormatError: it is no such table, cut short, or its tail is damaged. What else is damaged is found when it is used.
    """

    MAGIC: ClassVar[bytes]
    """the first eight bytes of the file"""
    ROW: ClassVar[np.dtype[np.void]]
    """a row: the fields `digest` and `check` (uint64 each), further ones, and `checksum` (uint16), see `checksums`"""

    def __init__(self, file: OpenFile, remedy: str) -> None:
        self._file = file
        self._remedy = remedy
        try:
            self._open()
        except BaseException:
            file.close()
            raise

    def _open(self) -> None:
        file = self._file
        if file.size < HEADER_BYTES:
            raise self.damage("it is too short")
        head = bytes(file.read(0, _HEAD.size + _CHECKSUM.size))
        magic, self.rows, self._bits, tail_at, size, self._directory_checksum = _HEAD.unpack_from(head)
        if magic != self.MAGIC:
            raise self.damage(f"it begins with {magic!r} instead of {self.MAGIC!r}, or it is of another version of Eden")
        self._directory_at = HEADER_BYTES + self.rows * self.ROW.itemsize
        fits = self._bits <= 64 and tail_at == self._directory_at + 8 * (2**self._bits + 1)
        if not fits or tail_at + size != file.size:
            raise self.damage("its header does not fit the rest")
        tail = bytes(file.read(tail_at, size))
        if _CHECKSUM.unpack_from(head, _HEAD.size)[0] != zlib.crc32(tail, zlib.crc32(head[: _HEAD.size])):
            raise self.damage("its header and tail do not have the checksum that they were written with")
        self._directory = np.empty(0, np.uint64)
        self.read_tail(tail)

    def read_tail(self, tail: bytes) -> None:
        """Take what the owner keeps in the tail.

        Raises:
            FormatError: it cannot be read; see `damage`.
        """

    def check_rows(self, rows: NDArray[Any]) -> None:
        """Look at rows (`ROW` [n]) that were read and have their checksums.

        Raises:
            FormatError: one says what cannot be; see `damage`.
        """

    @property
    def path(self) -> str:
        """Where the table lies."""
        return self._file.path

    def find(self, digests: NDArray[np.uint64]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Look ids up.

        Args:
            digests: of n ids, uint64 [n, 2].

        Returns:
            Rows (`ROW` [n]), and whether each was found (bool [n]); those that were not mean nothing.

        Raises:
            FormatError: what says where they lie is damaged.
        """
        rows, found = np.zeros(len(digests), self.ROW), np.zeros(len(digests), np.bool_)
        firsts, counts = self._ranges(digests)
        ends = np.cumsum(counts)
        candidates = np.empty(int(ends[-1]) if ends.size else 0, self.ROW)
        size = self.ROW.itemsize
        starts, targets = HEADER_BYTES + firsts * size, (ends - counts) * size
        self._file.copy(starts, counts * size, candidates.view(np.uint8), targets)
        asked = np.repeat(np.arange(len(digests)), counts)
        hits = np.flatnonzero(candidates["digest"] == digests[asked, 0])
        hits = hits[candidates["check"][hits] == digests[asked[hits], 1]]
        self._check(candidates[hits])
        rows[asked[hits]], found[asked[hits]] = candidates[hits], True
        return rows, found

    def chunks(self, rows: int) -> Iterator[NDArray[Any]]:
        """Yield all rows, so many at a time, as copies.

        Raises:
            FormatError: some are damaged.
        """
        for first in range(0, self.rows, rows):
            count = min(rows, self.rows - first)
            raw = self._file.read(HEADER_BYTES + first * self.ROW.itemsize, count * self.ROW.itemsize)
            some = np.frombuffer(raw, self.ROW).copy()
            self._check(some)
            yield some

    def close(self) -> None:
        """Close the file."""
        self._directory = np.empty(0, np.uint64)
        self._file.close()

    def damage(self, how: str) -> FormatError:
        """Return the error for a table that is damaged."""
        return FormatError(f"{self.path} is damaged: {how}; {self._remedy}")

    def _ranges(self, digests: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the first row with each digest's leading bits, and how many such rows there are."""
        if not self._directory.size:
            raw = self._file.read(self._directory_at, 8 * (2**self._bits + 1))
            if zlib.crc32(raw) != self._directory_checksum:
                raise self.damage("its directory does not have the checksum that it was written with")
            self._directory = np.frombuffer(raw, "<u8")
        places = _leading(digests[:, 0], self._bits)
        firsts = self._directory[places].astype(np.int64)
        return firsts, self._directory[places + 1].astype(np.int64) - firsts

    def _check(self, rows: NDArray[Any]) -> None:
        if (rows["checksum"] != checksums(rows)).any():
            raise self.damage("a row does not have the checksum that it was written with")
        if rows.size:
            self.check_rows(rows)


def header(magic: bytes, rows: int, bits: int, tail_at: int, tail: bytes, directory: NDArray[np.uint64]) -> bytes:
    """Return the first bytes of a table.

    They are, in little-endian numbers: magic, rows, leading bits of a digest that the directory goes by, where the tail
    begins, bytes of it (uint64), the CRC-32 of the directory, and that of all before and the tail (uint32).
    """
    head = _HEAD.pack(magic, rows, bits, tail_at, len(tail), zlib.crc32(directory.data))
    return head + _CHECKSUM.pack(zlib.crc32(tail, zlib.crc32(head)))


def checksums(rows: NDArray[Any]) -> NDArray[np.uint16]:
    """Return what the column `checksum` of rows must hold, of all that they say: uint16 [n].

    Fields of less than eight bytes are put into one word, which those of eight bytes are then mixed into one by one.
    """
    fields = [(name, rows.dtype[name].itemsize) for name in rows.dtype.names or () if name != "checksum"]
    found = np.zeros(rows.shape, np.uint64)
    for name, size in fields:
        if size < 8:
            found = found << np.uint64(8 * size) | rows[name]
    for name, size in fields:
        if size == 8:
            found = (found ^ found >> np.uint64(32) ^ rows[name]) * _FACTOR
    result: NDArray[np.uint16] = (found >> np.uint64(48)).astype(np.uint16)
    return result


def directory_of(counts: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return the directory of digests of which so many have each leading bits."""
    return np.concatenate([[0], np.cumsum(counts)]).astype("<u8")


def leading_bits(rows: int) -> int:
    """Return how many leading bits of digests a table of so many rows goes by."""
    return max(0, (rows // ROWS_A_PLACE).bit_length())


def _leading(words: NDArray[np.uint64], bits: int) -> NDArray[np.int64]:
    return (words >> np.uint64(64 - bits)).astype(np.int64) if bits else np.zeros(words.size, np.int64)
