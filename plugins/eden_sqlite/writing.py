"""Writing a new SQLite file: complete or absent."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from eden_core.atomic import atomic_path

PAGE_SIZE = 8192
"""bytes; a cold read of an 8 KiB window then reads less than twice its size"""


@contextmanager
def new_database(target: str | os.PathLike[str], schema: str) -> Iterator[apsw.Connection]:
    """Yield a connection, inside one transaction, to a new database that replaces `target` when the block ends well.

    auto_vacuum gives the file a pointer map, through which SQLite reaches any offset of a long value in a few pages; pages of
    8 KiB keep a cold read of an 8 KiB window below twice its size.

    Raises:
        InputError: the folder of `target` does not exist.
        OSError: the disk is full or cannot be written.
    """
    with atomic_path(target) as draft:
        try:
            with closing(apsw.Connection(str(draft))) as connection:
                connection.execute("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA locking_mode=EXCLUSIVE")
                connection.execute(f"PRAGMA encoding='UTF-8'; PRAGMA page_size={PAGE_SIZE}; PRAGMA auto_vacuum=FULL")
                connection.execute("BEGIN; " + schema)
                yield connection
                connection.execute("COMMIT")
        except (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
            raise OSError(f"{target} could not be written: {error}") from error
    for suffix in ("-wal", "-shm", "-journal"):  # left over from the file that was replaced
        Path(f"{target}{suffix}").unlink(missing_ok=True)
