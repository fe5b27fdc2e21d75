"""Reading sequences from Parquet and Arrow tables, in small batches."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types

from eden_core.errors import InputError
from eden_core.records.decompression import Progress
from eden_core.records.record import OPENGENOME2, Record, RecordFields, checked_bases, checked_id

_BATCH_BYTES = 8 << 20
_BATCH_ROWS = 4096
_TEXT = frozenset({"string", "large_string", "string_view"})
_BINARY = frozenset({"binary", "large_binary", "binary_view"})

_END_OF_STREAM = b"\xff\xff\xff\xff\0\0\0\0"

_Batches = Iterator[tuple[pa.RecordBatch, float]]
"""batches, each with the share of the file that is read after it"""


def table_records(
    path: Path, *, fields: RecordFields = OPENGENOME2, check_letters: bool = True, progress: Progress | None = None
) -> Iterator[Record]:
    """Yield the sequences of a table: a Parquet file, an Arrow IPC file (Feather version 2), or an Arrow IPC stream.

    Args:
        path: the file.
        fields: which columns hold the sequence, text or binary, and its id: text or integers. Both may be dictionaries. The id
            may be null, and its column may be missing.
        check_letters: whether a letter that is no IUPAC nucleotide letter is an error; NUL and what is no ASCII always are.
        progress: told bytes in proportion to the rows read.

    Raises:
        InputError: the file is damaged, it has no rows, a column is missing or of another type, or a sequence is null,
            empty, or holds a byte that it may not; with the row and the position in the sequence, both counted from 1.
    """
    name, place, size, told = str(path), 0, path.stat().st_size, 0
    with _damage_named(name), _opened(path) as (schema, batches):
        _check_columns(schema, fields, name)
        for batch, share in batches([n for n in (fields.sequence, fields.id) if n in schema.names]):
            yield from _of_batch(batch, place, name, fields, check_letters=check_letters)
            place += batch.num_rows
            del batch  # before the next is read
            if progress:
                progress(int(share * size) - told)
                told = int(share * size)
    if not place:
        raise InputError(f"{name} is a table without rows; leave it out")
    if progress and told < size:
        progress(size - told)


def _of_batch(batch: pa.RecordBatch, before: int, name: str, fields: RecordFields, *, check_letters: bool) -> Iterator[Record]:
    for column in batch.columns:
        if not types.is_dictionary(column.type):  # whose words, if many, would be looked at for every batch
            column.validate(full=True)  # Arrow itself trusts a file's offsets, and damaged ones end the process
    bases_of = _bases_of(batch.column(fields.sequence))
    ids = batch.column(fields.id).to_pylist() if fields.id in batch.schema.names else [None] * batch.num_rows
    for row, value in enumerate(ids):
        place = before + row + 1
        where = f"{name}: row {place}"
        record_id = None if value is None else checked_id(str(value), where)
        # No name keeps the bases, which may be a chromosome's, until the next row.
        yield Record(
            record_id, checked_bases(_bases(bases_of(row), where), record_id, where, check_letters=check_letters), place
        )


def _bases(value: bytes | None, where: str) -> bytes:
    if value is None:
        raise InputError(f"{where}: the sequence is null; remove the row or add its bases")
    return value


def _bases_of(sequences: pa.Array) -> Callable[[int], bytes | None]:
    """Return what gives the bases of a row, None where they are null."""
    if types.is_dictionary(sequences.type):
        places = sequences.indices.to_pylist()
        return lambda row: None if places[row] is None else _copied(sequences.dictionary[places[row]])
    if str(sequences.type).endswith("_view"):
        return lambda row: _copied(sequences[row])
    valid = sequences.is_valid().to_pylist()
    _, offsets, letters = sequences.buffers()  # a scalar would be a copy
    offset_type = np.int64 if str(sequences.type).startswith("large") else np.int32
    ends = np.frombuffer(offsets, offset_type)[sequences.offset : sequences.offset + len(sequences) + 1].tolist()
    text = memoryview(letters or b"")
    return lambda row: bytes(text[ends[row] : ends[row + 1]]) if valid[row] else None


def _copied(scalar: pa.Scalar) -> bytes | None:
    return bytes(scalar.as_buffer()) if scalar.is_valid else None


@contextmanager
def _damage_named(name: str) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, IndexError) as error:
        raise InputError(f"{name}: the table cannot be read: {error}; copy or write it again") from error


@contextmanager
def _opened(path: Path) -> Iterator[tuple[pa.Schema, Callable[[list[str]], _Batches]]]:
    """Open a table; give its schema and what reads some columns."""
    with ExitStack() as stack:
        mapped = stack.enter_context(pa.memory_map(str(path)))
        start = mapped.read(6)
        mapped.seek(0)
        if start.startswith(b"PAR1"):
            parquet = stack.enter_context(pq.ParquetFile(path, buffer_size=1 << 20, page_checksum_verification=True))
            yield parquet.schema_arrow, lambda columns: _of_parquet(parquet, columns)
        elif start == b"ARROW1":
            yield pa.ipc.open_file(mapped).schema, lambda columns: _of_file(mapped, columns)
        else:
            yield pa.ipc.open_stream(mapped).schema, lambda columns: _of_stream(mapped, columns)


def _of_parquet(parquet: pq.ParquetFile, columns: list[str]) -> _Batches:
    rows, in_all = 0, parquet.metadata.num_rows
    for number in range(parquet.num_row_groups):
        group = parquet.metadata.row_group(number)
        each = sum(group.column(i).total_uncompressed_size for i in range(group.num_columns)) // max(1, group.num_rows)
        fitting = max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, each)))
        for batch in parquet.iter_batches(fitting, row_groups=[number], columns=columns, use_threads=False):
            rows += batch.num_rows
            yield batch, rows / in_all
            del batch  # before the next is read


def _of_file(mapped: pa.MemoryMappedFile, columns: list[str]) -> _Batches:
    file = pa.ipc.open_file(mapped, options=_only(columns, pa.ipc.open_file(mapped).schema))
    for number in range(file.num_record_batches):
        for part, share in _parts(file.get_batch(number)):
            yield part, (number + share) / file.num_record_batches
            del part  # before the next is read


def _of_stream(mapped: pa.MemoryMappedFile, columns: list[str]) -> _Batches:
    mapped.seek(0)
    schema = pa.ipc.open_stream(mapped).schema
    mapped.seek(0)
    before, size = 0, mapped.size()
    for batch in pa.ipc.open_stream(mapped, options=_only(columns, schema)):
        after = mapped.tell()
        for part, share in _parts(batch):
            yield part, (before + (after - before) * share) / size
        before = after
    mapped.seek(size - len(_END_OF_STREAM))
    if mapped.read() != _END_OF_STREAM:
        raise pa.ArrowInvalid("the stream lacks its end")


def _only(columns: list[str], schema: pa.Schema) -> pa.ipc.IpcReadOptions:
    return pa.ipc.IpcReadOptions(included_fields=[schema.names.index(column) for column in columns], use_threads=False)


def _parts(batch: pa.RecordBatch) -> _Batches:
    for start in range(0, batch.num_rows, _BATCH_ROWS):
        part = batch.slice(start, _BATCH_ROWS)
        yield part, (start + part.num_rows) / batch.num_rows


def _check_columns(schema: pa.Schema, fields: RecordFields, name: str) -> None:
    for column in (fields.sequence, fields.id):
        if schema.names.count(column) > 1:
            raise InputError(f"{name}: several columns are called {column!r}; expected one")
    if fields.sequence not in schema.names:
        raise fields.missing(name, schema.names, "column")
    _check_type(schema.field(fields.sequence), name, "text or binary", lambda kind: str(kind) in _TEXT | _BINARY)
    if fields.id in schema.names:
        _check_type(schema.field(fields.id), name, "text or integers", _is_id)


def _check_type(field: pa.Field, name: str, expected: str, fits: Callable[[pa.DataType], bool]) -> None:
    if not fits(field.type.value_type if types.is_dictionary(field.type) else field.type):
        raise InputError(f"{name}: the column {field.name!r} is of type {field.type}; expected {expected}")


def _is_id(kind: pa.DataType) -> bool:
    return str(kind) in _TEXT or types.is_integer(kind) or types.is_null(kind)
