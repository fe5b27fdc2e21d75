"""Contig tables: Parquet files of (contig_id, length), checked, and sorted out of core where they are not."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import islice
from pathlib import Path

import apsw
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eden_core.errors import InputError

SCHEMA = pa.schema([pa.field("contig_id", pa.string(), nullable=False), pa.field("length", pa.int64(), nullable=False)])
"""contig_id, and length in bases"""

COUNTED = ("A", "C", "G", "T", "N", "other", "lower")
"""what bases are counted by: letters of either case, all other letters together, and lower case of any letter"""

DETAILS = pa.schema(
    [
        *SCHEMA,
        pa.field("sample", pa.string(), nullable=False),
        pa.field("tag", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        *(pa.field(name, pa.int64(), nullable=False) for name in COUNTED),
    ]
)
"""what `eden import` writes of each contig: besides id and length its sample, its control tag as it stands in the id, the file
it comes from, the first 32 hexadecimal digits of the SHA-256 of its bases as they are stored, and its bases as `COUNTED`"""

BATCH_ROWS = 65_536


def count_contigs(path: str | Path) -> int:
    """Return the rows of a contig table.

    Raises:
        InputError: there is no such file, or it is no Parquet file with the columns of `SCHEMA`.
    """
    return int(_open(path).metadata.num_rows)


def contig_columns(path: str | Path) -> list[str]:
    """Return the names of a contig table's columns.

    Raises:
        InputError: as `count_contigs`.
    """
    return list(_open(path).schema_arrow.names)


def read_contigs(path: str | Path, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yield the contigs of a Parquet file as batches of `SCHEMA`, in file order.

    Args:
        path: the file.
        columns: further columns of the table that are wanted, unchecked and behind those of `SCHEMA`; others are ignored.

    Raises:
        InputError: no such file, not Parquet, a column is missing or wrongly typed, or a null, empty id or negative length
            (with its row, numbered from 1).
    """
    first_row = 1
    try:
        for batch in _open(path).iter_batches(batch_size=BATCH_ROWS, columns=[*SCHEMA.names, *columns]):
            checked = _checked(batch, path, first_row)
            for name in columns:
                checked = checked.append_column(batch.schema.field(name), batch.column(name))
            yield checked
            first_row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read on after row {first_row - 1}: {error}") from error


def sorted_contigs(path: str | Path) -> Iterator[pa.RecordBatch]:
    """Yield the contigs of a Parquet file in byte order of their ids, each id once.

    A file that is sorted already is streamed; another is sorted in a temporary database on disk (`SQLITE_TMPDIR` says where).

    Raises:
        InputError: as `read_contigs`, and when an id repeats.
    """
    batches = read_contigs(path) if _is_sorted(path) else sort_contigs(read_contigs(path))
    last = None
    for batch in batches:
        ids = batch.column("contig_id")
        joined = pa.concat_arrays([pa.array([last], pa.string()), ids]) if last is not None else ids
        equal = pc.equal(joined[:-1], joined[1:])
        if pc.any(equal).as_py():
            repeated = joined[pc.index(equal, value=True).as_py()].as_py()
            raise InputError(f"{path}: contig_id {repeated!r} occurs more than once; each contig must have one row")
        yield batch
        last = ids[-1].as_py() if len(ids) else last


def write_contigs(path: Path, batches: Iterable[pa.RecordBatch]) -> None:
    """Write a contig table (not atomic: hand it the path that `atomic_path` gives)."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(batch)


def _open(path: str | Path) -> pq.ParquetFile:
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; expected a Parquet table with columns contig_id and length")
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} is not a Parquet file that can be read: {error}. Tables of contigs come from eden import and eden split"
        ) from error
    schema = file.schema_arrow
    repeated = [name for name in SCHEMA.names if schema.names.count(name) > 1]
    if repeated:
        raise InputError(f"{path} has more than one column {' and '.join(repeated)}; keep one")
    missing = [name for name in SCHEMA.names if name not in schema.names]
    if missing:
        raise InputError(
            f"{path} lacks the column {' and '.join(missing)}; it has {', '.join(schema.names) or 'none'}, and needs "
            "contig_id (string) and length (integer, bases)"
        )
    _check_type(path, "contig_id", schema.field("contig_id").type, _is_text, "strings")
    _check_type(path, "length", schema.field("length").type, pa.types.is_integer, "integers")
    return file


def _check_type(path: str | Path, column: str, found: pa.DataType, fits: Callable[[pa.DataType], bool], what: str) -> None:
    if not fits(found):
        raise InputError(f"{path}: column {column} holds {found}, expected {what}")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _checked(batch: pa.RecordBatch, path: str | Path, first_row: int) -> pa.RecordBatch:
    for name in SCHEMA.names:
        column = batch.column(name)
        if column.null_count:
            row = first_row + pc.index(pc.is_null(column), value=True).as_py()
            raise InputError(f"{path}: {name} is null in row {row}; every contig needs an id and a length")
    try:
        ids, lengths = (batch.column(field.name).cast(field.type) for field in SCHEMA)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: rows {first_row} to {first_row + batch.num_rows - 1}: {error}") from error
    for bad, what in ((pc.less(lengths, 0), "length is negative"), (pc.equal(ids, ""), "contig_id is empty")):
        if pc.any(bad).as_py():
            row = pc.index(bad, value=True).as_py()
            raise InputError(f"{path}: {what} in row {first_row + row} ({ids[row].as_py()!r}, {lengths[row].as_py()})")
    return pa.RecordBatch.from_arrays([ids, lengths], schema=SCHEMA)


def _is_sorted(path: str | Path) -> bool:
    last = ""
    for batch in read_contigs(path):
        ids = batch.column("contig_id")
        if not len(ids):
            continue
        if ids[0].as_py().encode() < last.encode() or pc.any(pc.greater(ids[:-1], ids[1:])).as_py():
            return False
        last = ids[-1].as_py()
    return True


def sort_contigs(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield contigs in byte order of their ids, sorted in a temporary database on disk (`SQLITE_TMPDIR` says where)."""
    connection = apsw.Connection("")  # a private database on disk, which SQLite removes with the connection
    try:
        connection.execute("PRAGMA temp_store=FILE; PRAGMA cache_size=-262144; PRAGMA journal_mode=OFF")
        connection.execute("CREATE TABLE contigs(contig_id TEXT, length INTEGER); BEGIN")
        for batch in batches:
            rows = zip(*(batch.column(name).to_pylist() for name in SCHEMA.names), strict=True)
            connection.executemany("INSERT INTO contigs VALUES (?, ?)", rows)
        cursor = connection.execute("SELECT contig_id, length FROM contigs ORDER BY contig_id")
        while rows_read := _take(cursor, BATCH_ROWS):
            ids, lengths = zip(*rows_read, strict=True)
            yield pa.RecordBatch.from_arrays([pa.array(ids, pa.string()), pa.array(lengths, pa.int64())], schema=SCHEMA)
    finally:
        connection.close()


def _take(rows: Iterator[tuple[str, int]], count: int) -> list[tuple[str, int]]:
    return list(islice(rows, count))


def digest_of_bases(bases: bytes | memoryview) -> str:
    """Return the digest that `DETAILS` describes."""
    return sha256(bases).hexdigest()[:32]
