"""Read-only SQLite files of this process: checked when opened, bounded in number, never shared with another process."""

import ctypes
import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import apsw

from eden_core.errors import FormatError

_MAGIC = b"SQLite format 3\0"
_UTF8 = 1
_libc = ctypes.CDLL(None)
_NETWORK = frozenset(
    {
        0x6969,  # NFS
        0xFF534D42,  # CIFS
        0xFE534D42,  # SMB2
        0x0BD00BD0,  # Lustre
        0x47504653,  # GPFS
        0x19830326,  # BeeGFS
        0x00C36400,  # Ceph
        0x65735546,  # FUSE
        0x01021997,  # 9P
        0x5346414F,  # AFS
    }
)
"""`f_type` of network file systems (linux/magic.h, and what those outside the kernel tree answer)"""


@dataclass
class Database:
    """One open file and the blob handles that are open in it."""

    path: str
    connection: apsw.Connection
    blobs: dict[str, apsw.Blob] = field(default_factory=dict)

    def close(self) -> None:
        """Close the handles, then the file."""
        for blob in self.blobs.values():
            blob.close(True)  # what a read met must not keep the others open
        self.connection.close()


class ConnectionPool:
    """The read-only databases that one process has open, least recently used closed first.

    Hold `lock` while using what the pool gives: an SQLite connection serves one thread at a time.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self._databases: OrderedDict[str, Database] = OrderedDict()
        self._blobs: OrderedDict[tuple[str, str], Database] = OrderedDict()

    def database(self, path: str, limit: int, cache_pages: int = 32) -> Database:
        """Return the open database at `path`; at most `limit` files stay open in this process.

        Raises:
            FileNotFoundError: there is no such file.
            FormatError: it is not a sound UTF-8 SQLite file at rest.
        """
        found = self._databases.get(path)
        if found is not None:
            self._databases.move_to_end(path)
            return found
        while len(self._databases) >= max(1, limit):
            self._close(next(iter(self._databases)))
        opened = self._databases[path] = Database(path, open_readonly(path, cache_pages))
        return opened

    def blob(self, database: Database, key: str, limit: int, opener: Callable[[], apsw.Blob]) -> apsw.Blob:
        """Return the open handle of one value; at most `limit` handles stay open in this process."""
        place = (database.path, key)
        found = database.blobs.get(key)
        if found is not None:
            self._blobs.move_to_end(place)
            return found
        while len(self._blobs) >= max(1, limit):
            (_, old_key), old = self._blobs.popitem(last=False)
            old.blobs.pop(old_key).close(True)
        opened = database.blobs[key] = opener()
        self._blobs[place] = database
        return opened

    def close_where(self, matches: Callable[[str], bool]) -> None:
        """Close the databases whose paths match."""
        for path in [path for path in self._databases if matches(path)]:
            self._close(path)

    def _close(self, path: str) -> None:
        database = self._databases.pop(path)
        for key in database.blobs:
            del self._blobs[path, key]
        database.close()


_pools: list[ConnectionPool] = []


def process_pool() -> ConnectionPool:
    """Return this process's pool.

    One that was inherited through a fork is left alone for good: SQLite forbids a child to use or even to close what its
    parent opened (sqlite.org/howtocorrupt.html, section 2.6), so its reference count is raised to outlive the interpreter.
    """
    if not _pools or _pools[-1].pid != os.getpid():
        for inherited in _pools:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(inherited))
        _pools[:] = [ConnectionPool()]
    return _pools[-1]


def open_readonly(path: str, cache_pages: int) -> apsw.Connection:
    """Open a database that the caller closes.

    Of the metadata calls, each a round trip on a network file system, SQLite itself makes most.

    Raises:
        FileNotFoundError: there is no such file.
        FormatError: it is not a sound UTF-8 SQLite file at rest.
    """
    mapped = _check(path)
    # Immutable spares the locks and stats of every statement, and works in read-only folders; the checks above make it safe.
    uri = f"file:{quote(os.path.abspath(path))}?mode=ro&immutable=1"  # noqa: PTH100 - resolves no links, unlike Path.resolve
    connection: apsw.Connection | None = None
    try:
        connection = apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        connection.execute(f"PRAGMA cache_size={cache_pages}")
        if mapped:
            connection.execute(f"PRAGMA mmap_size={mapped}")
    except apsw.Error as error:
        damage = FormatError(f"{path} cannot be opened as an SQLite database: {error}")
        raise file_system_error(error, path, connection) or damage from error
    return connection


def file_system_error(error: apsw.Error, path: str, connection: apsw.Connection | None) -> OSError | None:
    """Return the error of the file system behind an SQLite error, with its number, or None when the file itself is at fault.

    SQLite calls a file corrupt where reading it gave EIO (os_unix.c, unixRead), so its file handle is asked.
    """
    extended = getattr(error, "extendedresult", None)
    if not isinstance(error, apsw.IOError | apsw.CorruptError) or extended == apsw.SQLITE_IOERR_SHORT_READ:
        return None
    number = ctypes.c_int(0)
    if connection is not None:
        connection.file_control("main", apsw.SQLITE_FCNTL_LAST_ERRNO, ctypes.addressof(number))
    if not number.value and isinstance(error, apsw.CorruptError):
        return None
    found = number.value or errno.EIO  # of a file that could not be opened SQLite does not tell
    return OSError(found, os.strerror(found), path)


def _check(path: str) -> int:
    """Check that a file is a sound UTF-8 database at rest (sqlite.org/fileformat2.html, section 1.3).

    Returns:
        How many of its bytes should be mapped into memory.
    """
    file, places = _opened(path)
    try:
        header, size = os.read(file, 100), os.fstat(file).st_size
        local = not _on_network(file)
    finally:
        os.close(file)
    if len(header) < 100 or header[:16] != _MAGIC:
        what = "is empty (0 bytes)" if size == 0 else "is not an SQLite database"
        what += " but a Parquet table" if header[:4] == b"PAR1" else ""
        raise FormatError(
            f"{path} {what}; copy it again, or write it again with eden import (a shard) or eden-precompute (a window database)"
        )
    page_size = int.from_bytes(header[16:18], "big")
    page_size = 65_536 if page_size == 1 else page_size
    pages = int.from_bytes(header[28:32], "big")
    counted = header[24:28] == header[92:96]  # else an old writer left the page count behind
    if counted and size < pages * page_size:
        raise FormatError(f"{path} is truncated: {size} bytes of {pages * page_size}; copy or write it again")
    encoding = int.from_bytes(header[56:60], "big")
    if encoding not in {0, _UTF8}:
        raise FormatError(
            f"{path} stores UTF-16 text, two bytes a base; write it again with PRAGMA encoding='UTF-8', which is what "
            f"sqlite3 {path} .dump | sqlite3 NEW.sqlite does"
        )
    for place in places:
        _check_siblings(place)
    # Without the pointer map SQLite walks a chain of pages to the offset: through a memory map that walk is 18 times faster
    # when warm. With it a map only costs memory and cold reads. On a network file system a read that fails would not be an
    # error that can be tried again, but a SIGBUS that ends the process.
    pointer_map = any(header[52:56])
    return size if local and not pointer_map else 0


def _opened(path: str) -> tuple[int, set[str]]:
    """Open a file; return it with the paths at which its siblings may lie, two where it is a link."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), {path}
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC), {path, os.path.realpath(path)}


def _on_network(file: int) -> bool:
    """Return whether fstatfs(2) says that an open file lies on a network file system; its `f_type` is the first word."""
    found = (ctypes.c_long * 32)()
    return not _libc.fstatfs(file, found) and found[0] & 0xFFFFFFFF in _NETWORK


def _check_siblings(path: str) -> None:
    for suffix, remedy in (("-wal", "PRAGMA journal_mode=DELETE"), ("-journal", "PRAGMA user_version")):
        try:
            size = Path(path + suffix).stat().st_size
        except FileNotFoundError:
            continue
        if size:
            raise FormatError(
                f"{path}{suffix} holds {size} bytes that belong to {path}: the database is being written, or its writer was "
                f"killed. When no writer runs, complete it with: sqlite3 {path} '{remedy}'"
            )
