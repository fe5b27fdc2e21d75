"""Reading from file systems that stumble or hang: retries with back-off, rows that stay unread, a watchdog."""

import errno
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from eden_core.batch import Ragged, Windows
from eden_core.errors import ConfigurationError, FormatError
from eden_core.interfaces import SequenceStore, WindowIndex
from eden_core.read_threads import ALONE, Reading, ReadThreads, joined, slice_of

TRANSIENT = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT})
"""what network file systems answer while a server restarts or fails over"""

BACK_OFF = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""seconds between one attempt and the next"""

GIVEN_UP_SECONDS = 600.0
"""seconds during which a place that failed to the last attempt is tried once only, where rows are masked"""

PLACEHOLDER = ord("A")
"""the one base of a row that could not be read: every vocabulary has it"""

Answer = TypeVar("Answer")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Patience:
    """What to do when reading fails or takes long.

    Args:
        on_read_error: "raise", or "mask": a window that cannot be read becomes a row without loss weight. Errors that say that
            the index belongs to another store are raised all the same.
        warning_seconds: seconds after which a read that is not over is warned about; 0: never.
        back_off: seconds to wait before each further attempt after a transient error.
        rank: which rank to name in warnings; None: what the environment says.
        worker: which worker to name in warnings; None: what torch says.

    Raises:
        ConfigurationError: an argument is out of its range.
    """

    on_read_error: str = "raise"
    warning_seconds: float = 120.0
    back_off: tuple[float, ...] = BACK_OFF
    rank: int | None = None
    worker: int | None = None

    def __post_init__(self) -> None:
        if self.on_read_error not in {"raise", "mask"}:
            raise ConfigurationError(f"on_read_error is {self.on_read_error!r}; expected 'raise' or 'mask'")
        if not self.warning_seconds >= 0:
            raise ConfigurationError(f"read_warning_seconds must be 0 or more, not {self.warning_seconds!r}")

    def lookup(self, index: WindowIndex, window_ids: NDArray[np.int64]) -> Windows:
        """Look windows up, again after transient errors."""
        with _Task(self, "looking windows up in", lambda: f"{index.name} at {index.location}"):
            return self._retried(lambda: index.lookup(window_ids), index, lambda _: index.location)

    def read(
        self, store: SequenceStore, windows: Windows, threads: ReadThreads = ALONE
    ) -> tuple[Ragged[np.uint8], NDArray[np.bool_] | None]:
        """Read windows, again after transient errors; a part that failed is read again by itself.

        Args:
            store: what is read.
            windows: W windows.
            threads: what reads them, in parts.

        Returns:
            The bases, and with `on_read_error="mask"` which windows could not be read (bool [W]; None: all could). Those hold
            one placeholder base.
        """
        reading = Reading(store, windows, threads)
        with _Task(self, "reading windows of", lambda: reading.place):
            try:
                bases = self._retried(reading.read, store, reading.place_of)
            except (OSError, FormatError):
                if self.on_read_error == "raise":
                    raise
            else:
                if self.on_read_error == "raise" or not _has_holes(bases):
                    return bases, None
            return self._masked(reading)

    def _masked(self, reading: Reading) -> tuple[Ragged[np.uint8], NDArray[np.bool_]]:
        """Read those parts window by window that failed or hold NUL bytes."""
        rows, masks = [], []
        for windows, answer in zip(reading.parts, reading.answers, strict=True):
            bases, unread = answer, np.zeros(len(windows), bool)
            if not isinstance(bases, Ragged) or _has_holes(bases):
                bases, unread = self._one_by_one(reading.store, windows)
            rows.append(bases)
            masks.append(unread)
        return joined(rows), np.concatenate(masks)

    def _one_by_one(self, store: SequenceStore, windows: Windows) -> tuple[Ragged[np.uint8], NDArray[np.bool_]]:
        rows, unread = [], np.zeros(len(windows), bool)
        for i, sequence_id in enumerate(windows.sequence_ids):
            window = slice_of(windows, i, i + 1)
            cause: object = "it holds NUL bytes, a zeroed hole in a damaged file"
            try:
                row = store.read(window).values
            except (OSError, FormatError) as error:
                cause, row = error, np.empty(0, np.uint8)
            unread[i] = not row.size or row.min() == 0
            if unread[i]:
                _log.warning(
                    "%s: window %d, base %d of %s, could not be read and gets no loss weight: %s",
                    self.who, window.window_ids[0], window.starts[0], sequence_id, cause,
                )  # fmt: skip
            rows.append(np.array([PLACEHOLDER], np.uint8) if unread[i] else row)
        return Ragged.from_rows(rows, np.uint8), unread

    def _retried(
        self, attempt: Callable[[], Answer], source: SequenceStore | WindowIndex, place_of: Callable[[OSError], str]
    ) -> Answer:
        for pause in self.back_off:
            try:
                return attempt()
            except OSError as error:
                if error.errno not in TRANSIENT or time.monotonic() < _given_up.get(place_of(error), 0):
                    raise
                _log.warning("%s: %s; trying again in %g s", self.who, error, pause)
            source.close()  # a stale handle stays stale
            time.sleep(pause)
        try:
            return attempt()
        except OSError as error:
            if self.on_read_error == "mask":
                _given_up[place_of(error)] = time.monotonic() + GIVEN_UP_SECONDS
            raise

    @property
    def who(self) -> str:
        """The rank and worker that this process is."""
        rank = self.rank if self.rank is not None else os.environ.get("RANK") or os.environ.get("SLURM_PROCID", "0")
        worker, torch_data = self.worker, sys.modules.get("torch.utils.data")
        if worker is None and torch_data is not None and (info := torch_data.get_worker_info()) is not None:
            worker = info.id
        return f"rank {rank}, " + ("no worker" if worker is None else f"worker {worker}")


def _has_holes(bases: Ragged[np.uint8]) -> bool:
    return bool(bases.values.size) and bases.values.min() == 0


@dataclass(eq=False)
class _Task:
    """Something that the watchdog of this process looks at while it goes on."""

    patience: Patience
    what: str
    place: Callable[[], str]
    deadline: float = 0.0
    before: "_Task | None" = None

    def __enter__(self) -> None:
        seconds = self.patience.warning_seconds
        if seconds:
            watchdog = _watchdog()
            self.before, self.deadline, watchdog.task = watchdog.task, time.monotonic() + seconds, self
            watchdog.look_every(seconds / 4)

    def __exit__(self, *_: object) -> None:
        if self.deadline:
            _watchdog().task = self.before

    def __str__(self) -> str:
        return f"{self.patience.who}: {self.what} {self.place()} takes more than {self.patience.warning_seconds:g} s"


class _Watchdog:
    """Warns, from a thread of its own, once about each task that goes on behind its deadline."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.task: _Task | None = None
        self._interval = 5.0
        self._sooner = threading.Event()
        threading.Thread(target=self._run, name="eden-watchdog", daemon=True).start()

    def look_every(self, seconds: float) -> None:
        """Look at least this often."""
        if seconds < self._interval:
            self._interval = seconds
            self._sooner.set()

    def _run(self) -> None:
        warned: _Task | None = None
        while True:
            if self._sooner.wait(self._interval):
                self._sooner.clear()
            task = self.task
            if task is not None and task is not warned and time.monotonic() > task.deadline:
                warned = task
                _log.warning("%s", str(task))  # as it is now, whenever the line is written


_given_up: dict[str, float] = {}
"""place -> until when it is tried once only"""

_watchdogs: list[_Watchdog] = []


def _watchdog() -> _Watchdog:
    """Return this process's watchdog; a thread does not survive a fork."""
    if not _watchdogs or _watchdogs[0].pid != os.getpid():
        _watchdogs[:] = [_Watchdog()]
    return _watchdogs[0]
