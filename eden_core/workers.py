"""Worker processes that fetch blocks of rows ahead of the trainer."""

import contextlib
import logging
import os
import signal
import socket
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.encoded import EncodedBatch
from eden_core.errors import ExecutorError
from eden_core.reader import BatchReader
from eden_core.serving import ANSWERED, PASS, Failure, serve
from eden_core.slots import SharedSlots
from eden_core.start_methods import imports_script, prepared

BYTES_A_TOKEN = 16
"""bytes of a slot for each token of a block: more than bases, weights and what an objective shows take; unused ones are free"""
_HEAD_BYTES = 1 << 18
_SMALL_TASKS = 4096
"""bytes that a pipe holds on any system, whether or not somebody reads them"""
_SECONDS_TO_END = 5.0
_MOST_AHEAD = 64
"""blocks that a worker reads ahead at most: messages about some hundreds fill a pipe, and both ends would wait to write"""
_SCRIPT_FAILED = (
    "worker {name} (process {process}) ended with exit code 1 as it imported your script, which it must, since a class or "
    "function of the script (such as its tokenizer or a transform) is sent to workers. What it raised stands above; a script "
    "that trains as soon as it is imported needs the line if __name__ == '__main__': in front of that. Else move the class "
    "into a module of its own and import it, or use start_method='fork'"
)
_OVER = "another pass has begun, or the workers were stopped: this one cannot go on"

_log = logging.getLogger(__name__)


class WorkerPool:
    """Processes that fetch blocks of rows ahead of the trainer, in order.

    A task goes to the worker that has the least to do. Where the trainer is the slower one, so that most blocks that were asked
    for are ready, tasks go to as few workers as can be, whose caches are warm, and the others leave the processors alone. Each
    has a pipe of its own and answers in order, so that answers need no sorting. Blocks lie in memory that all processes share
    (see `SharedSlots`), and only short messages pass through the pipes. Workers need no torch.

    Args:
        reader: what reads them; it is sent to the workers.
        num_workers: processes, at least 1.
        block_rows: rows of the largest block.
        prefetch_factor: blocks that each worker reads ahead.
        persistent: whether workers live on from one pass to the next.
        start_method: "forkserver", "spawn" or "fork".

    Raises:
        ConfigurationError: something in the reader cannot be sent to another process.
    """

    def __init__(
        self,
        reader: BatchReader,
        num_workers: int,
        *,
        block_rows: int,
        prefetch_factor: int,
        persistent: bool,
        start_method: str,
    ) -> None:
        prefetch_factor = min(prefetch_factor, _MOST_AHEAD)
        self._context, self._payload = prepared(start_method, reader)
        self._num_workers, self._persistent = num_workers, persistent
        self._slots = _slots(num_workers, num_workers * prefetch_factor + 1, block_rows * reader.layout.seq_length)
        safe = self._slots.count or prefetch_factor * block_rows * 8 < _SMALL_TASKS
        self._prefetch_factor = prefetch_factor if safe else 1  # else both ends could wait to write
        self._ahead = num_workers * self._prefetch_factor
        self._workers: list[_Worker] = []
        self._number = 0
        self._in_step = True
        """whether no message is half-way, as after Ctrl-C"""
        self.by_value = 0
        """blocks that did not fit into a slot, or found none"""

    def fetch(self, blocks: Iterator[NDArray[np.int64]]) -> Iterator[EncodedBatch]:
        """Yield the blocks (arrays of row numbers) in the order in which they were asked for.

        The arrays of a block are valid until the next is asked for.

        Raises:
            ExecutorError: a worker has ended.
        """
        this_pass = self._begin_pass()
        waiting: deque[tuple[_Worker, int]] = deque()
        free = list(range(self._ahead + 1))
        self._in_step = False
        for rows in islice(blocks, self._ahead):
            waiting.append(self._ask(free.pop(), rows))
        while waiting:
            self._in_step = False
            worker, slot = waiting.popleft()
            encoded = self._answer(worker)
            for rows in islice(blocks, 1):
                waiting.append(self._ask(free.pop(), rows))
            self._in_step = True
            if isinstance(encoded, Failure):
                raise encoded.error
            yield encoded
            if self._number != this_pass:
                raise ExecutorError(_OVER)
            free.append(slot)
        if not self._persistent:
            self._stop()

    def close(self) -> None:
        """Stop the workers for good."""
        self._stop()
        self._slots.close()

    def _stop(self) -> None:
        self._number += 1
        self._slots.counters[PASS] = self._number
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.stop()
        deadline = time.monotonic() + _SECONDS_TO_END
        for worker in workers:
            worker.end(deadline)

    def _begin_pass(self) -> int:
        """Have all workers wait for tasks: what a pass that was given up has asked for is awaited, unread."""
        if not (self._in_step and self._persistent):
            self._stop()
        self._number = this_pass = self._number + 1
        self._slots.counters[PASS] = self._number
        self._in_step = False
        for worker in self._workers:
            while worker.unread:
                worker.receive()
        while len(self._workers) < self._num_workers:
            if self._number != this_pass:
                raise ExecutorError(_OVER)
            self._workers.append(_Worker(len(self._workers), self._context, self._payload, self._slots))
        if self._number != this_pass:
            self._stop()
            raise ExecutorError(_OVER)
        self._in_step = True
        return this_pass

    def _ask(self, slot: int, rows: NDArray[np.int64]) -> tuple["_Worker", int]:
        worker = self._next_worker()
        self._workers.remove(worker)
        self._workers.insert(0, worker)
        worker.send(self._slots.put(slot, (self._number, slot, rows)))
        return worker, slot

    def _next_worker(self) -> "_Worker":
        """Return who gets the next task; `_workers` are in the order in which they were asked last."""
        to_do = [worker.to_do() for worker in self._workers]
        most = min(to_do)
        ready = sum(worker.unread for worker in self._workers) - sum(to_do)
        if 2 * ready >= self._ahead:
            most = max(most, self._prefetch_factor - 1)
        return next(worker for worker, tasks in zip(self._workers, to_do, strict=True) if tasks <= most)

    def _answer(self, worker: "_Worker") -> "EncodedBatch | Failure":
        message = worker.receive()
        answer: EncodedBatch | Failure = self._slots.get(message)
        if isinstance(answer, EncodedBatch) and not self._slots.is_placed(message):
            self.by_value += 1
            if self.by_value == 1 and self._slots.count:
                text = "a block of %d bytes does not fit into the %d that were set aside; such blocks are sent more slowly"
                _log.info(text, len(message), self._slots.capacity)
        return answer


def _slots(num_workers: int, count: int, tokens: int) -> SharedSlots:
    capacity, counters = tokens * BYTES_A_TOKEN + _HEAD_BYTES, 1 + num_workers
    if not hasattr(os, "memfd_create"):
        return SharedSlots(0, capacity, counters)
    try:
        return SharedSlots(count, capacity, counters)
    except OSError as error:
        text = "blocks are copied through pipes, which is slower: %d pieces of %d bytes of shared memory were refused (%s)"
        _log.warning(text, count, capacity, error)
        return SharedSlots(0, capacity, counters)


class _Worker:
    """The trainer's side of a worker process."""

    def __init__(self, number: int, context: BaseContext, payload: "BatchReader | bytes", slots: SharedSlots) -> None:
        self.connection, theirs = context.Pipe()
        ours = self.connection if isinstance(payload, BatchReader) else None  # a forked process has a copy of it
        self.process: Any = context.Process(  # type: ignore[attr-defined] # each of the contexts has one
            target=serve, args=(payload, number, theirs, ours, slots), name=f"eden-worker-{number}", daemon=True
        )
        self._slots, self._counter, self._sent = slots, ANSWERED + number, 0
        self._imports_script = imports_script(context)
        self._stopped = False
        self.unread = 0
        """tasks whose answers were not received"""
        slots.counters[self._counter] = 0
        self.process.start()
        theirs.close()

    def to_do(self) -> int:
        """Return how many tasks it has not answered, as far as it is known."""
        return self._sent - self._slots.counters[self._counter] if self._slots.count else self.unread

    def send(self, message: bytes) -> None:
        """Give it a task."""
        self._sent += 1
        self.unread += 1
        try:
            self.connection.send_bytes(message)
        except OSError as error:
            raise self._lost() from error

    def receive(self) -> bytes:
        """Return its next answer."""
        try:
            message: bytes = self.connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        self.unread -= 1
        return message

    def stop(self) -> None:
        """Let both ends of the pipe know that it is over, whoever waits for a message, and whoever else has a copy of it."""
        self._stopped = True
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(self.connection.fileno())) as both_ends:
            both_ends.shutdown(socket.SHUT_RDWR)
        self.connection.close()

    def end(self, deadline: float) -> None:
        """Wait for its end; at the deadline, end it."""
        self.process.join(max(0.0, deadline - time.monotonic()))
        for end in (self.process.terminate, self.process.kill):
            if self.process.exitcode is None:
                end()
                self.process.join(_SECONDS_TO_END)

    def _lost(self) -> ExecutorError:
        if self._stopped:
            return ExecutorError(_OVER)
        self.process.join(_SECONDS_TO_END)
        code = self.process.exitcode
        how = f"exit code {code}"
        if code is not None and code < 0:
            how = f"signal {-code} ({signal.strsignal(-code)})"
            how += ", most likely because memory ran out" if -code == signal.SIGKILL else ""
        if code == 1 and self._imports_script and self._sent == self.unread:
            return ExecutorError(_SCRIPT_FAILED.format(name=self.process.name, process=self.process.pid))
        return ExecutorError(
            f"worker {self.process.name} (process {self.process.pid}) ended unexpectedly with {how}; it may have written why "
            "above, and with num_workers=0 the trainer reads by itself"
        )
