"""Reading sequences from an SQLite shard in the seed's format, one in memory at a time."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import apsw

from eden_core.errors import InputError
from eden_core.records.decompression import Progress
from eden_core.records.record import Record, checked_bases, checked_id

_TABLE = "sequences(contig_id TEXT PRIMARY KEY, nt_sequence TEXT NOT NULL)"
_ROWS = "SELECT contig_id, typeof(contig_id), typeof(nt_sequence), CAST(nt_sequence AS BLOB) FROM main.sequences ORDER BY rowid"


def shard_records(path: Path, *, check_letters: bool = True, progress: Progress | None = None) -> Iterator[Record]:
    """Yield the sequences of a shard in the order they were written.

    Args:
        path: the SQLite file.
        check_letters: whether a letter that is no IUPAC nucleotide letter is an error; NUL and what is no ASCII always are.
        progress: told the bytes of ids and sequences, which all but fill the file, and the rest at the end.

    Raises:
        InputError: the file is damaged or being written, has no table of the seed's format or no row in it, or a
            sequence is empty or holds a byte that it may not; with the row and the position in the sequence, both counted
            from 1.
    """
    _check_at_rest(path)
    left = path.stat().st_size
    where, place = str(path), 0
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        with closing(apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)) as connection:
            _check_table(connection, path)
            for name, *kinds, bases in connection.execute(_ROWS):
                place += 1
                taken = min(left, len(bases or b"") + len(str(name)))
                left -= taken
                yield _record(name, kinds, bases, place, f"{where}: row {place}", check_letters=check_letters)
                del bases  # before the next is read
                if progress:
                    progress(taken)
    except apsw.Error as error:
        raise InputError(
            f"{where}: the SQLite database is damaged behind row {place}: {error}; copy or write it again"
        ) from error
    if not place:
        raise InputError(f"{where} is a shard without sequences; leave it out")
    if progress and left:
        progress(left)


def _record(name: object, kinds: list[str], bases: bytes, place: int, where: str, *, check_letters: bool) -> Record:
    id_kind, kind = kinds
    if id_kind not in {"text", "integer", "null"} or kind not in {"text", "blob"}:
        raise InputError(f"{where}: contig_id is {id_kind} and nt_sequence is {kind}; expected text")
    record_id = None if name is None else checked_id(str(name), where)
    return Record(record_id, checked_bases(bases, record_id, where, check_letters=check_letters), place)


def _check_table(connection: apsw.Connection, path: Path) -> None:
    [(encoding,)] = connection.execute("PRAGMA encoding")
    if encoding != "UTF-8":
        raise InputError(f"{path} stores {encoding} text, two bytes a base; write it again with PRAGMA encoding='UTF-8'")
    listed = connection.execute(
        "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%'"
    )
    tables = {name: (kind, without_rowid) for name, kind, without_rowid in listed}
    if "sequences" not in tables:
        found = ", ".join(sorted(tables)) or "none"
        raise InputError(f"{path} has no table 'sequences', but {found}; expected a shard with {_TABLE}")
    columns = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info('sequences')")}
    if tables["sequences"] != ("table", 0) or not {"contig_id", "nt_sequence"} <= columns:
        raise InputError(
            f"{path}: 'sequences' is no table with rowids and the columns contig_id and nt_sequence, but has "
            f"{', '.join(sorted(columns))}; expected {_TABLE}"
        )


def _check_at_rest(path: Path) -> None:
    """Refuse a database whose last changes lie in another file: immutable reads would not see them."""
    for place in {path, path.resolve()}:
        for suffix, remedy in (("-wal", "PRAGMA journal_mode=DELETE"), ("-journal", "PRAGMA user_version")):
            sibling = Path(f"{place}{suffix}")
            if sibling.exists() and (size := sibling.stat().st_size):
                raise InputError(
                    f"{sibling} holds {size} bytes that belong to {path}: the database is being written, or its writer was "
                    f"killed. When no writer runs, complete it with: sqlite3 {path} '{remedy}'"
                )
