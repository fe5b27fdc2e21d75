"""Work that is done while its consumer is busy with what came before."""

import threading
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Generic, TypeVar

Item = TypeVar("Item")


class OneAhead(Generic[Item]):
    """Iterates in a thread of its own, one item ahead of its consumer; errors are raised where the item would have come.

    Args:
        items: what is iterated over, by no one else from here on.
    """

    def __init__(self, items: Iterator[Item]) -> None:
        self._wanted: SimpleQueue[bool] = SimpleQueue()
        self._made: SimpleQueue[tuple[Item] | BaseException] = SimpleQueue()
        self._thread = threading.Thread(target=_make, args=(items, self._wanted, self._made), name="eden-ahead", daemon=True)
        self._thread.start()
        self._wanted.put(True)

    def __iter__(self) -> Iterator[Item]:
        """Yield the items; the thread ends when the iteration does, or is left."""
        try:
            while True:
                made = self._made.get()
                if isinstance(made, StopIteration):
                    return
                if isinstance(made, BaseException):
                    raise made
                self._wanted.put(True)
                yield made[0]
                del made
        finally:
            self._wanted.put(False)

    def stop(self, seconds: float | None = None) -> None:
        """Make no further item, and wait for the end of the one that is being made, no longer than so many seconds."""
        self._wanted.put(False)
        self._thread.join(seconds)


def _make(items: Iterator[Item], wanted: "SimpleQueue[bool]", made: "SimpleQueue[tuple[Item] | BaseException]") -> None:
    while wanted.get():
        try:
            made.put((next(items),))
        except BaseException as error:  # noqa: BLE001 - the consumer raises it
            made.put(error)
            return
