"""The log of one dataset in one process."""

import secrets
import warnings
from pathlib import Path

import numpy as np

from eden_access_log.files import FILES, append
from eden_access_log.lines import batch_lines, columns_of, description
from eden_core.errors import ConfigurationError
from eden_core.observing import BatchObserver, BatchRead, Reading


class AccessLog(BatchObserver):
    """Keeps batches back, and writes them when there are many, when some time has passed, and in the end.

    A disk that is full ends the log, with a warning, and not the run.

    Raises:
        ConfigurationError: there is no writing in the log's folder.
    """

    def __init__(self, reading: Reading) -> None:
        self._rank = reading.rank
        self._strides = np.array([source.index.tiling.stride for source in reading.dataset.sources], np.int64)
        self._kept: list[BatchRead] = []
        self._described = 0
        """how many of those kept have their line in the .jsonl"""
        self._windows, self._written_ns, self._broken = 0, 0, False
        folder = Path(reading.log_dir or ".").absolute()
        self._stem = folder / f"window_access_{reading.split}_rank{reading.rank}_{secrets.token_hex(4)}"
        self._batches = self._stem.with_name(f"{self._stem.name}.jsonl")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            append(self._batches, description(reading))
            self._file = FILES[str(reading.log_windows)](self._stem)
        except OSError as error:
            raise ConfigurationError(
                f"the window access log cannot be written to {folder} ({error}): give another log_dir, or leave log_windows out"
            ) from error

    def batch_read(self, batch: BatchRead) -> None:
        """Keep a batch back, or write it with those before."""
        self._written_ns = self._written_ns or batch.time_ns
        self._kept.append(batch)
        self._windows += len(batch.windows)
        if self._windows >= self._file.most_windows or batch.time_ns - self._written_ns >= 1e9 * self._file.most_seconds:
            self._write()
            self._written_ns = batch.time_ns

    def close(self) -> None:
        """Write what was kept back."""
        self._write()

    def _write(self) -> None:
        """Write what is kept; where that is interrupted, the next time goes on with it."""
        try:
            if self._kept and not self._broken:
                append(self._batches, batch_lines(self._kept[self._described :], several=self._strides.size > 1))
                self._described = len(self._kept)
                self._file.write(columns_of(self._kept, self._rank, self._strides))
        except OSError as error:
            self._broken = True
            warnings.warn(
                f"the window access log {self._stem} ends here, and the run goes on without it: {error}",
                UserWarning,
                stacklevel=2,
            )
        self._kept, self._described, self._windows = [], 0, 0
