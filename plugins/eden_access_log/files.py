"""The files of a log: whole lines can be read, also when the process was killed."""

import csv
import errno
import io
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from eden_access_log.lines import SCHEMA, Columns
from eden_core.atomic import atomic_path


def append(path: Path, text: str) -> None:
    """Add text to a file in one write, all of it or, where the disk is full, nothing.

    A process that is killed meanwhile leaves the first part of it: Linux stops between two pages of memory.

    Raises:
        OSError: the disk is full, or the place cannot be written.
    """
    data = text.encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        before = os.fstat(descriptor).st_size
        if os.write(descriptor, data) != len(data):
            os.ftruncate(descriptor, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(descriptor)


class WindowFile(ABC):
    """Where the windows of one process are written.

    Args:
        stem: the place, without a suffix.
    """

    most_windows: ClassVar[int]
    """windows that are kept back at most"""
    most_seconds: ClassVar[float]
    """after how long they are written with the next batch"""

    @abstractmethod
    def __init__(self, stem: Path) -> None: ...

    @abstractmethod
    def write(self, columns: Columns) -> None:
        """Write windows: all of them, or none."""


class CsvFile(WindowFile):
    """One file with a line for each window, below a line with the names of the columns."""

    most_windows = 1024
    most_seconds = 1.0

    def __init__(self, stem: Path) -> None:
        self._path = stem.with_name(f"{stem.name}.csv")
        append(self._path, ",".join(SCHEMA.names) + "\n")

    def write(self, columns: Columns) -> None:
        """Add lines."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(zip(*columns, strict=True))
        append(self._path, text.getvalue())


class ParquetFiles(WindowFile):
    """A folder of numbered Parquet files, each complete; whatever reads Parquet reads it as one table."""

    most_windows = 16_384
    most_seconds = 600.0

    def __init__(self, stem: Path) -> None:
        self._folder, self._parts = stem.with_name(f"{stem.name}.parquet"), 0
        self._folder.mkdir()

    def write(self, columns: Columns) -> None:
        """Write one more file."""
        table = pa.table([pa.array(column, kind) for column, kind in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA)
        with atomic_path(self._folder / f"part-{self._parts:06}.parquet") as draft:
            pq.write_table(table, draft, compression="zstd")
        self._parts += 1


FILES: dict[str, type[WindowFile]] = {"csv": CsvFile, "parquet": ParquetFiles}
