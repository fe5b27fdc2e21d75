"""Read-only SQLite files of this process: checked when opened, bounded in number, never shared with another process."""

import ctypes
import errno
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from urllib.parse import quote

import apsw

from eden_core.errors import FormatError
from eden_core.file_systems import is_on_network
from eden_sqlite.headers import HEADER_BYTES, Header, unfinished


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
    """Check that a file is a sound UTF-8 database at rest.

    Returns:
        How many of its bytes should be mapped into memory.
    """
    file, places = _opened(path)
    try:
        header = Header(os.read(file, HEADER_BYTES), os.fstat(file).st_size)
        local = not is_on_network(file)
    finally:
        os.close(file)
    for fault in chain([header.fault(path)], map(unfinished, places)):
        if fault is not None:
            raise FormatError(fault)
    # Without the pointer map SQLite walks a chain of pages to the offset: through a memory map that walk is 18 times faster
    # when warm. With it a map only costs memory and cold reads. On a network file system a read that fails would not be an
    # error that can be tried again, but a SIGBUS that ends the process.
    return header.size if local and not header.pointer_map else 0


def _opened(path: str) -> tuple[int, set[str]]:
    """Open a file; return it with the paths at which its siblings may lie, two where it is a link."""
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), {path}
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC), {path, os.path.realpath(path)}
