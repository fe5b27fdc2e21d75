"""Reading a file or standard input in blocks, decompressed by what its content says."""

import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path

import pyarrow as pa

from eden_core.errors import InputError

STANDARD_INPUT = "-"

Progress = Callable[[int], object]
"""called with the bytes that were taken from the file since it was called last, before decompression"""

_BLOCK_BYTES = 1 << 20
_PACKED_BYTES = 1 << 16  # zlib copies what follows the end of a member, and bgzip's are small
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's way to ask for a gzip header and trailer, and to check both
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_REMEDY = "copy or download the file again"


def source_name(source: str | Path) -> str:
    """Return what messages call a source."""
    return "standard input" if str(source) == STANDARD_INPUT else str(source)


def read_blocks(source: str | Path, progress: Progress | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file, or of standard input for `-`, as they are.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with nullcontext(sys.stdin.buffer) if str(source) == STANDARD_INPUT else Path(source).open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                if progress:
                    progress(len(block))
                yield block
    except OSError as error:
        raise InputError(f"{source_name(source)} cannot be read: {error.strerror or error}") from error


def decompressed(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield blocks decompressed, where they begin as gzip, bgzip or Zstandard data do; as they are otherwise.

    Any number of gzip members or Zstandard frames may follow each other. No block is empty.

    Args:
        blocks: the content of a file.
        name: what messages call it.

    Raises:
        InputError: the compressed data is damaged or ends too early.
    """
    blocks = iter(blocks)
    first = b""
    while len(first) < len(_ZSTD_MAGIC) and (block := next(blocks, None)) is not None:
        first += block
    whole: Iterator[bytes] = chain([first], blocks)
    if first.startswith(_GZIP_MAGIC):
        whole = _gunzipped(whole, name)
    elif first.startswith(_ZSTD_MAGIC):
        whole = _unzstd(whole, name)
    return filter(None, whole)


def _gunzipped(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP_WINDOW)
    try:
        for part in _parts(blocks):
            packed = part.lstrip(b"\0") if member.eof else part  # zeros may pad the end of a member
            while packed:
                if member.eof:
                    member = zlib.decompressobj(_GZIP_WINDOW)
                yield member.decompress(packed, _BLOCK_BYTES)
                packed = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
    except zlib.error as error:
        raise InputError(f"{name}: the gzip data is damaged ({error}); {_REMEDY}") from error
    if not member.eof:
        raise InputError(f"{name}: the gzip data ends too early; {_REMEDY}")


def _unzstd(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    stream = pa.CompressedInputStream(pa.PythonFile(_PartFile(blocks), mode="r"), "zstd")
    try:
        while block := stream.read(_BLOCK_BYTES):
            yield block
    except OSError as error:
        found = "ends too early" if "Truncated" in str(error) else f"is damaged ({error})"
        raise InputError(f"{name}: the Zstandard data {found}; {_REMEDY}") from error


def _parts(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), _PACKED_BYTES):
            yield block[start : start + _PACKED_BYTES]


class _PartFile:
    """The little of a file that Arrow asks of one."""

    closed = False

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._parts = _parts(blocks)
        self._rest = b""

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes, none at the end."""
        part = self._rest or next(self._parts, b"")
        self._rest = part[size:]
        return part[:size]

    def close(self) -> None:
        """Do nothing: who opened the file closes it."""
