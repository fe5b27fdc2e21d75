"""A store that answers after a while, as one behind a network does; windows of one long contig."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core import EdenDataset, EdenLoader, Ragged, SequenceStore, Tiling, WindowIndex, Windows

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


@dataclass(frozen=True)
class Loop:
    """A training loop beside a store that takes its time.

    Attributes:
        micro_batch_size, workers, threads: of the loader.
        seconds: that the store takes for a window.
        step: seconds of a training step.
        steps: how many.
        seq_length: tokens a row.
    """

    micro_batch_size: int
    workers: int
    threads: int = 1
    seconds: float = 0.02
    step: float = 0.05
    steps: int = 320
    seq_length: int = 8192

    def run(self) -> tuple[float, NDArray[np.float64]]:
        """Return the seconds to the first batch, the start of the workers included, and those waited for each further one."""
        index = OneContig(windows=1 << 20, window_size=self.seq_length)
        data = EdenDataset(Latent(seconds=self.seconds), index, seq_length=self.seq_length, read_threads=self.threads)
        loader = EdenLoader(data, micro_batch_size=self.micro_batch_size, num_workers=self.workers)
        with closing(loader):
            started = time.perf_counter()
            batches = iter(loader)
            next(batches)
            first, waits = time.perf_counter() - started, np.empty(self.steps)
            for number in range(self.steps):
                time.sleep(self.step)
                asked = time.perf_counter()
                next(batches)
                waits[number] = time.perf_counter() - asked
        return first, waits

    def stalls(self, waits: NDArray[np.float64], parts: int = 5) -> NDArray[np.float64]:
        """Return the share of the time that the loop waited in each part of its run."""
        sums = np.array([part.sum() for part in np.array_split(waits, parts)])
        return np.asarray(sums / (sums + self.step * self.steps / parts))
