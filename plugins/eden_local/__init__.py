"""Executor "local": processes of this machine."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import ClassVar

from eden_core.errors import ConfigurationError
from eden_core.hookspecs import hookimpl
from eden_core.interfaces import ExecutorFactory
from eden_core.plugins import installed_plugins

EDEN_INTERFACE = 1


class LocalExecutor(ExecutorFactory):
    """Runs tasks in processes of this machine.

    Args:
        workers: processes; None: one for each core that this process may use.
    """

    name: ClassVar[str] = "local"

    def __init__(self, *, workers: int | None = None) -> None:
        if workers is not None and workers < 1:
            raise ConfigurationError(f"executor 'local' cannot run with {workers} workers; give 1 or more")
        self._workers = workers or len(os.sched_getaffinity(0))

    @property
    def workers(self) -> int:
        """Processes."""
        return self._workers

    @contextmanager
    def opened(self) -> Iterator[Executor]:
        """Start processes on demand, and end them with the block."""
        # A forked child may inherit a lock that another thread holds (FACTS: SQLite, polars).
        context = multiprocessing.get_context("forkserver")
        executor = ProcessPoolExecutor(self._workers, mp_context=context, initializer=_prepare_worker)
        try:
            yield executor
        finally:
            executor.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """Let this process end quietly on Ctrl-C, and with its parent when that is killed.

    Otherwise it would write on, beside whoever takes the work up again.
    """
    signal.signal(signal.SIGINT, lambda _signal, _frame: os._exit(130))  # nothing is being written yet
    installed_plugins()  # which takes any exception that comes meanwhile for a plugin's fault
    signal.signal(signal.SIGINT, _exit_quietly)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_wait_and_exit, args=(parent.sentinel,), daemon=True).start()


def _exit_quietly(_signal: int, _frame: object) -> None:
    raise SystemExit(130)


def _wait_and_exit(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


@hookimpl
def eden_executors() -> list[type[ExecutorFactory]]:
    """Offer the executor of this plugin."""
    return [LocalExecutor]
