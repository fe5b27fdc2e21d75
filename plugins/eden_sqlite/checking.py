"""Damage and disagreement in SQLite files that single reads do not meet."""

from collections.abc import Callable
from typing import Any

import apsw

from eden_core.errors import FormatError
from eden_sqlite.connections import Database, file_system_error

_MOST_FAULTS = 3
_GAPS = """
SELECT count(*) FROM window_mappings AS one JOIN window_mappings AS next ON next.window_idx = one.window_idx + 1
WHERE next.window_in_seq_idx != 0
  AND (next.sequence_id != one.sequence_id OR next.window_in_seq_idx != one.window_in_seq_idx + 1)
"""
_FALLS = """
SELECT count(*) FROM window_mappings AS one JOIN window_mappings AS next ON next.window_idx = one.window_idx + 1
WHERE next.sequence_id = one.sequence_id AND next.window_in_seq_idx <= one.window_in_seq_idx
"""


def check_sequences(database: Database) -> None:
    """Check all pages of a shard, and the types of what it holds.

    Raises:
        FormatError: it is damaged, or holds what is no text.
        OSError: it cannot be read.
    """

    def query(statement: str) -> list[Any]:
        try:
            return database.connection.execute(statement).fetchall()
        except apsw.Error as error:
            damage = FormatError(f"{database.path} is damaged: {error}; copy or write it again")
            raise file_system_error(error, database.path, database.connection) or damage from error

    _quick_check(database.path, query)
    kind = query("SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = 'sequences'")
    if kind != [("table", 0)]:
        found = "no table 'sequences'" if not kind else "its 'sequences' as a view, or WITHOUT ROWID"
        raise FormatError(f"{database.path} has {found}; expected a plain table with contig_id and nt_sequence")
    other = query(
        "SELECT contig_id, typeof(contig_id), typeof(nt_sequence) FROM sequences "
        "WHERE typeof(contig_id) != 'text' OR typeof(nt_sequence) != 'text' LIMIT 1"
    )
    if other:
        raise FormatError(
            f"{database.path}: contig {other[0][0]!r} is stored as {other[0][1]} with bases as {other[0][2]}; expected text"
        )


def check_windows(location: str, query: Callable[[str], list[Any]], windows: int, *, intervals: bool) -> None:
    """Check all pages of a window database, that it has every window, and that those of a contig follow each other.

    Windows of intervals may leave gaps.

    Raises:
        FormatError: it is damaged.
    """
    _quick_check(location, query)
    count = query("SELECT count(*) FROM window_mappings")[0][0]
    if count != windows:
        raise FormatError(f"{location} is damaged: it holds {count} windows of {windows}")
    gaps = query(_FALLS if intervals else _GAPS)[0][0]
    if gaps:
        raise FormatError(f"{location} is damaged: {gaps} windows do not follow the one before in their contig")


def _quick_check(location: str, query: Callable[[str], list[Any]]) -> None:
    faults = [row[0] for row in query(f"PRAGMA quick_check({_MOST_FAULTS})")]
    if faults != ["ok"]:
        told = "; ".join(" ".join(fault.split()) for fault in faults)
        raise FormatError(f"{location} is damaged: {told}; copy or write it again")
