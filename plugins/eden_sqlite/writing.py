"""Writing a new SQLite file: complete or absent."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import apsw

from eden_core.atomic import atomic_path


@contextmanager
def new_database(target: str | os.PathLike[str], schema: str) -> Iterator[apsw.Connection]:
    """Yield a connection, inside one transaction, to a new database that replaces `target` when the block ends well.

    auto_vacuum gives the file a pointer map, through which SQLite reaches any offset of a long value in a few pages; pages of
    8 KiB keep a cold read of an 8 KiB window below twice its size.
    """
    with atomic_path(target) as draft:
        connection = apsw.Connection(str(draft))
        try:
            connection.execute("PRAGMA encoding='UTF-8'; PRAGMA page_size=8192; PRAGMA auto_vacuum=FULL")
            connection.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN; " + schema)
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()
        for suffix in ("-wal", "-shm", "-journal"):  # left over from the file that is being replaced
            with_suffix = f"{target}{suffix}"
            if os.path.exists(with_suffix):  # noqa: PTH110 - target may be any path-like
                os.unlink(with_suffix)  # noqa: PTH108
