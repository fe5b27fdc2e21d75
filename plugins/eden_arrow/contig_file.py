"""The file of an index "arrow": contigs, or intervals of them, in one record batch of an Arrow IPC file."""

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_arrow.columns import Columns, Layout, MappedColumns, ReadColumns
from eden_core.contigs import BATCH_ROWS
from eden_core.errors import ConfigurationError, FormatError
from eden_core.file_systems import is_on_network

FORMAT = "eden index arrow"
"""`format` in the metadata of such a file's schema"""

VERSION = 1
"""`format_version` there"""

REBUILD = "build it with: eden-precompute SPLIT.parquet WINDOWS.arrow --index arrow --window-size N --stride N"

INTERVAL_COLUMNS = ("start", "contig_length")
"""columns of int64, behind `contig_id` and `length`, of a file of intervals; the second only where it is known"""

READING = ("auto", "mmap", "pread")
"""how the file may be read"""

MAPPED_BYTES = 1 << 26
"""up to which size a file on a local disk is mapped"""


class ContigFile:
    """The rows of a file. Pickles as its path and layout; each process opens it anew, on the first read.

    Args:
        path: the file.
        io: "mmap", "pread", or "auto": a map where the file is small and lies on a local disk.

    Raises:
        FormatError: there is no such file, it is of another format, damaged or incomplete.
    """

    def __init__(self, path: str, io: str = "auto") -> None:
        if io not in READING:
            raise ConfigurationError(f"io is {io!r}; expected one of {', '.join(map(repr, READING))}")
        self.path = path
        self._io = io
        self._columns: Columns | None = None
        self._pid = 0
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
            raise FormatError(f"{path}: there is no such index; {REBUILD}") from error
        try:
            self._identity = _identity(file)
            self.metadata, self.layout = _layout(path, self._identity[0])
        finally:
            os.close(file)

    @property
    def rows(self) -> int:
        """How many contigs or intervals there are."""
        return self.layout.rows

    @property
    def numbers(self) -> tuple[str, ...]:
        """The columns of int64."""
        return tuple(self.layout.numbers)

    @property
    def has_intervals(self) -> bool:
        """Whether rows are intervals of contigs."""
        return "start" in self.layout.numbers

    @property
    def columns(self) -> Columns:
        """The columns, opened in this process."""
        if self._columns is None or self._pid != os.getpid():
            self._columns, self._pid = self._opened(), os.getpid()
        return self._columns

    def close(self) -> None:
        """Close this process's file."""
        self._columns = None

    def number_batches(self, rows: int = BATCH_ROWS) -> Iterator[dict[str, NDArray[np.int64]]]:
        """Yield the columns of int64, some rows at a time, in bounded memory."""
        for first in range(0, self.rows, rows):
            count = min(rows, self.rows - first)
            yield {name: self.columns.range(name, first, count) for name in self.numbers}

    def batches(self, first: int = 0, stop: int | None = None) -> Iterator[pa.RecordBatch]:
        """Yield rows as they lie, ids as strings, in bounded memory."""
        stop = self.rows if stop is None else stop
        for begin in range(first, stop, BATCH_ROWS):
            count = min(BATCH_ROWS, stop - begin)
            offsets, text = self.columns.text(begin, count)
            buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
            try:
                ids = pa.Array.from_buffers(pa.large_string(), count, buffers).cast(pa.string())
                ids.validate(full=True)
            except pa.ArrowInvalid as error:
                raise FormatError(f"{self.path} is damaged: {error}; copy or build it again") from error
            numbers = [pa.array(self.columns.range(name, begin, count)) for name in self.numbers]
            yield pa.RecordBatch.from_arrays([ids, *numbers], names=["contig_id", *self.numbers])

    def id_at(self, row: int) -> str:
        """Return the id of a row."""
        return self.columns.ids(np.array([row]))[0]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_columns": None}

    def _opened(self) -> Columns:
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        if _identity(file) != self._identity:
            os.close(file)
            raise FormatError(f"{self.path} was replaced since it was opened: open it again")
        small = self._identity[0] <= MAPPED_BYTES
        mapped = self._io == "mmap" or (self._io == "auto" and small and not is_on_network(file))
        return (MappedColumns if mapped else ReadColumns)(file, self.path, self.layout)


def _identity(file: int) -> tuple[int, int]:
    found = os.fstat(file)
    return found.st_size, found.st_mtime_ns


def _layout(path: str, size: int) -> tuple[dict[str, str], Layout]:
    """Return the metadata of a file, and where its columns lie; only its footer and the head of its batch are read."""
    try:
        with pa.memory_map(path) as source, pa.ipc.open_file(source) as reader:
            metadata = _checked_metadata(path, reader.schema)
            if reader.num_record_batches != 1:
                raise FormatError(f"{path} has {reader.num_record_batches} record batches, expected one; {REBUILD}")
            batch = reader.get_batch(0)
            source.seek(0)
            return metadata, _places(path, size, batch, source.read_buffer(1).address)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise FormatError(f"{path} is no Arrow file that can be read, or not whole ({error}); {REBUILD}") from error


def _checked_metadata(path: str, schema: pa.Schema) -> dict[str, str]:
    metadata = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in (schema.metadata or {}).items()}
    if metadata.get("format") != FORMAT:
        raise FormatError(f"{path} is an Arrow file, and no index: its metadata do not say format {FORMAT!r}; {REBUILD}")
    if metadata.get("format_version") != str(VERSION):
        found = metadata.get("format_version")
        raise FormatError(f"{path} has version {found} of its format, and this Eden reads version {VERSION}; {REBUILD}")
    known = [["contig_id", "length", *INTERVAL_COLUMNS[:count]] for count in range(3)]
    if schema.names not in known or schema.types != [pa.large_string(), *[pa.int64()] * (len(schema) - 1)]:
        raise FormatError(f"{path} has the columns {schema.names}, which are not those of an index; {REBUILD}")
    return metadata


def _places(path: str, size: int, batch: pa.RecordBatch, base: int) -> Layout:
    found: dict[str, list[Any]] = {name: batch.column(name).buffers() for name in batch.schema.names}
    if not batch.num_rows or any(column.null_count for column in batch.columns):
        raise FormatError(f"{path} has no rows, or rows that lack something; {REBUILD}")
    places = [buffer.address - base + buffer.size for buffers in found.values() for buffer in buffers[1:] if buffer.size]
    if max(places) > size:
        raise FormatError(f"{path} is not whole: it has {size} bytes of {max(places)}; copy or build it again")
    _, offsets, text = found.pop("contig_id")
    numbers = {name: buffers[1].address - base for name, buffers in found.items()}
    return Layout(batch.num_rows, numbers, offsets.address - base, text.address - base if text.size else 0, text.size)
