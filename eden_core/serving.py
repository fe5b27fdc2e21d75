"""What a worker process does."""

import contextlib
import multiprocessing
import os
import pickle
import resource
import signal
import threading
import traceback
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import ExecutorError
from eden_core.reader import BatchReader
from eden_core.slots import SharedSlots

PASS, ANSWERED = 0, 1
"""counters: the number of the pass, and from here on the tasks that each worker has answered"""


@dataclass(frozen=True)
class Failure:
    """An error of a worker, in place of a block.

    Attributes:
        error: what the trainer is to raise.
    """

    error: Exception

    @classmethod
    def of(cls, error: Exception, number: int) -> "Failure":
        """Return an error that can be sent, with the place where it came up as a note."""
        told = "".join(traceback.format_exception(error))
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301
        except Exception:  # noqa: BLE001 - of whatever kind: the user's own error stands in its place
            error = ExecutorError(f"{type(error).__name__}: {error}")
        error.add_note(f"in worker {number}:\n{told}")
        return cls(error)


def serve(payload: "BatchReader | bytes", number: int, connection: Any, other_end: Any, slots: SharedSlots) -> None:
    """Answer the trainer's tasks until it closes the pipe."""
    _begin()
    if other_end is not None:
        other_end.close()
    reader: BatchReader | Failure
    try:
        reader = _numbered(payload if isinstance(payload, BatchReader) else pickle.loads(payload), number)  # noqa: S301
    except Exception as error:  # noqa: BLE001 - the trainer raises it
        reader = Failure.of(error, number)
    with contextlib.suppress(EOFError, ConnectionError):  # the trainer has closed its end, or ended
        while True:
            this_pass, slot, rows = slots.get(connection.recv_bytes())
            over = slots.count and slots.counters[PASS] != this_pass
            connection.send_bytes(b"" if over else _fetched(reader, number, slots, slot, rows))
            slots.counters[ANSWERED + number] += 1


def _fetched(reader: "BatchReader | Failure", number: int, slots: SharedSlots, slot: int, rows: NDArray[np.int64]) -> bytes:
    if isinstance(reader, Failure):
        return slots.put(None, reader)
    try:
        return slots.put(slot, reader.fetch(rows.copy()))
    except Exception as error:  # noqa: BLE001 - the trainer raises it
        return slots.put(None, Failure.of(error, number))


def _numbered(reader: BatchReader, number: int) -> BatchReader:
    """Return the reader, whose warnings name a worker."""
    sources = (replace(source, patience=replace(source.patience, worker=number)) for source in reader.sources)
    return replace(reader, sources=tuple(sources))


def _begin() -> None:
    """Leave Ctrl-C to the trainer, end with it whatever ends it, and allow as many open files as the system does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trainer = multiprocessing.parent_process()
    if trainer is not None:
        threading.Thread(target=_end_with, args=(trainer,), daemon=True).start()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_with(trainer: Any) -> None:
    """Wait for the trainer's end, which a worker in the midst of a read would not notice else."""
    trainer.join()
    os._exit(1)
