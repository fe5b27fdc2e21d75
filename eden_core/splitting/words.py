"""Splits that a corpus ships: the words for them, in a column of the table or in the names of its source files."""

import re
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from eden_core.errors import InputError

SPLITS = ("train", "validation", "test")

FILENAME = "filename"
"""what `split_from` is when the split stands in the names of the source files"""

WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development", "eval", "evaluation"), "validation"),
    **dict.fromkeys(("test", "testing", "holdout", "heldout", "hold-out", "held-out", "hold_out", "held_out"), "test"),
}
"""word, in lower case, -> split"""

_IN_NAMES = re.compile(rf"(?<![a-z])({'|'.join(sorted(WORDS, key=len, reverse=True))})(?![a-z])")


class ShippedSplits:
    """Reads the split of each contig from a column.

    Args:
        table: what to call the table.
        split_from: the column, or `FILENAME` for the words in the paths of the column `source`.
        columns: of the table.

    Raises:
        InputError: the table lacks the column.
    """

    def __init__(self, table: str, split_from: str, columns: Sequence[str]) -> None:
        self.table = table
        self.column = "source" if split_from == FILENAME else split_from
        self._split_of: Callable[[str], str | None] = _split_in_path if split_from == FILENAME else _split_of_word
        self._known: dict[str, int] = {}
        if self.column not in columns:
            raise InputError(
                f"{table} lacks the column {self.column}, which --split-from {split_from} reads; it has {', '.join(columns)}"
            )

    def places(self, contigs: pa.RecordBatch) -> NDArray[np.int8]:
        """Return for each contig which of `SPLITS` it goes to, int8 [N].

        Raises:
            InputError: a value that names no split.
        """
        encoded = contigs.column(self.column).cast(pa.string()).fill_null("").dictionary_encode()
        values = encoded.dictionary.to_pylist()
        places = np.array([self._place(value, values) for value in values], np.int8)
        return np.asarray(places[encoded.indices.to_numpy()], np.int8)

    def _place(self, value: str, values: list[str]) -> int:
        if value not in self._known:
            split = self._split_of(value)
            if split is None:
                some = ", ".join(map(repr, dict.fromkeys([value, *self._known, *values][:10])))
                raise InputError(
                    f"{self.table}: {value!r} in column {self.column} names no split, or several; there are {some}. Words that "
                    f"name one are {', '.join(WORDS)}"
                )
            self._known[value] = SPLITS.index(split)
        return self._known[value]


def _split_of_word(value: str) -> str | None:
    return WORDS.get(value.strip().lower())


def _split_in_path(path: str) -> str | None:
    """Return the split that the file's name has a word for, or else the nearest folder that has one."""
    for part in reversed(path.lower().split("/")):
        splits = {WORDS[word] for word in _IN_NAMES.findall(part)}
        if splits:
            return splits.pop() if len(splits) == 1 else None
    return None
