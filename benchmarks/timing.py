"""Timing of rows and of loaders, and what the kernel counts."""

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import numpy as np

from eden_core import EdenDataset, EdenLoader
from idle import idle_worker

BLOCK = 64
BLOCKS = 24

_DRAWS = np.random.default_rng(1)

Work = Callable[[np.ndarray], object]


def microseconds_a_row(work: Work, rows: int, blocks: int = BLOCKS) -> float:
    """Median over blocks of 64 random rows, others each time."""
    times = []
    for _ in range(blocks):
        block = _DRAWS.integers(0, rows, BLOCK)
        started = time.perf_counter()
        work(block)
        times.append(time.perf_counter() - started)
    return median(times) / BLOCK * 1e6


class Stream:
    """A loader that goes on and on."""

    def __init__(self, dataset: EdenDataset, workers: int, micro_batch_size: int) -> None:
        self.loader = EdenLoader(dataset, num_workers=workers, micro_batch_size=micro_batch_size)
        self.batches = self._forever()

    def _forever(self) -> Iterator[int]:
        while True:
            for batch in self.loader:
                yield len(batch["tokens"])

    def microseconds_a_row(self, seconds: float, ready: int = 512) -> float:
        """Time it, behind the rows that workers have read already."""
        rows = 0
        while rows < ready:
            rows += next(self.batches)
        rows, started = 0, time.perf_counter()
        while (passed := time.perf_counter() - started) < seconds:
            rows += next(self.batches)
        return passed / rows * 1e6


def ratios(times: list[float], others: list[float]) -> list[float]:
    """Round by round."""
    return [time / other for time, other in zip(times, others, strict=True)]


def forget(directory: Path) -> None:
    """Have the kernel drop what it keeps of the files in memory."""
    os.sync()
    for path in directory.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)


def counters() -> dict[str, int]:
    """What this process has read and written (/proc/self/io)."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return {name: int(value) for name, value in (line.split(": ") for line in lines)}


def memory_of(pid: int | str) -> tuple[float, float]:
    """MB of a process that no other shares and no file backs, and MB of files that only it maps: the kernel may drop those."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = {name: int(size) / 1024 for name, size in re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)}
    return found["Private_Dirty"], found["Private_Clean"]


def empty_worker() -> tuple[float, float]:
    """Memory of a worker that has nothing to read (see `memory_of`)."""
    with idle_worker() as pid:
        return memory_of(pid)
