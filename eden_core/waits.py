"""How much of its time a training loop waits for data."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

MEASURED_BATCHES = 200
MEASURED_SECONDS = 30.0
"""over how many batches at least, and how long at least, waits are added up"""
TOLERATED = 0.1
"""share of the time that a loop may wait for data before that is worth a word"""
QUICK_STEP = 0.001
"""seconds of a step up to which a loop does nothing with its batches, as a benchmark does"""

_log = logging.getLogger(__name__)


@dataclass
class WaitMeter:
    """Adds up how long a loop waits for its batches and how long it works with them, and warns once when it waits a lot.

    Args:
        workers: processes that read ahead of it; 0: it reads by itself, and nothing is said.
        clock: seconds.
    """

    workers: int
    clock: Callable[[], float] = time.perf_counter
    _batches: int = 0
    _waited: float = 0.0
    _worked: float = 0.0
    _begun: float = 0.0
    _turned: float | None = None

    def start(self) -> None:
        """Begin a pass; its first batch is waited for by everyone."""
        self._turned, self._begun = None, self.clock()

    def given(self) -> float:
        """Take down that the loop gets a batch; return how long it waited for it, in seconds."""
        now = self.clock()
        waited = now - (self._begun if self._turned is None else self._turned)
        if self._turned is not None:
            self._waited += waited
            self._batches += 1
        self._turned = now
        if self._batches >= MEASURED_BATCHES and self._waited + self._worked >= MEASURED_SECONDS:
            self._judge()
        return waited

    def asked(self) -> None:
        """Take down that the loop asks for another batch."""
        now = self.clock()
        self._worked += now - (now if self._turned is None else self._turned)
        self._turned = now

    def _judge(self) -> None:
        total = self._waited + self._worked
        if self.workers and self._waited > TOLERATED * total and self._worked > QUICK_STEP * self._batches:
            enough = ceil(round(self.workers * 1.25 * total / self._worked, 3))
            _log.warning(
                "the training loop waited for data %.0f %% of the time over the last %d batches (%.1f of %.1f ms a batch). "
                "Where reads wait for disks or a network, num_workers=%d (now %d) would keep up, or more read_threads, where "
                "the store allows them; where all cores are busy, neither helps",
                100 * self._waited / total, self._batches, 1e3 * self._waited / self._batches, 1e3 * total / self._batches,
                enough, self.workers,
            )  # fmt: skip
            self.workers = 0
        self._batches, self._waited, self._worked = 0, 0.0, 0.0
