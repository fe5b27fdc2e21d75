"""The files of the data, and what the kernel keeps of them in memory."""

import ctypes
import mmap
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

READ_AT_MOST = 4 << 30
"""bytes of data files up to which they are read once, so that they are in the page cache"""

_DEEPEST = 3
"""folders below a store's location in which its shards may lie"""
_CHUNK = 1 << 22
_MAPPED_AT_ONCE = 1 << 30

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class DataFiles:
    """Files that rows are read from.

    Attributes:
        paths: of all of them.
        size: bytes together.
    """

    paths: tuple[str, ...]
    size: int

    @classmethod
    def of_sources(cls, sources: Iterable[Mapping[str, Any]]) -> "DataFiles":
        """Return the files of stores and indexes; what lies elsewhere than on file systems is left out.

        Args:
            sources: each with `store_location` and `index_location`.
        """
        found = {}
        for source in sources:
            for location in (source["store_location"], source["index_location"]):
                found.update(_files(location, _DEEPEST))
        return cls(tuple(found), sum(found.values()))

    def read_once(self) -> bool:
        """Read all bytes, so that the kernel keeps them, if they are not too many for this machine.

        Returns:
            Whether they were read.
        """
        if self.size > min(READ_AT_MOST, _available() // 2):
            return False
        buffer = bytearray(_CHUNK)
        for path in self.paths:
            with _opened(path) as file:
                at = 0
                while read := os.preadv(file, [buffer], at):
                    at += read
        return True

    def drop(self) -> None:
        """Have the kernel drop what it keeps of these files, and of no others; what is not on disk yet is written first."""
        for path in self.paths:
            with _opened(path) as file:
                os.fdatasync(file)
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)

    def kept(self) -> int | None:
        """Return how many bytes of these files the kernel keeps in memory; None: it does not say."""
        total = 0
        for path in self.paths:
            with _opened(path) as file:
                kept = _resident(file)
            if kept is None:
                return None
            total += kept
        return total


def _files(location: str, deepest: int) -> dict[str, int]:
    """Regular files at a location, or below it, with their sizes."""
    if os.path.isfile(location):  # noqa: PTH113 - there may be a hundred thousand
        return {location: os.stat(location).st_size}  # noqa: PTH116 - as above
    found = {}
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(location) as entries:
        for entry in entries:
            if entry.is_file():
                found[entry.path] = entry.stat().st_size
            elif entry.is_dir() and deepest:
                found |= _files(entry.path, deepest - 1)
    return found


@contextmanager
def _opened(path: str) -> Iterator[int]:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield file
    finally:
        os.close(file)


def _resident(file: int) -> int | None:
    page, size, kept = mmap.PAGESIZE, os.fstat(file).st_size, 0
    for start in range(0, size, _MAPPED_AT_ONCE):
        length = min(_MAPPED_AT_ONCE, size - start)
        pages = np.zeros(-(-length // page), np.uint8)
        with mmap.mmap(file, length, prot=mmap.PROT_READ, offset=start) as mapped:
            view = np.frombuffer(mapped, np.uint8)
            address = view.ctypes.data
            del view  # else the map could not be closed
            if _libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(length), ctypes.c_void_p(pages.ctypes.data)):
                return None
        kept += int((pages & 1).sum()) * page
    return kept


def _available() -> int:
    """Bytes of memory that are free, or that the kernel would give up."""
    with open("/proc/meminfo", encoding="ascii") as lines:  # noqa: PTH123 - read line by line
        for line in lines:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return 0
