"""What the first 100 bytes of an SQLite file and the files beside it tell (sqlite.org/fileformat2.html, section 1.3)."""

import os
from dataclasses import dataclass
from pathlib import Path

from eden_core.interfaces import ShardState

HEADER_BYTES = 100
LONG_CHAIN = 50_000
"""bases of a contig from which on a walk along its chain of pages costs more than other ways to read it"""

_MAGIC = b"SQLite format 3\0"
_UTF8 = 1
_WAL = 2
_SMALL_PAGE = 8192
_SIBLINGS = (("-wal", "PRAGMA journal_mode=DELETE"), ("-journal", "PRAGMA user_version"))
"""what a writer leaves behind, and the statement that completes it"""


@dataclass(frozen=True)
class Header:
    """The header of a file.

    Args:
        start: the first 100 bytes, or fewer where there are no more.
        size: bytes of the file.
    """

    start: bytes
    size: int

    @property
    def page_size(self) -> int:
        """Bytes a page."""
        found = int.from_bytes(self.start[16:18], "big")
        return 65_536 if found == 1 else found

    @property
    def pointer_map(self) -> bool:
        """Whether SQLite finds any page of a long value at once, without walking the chain of those before it (auto_vacuum)."""
        return any(self.start[52:56])

    @property
    def write_ahead(self) -> bool:
        """Whether a writer would keep a write-ahead log beside the file."""
        return _WAL in self.start[18:20]

    def fault(self, path: str) -> str | None:
        """Return why the file is no sound UTF-8 database, or None where the header says that it is."""
        if len(self.start) < HEADER_BYTES or self.start[:16] != _MAGIC:
            what = "is empty (0 bytes)" if self.size == 0 else "is not an SQLite database"
            what += " but a Parquet table" if self.start[:4] == b"PAR1" else ""
            return (
                f"{path} {what}; copy it again, or write it again with eden import (a shard) or eden-precompute (a window "
                "database)"
            )
        pages = int.from_bytes(self.start[28:32], "big")
        counted = self.start[24:28] == self.start[92:96]  # else an old writer left the page count behind
        if counted and self.size < pages * self.page_size:
            return f"{path} is truncated: {self.size} bytes of {pages * self.page_size}; copy or write it again"
        encoding = int.from_bytes(self.start[56:60], "big")
        if encoding not in {0, _UTF8}:
            return (
                f"{path} stores UTF-16 text, two bytes a base; write it again with PRAGMA encoding='UTF-8', which is what "
                f"sqlite3 {path} .dump | sqlite3 NEW.sqlite does"
            )
        return None


def unfinished(path: str) -> str | None:
    """Return which sibling of a database holds what a writer has not completed, and what to do; None where none does."""
    for suffix, remedy in _SIBLINGS:
        try:
            size = os.stat(path + suffix).st_size  # noqa: PTH116 - a Path for each of 100,000 shards is slow
        except FileNotFoundError:
            continue
        if size:
            return (
                f"{path}{suffix} holds {size} bytes that belong to {path}: the database is being written, or its writer was "
                f"killed. When no writer runs, complete it with: sqlite3 {path} '{remedy}'"
            )
    return None


def state_of_shard(path: str, sample: str) -> ShardState:
    """Say what header and siblings of a shard tell.

    Raises:
        OSError: it cannot be opened.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        header = Header(os.read(file, HEADER_BYTES), os.fstat(file).st_size)
    finally:
        os.close(file)
    unsafe = header.fault(path)
    if unsafe is not None:
        return ShardState(sample, path, header.size, unsafe=unsafe)
    return ShardState(sample, path, header.size, _slow(header, path), unfinished(path), _note(header))


def _slow(header: Header, path: str) -> str | None:
    if header.pointer_map or header.size <= LONG_CHAIN:  # in a file as small as this there is no long contig
        return None
    return (
        f"written without auto_vacuum, so that a window of a contig of {LONG_CHAIN:,} bases or more is reached along the chain "
        f"of all pages before it (eden optimize {Path(path).parents[1]} rewrites such shards)"
    )


def _note(header: Header) -> str | None:
    found = []
    if header.write_ahead:
        found.append("in WAL mode: complete, but programs other than Eden cannot read it in a folder without write permission")
    if header.page_size < _SMALL_PAGE and header.size > LONG_CHAIN:
        found.append(f"pages of {header.page_size:,} bytes: a window takes more reads than with {_SMALL_PAGE:,}")
    return "; ".join(found) or None
