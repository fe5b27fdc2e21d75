"""Memory in which blocks travel between processes: equal slots that are used again and again."""

import mmap
import os
import pickle
import weakref
from multiprocessing.reduction import DupFd
from typing import Any

import numpy as np

_ALIGNMENT = 64
_PAGE = mmap.PAGESIZE


class SharedSlots:
    """Slots that the trainer and its workers map, and messages about what lies in them.

    The memory has no name and needs no /dev/shm: it is gone with the last process that maps it, however that ends. It grows
    page by page as slots are written to, so a capacity that is never used costs nothing.

    Args:
        count: slots; 0: everything travels in the messages themselves.
        capacity: bytes a slot.

    Raises:
        OSError: the system does not give the memory.
    """

    def __init__(self, count: int, capacity: int) -> None:
        self.count, self.capacity = count, -(-capacity // _PAGE) * _PAGE
        self._memory: memoryview | None = None
        if count:
            self._file = os.memfd_create("eden-slots", os.MFD_CLOEXEC)
            weakref.finalize(self, os.close, self._file)
            os.ftruncate(self._file, _PAGE + count * self.capacity)
            self._map(self._file)

    def _map(self, file: int) -> None:
        self._memory = memoryview(mmap.mmap(file, _PAGE + self.count * self.capacity))
        self._number = np.frombuffer(self._memory, np.int64, 1)

    def begin(self, number: int) -> None:
        """Tell the workers which pass is read now."""
        if self._memory is not None:
            self._number[0] = number

    def is_over(self, number: int) -> bool:
        """Whether another pass is read now, as far as it is known."""
        return self._memory is not None and int(self._number[0]) != number

    def put(self, slot: int | None, item: object) -> bytes:
        """Write something to a slot; what does not fit goes into the message, as does everything without a slot.

        Returns:
            A message from which `get` makes the item, in this process or another.
        """
        if slot is None or self._memory is None:
            return pickle.dumps(item, 5)
        buffers: list[pickle.PickleBuffer] = []
        head = pickle.dumps(item, 5, buffer_callback=buffers.append)
        parts = [memoryview(head), *(buffer.raw() for buffer in buffers)]
        sizes = [part.nbytes for part in parts]
        if sum(sizes) + _ALIGNMENT * len(sizes) > self.capacity:
            return pickle.dumps(item, 5)
        at = _PAGE + slot * self.capacity
        for part, size in zip(parts, sizes, strict=True):
            self._memory[at : at + size] = part
            at = _behind(at + size)
        return pickle.dumps(_Placed((slot, *sizes)), 5)

    def get(self, message: bytes) -> Any:
        """Return what `put` was given; its arrays may be views of the slot, so they change once it is written to again."""
        found = pickle.loads(message)
        if not isinstance(found, _Placed):
            return found
        assert self._memory is not None  # noqa: S101 - the message is of a process that has it
        slot, *sizes = found
        at = _PAGE + slot * self.capacity
        parts = []
        for size in sizes:
            parts.append(self._memory[at : at + size])
            at = _behind(at + size)
        return pickle.loads(parts[0], buffers=parts[1:])

    def __reduce__(self) -> Any:
        """Send the memory to a process that is being started."""
        return _mapped, (DupFd(self._file) if self.count else None, self.count, self.capacity)


class _Placed(tuple[int, ...]):
    """Says where an item lies: its slot, the bytes of its pickle, and those of each buffer, one behind the other."""

    __slots__ = ()


def _behind(at: int) -> int:
    return -(-at // _ALIGNMENT) * _ALIGNMENT


def _mapped(sent: Any, count: int, capacity: int) -> SharedSlots:
    slots = SharedSlots(0, capacity)
    slots.count = count
    if sent is not None:
        file = sent.detach()
        try:
            slots._map(file)  # noqa: SLF001 - of this module
        finally:
            os.close(file)
    return slots
