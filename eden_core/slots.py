"""Memory in which blocks travel between processes: equal slots that are used again and again."""

import mmap
import os
import pickle
import weakref
from array import array
from collections.abc import Callable
from multiprocessing.reduction import DupFd
from typing import Any

_ALIGNMENT = 64
_OF_A_PROCESS = {"_memory", "counters", "_close_file"}
_PLACED, _VALUE = b"p", b"v"
"""how messages begin: those about a slot, and those that hold the item"""


class SharedSlots:
    """Slots and counters that the trainer and its workers map, and messages about what lies in the slots.

    The memory has no name and needs no /dev/shm: it is gone with the last process that maps it, however that ends. It grows
    page by page as slots are written to, so a capacity that is never used costs nothing.

    Args:
        count: slots; 0: everything travels in the messages themselves, and no process sees another's counters.
        capacity: bytes a slot.
        counters: numbers that each process may read and write at any time.

    Raises:
        OSError: the system does not give the memory.
    """

    def __init__(self, count: int, capacity: int, counters: int) -> None:
        self.count, self.capacity = count, _whole_pages(capacity)
        self._first = _whole_pages(8 * counters)
        self._memory: memoryview | None = None
        self._close_file: Callable[[], object] = int
        self.counters: memoryview = memoryview(bytearray(self._first)).cast("q")
        """int64, zero at first"""
        if count:
            self._file = os.memfd_create("eden-slots", os.MFD_CLOEXEC)
            self._close_file = weakref.finalize(self, os.close, self._file)
            os.ftruncate(self._file, self._bytes)
            self._map(self._file)

    @property
    def _bytes(self) -> int:
        return self._first + self.count * self.capacity

    def _map(self, file: int) -> None:
        self._memory = memoryview(mmap.mmap(file, self._bytes))
        self.counters = self._memory[: self._first].cast("q")

    def put(self, slot: int | None, item: object) -> bytes:
        """Write something to a slot; what does not fit goes into the message, as does everything without a slot.

        Returns:
            A message from which `get` makes the item, in this process or another.
        """
        if slot is None or self._memory is None:
            return _VALUE + pickle.dumps(item, 5)
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(item, 5, buffer_callback=buffers.append)
        parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
        sizes = [part.nbytes for part in parts]
        if sum(sizes) + _ALIGNMENT * len(sizes) > self.capacity:
            return _VALUE + pickle.dumps(item, 5)
        at = self._first + slot * self.capacity
        for part, size in zip(parts, sizes, strict=True):
            self._memory[at : at + size] = part
            at = _behind(at + size)
        return _PLACED + array("q", [slot, *sizes]).tobytes()

    def get(self, message: bytes) -> Any:
        """Return what `put` was given; its arrays may be views of the slot, so they change once it is written to again."""
        if not self.is_placed(message):
            return pickle.loads(message[len(_VALUE) :])  # noqa: S301 - of our own process
        assert self._memory is not None  # noqa: S101 - the message is of a process that has it
        slot, *sizes = array("q", message[len(_PLACED) :])
        at, parts = self._first + slot * self.capacity, []
        for size in sizes:
            parts.append(self._memory[at : at + size])
            at = _behind(at + size)
        return pickle.loads(parts[0], buffers=parts[1:])  # noqa: S301

    @staticmethod
    def is_placed(message: bytes) -> bool:
        """Whether the item of a message lies in a slot."""
        return message.startswith(_PLACED)

    def close(self) -> None:
        """Let go of the memory; it stays for those who still use what `get` gave."""
        self._memory, self.counters = None, memoryview(bytearray(self._first)).cast("q")
        self._close_file()

    def __getstate__(self) -> dict[str, Any]:
        state: dict[str, Any] = {key: value for key, value in self.__dict__.items() if key not in _OF_A_PROCESS}
        return state | {"_file": DupFd(self._file) if self.count else None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Map the memory in a process that is being started."""
        sent = state.pop("_file")
        self.__dict__.update(state, _memory=None, _close_file=int)
        self.counters = memoryview(bytearray(self._first)).cast("q")
        if sent is not None:
            file = sent.detach()
            try:
                self._map(file)
            finally:
                os.close(file)


def _behind(at: int) -> int:
    return -(-at // _ALIGNMENT) * _ALIGNMENT


def _whole_pages(size: int) -> int:
    return -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
