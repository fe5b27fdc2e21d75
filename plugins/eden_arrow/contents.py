"""What a store holds, as one process sees it: the table of ids with its shards, and the parts in front of it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_arrow.folder import StoreFolder
from eden_arrow.id_table import ROW, IdTable, Sample, Shard
from eden_arrow.parts import open_part
from eden_core.digest_table import digests_of
from eden_core.errors import SequenceNotFoundError, ShardNotFoundError
from eden_core.open_files import OpenFile, OpenFiles
from eden_core.sequence_ids import sample_or_empty

KNOWN = 2048
"""places of sequences that a process keeps: of long ones, all are found once"""


@dataclass(frozen=True)
class Places:
    """Where n sequences lie.

    Attributes:
        shards: the shard of each, a number for `StoreContents.shard`, int64 [n].
        rows: `ROW` [n].
    """

    shards: NDArray[np.int64]
    rows: NDArray[Any]


@dataclass(frozen=True)
class SamplePlace:
    """Where a sample lies: the shard's file and what it says of it; `part`: it waits to be merged."""

    sample: Sample
    shard: Shard
    part: bool


class StoreContents:
    """A store's table and files in one process.

    Args:
        folder: of the store.
        max_open_files: files that stay open, least recently used closed first.
        io: how files are read.

    Raises:
        FormatError: the table of ids is damaged.
        OSError: it cannot be read.
    """

    def __init__(self, folder: StoreFolder, max_open_files: int, io: str) -> None:
        self.pid = os.getpid()
        self._folder = folder
        self._table: IdTable | None = None
        with suppress(FileNotFoundError, NotADirectoryError):
            self._table = IdTable(OpenFiles(1, "pread").opened(str(folder.table)), folder.path)
        self._shards = list(self._table.shards) if self._table is not None else []
        self._slots: dict[str, int] = {}
        self._known = Places(np.zeros(KNOWN, np.int64), np.zeros(KNOWN, ROW))
        self._files = OpenFiles(max_open_files, io, sum(shard.bytes for shard in self._shards))
        self._parts = dict.fromkeys(folder.parts(), -1)  # the number of each part's shard, once it is known
        self._replaced = self._numbers_in_table(self._parts)

    def samples(self) -> list[str]:
        """Return the samples that there are, in byte order."""
        parts = [name for name in self._parts if self._part(name) is not None]
        names = [] if self._table is None else self._table.sample_names()
        if not self._parts:
            return names
        return sorted({*(name for name in names if name not in self._parts), *parts}, key=os.fsencode)

    def place_of(self, sample: str) -> SamplePlace | None:
        """Return where a sample lies; None: it is not there."""
        if sample in self._parts:
            return self._part(sample)
        number = None if self._table is None else self._table.number_of(sample)
        if self._table is None or number is None:
            return None
        found = self._table.sample(number)
        return SamplePlace(found, self._table.shards[found.shard], part=False)

    def is_in_table(self, sample: str) -> bool:
        """Whether the table names a sample, be there a part of it or not."""
        return self._table is not None and self._table.number_of(sample) is not None

    def shard(self, number: int) -> Shard:
        """Return the shard of this number."""
        return self._shards[number]

    def file(self, shard: Shard) -> OpenFile:
        """Return the open file of a shard."""
        return self._files.file(self.path(shard), shard.bytes)

    def path(self, shard: Shard) -> str:
        """Return where a shard lies."""
        return f"{self._folder.path}{os.sep}{shard.name}"

    def digests(self) -> Iterator[tuple[str, str]]:
        """Yield each sample, in byte order, with the digest of what it holds."""
        merged = {} if self._table is None else self._table.sample_digests()
        for sample in self.samples():
            part = self._part(sample) if sample in self._parts else None
            yield sample, merged[sample] if part is None else part.sample.digest

    def find(self, sequence_ids: Sequence[str]) -> Places:
        """Return where sequences lie.

        Those that were found last, `KNOWN` at most, are kept.

        Raises:
            SequenceNotFoundError: one is not there; the message names it.
            ShardNotFoundError: there is nothing at all, or no shard of its sample.
        """
        slots = np.fromiter(map(self._slots.get, sequence_ids, repeat(-1)), np.int64, len(sequence_ids))
        new = np.flatnonzero(slots < 0)
        if not new.size:
            return Places(self._known.shards[slots], self._known.rows[slots])
        names = [sequence_ids[i] for i in new.tolist()]
        found = self._looked_up(names)
        places = Places(self._known.shards[slots], self._known.rows[slots])
        places.shards[new], places.rows[new] = found.shards, found.rows
        self._keep(names, found)
        return places

    def _keep(self, names: list[str], found: Places) -> None:
        if len(self._slots) + len(names) > KNOWN:
            self._slots.clear()
        first, count = len(self._slots), min(len(names), KNOWN)
        self._slots.update(zip(names[:count], range(first, first + count), strict=True))
        self._known.shards[first : first + count] = found.shards[:count]
        self._known.rows[first : first + count] = found.rows[:count]

    def _looked_up(self, sequence_ids: Sequence[str]) -> Places:
        digests = digests_of(sequence_ids)
        if self._table is None:
            places, found = (
                Places(np.zeros(len(digests), np.int64), np.zeros(len(digests), ROW)),
                np.zeros(len(digests), np.bool_),
            )
        else:
            rows, found = self._table.find(digests)
            places = Places(np.zeros(len(digests), np.int64), rows)
            places.shards[found] = self._table.shard_of_sample[rows["sample"][found]]
        if self._parts:
            found &= ~np.isin(places.rows["sample"], self._replaced)
            self._find_in_parts(sequence_ids, digests, places, found)
        if not found.all():
            raise self._missing(sequence_ids[int(np.argmin(found))])
        return places

    def close(self) -> None:
        """Close all files; repeatable."""
        if self._table is not None:
            self._table.close()
        self._files.close()

    def _numbers_in_table(self, samples: dict[str, int]) -> NDArray[np.int64]:
        numbers = [] if self._table is None else [self._table.number_of(sample) for sample in samples]
        return np.array([number for number in numbers if number is not None], np.int64)

    def _part(self, name: str) -> SamplePlace | None:
        part, table = open_part(self._folder, name)
        table.close()
        return None if part.sample is None or part.shard is None else SamplePlace(part.sample, part.shard, part=True)

    def _find_in_parts(
        self, sequence_ids: Sequence[str], digests: NDArray[np.uint64], places: Places, found: NDArray[np.bool_]
    ) -> None:
        """Look what the table does not have up in the parts: in that of the sample that an id names, then in all others."""
        by_sample: dict[str, list[int]] = {}
        for i in np.flatnonzero(~found).tolist():
            sample = sample_or_empty(sequence_ids[i])
            if sample in self._parts:
                by_sample.setdefault(sample, []).append(i)
        for sample, some in by_sample.items():
            self._find_in_part(sample, np.array(some), digests, places, found)
        for sample in self._parts:
            left = np.flatnonzero(~found)
            if not left.size:
                return
            self._find_in_part(sample, left, digests, places, found)

    def _find_in_part(
        self, name: str, some: NDArray[np.int64], digests: NDArray[np.uint64], places: Places, found: NDArray[np.bool_]
    ) -> None:
        part, table = open_part(self._folder, name)
        rows, hits = table.find(digests[some])
        table.close()
        if part.shard is None or not hits.any():
            return
        if self._parts[name] < 0:
            self._parts[name] = len(self._shards)
            self._shards.append(part.shard)
        places.rows[some[hits]], places.shards[some[hits]], found[some[hits]] = rows[hits], self._parts[name], True

    def _missing(self, sequence_id: str) -> SequenceNotFoundError | ShardNotFoundError:
        where = self._folder.path.parent
        if self._table is None and not self._parts:
            return ShardNotFoundError(
                f"{where} holds no shards of store 'arrow-shards', so there is no sequence {sequence_id!r}: expected "
                f"{self._folder.table}. `eden import --store arrow-shards` writes them"
            )
        sample = sample_or_empty(sequence_id)
        if sample and self.place_of(sample) is None:
            return ShardNotFoundError(
                f"{where} has no sequence {sequence_id!r}, and no sample {sample!r} at all; was the index built for another "
                "store?"
            )
        return SequenceNotFoundError(
            f"{where} has no sequence {sequence_id!r}; was the index built for another version of this store? Then build it "
            "again with eden-precompute"
        )
