"""A store that answers after a while, as one behind a network does; windows of one long contig."""

import time
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core import Ragged, SequenceStore, Tiling, WindowIndex, Windows

_BASES = np.random.default_rng(1).choice(np.frombuffer(b"ACGT", np.uint8), 1 << 20)


class Latent(SequenceStore):
    """Takes `seconds` for each window, as one request to a server after another does."""

    name: ClassVar[str] = "latent"
    max_read_threads = 64

    def __init__(self, location: str = "", *, seconds: float = 0.02) -> None:
        super().__init__(location)
        self.seconds = seconds

    def read(self, windows: Windows) -> Ragged[np.uint8]:
        rows = []
        for start, length in zip(windows.starts.tolist(), windows.lengths.tolist(), strict=True):
            time.sleep(self.seconds)
            first = start % (_BASES.size - length)
            rows.append(_BASES[first : first + length])
        return Ragged.from_rows(rows, np.uint8)


class OneContig(WindowIndex):
    """Windows of one contig that lie end to end."""

    name: ClassVar[str] = "one-contig"

    def __init__(self, location: str = "", *, windows: int, window_size: int = 8192) -> None:
        super().__init__(location)
        self.windows, self.window_size = windows, window_size
        self.tiling = Tiling(window_size, window_size)

    def __len__(self) -> int:
        return self.windows

    def lookup(self, window_ids: NDArray[np.int64]) -> Windows:
        ids = ("BACT__X-S1__c1",) * window_ids.size
        return Windows(window_ids, ids, window_ids * self.window_size, np.full(window_ids.size, self.window_size))

    def contigs(self) -> Iterator[pa.RecordBatch]:
        length = self.windows * self.window_size
        row = {"contig_id": ["BACT__X-S1__c1"], "first_window": [0], "windows": [self.windows], "length": [length]}
        yield pa.RecordBatch.from_pydict(row)

    def fingerprint(self) -> str:
        return f"{self.name} {self.windows} {self.window_size}"
