"""The contracts that plugins fulfil: stores, indexes, transforms, objectives, executors."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.batch import Ragged, SequenceBatch, Windows
from eden_core.draws import Draws
from eden_core.errors import NotSupportedError
from eden_core.tiling import Tiling

if TYPE_CHECKING:
    from eden_core.vocabulary import Vocabulary

__all__ = [
    "ExecutorFactory",
    "IndexSummary",
    "Objective",
    "OptimizeSummary",
    "SequenceStore",
    "ShardState",
    "ShardSummary",
    "Transform",
    "WindowIndex",
    "options_of",
    "options_text",
]


@dataclass(frozen=True)
class ShardSummary:
    """What a store wrote for one sample."""

    sample: str
    """its id"""
    location: str
    """of the sample's shard, or of the folder where shards lie if several samples come to share one"""
    sequences: int
    """that it holds"""
    bases: int
    """of them all"""


@dataclass(frozen=True)
class ShardState:
    """What a cheap look at a shard tells, such as at its header."""

    sample: str
    """its id"""
    location: str
    """of the shard"""
    bytes: int
    """of its file"""
    slow: str | None = None
    """why reads from it cost more than they must, and what to do; None where they do not"""
    unsafe: str | None = None
    """why it cannot be read, or may not be read as it is, and what to do; None where it can"""
    note: str | None = None
    """what is worth knowing of it and needs no remedy"""


@dataclass(frozen=True)
class OptimizeSummary:
    """What became of a shard that was to be made fast."""

    sample: str
    """its id"""
    location: str
    """of the fast shard"""
    rewritten: bool
    """False: it was fast already, and was left as it is or copied"""
    bytes_before: int
    """of its file"""
    bytes_after: int
    """of the fast one"""


@dataclass(frozen=True)
class IndexSummary:
    """What an index build wrote."""

    location: str
    """of the index"""
    sequences: int
    """sequences with at least one window"""
    windows: int
    """that it has"""


class _Closing:
    """`close` and the context manager, the same for stores and indexes."""

    def close(self) -> None:
        """Release open files; repeatable. Reading again opens them again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class SequenceStore(_Closing, ABC):
    """Answers "bases [start, start + length) of sequence X".

    A store pickles, survives a fork and may be sent to a spawned process: it opens what it needs on the first read in each
    process, keeps a bounded number of files open, holds nothing per contig in memory, and never uses or closes a handle that
    another process opened. It is used by one thread at a time, but for `read` where `max_read_threads` allows more.

    Args:
        location: where the store lies, a path or a URL. Further options are keyword-only and JSON-like, and each is kept
            as an attribute of its own name.
    """

    name: ClassVar[str]
    """what users write as `store=`"""
    reading: str = ""
    """what `read` is at, such as the path of a shard, where it says so: a warning about a read that hangs names it (not looked
    at while several threads read)"""
    max_read_threads: int = 1
    """how many threads may call `read` at once, with windows that may lie in the same shard; `close` is called while none does.
    More than 1 is for stores that wait, as for a network, and never for those that read through SQLite: a process that is
    forked while another thread is within SQLite may hang"""

    def __init__(self, location: str) -> None:
        self.location = str(location)

    @abstractmethod
    def read(self, windows: Windows) -> Ragged[np.uint8]:
        """Return the bases of W windows as stored (ASCII, case kept), W rows in the windows' order.

        Row i holds `windows.lengths[i]` bases from the zero-based `windows.starts[i]`, fewer only where the sequence ends.

        Raises:
            SequenceNotFoundError: the store has no such sequence; the message names it.
            StaleIndexError: a window starts at or behind its sequence's end.
            OSError: the file system failed; with its `errno`, since what may pass (EIO, ESTALE, ETIMEDOUT) is tried again
                after `close`.
        """

    def samples(self) -> Iterator[str]:
        """Yield the samples that have a shard, in byte order.

        Raises:
            NotSupportedError: this store cannot list its samples.
        """
        raise NotSupportedError(f"store {self.name!r} cannot list its samples")

    def contigs(self, sample: str | None = None) -> Iterator[pa.RecordBatch]:
        """Yield (contig_id: string, length: int64, in bases) of every sequence, in byte order of the ids within a shard.

        Args:
            sample: the sample whose sequences are listed; None: all, samples in byte order.

        Raises:
            NotSupportedError: this store cannot list its sequences.
            ShardNotFoundError: the sample has no shard.
        """
        raise NotSupportedError(f"store {self.name!r} cannot list its sequences")

    def write_shard(self, sample: str, sequences: Iterable[tuple[str, bytes]]) -> ShardSummary:
        """Write all sequences of one sample, replacing what the store had of it: atomic, repeatable, concurrent across samples.

        Args:
            sample: the sample's id.
            sequences: (sequence id, bases as ASCII) pairs, read once.

        Raises:
            RepeatedIdError: an id repeats.
            NotSupportedError: this store cannot be written.
        """
        raise NotSupportedError(f"store {self.name!r} cannot be written")

    def remove_shard(self, sample: str) -> None:
        """Remove what the store has of a sample, at once for whoever reads from then on; nothing where it has none.

        Raises:
            NotSupportedError: this store cannot remove a sample.
        """
        raise NotSupportedError(f"store {self.name!r} cannot remove a sample")

    def check_shard(self, sample: str) -> None:
        """Look for damage that reading single windows may not meet; nothing is looked for unless overridden.

        Raises:
            FormatError: the shard is damaged; the message says how, and names it.
        """

    def shard_state(self, sample: str) -> ShardState:
        """Take a cheap look at a shard, such as at its header.

        Raises:
            NotSupportedError: this store has nothing to look at.
        """
        raise NotSupportedError(f"store {self.name!r} has no state of shards to look at")

    def optimize_shard(self, sample: str, target: str | None = None, *, force: bool = False) -> OptimizeSummary:
        """Rewrite a shard so that reads cost as little as they can; what it holds stays the same. Repeatable.

        Args:
            sample: the sample whose shard is rewritten; one that is fast already is left as it is.
            target: another store's location to write to; None: the shard is replaced, once the new one is known to hold the
                same bases.
            force: whether a shard that is fast already is rewritten too, and another one at `target` replaced.

        Raises:
            NotSupportedError: this store has no faster form of its shards.
            FormatError: the shard is damaged, or being written.
            OutputExistsError: `target` has a shard of the sample with other bases, without `force`.
            OSError: the disk is full, or the folder cannot be written.
        """
        raise NotSupportedError(f"store {self.name!r} has no faster form of its shards")

    def finish(self) -> None:
        """Complete the store once all shards are written; repeatable.

        What was written is read before and after it alike, and also when it was killed.
        """

    def fingerprint(self) -> str:
        """Return a short text that changes with what rows read from here; cheap and free of paths."""
        return options_text(self)


class WindowIndex(_Closing, ABC):
    """Answers "where does window 1,234,567 lie". The rules of `SequenceStore` on processes, files and memory hold here too.

    Args:
        location: where the index lies. Further options are keyword-only and JSON-like, and each is kept as an attribute of
            its own name.
    """

    name: ClassVar[str]
    """what users write as `index=`"""
    suffix: ClassVar[str] = ".db"
    """how the names of its files end: a data folder has the index of a split at `<split>_windows` and this"""
    retiles: ClassVar[bool] = False
    """whether windows may be cut in another way than they were built: the constructor then takes `window_size`, `stride` and
    `min_length` (None: as built)"""
    tiling: Tiling
    """how the sequences are cut; available once constructed"""
    contigs_digest: int | None = None
    """`ContigDigests.contigs` of what the index was built from; None: not known"""
    bases_digest: int | None = None
    """`ContigDigests.bases` of the same; None: not known"""

    def __init__(self, location: str) -> None:
        self.location = str(location)

    @classmethod
    def build(cls, location: str, contigs: Iterable[pa.RecordBatch], tiling: Tiling) -> IndexSummary:
        """Write an index: complete or not at all. What was at `location` is replaced.

        Args:
            location: where to write.
            contigs: batches of (contig_id: string, length: int64), ids unique and in byte order. With a further column
                `start` (int64) they are intervals of contigs: ids may repeat, in order of their starts, and intervals must not
                overlap; an index need not support them. Their windows are those of `Tiling.interval_windows`, which a further
                column `contig_length` (int64) lets reach the ends of contigs. With a further column `digest` (string, see
                `eden_core.contigs.DETAILS`) the fingerprint should change with it.
            tiling: how to cut.

        Raises:
            InputError: ids are out of order or repeat, intervals overlap, or there is no window at all.
            NotSupportedError: this index cannot be built, or not from intervals.
        """
        raise NotSupportedError(f"index {cls.name!r} cannot be built")

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of windows."""

    @abstractmethod
    def lookup(self, window_ids: NDArray[np.int64]) -> Windows:
        """Return where windows lie, in the order asked (int64 [W], repeats allowed).

        `lengths` is the window size of the tiling where the index does not know the sequence's end.

        Raises:
            WindowOutOfRangeError: an id outside 0 … len - 1.
        """

    @abstractmethod
    def contigs(self) -> Iterator[pa.RecordBatch]:
        """Yield (contig_id: string, first_window: int64, windows: int64, length: int64 or null), in order of windows.

        An index of intervals has a further column `start` (int64): the base at which the first of these windows begins. Where
        windows may be cut short before the contig ends, there is a column `end` (int64): the base behind the last that they
        may read.
        """

    def check(self) -> None:
        """Look for damage that looking up single windows may not meet; nothing is looked for unless overridden.

        Raises:
            FormatError: the index is damaged; the message says how, and names it.
        """

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a short text that changes with which windows lie where; cheap and free of paths."""


class Transform(ABC):
    """Changes a batch of windows: flips strands, adds tags, sets loss weights.

    A transform holds no state that changes, draws random numbers from `Draws` only, gives each window a result that does
    not depend on the windows around it, and pickles. Each constructor option is JSON-like and kept as an attribute of its
    own name.
    """

    name: ClassVar[str]
    """what users write in `transforms=`"""
    augments: ClassVar[bool] = False
    """whether it runs on the training split only"""

    def bind(self, vocabulary: "Vocabulary") -> Self:
        """Return a transform that knows the vocabulary: itself unless it needs token ids, else a copy with its options."""
        return self

    def prefix_lengths(self, windows: Windows) -> NDArray[np.int64]:
        """Return how many tokens this transform will put in front of each window, int64 [W]; zeros unless overridden.

        Asked before the bases are read, so that exactly as many are read as will fit.
        """
        return np.zeros(len(windows), np.int64)

    @abstractmethod
    def apply(self, batch: SequenceBatch, draws: Draws) -> SequenceBatch:
        """Return the changed batch; what it was given stays as it is, and its arrays may be read-only.

        Windows may get fewer bases, never more; prefixes grow by exactly `prefix_lengths`, behind what is there, and hold
        token ids, 0 or more. Loss weights are finite and 0 or more.
        """

    def fingerprint(self) -> str:
        """Return name and options."""
        return options_text(self)


class Objective(ABC):
    """What a model is shown of a row, and what it must predict.

    As it stands: it is shown every token, and predicts each from those before it. An objective holds no state that changes,
    draws random numbers from `Draws` only, and pickles. Each constructor option is JSON-like and kept as an attribute of its
    own name.
    """

    name: ClassVar[str]
    """what users write as `objective=`"""
    shifted: ClassVar[bool] = True
    """whether a token is the label of the place before it (next-token prediction), or of its own place"""
    predicts_all: ClassVar[bool] = True
    """whether every base is shown and predicted, so that `choose` is not asked"""

    def bind(self, vocabulary: "Vocabulary") -> Self:
        """Return an objective that knows the vocabulary: itself unless it needs token ids, else a copy with its options."""
        return self

    def choose(self, tokens: Ragged[Any], draws: Draws) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Say what happens to the tokens of bases; specials and tags are never predicted.

        Args:
            tokens: the token ids of each window's bases, in the order in which they stand in the row: int64, or uint8 where
                the ids of all bases fit.
            draws: random numbers for these windows.

        Returns:
            What is shown in their places (token ids of any integer type), and which of them are predicted (bool), both of
            `tokens.values`' shape.
        """
        raise NotImplementedError

    def fingerprint(self) -> str:
        """Return name and options."""
        return options_text(self)


class ExecutorFactory(ABC):
    """Says where tasks run, such as the import of a sample: a small plugin around `concurrent.futures.Executor`.

    Tasks are functions of modules with arguments that pickle; they carry paths, not data, may run twice, and write files
    that are complete or absent. Each constructor option is JSON-like and kept as an attribute of its own name.
    """

    name: ClassVar[str]
    """what users write as `--executor`"""

    @property
    @abstractmethod
    def workers(self) -> int:
        """How many tasks may run at a time; some more are handed over, so that no worker waits."""

    def is_loss(self, error: BaseException) -> bool:
        """Return whether an error of a task means that its worker was lost, and not that the task failed."""
        return isinstance(error, BrokenExecutor)

    @abstractmethod
    def opened(self) -> AbstractContextManager[Executor]:
        """Return an executor to use in a `with` block; when the block ends, its workers end too, or are free."""


def options_of(plugin: type) -> dict[str, Any]:
    """Return a plugin class's options and their defaults (`inspect.Parameter.empty` where there is none)."""
    place = "location" if issubclass(plugin, SequenceStore | WindowIndex) else None
    parameters = inspect.signature(plugin).parameters.values()
    named = (p for p in parameters if p.name != place and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD})
    return {p.name: p.default for p in named}


def options_text(plugin: SequenceStore | WindowIndex | Transform | Objective) -> str:
    """Return `name(option=value, …)` of a plugin that keeps its options as attributes of their names."""
    options = ", ".join(f"{option}={getattr(plugin, option)!r}" for option in sorted(options_of(type(plugin))))
    return f"{plugin.name}({options})"
