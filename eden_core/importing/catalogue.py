"""The tables that list the contigs of a store, and their runs: written in parts, one a shard, then merged."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eden_core.atomic import atomic_path, named_when_full
from eden_core.contigs import BATCH_ROWS, CONTIGS, COUNTED, DETAILS, digest_of_bases
from eden_core.errors import InputError, RepeatedIdError
from eden_core.importing.composition import count_letters
from eden_core.importing.source_files import SourceFile
from eden_core.records import Record, place_name
from eden_core.runs import N_RUNS, SOFT_MASKED, n_runs, soft_masked
from eden_core.runs import SCHEMA as RUNS
from eden_core.sequence_columns import samples_of, tags_of
from eden_core.sorted_files import STREAM_ROWS
from eden_core.sorting import merged, rebatched, sorted_batches

RUN_TABLES = {N_RUNS: "n", SOFT_MASKED: "lower"}
"""table of runs -> prefix of its columns in a part"""
_ENDS = ("starts", "ends")
_PLACES = pa.list_(pa.int64())
PART = pa.schema([*DETAILS, *(pa.field(f"{name}_{end}", _PLACES) for name in RUN_TABLES.values() for end in _ENDS)])
"""`DETAILS`, and where the contig's stretches of N, and of lower case, start and end"""

_UNSORTED = PART.append(pa.field("place", pa.int64()))
_ROWS_AT_ONCE = 1 << 13
_N, _LOWER = COUNTED.index("N"), COUNTED.index("lower")
_NO_RUNS = None, None
_BATCHES_IN_MEMORY = 64


class Piece(NamedTuple):
    """What becomes a contig of the store."""

    id: str
    bases: bytes
    record: Record


class PartWriter:
    """Collects what the tables say of the contigs of one shard.

    Args:
        draft: where the sorted part goes, an Arrow file of `PART`.
        source: the file that the contigs come from.
    """

    def __init__(self, draft: Path, source: SourceFile) -> None:
        self._draft = draft
        self._source = source
        self._begin()

    def _begin(self) -> None:
        self._pieces: list[tuple[str, int, str, int]] = []
        self._letters: list[list[int]] = []
        self._runs: tuple[list[NDArray[np.int64] | None], ...] = ([], [], [], [])

    def noted(self, some: Iterable[Piece]) -> Iterator[tuple[str, bytes]]:
        """Yield ids and bases for the store.

        The part is written behind the last of them, before the store completes its shard: what can fail must fail first.

        Raises:
            InputError: two pieces have one id.
        """
        with named_when_full(self._draft), _Spool(self._draft.with_name(f"{self._draft.name}.unsorted")) as spool:
            for piece in some:
                self._note(piece)
                yield piece.id, piece.bases
                if len(self._pieces) == _ROWS_AT_ONCE:
                    spool.add(self._batch())
            spool.add(self._batch())
            with pa.OSFile(str(self._draft), "wb") as file, pa.ipc.new_file(file, PART) as writer:
                # Many parts may be read side by side, each a batch at a time.
                for batch in rebatched(self._unique(self._sorted(spool)), STREAM_ROWS):
                    writer.write_batch(batch.select(PART.names))

    def _sorted(self, spool: "_Spool") -> Iterator[pa.RecordBatch]:
        # What a killed sort leaves goes with the import's other notes, and the disk of the data has room.
        return sorted_batches(spool.batches(), folder=self._draft.parent)

    def _note(self, piece: Piece) -> None:
        letters = count_letters(piece.bases)
        self._letters.append(letters)
        self._pieces.append((piece.id, len(piece.bases), digest_of_bases(piece.bases), piece.record.place))
        unknown = n_runs(piece.bases) if letters[_N] else None
        lower = soft_masked(piece.bases) if letters[_LOWER] else None
        for column, some in zip(self._runs, (*(unknown or _NO_RUNS), *(lower or _NO_RUNS)), strict=True):
            column.append(some)

    def _batch(self) -> pa.RecordBatch:
        ids, lengths, digests, places = zip(*self._pieces, strict=True) if self._pieces else ((), (), (), ())
        letters = np.array(self._letters, np.int64).reshape(-1, len(COUNTED))
        id_column = pa.array(ids, pa.string())
        columns = [
            id_column,
            pa.array(lengths, pa.int64()),
            pa.array([self._source.sample] * len(ids), pa.string()),
            tags_of(id_column),
            pa.array([self._source.path] * len(ids), pa.string()),
            pa.array(digests, pa.string()),
            *(pa.array(letters[:, i]) for i in range(len(COUNTED))),
            *(pa.array(column, _PLACES) for column in self._runs),
            pa.array(places, pa.int64()),
        ]
        self._begin()
        return pa.RecordBatch.from_arrays(columns, schema=_UNSORTED)

    def _unique(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch, repeat in _with_repeats(batches):
            if repeat is not None:
                first, second = sorted(repeat.column("place").to_pylist())
                raise RepeatedIdError(repeated(self._source, repeat.column("contig_id")[0].as_py(), first, second))
            yield batch


def repeated(source: SourceFile, sequence_id: str, first: int, second: int) -> str:
    """Return the message that two records of a file get one id."""
    what = place_name(source.path)
    return (
        f"{source.path}: {what} {second}: the id {sequence_id!r} is that of {what} {first} already; ids must be unique: rename "
        "one"
    )


class _Spool:
    """Keeps batches in memory while they are few, and in a file when they are many."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open = ExitStack()
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._recent: list[pa.RecordBatch] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        self._path.unlink(missing_ok=True)

    def add(self, batch: pa.RecordBatch) -> None:
        self._recent.append(batch)
        if len(self._recent) == _BATCHES_IN_MEMORY:
            if self._writer is None:
                file = self._open.enter_context(pa.OSFile(str(self._path), "wb"))
                self._writer = self._open.enter_context(pa.ipc.new_file(file, _UNSORTED))
            for one in self._recent:
                self._writer.write_batch(one)
            self._recent.clear()

    def batches(self) -> Iterator[pa.RecordBatch]:
        self._open.close()
        if self._writer is not None:
            with pa.ipc.open_file(self._path) as file:
                yield from (file.get_batch(i) for i in range(file.num_record_batches))
        yield from self._recent


def merge_parts(parts: Sequence[Path], out: Path, replaced: Collection[str], work: Path, *, others: bool = True) -> None:
    """Write the tables of a store's folder from parts and from the tables that are there; may be repeated after a kill.

    Args:
        parts: files of `PART`, each sorted.
        out: the store's folder; each table is replaced at once, `contigs.parquet` last.
        replaced: samples that the parts are of, whose rows in the tables that are there go.
        work: folder for intermediate files.
        others: whether the tables that are there have rows of other samples; if not, they are not read.

    Raises:
        InputError: a table that is there cannot be read, or a contig is in two parts.
    """
    new = {name: work / f"new.{name}" for name in (*RUN_TABLES, CONTIGS)}
    with ExitStack() as drafts:
        writers = {
            name: drafts.enter_context(pq.ParquetWriter(path, _schema(name), compression="zstd")) for name, path in new.items()
        }
        for batch in merged(parts, folder=work):
            writers[CONTIGS].write_batch(batch.select(DETAILS.names))
            for table, name in RUN_TABLES.items():
                writers[table].write_batch(_exploded(batch, name))
    for name, path in new.items():
        _join(path, out / name, set(replaced), work, others=others)


def _schema(table: str) -> pa.Schema:
    return DETAILS if table == CONTIGS else RUNS


def _exploded(batch: pa.RecordBatch, name: str) -> pa.RecordBatch:
    """Return one row a run."""
    starts, ends = (batch.column(f"{name}_{end}") for end in _ENDS)
    ids = batch.column("contig_id").take(pc.list_parent_indices(starts))
    return pa.RecordBatch.from_arrays([ids, starts.flatten(), ends.flatten()], schema=RUNS)


def _join(new: Path, table: Path, replaced: set[str], work: Path, *, others: bool) -> None:
    """Merge a table with what is there already; how rows are grouped does not depend on which were there."""
    files = [new]
    if others and table.exists():
        files.append(work / f"old.{table.name}")
        _write(files[1], _schema(table.name), _without(table, replaced))
    with atomic_path(table) as draft:
        if table.name == CONTIGS:
            _write(draft, DETAILS, _each_once(merged(files, folder=work)))
        else:
            _write(draft, RUNS, merged(files, ("contig_id", "start"), folder=work))


def _without(table: Path, replaced: set[str]) -> Iterator[pa.RecordBatch]:
    """Yield the rows of contigs of other samples."""
    gone = pa.array(sorted(replaced), pa.string())
    try:
        for batch in pq.ParquetFile(table).iter_batches(batch_size=BATCH_ROWS):
            yield batch.filter(pc.invert(pc.is_in(samples_of(batch.column("contig_id")), gone)))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(f"{table} cannot be read, and other samples are to stay in it: {error}") from error


def _each_once(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch, repeat in _with_repeats(batches):
        if repeat is not None:
            sources = " and ".join(repeat.column("source").to_pylist())
            raise InputError(f"contig {repeat.column('contig_id')[0].as_py()!r} comes from {sources}; ids must be unique")
        yield batch


def _with_repeats(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
    """Yield each batch with two rows, the first ones of the same id, where there are any."""
    last: pa.RecordBatch | None = None
    for batch in batches:
        both = batch if last is None else pa.concat_batches([last, batch])
        ids = both.column("contig_id")
        place = pc.index(pc.equal(ids[:-1], ids[1:]), value=True).as_py()
        yield batch, both.slice(place, 2) if place >= 0 else None
        last = batch.slice(batch.num_rows - 1) if batch.num_rows else last


def _write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for batch in rebatched(batches):
            writer.write_batch(batch)
