"""What logs and ledgers are read as: windows in the order in which they were read, and the batches they came in."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.batch import Ragged
from eden_core.interfaces import WindowIndex

UNKNOWN = -1
"""a step that is not known"""


@dataclass(frozen=True, eq=False)
class Accesses:
    """Windows that one process read, W of them, in order."""

    windows: NDArray[np.int64]
    """[W], their numbers in the index"""
    sources: NDArray[np.int16]
    """[W]"""
    ranks: NDArray[np.int64]
    """[W]"""
    rows: NDArray[np.int64] | None = None
    """[W], rows of the run"""
    steps: NDArray[np.int64] | None = None
    """[W], `UNKNOWN` where the loop did not say"""
    times: NDArray[np.int64] | None = None
    """[W], ns since 1970"""
    epochs: NDArray[np.int64] | None = None
    """[W], of their sources, where a ledger says"""
    continued: NDArray[np.bool_] | None = None
    """[W], those that go on from another row, in which they were read already; None: none does"""
    in_sequence: NDArray[np.int64] | None = None
    """[W], their numbers in their sequences"""
    samples: pa.Array | None = None
    """[W], where they were asked for"""
    sequence_ids: pa.Array | None = None
    """[W], where they were asked for"""

    def __len__(self) -> int:
        return self.windows.size

    def take(self, places: NDArray[np.int64]) -> "Accesses":
        """Return the windows at these places."""
        known = {field.name: getattr(self, field.name) for field in fields(self) if getattr(self, field.name) is not None}
        return replace(self, **{name: column.take(places) for name, column in known.items()})


@dataclass(frozen=True, eq=False)
class Batches:
    """Batches that one process handed out, B of them, in order."""

    steps: NDArray[np.int64]
    """[B], `UNKNOWN` where the loop did not say"""
    times: NDArray[np.int64]
    """[B], ns since 1970"""
    waits: NDArray[np.int64]
    """[B], ns that the loop waited, `UNKNOWN` where that is not known"""
    rows: Ragged[np.int64]
    """B, the rows of the run"""
    used: NDArray[np.int64]
    """of each row, the tokens that are not padding"""
    sources: Ragged[np.int16]
    """B, of each window; empty where there is one source"""
    continued: Ragged[np.int64]
    """B, the places of windows that go on from another row"""


@dataclass(frozen=True)
class SourceFacts:
    """What a log says of a source that it was written from."""

    name: str = ""
    index: str = ""
    index_location: str = ""
    windows: int | None = None
    window_size: int | None = None
    stride: int | None = None


@dataclass(frozen=True)
class Facts:
    """What a log says of the reading that it is of; the same in all processes of a run.

    Attributes:
        seq_length: tokens a row.
        seed: of the order.
        rows: rows of an epoch.
        packing: how windows share rows.
        split_windows: whether a window may go on in another row.
        sources: one, or several that are mixed.
    """

    seq_length: int | None = None
    seed: int | None = None
    rows: int | None = None
    packing: str | None = None
    split_windows: bool = False
    sources: tuple[SourceFacts, ...] = (SourceFacts(),)


class Record(ABC):
    """What one process read, or what a ledger says that a run did.

    Attributes:
        name: of the file.
        split: "train", "validation", …
        rank, data_parallel_rank: of the process.
        facts: of the whole reading.
        span: the earliest and the latest time at which a window was read, ns since 1970; None: not known.
        steps: the least and the largest step; None: they are not known of all windows.
    """

    name: str
    split: str
    rank: int
    data_parallel_rank: int
    facts: Facts
    span: tuple[int, int] | None
    steps: tuple[int, int] | None

    @abstractmethod
    def accesses(self, *, names: bool) -> Iterator[Accesses]:
        """Yield the windows in pieces, with the ids of their sequences and samples where `names` are asked for."""

    def batches(self) -> Iterator[Batches]:
        """Yield the batches in pieces; none, where they are not known."""
        return iter(())

    @abstractmethod
    def indexes(self) -> list[WindowIndex | None]:
        """Open the index of each source; None: it cannot be read."""

    @property
    def notes(self) -> list[str]:
        """What could not be read, once everything was."""
        return []

    def described(self) -> dict[str, Any]:
        """Return what a table of files says of it."""
        return {"name": self.name, "rank": self.rank, "data_parallel_rank": self.data_parallel_rank}
