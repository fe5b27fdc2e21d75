"""Ways to start worker processes, which do not run the user's script again."""

import contextlib
import multiprocessing.forkserver
import multiprocessing.popen_forkserver
import multiprocessing.popen_spawn_posix
import multiprocessing.spawn
import pickle
from collections.abc import Iterator
from multiprocessing.context import BaseContext, ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess
from typing import Any

from eden_core.errors import ConfigurationError

START_METHODS = ("forkserver", "spawn", "fork")


def check_start_method(start_method: str) -> None:
    """Raise `ConfigurationError` when there is no such way to start a process."""
    if start_method not in START_METHODS:
        raise ConfigurationError(f"start_method is {start_method!r}; expected one of {', '.join(map(repr, START_METHODS))}")


def context_of(start_method: str, payload: bytes | None) -> BaseContext:
    """Return what starts processes.

    Args:
        start_method: "forkserver", "spawn" or "fork".
        payload: what `pickled` gave, which the processes will unpickle.
    """
    if start_method == "fork":
        return multiprocessing.get_context("fork")
    # A class of the user's own script can only be found in a worker by importing that script.
    needs_main = payload is not None and b"__main__" in payload
    if start_method == "spawn":
        return SpawnContext() if needs_main else _QuietSpawnContext()
    context = ForkServerContext() if needs_main else _QuietForkServerContext()
    context.set_forkserver_preload(["eden_core.workers"])  # numpy is then imported once, not in every worker
    return context


def pickled(payload: object) -> bytes:
    """Return what is to be sent to workers.

    Raises:
        ConfigurationError: something in it cannot be sent to another process.
    """
    try:
        return pickle.dumps(payload)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"the dataset cannot be sent to worker processes ({error}); stores, indexes, transforms and tokenizers must "
            "pickle: their classes and functions belong to the top level of a module. Else use num_workers=0, or "
            "start_method='fork' at your own risk"
        ) from error


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
