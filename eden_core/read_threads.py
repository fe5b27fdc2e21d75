"""Several threads that read the windows of one block, where the store lets them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Ragged, Windows, offsets_of
from eden_core.interfaces import SequenceStore

Bases = Ragged[np.uint8]


class ReadThreads:
    """Threads that read from one store at once; each process makes its own when it first needs them.

    Args:
        count: how many; with 1 the caller reads by itself.
    """

    def __init__(self, count: int = 1) -> None:
        self.count = count
        self._pid = 0
        self._pool: ThreadPoolExecutor | None = None

    def run(self, calls: Sequence[Callable[[], None]]) -> None:
        """Make all calls, which must not raise, and return once they have ended."""
        if len(calls) < 2 or self.count < 2:
            for call in calls:
                call()
            return
        futures = [self._threads().submit(call) for call in calls]
        try:
            wait(futures)
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def close(self) -> None:
        """End the threads, once what they read is there; reading again makes new ones."""
        if self._pool is not None and self._pid == os.getpid():
            self._pool.shutdown(cancel_futures=True)
        self._pool = None

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None or self._pid != os.getpid():  # threads do not survive a fork
            self._pid, self._pool = os.getpid(), ThreadPoolExecutor(self.count, "eden-read")
        return self._pool

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_pool": None}


ALONE = ReadThreads()
"""no thread but the caller's"""


class Reading:
    """The reading of windows in parts, of which some may be read while others have failed.

    Args:
        store: what is read.
        windows: W windows.
        threads: what reads them; each gets windows that follow each other.

    Attributes:
        parts: the windows of each part.
        answers: the rows of each part, or what reading it raised; None: it is being read.
    """

    def __init__(self, store: SequenceStore, windows: Windows, threads: ReadThreads = ALONE) -> None:
        self.store, self._threads = store, threads
        count = max(1, min(threads.count, len(windows)))
        bounds = [len(windows) * i // count for i in range(count + 1)]
        self.parts = [slice_of(windows, first, stop) for first, stop in pairwise(bounds)]
        self.answers: list[Bases | Exception | None] = [None] * count

    def read(self) -> Bases:
        """Read the parts that are not read yet, and return the rows of all, in the order of the windows.

        Raises:
            Exception: what the first part that failed raised, once the others have ended; their rows are kept.
        """
        self._threads.run(self._calls())
        for answer in self.answers:
            if isinstance(answer, Exception):
                raise answer
        return joined(cast("list[Bases]", self.answers))

    def _calls(self) -> list[Callable[[], None]]:
        """What reads the parts that are not read yet."""
        missing = [i for i, answer in enumerate(self.answers) if answer is None or isinstance(answer, Exception)]
        for i in missing:
            self.answers[i] = None
        return [partial(self._read_part, i) for i in missing]

    def _read_part(self, i: int) -> None:
        try:
            self.answers[i] = self.store.read(self.parts[i])
        except Exception as error:  # noqa: BLE001 - `read` raises it
            self.answers[i] = error

    @property
    def place(self) -> str:
        """What is being read, as well as it is known."""
        whole = f"{self.store.name} at {self.store.location}"
        if len(self.parts) == 1:
            return self.store.reading or whole
        waiting = [part for part, answer in zip(self.parts, self.answers, strict=True) if answer is None]
        names = ", ".join(f"{part.sequence_ids[0]} from base {part.starts[0]} on" for part in waiting[:3])
        return f"{whole} ({len(waiting)} of {len(self.parts)} parts of a block, which begin with {names})"

    def place_of(self, error: OSError) -> str:
        """Where reading failed: a file, as well as it is known."""
        reading = self.store.reading if len(self.parts) == 1 else ""  # several parts would overwrite each other's
        return reading or str(error.filename or "") or self.store.location


def slice_of(windows: Windows, first: int, stop: int) -> Windows:
    """Return the windows from the `first`-th up to the `stop`-th, not included."""
    part = slice(first, stop)
    return Windows(windows.window_ids[part], windows.sequence_ids[part], windows.starts[part], windows.lengths[part])


def joined(parts: Sequence[Bases]) -> Bases:
    """Return the rows of all parts, one after another."""
    if len(parts) == 1:
        return parts[0]
    lengths: list[NDArray[np.int64]] = [part.lengths for part in parts]
    return Ragged(np.concatenate([part.values for part in parts]), offsets_of(np.concatenate(lengths)))
