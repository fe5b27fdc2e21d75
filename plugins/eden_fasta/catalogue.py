"""The table of ids of a store's files: which file each sequence lies in, and where."""

import json
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.atomic import atomic_path
from eden_core.digest_table import DigestTable, digests_of
from eden_core.digest_table_writing import RowSorter, write_digest_table
from eden_core.errors import InputError, RepeatedIdError
from eden_core.open_files import OpenFiles
from eden_fasta.locations import Location, SourceFile, Stamp
from eden_fasta.sequence_file import SequenceFile

FILES = pa.schema(
    [
        pa.field("name", pa.string(), nullable=False),
        pa.field("sample", pa.string(), nullable=False),
        pa.field("size", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
    ]
)
"""the files of a table, in byte order of their samples; see `SourceFile`"""
_CONTENT = b"eden_content"
_FACTOR = np.uint64(0x9E3779B97F4A7C15)

OpenSequences = Callable[[str], SequenceFile]


class Catalogue(DigestTable):
    """A table whose tail lists the files; its rows have the fields `file`, a number in that list, `offset` and `length`.

    Args:
        path: of the table.

    Raises:
        FileNotFoundError: there is none.
        FormatError: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(OpenFiles(1, "pread").opened(str(path)), f"remove {path}, and it is made anew")

    def read_tail(self, tail: bytes) -> None:
        """Take the files, an Arrow file."""
        try:
            with pa.ipc.open_file(pa.py_buffer(tail)) as reader:
                self._files = reader.get_batch(0)
                self.content = str(json.loads(reader.schema.metadata[_CONTENT]))
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            raise self.damage(f"its files cannot be read: {error}") from error

    def check_rows(self, rows: NDArray[Any]) -> None:
        """Raise for rows of files that there are not."""
        if rows["file"].max() >= self._files.num_rows:
            raise self.damage(f"a row is of file number {rows['file'].max():,}, and it has {self._files.num_rows:,} files")

    def file(self, number: int) -> SourceFile:
        """Return what it says of a file."""
        name, sample, size, mtime_ns = (column[number].as_py() for column in self._files.columns)
        return SourceFile(name, sample, Stamp(size, mtime_ns))

    def files(self) -> list[SourceFile]:
        """Return all files."""
        return [self.file(number) for number in range(self._files.num_rows)]

    def file_of(self, sample: str) -> SourceFile | None:
        """Return the file that is a sample; None: there is none."""
        samples = self._files["sample"]
        place = bisect_left(range(len(samples)), sample.encode(), key=lambda i: samples[i].as_py().encode())
        return self.file(place) if place < len(samples) and samples[place].as_py() == sample else None


def write_catalogue(
    target: Path, kind: type[Catalogue], location: Location, files: Sequence[SourceFile], opened: OpenSequences
) -> None:
    """Write the table of some files, complete or not at all. Memory does not grow with the number of sequences.

    Raises:
        RepeatedIdError: an id occurs twice; the message names the files.
        InputError: a file changed meanwhile.
        FormatError: a file is no such file, or damaged.
    """
    content = np.zeros(2, np.uint64)
    with atomic_path(target) as draft, RowSorter(draft.with_name(f"{draft.name}.rows"), kind.ROW) as sorter:
        for number, file in enumerate(files):
            for rows in _rows_of(location, file, opened):
                rows["file"] = number
                content += _digest(rows), np.uint64(rows.size)
                sorter.add(rows)
        tail = _tail(files, f"{content[0]:016x}{content[1]:x}")
        write_digest_table(draft, kind, sorter, tail, lambda two: _repeated(two, location, files, opened))


def _rows_of(location: Location, file: SourceFile, opened: OpenSequences) -> Iterator[NDArray[Any]]:
    path = location.path(file.name)
    sequences = opened(path)
    try:
        for names, rows in sequences.entries():
            digests = digests_of(names)
            rows["digest"], rows["check"] = digests[:, 0], digests[:, 1]
            yield rows
    finally:
        sequences.close()
    if Stamp.of(path) != file.stamp:
        raise InputError(f"{path} changed while it was indexed: start again once it is complete")


def _digest(rows: NDArray[Any]) -> np.uint64:
    """Return a number that tells which sequences there are, and how long, in whatever order and files they lie."""
    found = np.zeros(rows.size, np.uint64)
    for name in ("digest", "check", "length"):
        found = (found ^ found >> np.uint64(32) ^ rows[name]) * _FACTOR
    return np.uint64(found.sum(dtype=np.uint64))


def _tail(files: Sequence[SourceFile], content: str) -> bytes:
    columns = zip(*((file.name, file.sample, *file.stamp) for file in files), strict=True)
    schema = FILES.with_metadata({_CONTENT: json.dumps(content)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        arrays = [pa.array(column, field.type) for column, field in zip(columns, FILES, strict=True)]
        writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
    return bytes(sink.getvalue())


def _repeated(two: NDArray[Any], location: Location, files: Sequence[SourceFile], opened: OpenSequences) -> RepeatedIdError:
    paths = [location.path(files[int(row["file"])].name) for row in two]
    sequences = opened(paths[0])
    try:
        found = (names[i] for names, rows in sequences.entries() for i in np.flatnonzero(rows["offset"] == two[0]["offset"]))
        name = next(found)
    finally:
        sequences.close()
    where = f"twice in {paths[0]}" if paths[0] == paths[1] else f"in {paths[0]} and in {paths[1]}"
    return RepeatedIdError(f"sequence id {name!r} occurs {where}; each id must be there once: rename one, or leave a file out")
