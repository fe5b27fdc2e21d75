"""Contig tables: Parquet files of (contig_id, length), checked, and sorted out of core where they are not."""

from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eden_core import sorting
from eden_core.errors import InputError
from eden_core.sorted_files import first_fall

CONTIGS = "contigs.parquet"
"""name of the table of all contigs of a folder"""

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

NUMBERS = frozenset({"length", "start", "contig_length", *COUNTED})
"""columns of integers, none negative; `start` and `contig_length` are those of a table of intervals: the base at which
an interval begins, and how long its contig is"""

BATCH_ROWS = sorting.BATCH_ROWS


def count_contigs(path: str | Path) -> int:
    """Return the rows of a contig table.

    Raises:
        InputError: there is no such file, or it is no Parquet file with the columns of `SCHEMA`.
    """
    return int(_open(path).metadata.num_rows)


def column_names(path: str | Path) -> tuple[str, ...]:
    """Return the columns of a contig table.

    Raises:
        InputError: as `count_contigs`.
    """
    return tuple(_open(path).schema_arrow.names)


def read_contigs(path: str | Path, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yield the contigs of a Parquet file as batches of `SCHEMA`, in file order.

    Args:
        path: the table.
        columns: further columns to read, behind those of `SCHEMA`: `start` and others of `NUMBERS` become int64, all others
            are strings. Those that are not named are ignored.

    Raises:
        InputError: no such file, not Parquet, a column is missing or wrongly typed, or a null, empty id or negative number
            (with its row, numbered from 1).
    """
    first_row = 1
    schema = _schema_with(columns)
    try:
        for batch in _open(path, schema).iter_batches(batch_size=BATCH_ROWS, columns=schema.names):
            yield _checked(batch, schema, path, first_row)
            first_row += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} cannot be read on after row {first_row - 1}: {error}") from error


def sorted_contigs(path: str | Path, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """Yield the contigs of a Parquet file in byte order of their ids, each id once; with a column `start`, by it as well.

    A file that is sorted already is streamed; another is sorted in a temporary folder (`TMPDIR` says where).

    Raises:
        InputError: as `read_contigs`, and when an id repeats, or intervals of a contig overlap.
    """
    keys = ("contig_id", "start") if "start" in columns else ("contig_id",)
    batches = read_contigs(path, columns)
    if not _is_sorted(path, keys):
        batches = sorting.sorted_batches(batches, keys)
    check = OrderCheck(str(path))
    for batch in batches:
        check(batch)
        if batch.num_rows:
            yield batch


def first_rows(ids: pa.Array, last: str | None) -> pa.Array:
    """Return which rows begin another contig than the row before them, bool [n].

    Args:
        ids: contigs of one batch, at least one.
        last: the id before them; None: there is none.
    """
    return pa.concat_arrays([pa.array([ids[0].as_py() != last]), pc.not_equal(ids[1:], ids[:-1])])


class OrderCheck:
    """Looks at batches of contigs as they come by: ids in byte order, each once; intervals by start, none overlapping.

    Args:
        where: what messages begin with.
    """

    def __init__(self, where: str | None = None) -> None:
        self._prefix = f"{where}: " if where else ""
        self._last: pa.RecordBatch | None = None

    def __call__(self, batch: pa.RecordBatch) -> None:
        """Check the contigs of a batch (contig_id, length and perhaps `start`) among each other and against those before.

        Raises:
            InputError: the ids are out of order or repeat, or intervals of a contig overlap; the message names them.
        """
        if not batch.num_rows:
            return
        names = ["contig_id", "length", *(["start"] if "start" in batch.schema.names else [])]
        rows = pa.Table.from_batches([batch.select(names)])
        if self._last is not None:
            rows = pa.concat_tables([self._last, rows]).combine_chunks()
        self._last = rows.slice(len(rows) - 1)
        if "start" not in names:
            self._refuse_repeated(rows)
            return
        fall = first_fall(rows, ("contig_id", "start"))
        if fall is not None:
            raise InputError(f"{self._prefix}{_described(rows, fall)} comes after {_described(rows, fall - 1)}; {_SORTED}")
        before, after = rows.slice(0, len(rows) - 1), rows.slice(1)
        ends = pc.add(before["start"], before["length"])
        overlaps = pc.and_(pc.equal(before["contig_id"], after["contig_id"]), pc.less(after["start"], ends))
        place = pc.index(overlaps, value=True).as_py()
        if place >= 0:
            raise InputError(
                f"{self._prefix}{_described(rows, place + 1)} overlaps {_described(rows, place)}; intervals of a contig must "
                "not share bases"
            )

    def _refuse_repeated(self, rows: pa.Table) -> None:
        fall = first_fall(rows, ("contig_id",), strictly=True)
        if fall is None:
            return
        before, found = (rows["contig_id"][row].as_py() for row in (fall - 1, fall))
        if before == found:
            raise InputError(f"{self._prefix}contig_id {found!r} occurs more than once; each contig must have one row")
        raise InputError(f"{self._prefix}contig_id {found!r} comes after {before!r}; {_SORTED}")


_SORTED = "contigs must be in byte order of their ids, intervals of one by their starts"


def _described(rows: pa.Table, row: int) -> str:
    found, start, length = (rows[name][row].as_py() for name in ("contig_id", "start", "length"))
    return f"{found!r} from base {start} to {start + length}"


def _schema_with(columns: Sequence[str]) -> pa.Schema:
    further = (pa.field(name, pa.int64() if name in NUMBERS else pa.string(), nullable=False) for name in columns)
    return pa.schema([*SCHEMA, *further])


def _open(path: str | Path, schema: pa.Schema = SCHEMA) -> pq.ParquetFile:
    expected = " and ".join(schema.names)
    if not Path(path).is_file():
        raise InputError(f"{path}: there is no such file; expected a Parquet table with columns {expected}")
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path} is not a Parquet file that can be read: {error}. Tables of contigs come from eden import and eden split"
        ) from error
    found = file.schema_arrow
    repeated = [name for name in schema.names if found.names.count(name) > 1]
    if repeated:
        raise InputError(f"{path} has more than one column {' and '.join(repeated)}; keep one")
    missing = [name for name in schema.names if name not in found.names]
    if missing:
        raise InputError(
            f"{path} lacks the column {' and '.join(missing)}; it has {', '.join(found.names) or 'none'}, and needs "
            + " and ".join(f"{field.name} ({_KINDS[field.type]})" for field in schema)
        )
    for field in schema:
        fits = pa.types.is_integer if field.type == pa.int64() else _is_text
        _check_type(path, field.name, found.field(field.name).type, fits, f"{_KINDS[field.type]}s")
    return file


_KINDS = {pa.string(): "string", pa.int64(): "integer"}


def _check_type(path: str | Path, column: str, found: pa.DataType, fits: Callable[[pa.DataType], bool], what: str) -> None:
    if not fits(found):
        raise InputError(f"{path}: column {column} holds {found}, expected {what}")


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _checked(batch: pa.RecordBatch, schema: pa.Schema, path: str | Path, first_row: int) -> pa.RecordBatch:
    for name in schema.names:
        column = batch.column(name)
        if column.null_count:
            row = first_row + pc.index(pc.is_null(column), value=True).as_py()
            raise InputError(f"{path}: {name} is null in row {row}; every contig needs one")
    try:
        columns = [batch.column(field.name).cast(field.type) for field in schema]
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: rows {first_row} to {first_row + batch.num_rows - 1}: {error}") from error
    checked = pa.RecordBatch.from_arrays(columns, schema=schema)
    numbers = [field.name for field in schema if field.type == pa.int64()]
    bad = [(pc.less(checked.column(name), 0), f"{name} is negative") for name in numbers]
    for places, what in [(pc.equal(checked.column("contig_id"), ""), "contig_id is empty"), *bad]:
        row = pc.index(places, value=True).as_py()
        if row >= 0:
            values = ", ".join(repr(checked.column(name)[row].as_py()) for name in ("contig_id", *numbers))
            raise InputError(f"{path}: {what} in row {first_row + row} ({values})")
    return checked


def _is_sorted(path: str | Path, keys: Sequence[str]) -> bool:
    last = None
    for batch in read_contigs(path, keys[1:]):
        rows = pa.Table.from_batches([batch])
        rows = rows if last is None else pa.concat_tables([last, rows]).combine_chunks()
        if first_fall(rows, keys) is not None:
            return False
        last = rows.slice(max(0, len(rows) - 1))
    return True


def digest_of_bases(bases: bytes | memoryview) -> str:
    """Return the digest that `DETAILS` describes."""
    return sha256(bases).hexdigest()[:32]
