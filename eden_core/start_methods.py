"""Ways to start worker processes, which do not run the user's script again."""

import contextlib
import io
import multiprocessing.forkserver
import multiprocessing.popen_forkserver
import multiprocessing.popen_spawn_posix
import multiprocessing.spawn
import pickle
import sys
import threading
from collections.abc import Iterator
from multiprocessing.context import BaseContext, ForkServerContext, ForkServerProcess, SpawnContext, SpawnProcess
from typing import Any

from eden_core.errors import ConfigurationError

START_METHODS = ("forkserver", "spawn", "fork")


def check_start_method(start_method: str) -> None:
    """Raise `ConfigurationError` when there is no such way to start a process."""
    if start_method not in START_METHODS:
        raise ConfigurationError(f"start_method is {start_method!r}; expected one of {', '.join(map(repr, START_METHODS))}")


def prepared(start_method: str, payload: Any) -> tuple[BaseContext, Any]:
    """Return what starts processes, and what is to be sent to them: pickled, or itself where they are forked.

    Raises:
        ConfigurationError: something in it cannot be sent to another process.
    """
    if start_method == "fork":
        return multiprocessing.get_context("fork"), payload
    data = io.BytesIO()
    pickler = _Pickler(data)
    try:
        pickler.dump(payload)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"the dataset cannot be sent to worker processes ({error}); stores, indexes, transforms and tokenizers must "
            "pickle: their classes and functions belong to the top level of a module. Else use num_workers=0, or "
            "start_method='fork' at your own risk"
        ) from error
    # A class of the user's own script can only be found in a worker by importing that script.
    needs_main = b"__main__" in data.getvalue()
    if start_method == "spawn":
        return SpawnContext() if needs_main else _QuietSpawnContext(), data.getvalue()
    context = ForkServerContext() if needs_main else _QuietForkServerContext()
    context.set_forkserver_preload(_preloaded(pickler.modules))
    return context, data.getvalue()


def imports_script(context: BaseContext) -> bool:
    """Whether processes begin with importing the user's script, since classes of it are sent to them."""
    return isinstance(context, ForkServerContext | SpawnContext) and not isinstance(
        context, _QuietForkServerContext | _QuietSpawnContext
    )


class _Pickler(pickle.Pickler):
    """Notes which modules what it pickles comes from."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.modules: set[str] = set()

    def reducer_override(self, item: object) -> Any:
        """Note the module, and pickle as usual."""
        self.modules.add(str(getattr(item, "__module__", "builtins")))
        return NotImplemented


def _preloaded(modules: set[str]) -> list[str]:
    """Return what the fork server is to import, so that its children share it: our own modules, and torch if it may be used.

    Modules of others are left alone, since they may start threads, which do not survive a fork. They often need torch, though,
    which takes a second and 100 MB.
    """
    ours = {name for name in modules if name.startswith("eden_")}
    packages = {name.partition(".")[0] for name in modules - ours}
    others = packages - set(sys.stdlib_module_names) - {"None", "numpy", "tokenizers"}
    return ["eden_core.serving", *sorted(ours), *(["torch"] if others else [])]


_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def _main_left_out() -> Iterator[None]:
    """Start a process without having it import the user's script, which may be unguarded (`if __name__ == "__main__"`)."""
    with _one_at_a_time:
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
