"""A batch as it travels from a worker to the trainer process, and where its windows lie in rows of tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from eden_core.batch import Ragged, SequenceBatch

Empty = Callable[[tuple[int, ...], DTypeLike], NDArray[Any]]
"""gives uninitialised memory, as `np.empty` does"""

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class EncodedBatch:
    """A batch as it travels from a worker to the trainer process.

    Attributes:
        batch: the bases and what belongs to them.
        rows: rows of the batch, also those that hold no window.
        ids: token ids of each row, where the tokenizer had to be called; else the table makes them from the bases.
        unread: bool [W], the windows that could not be read, which get no loss weight; None: all could.
        shown: [tokens of bases], what the model is shown in their place, where the objective changes them.
        chosen: bool [tokens of bases], which of them it must predict; None: all.
    """

    batch: SequenceBatch
    rows: int
    ids: Ragged[np.int64] | None = None
    unread: NDArray[np.bool_] | None = None
    shown: NDArray[Any] | None = None
    chosen: NDArray[np.bool_] | None = None

    @property
    def tokens_of_bases(self) -> NDArray[np.int64]:
        """Offsets of the windows among the tokens of bases, int64 [W + 1]."""
        return self.batch.bases.offsets if self.ids is None else self.ids.offsets


@dataclass(frozen=True, eq=False)
class Segments:
    """Where the windows of some rows lie in them, int64 [W] each; places are those of the rows laid end to end.

    Attributes:
        rows: the row of each segment, non-decreasing.
        starts: its first token.
        heads: tokens before its first base.
        lengths: its bases.
        stops: behind its last token.
        ends: behind its padding, where segments are padded.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]
    heads: NDArray[np.int64]
    lengths: NDArray[np.int64]
    stops: NDArray[np.int64]
    ends: NDArray[np.int64]

    @cached_property
    def firsts(self) -> NDArray[np.int64]:
        """Where the bases begin."""
        return self.starts + self.heads


class InvalidRowError(Exception):
    """Carries the number of a row that holds an invalid byte to the one who can name the place."""

    def __init__(self, row: int, position: int, byte: int) -> None:
        super().__init__(row, position, byte)
        self.row, self.position, self.byte = row, position, byte
