"""Writing the file of an index "arrow" from contigs as they come by, in bounded memory."""

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_arrow.contig_file import INTERVAL_COLUMNS
from eden_core.errors import InputError
from eden_core.sidecars import GrowingArray

_CHUNK_BYTES = 1 << 24


class ContigWriter:
    """Collects columns in files of a folder, and writes them as one record batch.

    Args:
        folder: for the columns, which take as much room as the file itself.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names: list[str] | None = None
        self._numbers: dict[str, GrowingArray] = {}
        self._offsets, self._text = GrowingArray(folder, np.int64), GrowingArray(folder, np.uint8)
        self._offsets.extend([0])
        self.rows = self._text_bytes = 0
        """how many were added"""

    def add(self, batch: pa.RecordBatch) -> None:
        """Add contigs, or intervals of them (columns: see `WindowIndex.build`).

        Raises:
            InputError: the columns are others than those of the batches before.
        """
        names = ["length", *(name for name in INTERVAL_COLUMNS if name in batch.schema.names)]
        if self._names is None:
            self._names = names
            self._numbers = {name: GrowingArray(self._folder, np.int64) for name in names}
        if names != self._names:
            raise InputError(f"contigs with the columns {', '.join(names)} follow others with {', '.join(self._names)}")
        for name, column in self._numbers.items():
            column.extend(batch.column(name).to_numpy(zero_copy_only=False))
        ids = batch.column("contig_id").cast(pa.large_string())
        _, offsets, text = ids.buffers()
        bounds = np.frombuffer(offsets, np.int64)[ids.offset : ids.offset + len(ids) + 1]
        if len(ids) and bounds[-1] > bounds[0]:
            self._text.extend(np.frombuffer(text, np.uint8)[bounds[0] : bounds[-1]])
            self._offsets.extend(bounds[1:] - bounds[0] + self._text_bytes)
            self._text_bytes += int(bounds[-1] - bounds[0])
        elif len(ids):
            self._offsets.extend(np.full(len(ids), self._text_bytes))
        self.rows += len(ids)

    def write(self, target: Path, metadata: Mapping[str, str]) -> None:
        """Write the file, with these metadata in its schema."""
        names = ["contig_id", *self._numbers]
        arrays = [self._offsets.array(), self._text.array(), *(column.array() for column in self._numbers.values())]
        offsets, text, *numbers = [pa.py_buffer(array) for array in arrays]
        columns = [pa.Array.from_buffers(pa.large_string(), self.rows, [None, offsets, text])]
        columns += [pa.Array.from_buffers(pa.int64(), self.rows, [None, values]) for values in numbers]
        fields = [pa.field(name, column.type, nullable=False) for name, column in zip(names, columns, strict=True)]
        schema = pa.schema(fields, metadata=dict(metadata))
        with target.open("wb") as file, pa.PythonFile(_Sink(file, arrays), "w") as sink:
            with pa.ipc.new_file(sink, schema) as writer:
                writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
            file.flush()


class _Sink:
    """Writes large buffers piece by piece, and lets go of the memory of what they were mapped from."""

    closed = False

    def __init__(self, file: Any, sources: list[NDArray[Any]]) -> None:
        self._file = file
        bases: list[Any] = [array.base for array in sources]
        self._maps = [base for base in bases if isinstance(base, mmap.mmap)]

    def write(self, data: Any) -> int:
        """Write a buffer."""
        view = memoryview(data).cast("B")
        for first in range(0, len(view), _CHUNK_BYTES):
            self._file.write(view[first : first + _CHUNK_BYTES])
            for each in self._maps:
                each.madvise(mmap.MADV_DONTNEED)
        return len(view)

    def tell(self) -> int:
        """Return how much was written."""
        return int(self._file.tell())

    def flush(self) -> None:
        """Do nothing: the file is flushed in the end."""

    def close(self) -> None:
        """Do nothing: who opened the file closes it."""
