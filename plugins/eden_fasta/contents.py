"""What a store holds, as one process sees it: its table of ids, and the files that are open."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.digest_table import digests_of
from eden_core.errors import FormatError, SequenceNotFoundError, ShardNotFoundError
from eden_core.sidecars import locked_folder
from eden_fasta.catalogue import Catalogue, write_catalogue
from eden_fasta.locations import Kept, Location, SourceFile, Stamp
from eden_fasta.sequence_file import SequenceFile

KNOWN = 2048
"""places of sequences that a process keeps: of long ones, all are found once"""


_log = logging.getLogger(__name__)


class ChangedFileError(Exception):
    """A file is not the one that was indexed."""


@dataclass
class _Held:
    sequences: SequenceFile
    users: int = 0


class StoreContents:
    """A store's table and files in one process. Several threads may use it at once.

    Args:
        location: the files.
        kind: the table of ids.
        kept: where it lies.
        opened: opens a file.
        max_open_files: files that stay open, least recently used closed first.
    """

    def __init__(
        self, location: Location, kind: type[Catalogue], kept: Kept, opened: Callable[[str], SequenceFile], max_open_files: int
    ) -> None:
        self._location, self._kind, self._kept, self._open, self._limit = location, kind, kept, opened, max_open_files
        self._lock = Lock()
        self._table: Catalogue | None = None
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._known = np.zeros(KNOWN, kind.ROW)
        self._slots: dict[str, int] = {}

    def find(self, sequence_ids: Sequence[str]) -> tuple[NDArray[Any], dict[int, SourceFile]]:
        """Return where sequences lie: rows of the table, [n], and the files that they name.

        Those that were found last, `KNOWN` at most, are kept.

        Raises:
            SequenceNotFoundError: one is not there; the message names it.
            ShardNotFoundError: there are no files.
        """
        with self._lock:
            rows = self._found(sequence_ids)
            if rows is None and self._update():
                rows = self._found(sequence_ids)
            if rows is None:
                raise self._missing(sequence_ids)
            table = self._opened_table()
            return rows, {number: table.file(number) for number in np.unique(rows["file"]).tolist()}

    def files(self) -> list[SourceFile]:
        """Return all files, as they are now.

        Raises:
            ShardNotFoundError: there are none.
        """
        with self._lock:
            self._update()
            return self._opened_table().files()

    def file_of(self, sample: str) -> SourceFile:
        """Return the file that is a sample.

        Raises:
            ShardNotFoundError: there is none.
        """
        with self._lock:
            found = self._opened_table().file_of(sample)
        if found is None:
            raise ShardNotFoundError(f"{self._location.text} has no file of sample {sample!r}")
        return found

    def content(self) -> str:
        """Return a digest of which sequences there are, and how long."""
        with self._lock:
            return self._opened_table().content

    def update(self) -> bool:
        """Index files anew where they have changed, and return whether they have."""
        with self._lock:
            return self._update()

    @contextmanager
    def held(self, file: SourceFile) -> Iterator[SequenceFile]:
        """Give an open file, which is not closed before the block ends.

        Raises:
            ChangedFileError: it is not the one that was indexed.
            FileNotFoundError: it is gone.
        """
        path = self._location.path(file.name)
        with self._lock:
            held = self._held_at(path, file.stamp)
            held.users += 1
        try:
            yield held.sequences
        finally:
            with self._lock:
                held.users -= 1
                if held is not self._held.get(path) and not held.users:  # another one took its place
                    held.sequences.close()

    def close(self) -> None:
        """Close all files; repeatable. No thread may be reading."""
        with self._lock:
            while self._held:
                self._held.popitem()[1].sequences.close()
            self._forget_table()

    def _held_at(self, path: str, stamp: Stamp) -> _Held:
        found = self._held.get(path)
        if found is not None and found.sequences.stamp == stamp and found.sequences.is_unchanged:
            self._held.move_to_end(path)
            return found
        if Stamp.of(path) != stamp:
            raise ChangedFileError(path)
        if found is not None:
            del self._held[path]
            if not found.users:
                found.sequences.close()
        idle = [name for name, held in self._held.items() if not held.users]
        for name in idle[: max(0, len(self._held) + 1 - self._limit)]:
            self._held.pop(name).sequences.close()
        opened = self._open(path)
        if opened.stamp != stamp:  # another file took its place since it was looked at
            opened.close()
            raise ChangedFileError(path)
        self._held[path] = _Held(opened)
        return self._held[path]

    def _found(self, sequence_ids: Sequence[str]) -> NDArray[Any] | None:
        """Return rows of sequences; None: one is not there."""
        slots = np.fromiter(map(self._slots.get, sequence_ids, repeat(-1)), np.int64, len(sequence_ids))
        rows = self._known[slots]
        new = np.flatnonzero(slots < 0)
        if not new.size:
            return rows
        numbers = {sequence_ids[i]: 0 for i in new.tolist()}
        numbers.update(zip(numbers, range(len(numbers)), strict=True))
        looked_up, found = self._opened_table().find(digests_of(numbers))
        if not found.all():
            return None
        rows[new] = looked_up[[numbers[sequence_ids[i]] for i in new.tolist()]]
        self._keep(list(numbers), looked_up)
        return rows

    def _keep(self, names: list[str], rows: NDArray[Any]) -> None:
        """Keep rows of sequences that are not kept yet."""
        if len(self._slots) + len(names) > KNOWN:
            self._slots.clear()
        first, count = len(self._slots), min(len(names), KNOWN)
        self._slots.update(zip(names[:count], range(first, first + count), strict=True))
        self._known[first : first + count] = rows[:count]

    def _missing(self, sequence_ids: Sequence[str]) -> SequenceNotFoundError:
        _, found = self._opened_table().find(digests_of(sequence_ids))
        return SequenceNotFoundError(
            f"{self._location.text} has no sequence {sequence_ids[int(np.argmin(found))]!r}; was the index built for other "
            "files? Then build it again with eden-precompute"
        )

    def _opened_table(self) -> Catalogue:
        if self._table is None:
            self._table = next(self._tables(), None)
            if self._table is None or self._location.is_file:  # of many files, each is looked at when it is opened
                self._update()
        assert self._table is not None  # noqa: S101 - it was just made
        return self._table

    def _tables(self) -> Iterator[Catalogue]:
        """Yield the tables that there are; one that cannot be read is made anew, as if it were missing."""
        for place in self._kept.places(self._location.table):
            try:
                yield self._kind(place)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except FormatError as error:
                _log.info("%s is made anew: %s", place, error)

    def _update(self) -> bool:
        """Write the table anew where it is not that of the files as they are; return whether another is used."""
        files = self._location.files()
        if self._table is not None and self._table.files() == files:
            return False
        self._forget_table()
        target = self._kept.target(self._location.table)
        with locked_folder(target.parent):
            for table in self._tables():
                if table.files() == files:
                    self._table = table
                    return True
                table.close()
            write_catalogue(target, self._kind, self._location, files, self._open)
            self._table = self._kind(target)
        return True

    def _forget_table(self) -> None:
        if self._table is not None:
            self._table.close()
        self._table = None
        self._slots.clear()
