"""Store "sqlite-shards": one SQLite file a sample, in the seed's format."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import apsw
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.atomic import made_folder
from eden_core.batch import Ragged, Windows, offsets_of
from eden_core.contigs import BATCH_ROWS, SCHEMA
from eden_core.errors import (
    FormatError,
    InputError,
    InvalidSequenceIdError,
    RepeatedIdError,
    SequenceNotFoundError,
    ShardNotFoundError,
    StaleIndexError,
)
from eden_core.interfaces import OptimizeSummary, SequenceStore, ShardState, ShardSummary
from eden_core.sequence_ids import check_sample, extract_sample_id
from eden_sqlite.checking import check_sequences
from eden_sqlite.connections import ConnectionPool, Database, file_system_error, process_pool
from eden_sqlite.headers import state_of_shard
from eden_sqlite.optimizing import optimize
from eden_sqlite.writing import new_database

_NO_SUCH_FILE = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
_TABLE = "CREATE TABLE sequences (contig_id TEXT PRIMARY KEY, nt_sequence TEXT NOT NULL)"


class SqliteShards(SequenceStore):
    """Reads and writes `<location>/<sample>/glm_dataset_<sample>.sqlite`.

    A shard's path is computed from the sequence id, so opening costs nothing, however many shards there are. A directory
    with one single shard serves every id.

    Args:
        location: the directory of the shards.
        max_open_files: SQLite files that this process keeps open, least recently used closed first.
        max_open_contigs: handles on single contigs that this process keeps open.
    """

    name: ClassVar[str] = "sqlite-shards"

    def __init__(self, location: str, *, max_open_files: int = 128, max_open_contigs: int = 512) -> None:
        super().__init__(location)
        self.max_open_files = max_open_files
        self.max_open_contigs = max_open_contigs
        self._single: str | None = None
        self.close()  # what this process has open there may have been replaced since

    def read(self, windows: Windows) -> Ragged[np.uint8]:
        """Return the bases of windows, reading shard by shard and contig by contig."""
        wanted = offsets_of(windows.lengths)
        values = np.empty(wanted[-1], np.uint8)
        view = memoryview(values)  # type: ignore[arg-type] # numpy arrays are buffers
        got = windows.lengths.copy()
        places, lengths, starts = wanted.tolist(), windows.lengths.tolist(), windows.starts.tolist()
        pool = process_pool()
        with pool.lock:
            last = None
            for path, sequence_id, start, i in self._by_place(windows.sequence_ids, starts):
                if sequence_id != last:
                    self.reading = path
                    database = self._database(pool, path, sequence_id)
                    blob, last = self._blob(pool, database, sequence_id), sequence_id
                    length = blob.length()
                if not 0 <= start < length:
                    raise StaleIndexError(_behind_end(sequence_id, start, length))
                count = min(lengths[i], length - start)
                try:
                    blob.seek(start)
                    blob.read_into(view, places[i], count)
                except apsw.Error as error:
                    damage = FormatError(f"{database.path} is damaged: reading {sequence_id!r} at {start} gave {error}")
                    raise file_system_error(error, database.path, database.connection) or damage from error
                got[i] = count
        return _closed_up(values, wanted, got)

    def samples(self) -> Iterator[str]:
        """Yield the samples that have a shard, in byte order."""
        yield from sorted((Path(path).parent.name for path in self._shards()), key=os.fsencode)

    def contigs(self, sample: str | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the contigs of a sample's shard, or of every shard, samples in byte order."""
        for name in self.samples() if sample is None else (check_sample(sample),):
            path = self._shard_path(name)
            if sample is not None and not Path(path).exists():
                raise ShardNotFoundError(f"{self.location} has no shard of sample {sample!r}: {path} is missing")
            last = ""
            while rows := self._contigs_after(path, last):
                ids, lengths = zip(*rows, strict=True)
                yield pa.RecordBatch.from_arrays([pa.array(ids, pa.string()), pa.array(lengths, pa.int64())], schema=SCHEMA)
                last = ids[-1]

    def write_shard(self, sample: str, sequences: Iterable[tuple[str, bytes]]) -> ShardSummary:
        """Write one sample's shard.

        Raises:
            InvalidSequenceIdError: the sample cannot name a folder.
            InputError: an id repeats, or a sequence is no ASCII text or longer than SQLite can hold (10^9 bytes).
        """
        target = Path(self._shard_path(check_sample(sample)))
        rows = _Rows(sequences)
        with made_folder(target.parent), new_database(target, _TABLE) as connection:
            rows.insert(connection)
        self.close()
        return ShardSummary(sample, str(target), rows.count, rows.bases)

    def remove_shard(self, sample: str) -> None:
        """Remove a sample's shard, and its folder where nothing else lies in it."""
        path = Path(self._shard_path(check_sample(sample)))
        path.unlink(missing_ok=True)
        with suppress(OSError):
            path.parent.rmdir()
        self.close()

    def shard_state(self, sample: str) -> ShardState:
        """Look at the header of a shard, and at what lies beside it.

        Raises:
            ShardNotFoundError: there is no such shard.
        """
        path = self._shard_path(check_sample(sample))
        try:
            return state_of_shard(path, sample)
        except FileNotFoundError as error:
            raise ShardNotFoundError(f"{self.location} has no shard of sample {sample!r}: {path} is missing") from error

    def check_shard(self, sample: str) -> None:
        """Let SQLite look at every page of a sample's shard, and see that it holds text."""
        path = self._shard_path(check_sample(sample))
        pool = process_pool()
        with pool.lock:
            check_sequences(pool.database(path, self.max_open_files))

    def optimize_shard(self, sample: str, target: str | None = None, *, force: bool = False) -> OptimizeSummary:
        """Rewrite a sample's shard with a pointer map and larger pages, its schema and all its tables unchanged."""
        path = self._shard_path(check_sample(sample))
        self.close()
        return optimize(sample, path, None if target is None else _shard_path(target, sample), force=force)

    def fingerprint(self) -> str:
        """Return the store's name: no option changes a byte, and the shards of a large store cannot be read cheaply."""
        return self.name

    def close(self) -> None:
        """Close this process's files under the store's directory."""
        pool = process_pool()
        with pool.lock:
            pool.close_where(lambda path: path.startswith(self.location + os.sep))
        self._single = None  # a shard that was written meanwhile ends the rule of the single one

    def _contigs_after(self, path: str, last: str) -> list[Any]:
        query = "SELECT contig_id, octet_length(nt_sequence) FROM sequences WHERE contig_id > ? ORDER BY contig_id LIMIT ?"
        pool = process_pool()
        with pool.lock:
            return _query(pool.database(path, self.max_open_files), query, (last, BATCH_ROWS))

    def _by_place(self, sequence_ids: tuple[str, ...], starts: list[int]) -> list[tuple[str, str, int, int]]:
        paths = {sequence_id: self._path(sequence_id) for sequence_id in set(sequence_ids)}
        return sorted((paths[s], s, start, i) for i, (s, start) in enumerate(zip(sequence_ids, starts, strict=True)))

    def _shard_path(self, sample: str) -> str:
        return _shard_path(self.location, sample)

    def _path(self, sequence_id: str) -> str:
        if self._single is not None:
            return self._single
        try:
            return self._shard_path(check_sample(extract_sample_id(sequence_id)))
        except InvalidSequenceIdError as error:
            self._single = self._only_shard()
            if self._single is None:
                raise InvalidSequenceIdError(f"{self.location} holds many shards, and {error}") from error
            return self._single

    def _database(self, pool: ConnectionPool, path: str, sequence_id: str) -> Database:
        try:
            return pool.database(path, self.max_open_files)
        except OSError as error:
            if error.errno not in _NO_SUCH_FILE:
                raise
            self._single = self._only_shard()
            if self._single is None:
                raise self._missing(path, sequence_id) from error
            return pool.database(self._single, self.max_open_files)

    def _blob(self, pool: ConnectionPool, database: Database, sequence_id: str) -> apsw.Blob:
        return pool.blob(database, sequence_id, self.max_open_contigs, lambda: _open_blob(database, sequence_id))

    def _shards(self) -> Iterator[str]:
        try:
            with os.scandir(self.location) as entries:
                for entry in entries:
                    path = self._shard_path(entry.name)
                    if entry.is_dir() and os.path.exists(path):  # noqa: PTH110 - a Path for each of 100,000 shards is slow
                        yield path
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ShardNotFoundError(
                f"{self.location} is not a directory; expected shards at {self._shard_path('<sample>')}"
            ) from error

    def _only_shard(self) -> str | None:
        shards = self._shards()
        only = next(shards, None)
        return only if next(shards, None) is None else None

    def _missing(self, path: str, sequence_id: str) -> ShardNotFoundError:
        some = [Path(found).parent.name for found, _ in zip(self._shards(), range(5), strict=False)]
        if not some and (stray := next(Path(self.location).glob("glm_dataset_*.sqlite"), None)) is not None:
            return ShardNotFoundError(
                f"{self.location} holds {stray.name} itself; expected {self._shard_path('<sample>')}: give the folder above, "
                f"or put the shard into a folder {stray.stem.removeprefix('glm_dataset_')}"
            )
        if not some:
            return ShardNotFoundError(
                f"{self.location} holds no shards at all; expected {self._shard_path('<sample>')}. `eden import` writes them"
            )
        return ShardNotFoundError(
            f"no shard for sequence {sequence_id!r}: {path} is missing; among the samples there are {', '.join(some)}. Was the "
            "index built for another store?"
        )


def _shard_path(location: str, sample: str) -> str:
    return f"{location}{os.sep}{sample}{os.sep}glm_dataset_{sample}.sqlite"


def _open_blob(database: Database, sequence_id: str) -> apsw.Blob:
    rows = _query(database, "SELECT rowid FROM sequences WHERE contig_id = ?", (sequence_id,))
    if not rows:
        raise SequenceNotFoundError(
            f"{database.path} has no sequence {sequence_id!r}{_missing_shard(database, sequence_id)}; was the index built for "
            "another version of this store? Then build it again with eden-precompute"
        )
    try:
        return database.connection.blob_open("main", "sequences", "nt_sequence", rows[0][0], False)
    except apsw.Error as error:
        damage = FormatError(f"{database.path}: the bases of {sequence_id!r} cannot be read: {error}")
        raise file_system_error(error, database.path, database.connection) or damage from error


def _missing_shard(database: Database, sequence_id: str) -> str:
    """Say that a sequence's own shard is missing, where the only one there was asked instead."""
    with suppress(InvalidSequenceIdError):
        sample = extract_sample_id(sequence_id)
        if sample != Path(database.path).parent.name:
            return f" (it is the only shard there; that of {sample!r} is missing)"
    return ""


def _query(database: Database, statement: str, bindings: tuple[str | int, ...] = ()) -> list[Any]:
    try:
        return database.connection.execute(statement, bindings).fetchall()
    except apsw.Error as error:
        failed = file_system_error(error, database.path, database.connection)
        raise failed or FormatError(f"{database.path} is no shard that can be read: {_diagnosis(database, error)}") from error


def _diagnosis(database: Database, error: apsw.Error) -> str:
    if isinstance(error, apsw.CorruptError):
        return f"it is damaged ({error}); copy or write it again"
    table = "SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = 'sequences'"
    found = database.connection.execute(table).fetchone()
    if found is None:
        return f"it has no table 'sequences'; expected {_TABLE}"
    if found[0] != "table" or found[1]:
        kind = "WITHOUT ROWID, which incremental reads need" if found[1] else f"a {found[0]}"
        return f"its 'sequences' is {kind}; expected {_TABLE}"
    return f"{error}; expected {_TABLE}"


class _Rows:
    """Rows of a new shard, counted as they are inserted."""

    def __init__(self, sequences: Iterable[tuple[str, bytes]]) -> None:
        self._sequences = sequences
        self._last = ""
        self.count = self.bases = 0

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for sequence_id, sequence in self._sequences:
            self._last = sequence_id
            self.count += 1
            self.bases += len(sequence)
            if not sequence.isascii():
                place = next(place for place, byte in enumerate(sequence) if byte > 127)
                raise InputError(f"sequence {sequence_id!r} holds a byte that is no ASCII letter at {place}")
            yield sequence_id, sequence.decode("ascii")

    def insert(self, connection: apsw.Connection) -> None:
        try:
            connection.executemany("INSERT INTO sequences VALUES (?, ?)", self)
        except apsw.ConstraintError as error:
            raise RepeatedIdError(f"sequence id {self._last!r} occurs more than once in one sample") from error
        except apsw.TooBigError as error:
            raise InputError(
                f"sequence {self._last!r} is longer than SQLite can hold, 10^9 bases; cut it with --cut-every"
            ) from error


def _behind_end(sequence_id: str, start: int, length: int) -> str:
    return (
        f"the index asks for base {start} of sequence {sequence_id!r}, which has {length}: it was built for other sequences; "
        "build it again with eden-precompute"
    )


def _closed_up(values: NDArray[np.uint8], wanted: NDArray[np.int64], got: NDArray[np.int64]) -> Ragged[np.uint8]:
    """Close the gaps that windows cut short by a sequence's end left behind them."""
    offsets = offsets_of(got)
    if offsets[-1] == wanted[-1]:
        return Ragged(values, wanted)
    rows = [values[place : place + count] for place, count in zip(wanted[:-1].tolist(), got.tolist(), strict=True)]
    return Ragged(np.concatenate(rows), offsets)
