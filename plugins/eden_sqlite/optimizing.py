"""Rewriting a shard into one that is fast to read: complete and with the same bases, or not at all."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from glob import escape
from hashlib import sha256
from itertools import zip_longest
from pathlib import Path
from urllib.parse import quote

import apsw

from eden_core.atomic import atomic_path, made_folder
from eden_core.errors import FormatError, OutputExistsError, ShardNotFoundError
from eden_core.interfaces import OptimizeSummary
from eden_sqlite.connections import file_system_error, open_readonly
from eden_sqlite.writing import PAGE_SIZE

_PIECE = 1 << 22
_REMADE = (
    'sqlite3 SHARD "ALTER TABLE sequences RENAME TO old; CREATE TABLE sequences (contig_id TEXT PRIMARY KEY, nt_sequence TEXT '
    'NOT NULL); INSERT INTO sequences SELECT contig_id, nt_sequence FROM old; DROP TABLE old"'
)


def optimize(sample: str, path: str, target: str | None, *, force: bool) -> OptimizeSummary:
    """Make a fast shard of one that another program made; see `SequenceStore.optimize_shard`.

    A shard that is a link is replaced where it leads to.
    """
    source = Path(os.path.realpath(path))
    if not source.exists():
        raise ShardNotFoundError(f"there is no shard of sample {sample!r}: {path} is missing")
    place = source if target is None else Path(target)
    with closing(open_readonly(str(source), 256)) as old:
        _check(source, old)
        fast, size = is_fast(source) and not force, source.stat().st_size
        if target is None and fast:
            return OptimizeSummary(sample, str(place), rewritten=False, bytes_before=size, bytes_after=size)
        with made_folder(place.parent), _alone(place):
            if target is not None and _is_done(source, old, place, force=force):
                return OptimizeSummary(sample, str(place), rewritten=False, bytes_before=size, bytes_after=place.stat().st_size)
            _write(source, old, place, rewritten=not fast)
    return OptimizeSummary(sample, str(place), rewritten=not fast, bytes_before=size, bytes_after=place.stat().st_size)


def is_fast(path: Path) -> bool:
    """Return whether a shard's header (sqlite.org/fileformat2.html) tells of a pointer map, large pages and no WAL."""
    with path.open("rb") as file:
        header = file.read(100)
    page_size = int.from_bytes(header[16:18], "big")
    return any(header[52:56]) and (page_size == 1 or page_size >= PAGE_SIZE) and header[18:20] == b"\1\1"


def _check(path: Path, connection: apsw.Connection) -> None:
    with _readable(path, connection):
        query = "SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = 'sequences'"
        found = connection.execute(query).fetchone()
    if found is None:
        raise FormatError(f"{path} is no shard: it has no table 'sequences'")
    if found != ("table", 0):
        kind = "WITHOUT ROWID" if found[1] else f"a {found[0]}"
        remedy = _REMADE.replace("SHARD", str(path)) if found[1] else "copy its rows into a table of that name"
        raise FormatError(f"{path}: its 'sequences' is {kind}, not a plain table, as it must be; make it one: {remedy}")


def _is_done(source: Path, old: apsw.Connection, place: Path, *, force: bool) -> bool:
    """Return whether an earlier run wrote the shard already."""
    if not place.exists() or force:
        return False
    try:
        _compare(source, old, place)
    except FormatError as error:
        raise OutputExistsError(f"{place} exists already and is another shard ({error}); give --force to replace it") from error
    return is_fast(place)


def _write(source: Path, old: apsw.Connection, place: Path, *, rewritten: bool) -> None:
    before = _state(source)
    with atomic_path(place) as draft:
        if rewritten:
            _rewrite(source, old, draft)
        else:
            shutil.copyfile(source, draft)
        _compare(source, old, draft)
        shutil.copymode(source, draft)
        with suppress(PermissionError):
            os.chown(draft, before[0], before[1])
        if _state(source) != before:
            raise FormatError(f"{source} was written while it was being rewritten; stop its writer, then run the command again")
    for suffix in ("-wal", "-shm", "-journal"):  # empty ones, of the file that was replaced
        Path(f"{place}{suffix}").unlink(missing_ok=True)


def _rewrite(source: Path, old: apsw.Connection, draft: Path) -> None:
    """Write the draft. Of an immutable file SQLite keeps the page size, and WAL files cannot be read otherwise: twice, then."""
    halfway = Path(f"{draft}.wal")
    try:
        if old.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            old.execute("VACUUM INTO ?", (str(halfway),))
            _vacuum(halfway, draft)
        else:
            _vacuum(source, draft)
    except (apsw.FullError, apsw.IOError, apsw.CantOpenError, apsw.ReadOnlyError) as error:
        raise OSError(f"{source} could not be rewritten into {draft.parent}: {error}; it is as it was") from error
    except apsw.Error as error:
        raise FormatError(f"{source} is damaged: {error}; copy it again") from error
    finally:
        halfway.unlink(missing_ok=True)
        Path(f"{draft}-journal").unlink(missing_ok=True)


def _vacuum(path: Path, draft: Path) -> None:
    uri = f"file:{quote(str(path.resolve()))}?mode=ro"
    with closing(apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE_SIZE}")
        if connection.execute("PRAGMA auto_vacuum").fetchone() == (0,):
            connection.execute("PRAGMA auto_vacuum=FULL")
        connection.execute("VACUUM INTO ?", (str(draft),))


def _compare(source: Path, old: apsw.Connection, path: Path) -> None:
    """Compare schemas, and ids and digests of all contigs.

    Raises:
        FormatError: they differ.
    """
    with closing(open_readonly(str(path), 256)) as new:
        schema = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
        if old.execute(schema).fetchall() != new.execute(schema).fetchall():
            raise FormatError(f"{path} has another schema than {source}")
        with _readable(source, old), _readable(path, new):
            for one, other in zip_longest(_digests(old), _digests(new)):
                if one != other:
                    contig_id = (one or other or ("", b""))[0]
                    raise FormatError(f"contig {contig_id!r} of {source} is not the same in {path}; {source} is as it was")


def _digests(connection: apsw.Connection) -> Iterator[tuple[str, bytes]]:
    """Yield id and digest of each contig, read a piece at a time."""
    blob: apsw.Blob | None = None
    for rowid, contig_id, kind in connection.execute(
        "SELECT rowid, contig_id, typeof(nt_sequence) FROM sequences ORDER BY contig_id"
    ):
        if kind not in {"text", "blob"}:
            raise FormatError(f"the bases of contig {contig_id!r} are stored as {kind}; expected text")
        if blob is None:
            blob = connection.blob_open("main", "sequences", "nt_sequence", rowid, False)
        else:
            blob.reopen(rowid)
        digest = sha256(kind.encode())
        while piece := blob.read(_PIECE):
            digest.update(piece)
        yield contig_id, digest.digest()
    if blob is not None:
        blob.close()


def _state(path: Path) -> tuple[int, int, int, int, int]:
    found = path.stat()
    return found.st_uid, found.st_gid, found.st_ino, found.st_size, found.st_mtime_ns


@contextmanager
def _readable(path: Path, connection: apsw.Connection) -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        failed = file_system_error(error, str(path), connection)
        raise failed or FormatError(f"{path} is damaged: {error}; copy it again") from error


@contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Let runs that write one shard follow each other; what a killed one left behind is removed."""
    if not os.access(place.parent, os.W_OK):
        raise PermissionError(
            f"{place.parent} cannot be written, so {place.name} cannot be written; --out DIR2 writes elsewhere"
        )
    descriptor = os.open(place.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for left in place.parent.glob(f".{escape(place.name)}.*.tmp*"):
            left.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)
