"""Worker processes that do not run the user's script again."""

import contextlib
import multiprocessing.forkserver
import multiprocessing.popen_forkserver
import multiprocessing.popen_spawn_posix
import multiprocessing.spawn
import os
import pickle
import resource
import signal
import threading
from collections.abc import Iterator
from multiprocessing.context import BaseContext, ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess
from typing import Any

import torch
from torch.utils.data import DataLoader

from eden_core.encoded import EncodedBatch
from eden_core.errors import ConfigurationError
from eden_core.reader import BatchReader

START_METHODS = ("forkserver", "spawn", "fork")


class _Fetcher:
    """What a worker serves: blocks of rows, by the list of their numbers."""

    def __init__(self, reader: BatchReader) -> None:
        self._reader = reader

    def __getitem__(self, rows: Any) -> EncodedBatch:
        return self._reader.fetch(rows)


class _Plan:
    """The blocks of the coming pass; a DataLoader asks for them anew at each pass."""

    def __init__(self) -> None:
        self.blocks: Iterator[Any] = iter(())

    def __iter__(self) -> Iterator[Any]:
        return self.blocks


class WorkerPool:
    """Processes that fetch blocks of rows ahead of the trainer, in order.

    Args:
        reader: what reads them; it is sent to the workers.
        num_workers: processes, at least 1.
        prefetch_factor: blocks that each worker reads ahead.
        persistent: whether workers live on from one pass to the next.
        start_method: "forkserver", "spawn" or "fork".

    Raises:
        ConfigurationError: something in the reader cannot be sent to another process.
    """

    def __init__(
        self, reader: BatchReader, num_workers: int, *, prefetch_factor: int, persistent: bool, start_method: str
    ) -> None:
        self._plan = _Plan()
        self._loader: DataLoader[EncodedBatch] = DataLoader(
            _Fetcher(reader),  # type: ignore[arg-type] # any object with __getitem__ serves
            sampler=self._plan,
            batch_size=None,
            collate_fn=_as_it_is,  # type: ignore[arg-type] # without a batch size it gets what the fetcher gave
            num_workers=num_workers,
            prefetch_factor=prefetch_factor,
            persistent_workers=persistent,
            worker_init_fn=_begin,
            multiprocessing_context=_context(start_method, reader),
            generator=torch.Generator(),  # else starting workers would draw from the trainer's random numbers
        )
        self._running: Any = None

    def fetch(self, blocks: Iterator[Any]) -> Iterator[EncodedBatch]:
        """Yield the blocks (arrays of row numbers) as they were asked for."""
        self._plan.blocks = blocks
        self._running = iter(self._loader)
        return self._running  # type: ignore[no-any-return]

    def close(self) -> None:
        """Stop the workers."""
        if self._running is not None:
            self._running._shutdown_workers()  # noqa: SLF001 - DataLoader offers no public way to stop its workers
            self._loader._iterator = self._running = None  # noqa: SLF001


def _as_it_is(block: EncodedBatch) -> EncodedBatch:
    return block


def _begin(_: int) -> None:
    """Leave Ctrl-C to the trainer, end with it whatever ends it, and allow as many open files as the system does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    trainer = multiprocessing.parent_process()
    if trainer is not None:
        threading.Thread(target=_end_with, args=(trainer,), daemon=True).start()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _end_with(trainer: Any) -> None:
    """Wait for the trainer's end; torch watches the parent process, which is the fork server here, and would wait for ever."""
    trainer.join()
    os._exit(1)


def check_start_method(start_method: str) -> None:
    """Raise `ConfigurationError` when there is no such way to start a process."""
    if start_method not in START_METHODS:
        raise ConfigurationError(f"start_method is {start_method!r}; expected one of {', '.join(map(repr, START_METHODS))}")


def _context(start_method: str, payload: object) -> BaseContext:
    if start_method == "fork":
        return multiprocessing.get_context("fork")
    try:
        needs_main = b"__main__" in pickle.dumps(payload)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"the dataset cannot be sent to worker processes ({error}); stores, indexes, transforms and tokenizers must "
            "pickle: their classes and functions belong to the top level of a module. Else use num_workers=0, or "
            "start_method='fork' at your own risk"
        ) from error
    # A class of the user's own script can only be found in a worker by importing that script.
    context: BaseContext
    if start_method == "spawn":
        context = SpawnContext() if needs_main else _QuietSpawnContext()
    else:
        context = ForkServerContext() if needs_main else _QuietForkServerContext()
        context.set_forkserver_preload(["eden_core.workers"])  # torch is then imported once, not in every worker
    return context


@contextlib.contextmanager
def _main_left_out() -> Iterator[None]:
    """Start a process without having it import the user's script, which may be unguarded (`if __name__ == "__main__"`)."""
    original = multiprocessing.spawn.get_preparation_data

    def prepared(name: str) -> dict[str, Any]:
        data: dict[str, Any] = original(name)
        return {key: value for key, value in data.items() if not key.startswith("init_main_from")}

    multiprocessing.spawn.get_preparation_data = prepared
    try:
        yield
    finally:
        multiprocessing.spawn.get_preparation_data = original


class _QuietForkServerProcess(ForkServerProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - multiprocessing's own name
        with _main_left_out():
            return multiprocessing.popen_forkserver.Popen(process_obj)


class _QuietSpawnProcess(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - multiprocessing's own name
        with _main_left_out():
            return multiprocessing.popen_spawn_posix.Popen(process_obj)


class _QuietForkServerContext(ForkServerContext):
    Process = _QuietForkServerProcess


class _QuietSpawnContext(SpawnContext):
    Process = _QuietSpawnProcess
