"""The states of all shards of a store, looked at in parallel."""

import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from eden_core.amounts import size_text
from eden_core.doctor.findings import Finding, Level
from eden_core.errors import EdenError, NotSupportedError
from eden_core.interfaces import ExecutorFactory, SequenceStore, ShardState
from eden_core.store_at import StoreAt
from eden_core.tasks import run_tasks

SHARDS_A_TASK = 5_000
_THREADS = 16
"""in each task: on a network file system a look is a few round trips, and waiting for them costs no processor"""
_NAMED = 5

LONG_CONTIG = 50_000
"""bases of a contig from which on it matters whether a shard is slow (reading all of a shorter one costs as little)"""


@dataclass(frozen=True)
class ShardGroup:
    """Shards to look at."""

    store: StoreAt
    samples: tuple[str, ...]


@dataclass
class ShardTally:
    """What the states of shards come to.

    Attributes:
        shards, bytes: how many were looked at, and their size.
        unsafe: why some may not be read.
        slow, notes: samples by what is said of their shards.
    """

    shards: int = 0
    bytes: int = 0
    unsafe: list[str] = field(default_factory=list)
    slow: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)

    def add(self, other: "ShardTally") -> None:
        """Add what was found of other shards."""
        self.shards += other.shards
        self.bytes += other.bytes
        self.unsafe += other.unsafe
        for mine, others in ((self.slow, other.slow), (self.notes, other.notes)):
            for text, samples in others.items():
                mine.setdefault(text, []).extend(samples)

    @property
    def slow_samples(self) -> set[str]:
        """The samples whose shards are slow."""
        return {sample for samples in self.slow.values() for sample in samples}


def tally_shards(store: SequenceStore, samples: list[str], executor: ExecutorFactory) -> ShardTally:
    """Look at the shards of samples: few here, many as tasks of an executor.

    Raises:
        NotSupportedError: the store has no state of shards.
    """
    parts = [tuple(samples[first : first + SHARDS_A_TASK]) for first in range(0, len(samples), SHARDS_A_TASK)]
    groups = [ShardGroup(StoreAt.of(store), part) for part in parts]
    tally = ShardTally()
    if len(groups) < 2:
        for group in groups:
            tally.add(tally_group(group))
        return tally
    for _, found in run_tasks(tally_group, groups, executor):
        if not isinstance(found, ShardTally):
            raise found
        tally.add(found)
    return tally


def tally_group(group: ShardGroup) -> ShardTally:
    """Look at some shards, with threads: a task."""
    parts = (ShardGroup(group.store, group.samples[i::_THREADS]) for i in range(_THREADS))
    tally = ShardTally()
    with ThreadPoolExecutor(_THREADS) as threads:
        for found in threads.map(_tally_part, parts):
            tally.add(found)
    return tally


def _tally_part(group: ShardGroup) -> ShardTally:
    """Look at shards one by one, with a store of one's own: a store serves one thread at a time."""
    tally = ShardTally()
    with group.store.opened() as store:
        for sample in group.samples:
            state = _state(store, sample)
            tally.shards += 1
            tally.bytes += state.bytes
            if state.unsafe is not None:
                tally.unsafe.append(state.unsafe)
            for text, samples in ((state.slow, tally.slow), (state.note, tally.notes)):
                if text is not None:
                    samples.setdefault(text, []).append(sample)
    return tally


def shard_findings(tally: ShardTally, location: str, longest: int | None) -> Iterator[Finding]:
    """Yield what there is to say of the shards of a store.

    Args:
        tally: what was found.
        location: where the store lies.
        longest: bases of the longest contig, where that is known.
    """
    if tally.unsafe:
        some = "\n".join(sorted(tally.unsafe)[:_NAMED])
        more = f"\n… and {len(tally.unsafe) - _NAMED:,} more" if len(tally.unsafe) > _NAMED else ""
        found = f"{len(tally.unsafe):,} of {tally.shards:,} cannot be read as they are:\n{some}{more}"
        yield Finding(Level.ERROR, "shards", found, f"as said; then: {shlex.join(['eden', 'verify', location])}")
    for text, samples in tally.slow.items():
        short = longest is not None and longest < LONG_CONTIG
        found = f"{_counted(samples, tally)}: {text}"
        found += f"; the longest contig here has {longest:,}, so it matters little" if short else ""
        yield Finding(Level.NOTE if short else Level.WARNING, "shards", found, shlex.join(["eden", "optimize", location]))
    for text, samples in tally.notes.items():
        yield Finding(Level.NOTE, "shards", f"{_counted(samples, tally)}: {text}")
    if not tally.unsafe and not tally.slow:
        yield Finding(Level.OK, "shards", f"{tally.shards:,}, {size_text(tally.bytes)}: all headers are sound")


def _state(store: SequenceStore, sample: str) -> ShardState:
    try:
        return store.shard_state(sample)
    except NotSupportedError:
        raise
    except (EdenError, OSError) as error:
        return ShardState(sample, "", 0, unsafe=str(error))


def _counted(samples: list[str], tally: ShardTally) -> str:
    some = ", ".join(sorted(samples)[:3]) + (", …" if len(samples) > 3 else "")
    return f"{len(samples):,} of {tally.shards:,} ({some})"
