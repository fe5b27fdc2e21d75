"""Running many tasks on an executor: a bounded number at a time, each with its result or its error."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from eden_core.errors import EdenError, ExecutorError
from eden_core.interfaces import ExecutorFactory

Argument = TypeVar("Argument")
Result = TypeVar("Result")

_AHEAD = 2
"""tasks handed over for each worker, so that none waits for the next"""


def absolute(location: str | Path) -> str:
    """Return a path as processes in other folders find it; a URL stays what it is."""
    return str(location) if "://" in str(location) else str(Path(location).absolute())


def run_tasks(
    function: Callable[[Argument], Result], arguments: Iterable[Argument], factory: ExecutorFactory
) -> Iterator[tuple[Argument, Result | EdenError | OSError]]:
    """Yield each argument with what the function made of it, or with the error it raised, as they are completed.

    What a generator is closed on, and any other error, ends the tasks that have not begun.

    Args:
        function: of a module, so that it pickles; it may run twice for one argument.
        arguments: small, since they travel; paths in them are absolute.
        factory: where the tasks run.

    Raises:
        ExecutorError: the executor cannot be had, or a worker ended before its task did.
    """
    waiting = iter(arguments)
    with factory.opened() as executor:
        running: dict[Future[Result], Argument] = {}
        try:
            while True:
                for argument in islice(waiting, _AHEAD * factory.workers - len(running)):
                    running[executor.submit(function, argument)] = argument
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), _outcome(future)
        except Exception as error:
            if not factory.is_loss(error):
                raise
            raise _lost(factory, error) from error
        finally:
            for future in running:
                future.cancel()


def _outcome(future: Future[Any]) -> Any:
    try:
        return future.result()
    except (EdenError, OSError) as error:
        return error


def _lost(factory: ExecutorFactory, error: BaseException) -> ExecutorError:
    return ExecutorError(
        f"executor {factory.name!r} lost a worker before its task was done ({error or type(error).__name__}): was it killed, "
        "for want of memory perhaps? Nothing half-written was taken for whole: the same command again goes on; with fewer "
        "--workers it needs less memory"
    )
