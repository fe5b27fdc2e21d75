"""FASTA that bgzip compressed: blocks of gzip of 64 KiB at most, and an index of where each begins.

The format of blocks is that of https://samtools.github.io/hts-specs/SAMv1.pdf, section 4.1. Their index, `genome.fa.gz.gzi`, is
a count and pairs of (offset in the file, offset uncompressed) for every block but the first, little-endian uint64
(http://www.htslib.org/doc/bgzip.html).
"""

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.atomic import atomic_path
from eden_core.errors import FormatError, NotSupportedError
from eden_core.open_files import PlainFile
from eden_fasta.sequence_file import Places

SUFFIX = ".gzi"
GZIP = b"\x1f\x8b"

_HEADER = struct.Struct("<2sBB6xH2sHH")
_PAIR = np.dtype([("compressed", "<u8"), ("uncompressed", "<u8")])
_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_BLOCK = 1 << 16
"""bytes that a block has at most, compressed and uncompressed"""


def is_bgzip(head: bytes) -> bool:
    """Return whether a file that begins so was written by bgzip."""
    return len(head) >= _HEADER.size and _block_bytes(head) > 0


def block_starts(file: PlainFile, first: int = 0) -> Iterator[tuple[int, int]]:
    """Yield where blocks begin, and how many bytes each has uncompressed.

    Args:
        file: the compressed file.
        first: where a block begins.

    Raises:
        FormatError: it is damaged, or cut short.
    """
    while first < file.size:
        size = _block_bytes(file.read(first, min(_HEADER.size, file.size - first)))
        if size < len(_END) - 2 or first + size > file.size:
            raise FormatError(
                f"{file.path} is damaged, or cut short: no block of bgzip begins at byte {first:,}; copy it again"
            )
        yield first, struct.unpack("<I", file.read(first + size - 4, 4))[0]
        first += size
    if file.read(max(0, file.size - len(_END)), min(len(_END), file.size)) != _END:
        raise FormatError(f"{file.path} is cut short: it lacks the empty block that bgzip ends with; copy or compress it again")


def found_blocks(file: PlainFile) -> NDArray[np.void]:
    """Return where all blocks of a file begin that have bytes, but the first.

    Raises:
        FormatError: the file is damaged, or cut short.
    """
    found = np.array(list(block_starts(file)), np.uint64).reshape(-1, 2)
    pairs = np.zeros(max(0, len(found) - 1), _PAIR)
    pairs["compressed"], pairs["uncompressed"] = found[1:, 0], np.cumsum(found[:-1, 1], dtype=np.uint64)
    return with_bytes(pairs, int(found[:, 1].sum()))


def with_bytes(pairs: NDArray[np.void], size: int) -> NDArray[np.void]:
    """Return the pairs of blocks that have bytes, of a file of `size` bytes uncompressed: only such does samtools list."""
    return pairs[np.diff(pairs["uncompressed"], append=np.uint64(size)) > 0]


def write_gzi(path: Path, pairs: NDArray[np.void]) -> None:
    """Write the index of a file, complete or not at all."""
    with atomic_path(path) as draft:
        draft.write_bytes(struct.pack("<Q", pairs.size) + pairs.tobytes())


def read_gzi(path: Path, file: PlainFile) -> NDArray[np.void]:
    """Return what the index of a file says, mapped.

    Raises:
        FormatError: it is no such index, or cut short, or that of another file.
    """
    with path.open("rb") as opened:
        head = opened.read(8)
    size = path.stat().st_size - 8
    count = struct.unpack("<Q", head)[0] if size >= 0 else -1
    if size != count * _PAIR.itemsize:
        raise FormatError(f"{path} is no index of bgzip's blocks, or cut short: remove it, and it is made anew")
    pairs: NDArray[np.void] = np.memmap(path, _PAIR, "r", 8) if count else np.empty(0, _PAIR)
    zero = np.zeros(1, np.uint64)
    # Differences below zero wrap around, so that they are too large as well.
    compressed, uncompressed = (np.diff(pairs[name], prepend=zero) for name in ("compressed", "uncompressed"))
    wrong = (compressed < 1) | (compressed > _BLOCK) | (uncompressed > _BLOCK)
    if wrong.any() or (count and int(pairs["compressed"][-1]) >= file.size):
        raise FormatError(f"{path} is not the index of {file.path}, which has no such blocks")
    return pairs


class BgzipFile:
    """The uncompressed bytes of a file that bgzip compressed.

    Args:
        file: the compressed file.
        pairs: where all its blocks but the first begin.

    Raises:
        FormatError: blocks lie elsewhere, or the file is damaged.
        NotSupportedError: pysam is not installed.
    """

    def __init__(self, file: PlainFile, pairs: NDArray[np.void]) -> None:
        self.path = file.path
        self._lock = Lock()
        self._compressed, self._uncompressed = pairs["compressed"], pairs["uncompressed"]
        last = (int(self._compressed[-1]), int(self._uncompressed[-1])) if pairs.size else (0, 0)
        sizes = [size for _, size in block_starts(file, last[0])]
        if np.count_nonzero(sizes) > 1:
            raise FormatError(f"the index of {self.path} ends before its last block")
        self.size = last[1] + sum(sizes)
        self._module = _pysam()
        self._opened: Any = None

    def read(self, offset: int, count: int) -> bytes:
        """Return bytes.

        Raises:
            FormatError: the file is damaged, or ends before.
        """
        block = int(np.searchsorted(self._uncompressed, offset, side="right")) - 1
        at, begins = (int(self._compressed[block]), int(self._uncompressed[block])) if block >= 0 else (0, 0)
        with self._lock:
            found = self._read(at << 16 | offset - begins, offset, count)
        if len(found) < count:
            raise self._damage(offset)
        return found

    def _read(self, place: int, offset: int, count: int) -> bytes:
        """Read from a place that pysam understands: where a block begins, shifted by 16 bits, and the offset within it."""
        try:
            if self._opened is None:
                self._opened = self._module.BGZFile(self.path, "rb")
            self._opened.seek(place)
            return bytes(self._opened.read(count))
        except OSError as error:
            self.close()  # it reads no more after an error
            if error.errno is None:
                raise self._damage(offset) from error
            raise OSError(error.errno, os.strerror(error.errno), self.path) from error

    def copy(self, starts: Places, counts: Places, into: NDArray[np.uint8], targets: Places) -> None:
        """Copy stretches into an array, as `OpenFile.copy` does."""
        for start, count, target in zip(starts.tolist(), counts.tolist(), targets.tolist(), strict=True):
            into[target : target + count] = np.frombuffer(self.read(start, count), np.uint8)

    def close(self) -> None:
        """Close what pysam opened; repeatable."""
        if self._opened is not None:
            with suppress(OSError):  # which tells of an error that was raised before
                self._opened.close()
        self._opened = None

    def _damage(self, offset: int) -> FormatError:
        return FormatError(
            f"{self.path} is damaged near byte {offset:,} of its content: it cannot be decompressed; copy it again"
        )


def _block_bytes(head: bytes) -> int:
    """Return the bytes of the block that begins so; 0: none does."""
    if len(head) < _HEADER.size:
        return 0
    magic, method, flags, extra, field, size, block = _HEADER.unpack_from(head)
    return block + 1 if (magic, method, flags, extra, field, size) == (GZIP, 8, 4, 6, b"BC", 2) else 0


def _pysam() -> Any:
    try:
        import pysam
    except ImportError as error:
        raise NotSupportedError(
            "FASTA that is compressed with bgzip is read through pysam, which is not installed: install it (pip install "
            "'eden-core[fasta]'), or decompress the file (bgzip -d)"
        ) from error
    return pysam
