"""Runs loaders side by side: each in its process, in turn, round after round."""

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from peers import protocol
from peers.environments import Environment, environment

BATCHES = (16, 1)
SECONDS = 0.25
"""that a loader reads for in each round, at each batch size; at least one batch"""
FLOOR = "memory floor"


@dataclass(frozen=True)
class Contender:
    """A loader and what it is told."""

    title: str
    module: str
    """in `peers.loaders`"""
    form: str
    """the folder of its files: loaders that read the same name the same"""
    environment: str = "eden"
    options: tuple[str, ...] = ()


@dataclass
class Measured:
    """What was found of one loader."""

    title: str
    facts: dict[str, Any] = field(default_factory=dict)
    """what "prepare" and "open" answered"""
    us: dict[int, list[float]] = field(default_factory=dict)
    """batch size -> microseconds a row, one number a round"""
    problem: str | None = None
    """why it was left out"""


class LoaderError(Exception):
    """A loader's process ended; the message is the end of what it wrote."""


class Running:
    """The process of a loader."""

    def __init__(self, contender: Contender, where: Environment, workload: Path, prepared: Path, log: Path) -> None:
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [str(where.python), "-m", f"peers.loaders.{contender.module}", str(workload), str(prepared)]
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                [*command, *contender.options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env=where.variables(), cwd=log.parent,
            )  # fmt: skip

    def ask(self, **message: Any) -> dict[str, Any]:
        """Send a message, and wait for the answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            last = (self.log.read_text().strip().splitlines() or ["it wrote nothing"])[-1]
            raise LoaderError(f"{last} (see {self.log})")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


def measured_side_by_side(
    scratch: Path,
    environments: Path,
    workload: protocol.Workload,
    contenders: Sequence[Contender],
    rounds: int,
    say: Callable[[str], None],
) -> list[Measured]:
    """Prepare and open every loader, then measure them in turn; the memory floor comes first, in this process."""
    found = [Measured(FLOOR)]
    running: list[tuple[Measured, Running]] = []
    os.sched_setaffinity(0, {_core()})  # the loaders too: one core for all, since each is to use one
    try:
        floor = memory_floor(workload)
        next(floor)  # it takes memory, which must not be that of the files which are read next
        for contender in contenders:
            measured = Measured(contender.title)
            found.append(measured)
            process = _opened(scratch, environments, workload, contender, measured)
            say(f"  {contender.title}: {measured.problem or _ready(measured)}")
            if process:
                running.append((measured, process))
        for number in range(rounds):
            for batch in BATCHES:
                found[0].us.setdefault(batch, []).append(floor_microseconds(floor))
                for measured, process in running:
                    answer = process.ask(do="measure", batch=batch, seconds=SECONDS)
                    measured.us.setdefault(batch, []).append(answer["us"])
            say(f"  round {number + 1} of {rounds}")
    finally:
        os.sched_setaffinity(0, _EVERY_CORE)
        for _, process in running:
            process.close()
    return found


def memory_floor(workload: protocol.Workload, rows: int = 64) -> Iterator[float]:
    """Copy the bases of random windows, widen them twice, write mask and positions, into memory that was touched before.

    Yields:
        Seconds a row, of a block of rows.
    """
    source, table = np.fromfile(workload.folder / "bases.bin", np.uint8), protocol.WindowTable(workload)
    offsets = workload.ends - workload.lengths
    seq_length = protocol.WINDOW
    read = np.zeros((rows, seq_length - 2), np.uint8)
    tokens, labels, positions = (np.zeros((rows, seq_length), np.int64) for _ in range(3))
    mask, every = np.zeros((rows, seq_length), np.float32), np.arange(seq_length)
    for windows in protocol.forever(len(table), rows):
        contigs, starts, lengths = table.lookup(windows)
        firsts, counts = (offsets[contigs] + starts).tolist(), np.minimum(lengths, seq_length - 2).tolist()
        started = time.perf_counter()
        for row, (first, count) in enumerate(zip(firsts, counts, strict=True)):
            read[row, :count] = source[first : first + count]
        tokens[:, 1:-1] = read
        labels[:, :-2] = read
        mask[:] = 1
        positions[:] = every
        yield (time.perf_counter() - started) / rows


def floor_microseconds(floor: Iterator[float]) -> float:
    """Microseconds a row: the median of 24 blocks, behind one to warm up."""
    next(floor)
    return median(next(floor) for _ in range(24)) * 1e6


def _opened(
    scratch: Path, environments: Path, workload: protocol.Workload, contender: Contender, measured: Measured
) -> Running | None:
    """Start a loader, have its files made and opened; note the facts, or what went wrong."""
    where = environment(environments, contender.environment)
    if where.python is None:
        measured.problem = where.problem
        return None
    prepared = scratch / "prepared" / workload.folder.name / contender.form
    process = Running(contender, where, workload.folder, prepared, scratch / "logs" / f"{contender.module}.log")
    try:
        measured.facts = {"prepared": process.ask(do="prepare")} | process.ask(do="open")
    except LoaderError as failure:
        measured.problem = str(failure)
        process.close()
        return None
    return process


def _ready(measured: Measured) -> str:
    prepared, facts = measured.facts["prepared"], measured.facts
    return (
        f"{facts['rows']:,} rows, prepared in {prepared['seconds']:.1f} s, {prepared['bytes'] / 1e6:,.0f} MB; "
        f"first batch in {facts['seconds']:.2f} s"
    )


_EVERY_CORE = os.sched_getaffinity(0)


def _core() -> int:
    return max(_EVERY_CORE)
