"""A worker process that has nothing to do: what memory beyond it is due to reading."""

import multiprocessing
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from types import ModuleType


@contextmanager
def idle_worker() -> Iterator[int]:
    """Start a process as workers start, that has imported what reads rows; give its process id."""
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    process = context.Process(target=_wait, args=(theirs,), daemon=True)
    script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")  # workers do not run it again
    try:
        process.start()
    finally:
        sys.modules["__main__"] = script
    ours.recv()
    yield process.pid or 0
    ours.send(None)
    process.join()


def _wait(connection: Connection) -> None:
    import eden_core.reader  # noqa: F401 - what is measured

    connection.send(None)
    connection.recv()
