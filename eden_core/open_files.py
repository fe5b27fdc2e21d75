"""Read-only files of this process: mapped into memory or read, bounded in number, never shared with another process."""

import errno
import mmap
import os
from abc import ABC, abstractmethod
from collections import OrderedDict
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ConfigurationError, FormatError
from eden_core.file_systems import is_on_network
from eden_core.kernels import gather, read_cached

Places = NDArray[np.int64]

IO = ("auto", "mmap", "pread")
"""how files are read; "auto" maps a store of at most `MAPPED_BYTES` on a file system of this machine, and reads all others"""

MAPPED_BYTES = 96 << 20
"""of maps that count as a process's memory, which they do until they are let go, though the system may take them at any time"""
_NOT_TOLD = {errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS}
_AROUND = 1 << 16
"""bytes that the system maps where one is touched, if they are cached"""


class OpenFile(ABC):
    """One file.

    Args:
        path: where it lies.
        descriptor: of the open file, which is closed with this one.
        size: its bytes.
    """

    def __init__(self, path: str, descriptor: int, size: int) -> None:
        self.path = path
        self.size = size
        self._descriptor = descriptor

    @abstractmethod
    def read(self, offset: int, count: int) -> bytes | memoryview:
        """Return bytes of the file, as a view where that costs no copy; it must not outlive the file.

        Raises:
            FormatError: the file ends before.
            OSError: the file system failed.
        """

    @abstractmethod
    def copy(self, starts: Places, counts: Places, into: NDArray[np.uint8], targets: Places) -> None:
        """Copy many stretches: `counts[i]` bytes from `starts[i]` of the file to `targets[i]` of an array.

        Those that are not in the system's cache are read from the disk at a time, not one after another.

        Args:
            starts: where they begin in the file, int64 [n].
            counts: their bytes, int64 [n].
            into: uint8, large enough.
            targets: where they go, int64 [n].

        Raises:
            FormatError: the file ends before.
            OSError: the file system failed.
        """

    def close(self) -> None:
        """Close it; repeatable."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _behind_end(self, offset: int) -> FormatError:
        return FormatError(
            f"{self.path} ends before byte {offset}: it was cut short since it was opened; copy it again, or make it anew"
        )


class PlainFile(OpenFile):
    """A file that is read call by call: what fails is an error with its number."""

    _tells_cached = True
    """whether its file system tells what is cached (RWF_NOWAIT)"""

    def read(self, offset: int, count: int) -> bytes:
        """Return bytes of the file."""
        found = self._pread(offset, count)
        while len(found) < count:
            more = self._pread(offset + len(found), count - len(found))
            if not more:
                raise self._behind_end(offset + count)
            found += more
        return found

    def copy(self, starts: Places, counts: Places, into: NDArray[np.uint8], targets: Places) -> None:
        """Copy stretches into an array: first those that are cached, then all others."""
        waiting = self._copy_cached(starts, counts, into, targets).tolist()
        if not waiting:
            return
        view = memoryview(into)  # type: ignore[arg-type] # numpy arrays are buffers
        stretches = [(int(starts[i]), int(counts[i]), int(targets[i])) for i in waiting]
        with suppress(OSError):  # what is no more than a hint may be refused
            for offset, count, _ in stretches:
                os.posix_fadvise(self._descriptor, offset, count, os.POSIX_FADV_WILLNEED)
        for offset, count, place in stretches:
            done = 0
            while done < count:
                more = self._preadv(view[place + done : place + count], offset + done)
                if not more:
                    raise self._behind_end(offset + count)
                done += more

    def _copy_cached(self, starts: Places, counts: Places, into: NDArray[np.uint8], targets: Places) -> Places:
        """Copy what is in the system's cache; return the numbers of the stretches that are not."""
        if self._tells_cached:
            try:
                return read_cached(self._descriptor, starts, counts, into, targets)
            except OSError as error:
                if error.errno not in _NOT_TOLD:
                    raise _named(error, self.path) from error
                self._tells_cached = False
        return np.arange(starts.size)

    def _pread(self, offset: int, count: int) -> bytes:
        try:
            return os.pread(self._descriptor, count, offset)
        except OSError as error:
            raise _named(error, self.path) from error

    def _preadv(self, target: memoryview, offset: int) -> int:
        try:
            return os.preadv(self._descriptor, [target], offset)
        except OSError as error:
            raise _named(error, self.path) from error


class MappedPages:
    """What a process has touched of its maps: so that it does not come to all of them, it is let go now and then.

    Pages that are let go stay in the system's cache, from which they come back in less than a microsecond.
    """

    def __init__(self) -> None:
        self._maps: dict[mmap.mmap, int] = {}
        self._touched = 0

    def add(self, opened: mmap.mmap, size: int) -> None:
        """Add a map."""
        self._maps[opened] = size

    def remove(self, closed: mmap.mmap) -> None:
        """Forget a map."""
        self._maps.pop(closed, None)

    def touch(self, places: int, size: int) -> None:
        """Count bytes that are touched, at so many places."""
        self._touched += places * _AROUND + size
        if self._touched > MAPPED_BYTES:
            self._touched = 0
            if sum(self._maps.values()) > MAPPED_BYTES:
                for each in self._maps:
                    each.madvise(mmap.MADV_DONTNEED)


class MappedFile(OpenFile):
    """A file that is mapped into memory: a small one is read ahead as a whole, and of a large one what will be copied."""

    def __init__(self, path: str, descriptor: int, size: int, pages: MappedPages) -> None:
        super().__init__(path, -1, size)
        self._pages = pages
        try:
            self._map = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        except OSError as error:
            raise _named(error, path) from error
        finally:
            os.close(descriptor)  # the map keeps one of its own
        self._is_small = size <= MAPPED_BYTES
        self._map.madvise(mmap.MADV_WILLNEED if self._is_small else mmap.MADV_RANDOM)
        pages.add(self._map, size)
        self.view = memoryview(self._map)

    def read(self, offset: int, count: int) -> memoryview:
        """Return a view of the map."""
        if offset + count > self.size:
            raise self._behind_end(offset + count)
        return self.view[offset : offset + count]

    def copy(self, starts: Places, counts: Places, into: NDArray[np.uint8], targets: Places) -> None:
        """Copy stretches into an array."""
        end = int((starts + counts).max(initial=0))
        if end > self.size:
            raise self._behind_end(end)
        self._pages.touch(starts.size, int(counts.sum()))
        if not self._is_small:
            self._announce(starts.tolist(), counts.tolist())
        gather(np.frombuffer(self.view, np.uint8), starts, counts, into, targets)

    def _announce(self, starts: list[int], counts: list[int]) -> None:
        page, advise, kind = mmap.PAGESIZE, self._map.madvise, mmap.MADV_WILLNEED
        for offset, count in zip(starts, counts, strict=True):
            first = offset - offset % page
            advise(kind, first, offset + count - first)

    def close(self) -> None:
        """Unmap it, once no array looks at it any more."""
        self._pages.remove(self._map)
        with suppress(BufferError):  # an error that is being handled may hold a view: then it goes with it
            self.view.release()
            self._map.close()


class OpenFiles:
    """The files that one process has open of a store, least recently used closed first.

    Args:
        limit: how many stay open.
        io: one of `IO`.
        total: bytes of all files together.

    Raises:
        ConfigurationError: `io` is none of `IO`.
    """

    def __init__(self, limit: int, io: str, total: int = 0) -> None:
        if io not in IO:
            raise ConfigurationError(f"io={io!r}: expected one of {', '.join(IO)}")
        self._limit, self._io = max(1, limit), io
        self._mapped = None if io == "auto" and total <= MAPPED_BYTES else io == "mmap"
        self._files: OrderedDict[str, OpenFile] = OrderedDict()
        self._pages = MappedPages()

    def __len__(self) -> int:
        return len(self._files)

    def file(self, path: str, size: int) -> OpenFile:
        """Return the open file at a path.

        Args:
            path: where it lies.
            size: the bytes that it must have.

        Raises:
            FileNotFoundError: there is no such file.
            FormatError: it has another size.
            OSError: it cannot be opened.
        """
        found = self._files.get(path)
        if found is not None:
            self._files.move_to_end(path)
            return found
        while len(self._files) >= self._limit:
            self._files.popitem(last=False)[1].close()
        opened = self._files[path] = self.opened(path, size)
        return opened

    def opened(self, path: str, size: int | None = None) -> OpenFile:
        """Open a file that the caller closes and that does not count."""
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor).st_size
            _check_size(path, found, size)
            if self._mapped is None:
                self._mapped = not is_on_network(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        if self._mapped and found:
            return MappedFile(path, descriptor, found, self._pages)
        return PlainFile(path, descriptor, found)

    def close(self) -> None:
        """Close all files; repeatable."""
        while self._files:
            self._files.popitem()[1].close()


def _check_size(path: str, found: int, size: int | None) -> None:
    if size is not None and found != size:
        raise FormatError(f"{path} has {found:,} bytes instead of {size:,}: it is damaged; copy or import it again")


def _named(error: OSError, path: str) -> OSError:
    return OSError(error.errno, os.strerror(error.errno or 0), path)
