"""Parts become shards, and the table of ids names them: complete, or as it was before."""

import errno
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_arrow.folder import StoreFolder
from eden_arrow.id_table import IdTable, Sample, Shard, samples_bytes
from eden_arrow.parts import Part, open_part, read_part, repeated_id
from eden_arrow.sample_copies import Moved, copy_sample, holds_the_same, shard_of
from eden_arrow.shard_files import ShardWriter, places_of_batches
from eden_core.atomic import atomic_path, named_when_full
from eden_core.digest_table_writing import ROWS_IN_MEMORY, RowSorter, write_digest_table
from eden_core.errors import FormatError
from eden_core.open_files import OpenFile, OpenFiles

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV, errno.ENOSYS}


@dataclass(frozen=True)
class _Source:
    """A sample whose batches go to a new shard."""

    sample: Sample
    file: Path
    packed: bool
    part: bool


@dataclass
class _New:
    """What the new table will say, as it comes together."""

    shards: list[Shard] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    moved: dict[Path, list[tuple[int, int]]] = field(default_factory=dict)
    """(old start, new start) of batches, by the file that they were copied from"""


def merge_parts(folder: StoreFolder, shard_bytes: int) -> None:
    """Merge all parts, and remove what they and killed writers left; repeatable.

    Shards that hold a sample which was replaced or removed are written anew, and so are shards that are smaller than what is
    written anyway: their number stays in proportion to what the store holds. Damaged ones stay as they are, with what can
    still be read of them. Parts of half a shard or more become shards as they are. Nothing that the table in place names is
    changed before the new one is there.

    Args:
        folder: of the store.
        shard_bytes: what a shard holds at most, unless one sample has more.

    Raises:
        RepeatedIdError: two samples have a sequence of one id.
        OSError: the disk is full, or fails.
    """
    if not folder.path.is_dir():
        return
    with folder.locked(), ExitStack() as opened:
        table = None
        if folder.table.exists():
            table = IdTable(OpenFiles(1, "pread").opened(str(folder.table)), folder.path)
            opened.callback(table.close)
        parts = [read_part(folder, name) for name in folder.parts()]
        shards = () if table is None else table.shards
        folder.remove_leftovers({shard.name for shard in shards})
        news = [part for part in parts if _is_news(folder, part, table)]
        if news:
            shards = _Merge(folder, table, news, shard_bytes).run()
        for part in parts:
            folder.part_table(part.name).unlink()
        folder.remove_leftovers({shard.name for shard in shards})


def _is_news(folder: StoreFolder, part: Part, table: IdTable | None) -> bool:
    """Whether a part is not what the store has already.

    It has it where a run that merged it was killed before it removed the part, and where it was written again and nothing of it
    is damaged.
    """
    number = None if table is None else table.number_of(part.name)
    if table is None or number is None:
        return part.sample is not None
    if part.sample is None or part.shard is None:
        return True
    there = table.sample(number)
    shard = table.shards[there.shard]
    if (there.digest, shard.packed) != (part.sample.digest, part.shard.packed):
        return True
    with _opened(folder, part.shard) as one:
        try:
            with _opened(folder, shard) as other:
                return not holds_the_same(one, part.sample, other, there)
        except (FormatError, FileNotFoundError):
            return True


@contextmanager
def _opened(folder: StoreFolder, shard: Shard) -> Iterator[OpenFile]:
    file = OpenFiles(1, "pread").opened(str(folder.path / shard.name), shard.bytes)
    try:
        yield file
    finally:
        file.close()


class _Merge:
    def __init__(self, folder: StoreFolder, table: IdTable | None, parts: Sequence[Part], shard_bytes: int) -> None:
        self._folder, self._table, self._shard_bytes = folder, table, shard_bytes
        self._parts = parts
        self._samples = [] if table is None else [table.sample(i) for i in range(table.sample_count)]
        self._shards = () if table is None else table.shards
        self._next = 0 if table is None else table.next_shard
        self._new = _New()

    def run(self) -> tuple[Shard, ...]:
        """Write new shards and the new table; return the shards that it names."""
        gone = {part.name for part in self._parts}
        rewritten = self._rewritten(gone)
        used = {each.shard for each in self._samples if each.sample not in gone}
        kept = [number for number in range(len(self._shards)) if number in used and number not in rewritten]
        self._new.shards = [self._shards[number] for number in kept]
        places = {number: place for place, number in enumerate(kept)}
        stay = [each for each in self._samples if each.sample not in gone]
        self._new.samples = [replace(each, shard=places[each.shard]) for each in stay if each.shard in places]
        sources = [self._old_source(each) for each in stay if each.shard in rewritten]
        for source in sorted([*sources, *self._new_sources()], key=lambda each: (each.packed, each.sample.sample.encode())):
            self._group(source)
        self._write_group()
        self._new.samples.sort(key=lambda each: each.sample.encode())
        self._write_table()
        return tuple(self._new.shards)

    _waiting: list[_Source]
    """sources of the shard that fills up"""

    def _rewritten(self, gone: set[str]) -> set[int]:
        """Return the numbers of shards that are written anew."""
        stay: dict[int, list[Sample]] = {number: [] for number in range(len(self._shards))}
        for each in self._samples:
            if each.sample not in gone:
                stay[each.shard].append(each)
        held = {each.shard for each in self._samples if each.sample in gone}
        found = {number for number in held if self._is_whole(number, stay[number])}
        size = sum(each.bytes for number in found for each in stay[number])
        size += sum(part.sample.bytes for part in self._parts if part.sample is not None)
        others = sorted((shard.bytes, number) for number, shard in enumerate(self._shards) if number not in held)
        for shard_size, number in others:
            if shard_size > min(size, self._shard_bytes // 2):
                break
            if self._is_whole(number, stay[number]):
                found.add(number)
                size += shard_size
        self._waiting = []
        return found

    def _is_whole(self, number: int, samples: Sequence[Sample]) -> bool:
        """Whether samples of a shard can be copied."""
        if not samples:
            return True
        try:
            with _opened(self._folder, self._shards[number]) as file:
                for each in samples:
                    list(places_of_batches(file, each))
        except (FormatError, FileNotFoundError):
            return False
        return True

    def _old_source(self, sample: Sample) -> _Source:
        shard = self._shards[sample.shard]
        return _Source(sample, self._folder.path / shard.name, shard.packed, part=False)

    def _new_sources(self) -> Iterator[_Source]:
        for part in self._parts:
            if part.sample is not None and part.shard is not None:
                yield _Source(part.sample, self._folder.path / part.shard.name, part.shard.packed, part=True)

    def _group(self, source: _Source) -> None:
        """Add a sample to the shard that fills up, or make one of it alone."""
        if source.part and source.sample.bytes >= self._shard_bytes // 2:
            self._adopt(source)
            return
        size = source.sample.bytes + sum(each.sample.bytes for each in self._waiting)
        if self._waiting and (size > self._shard_bytes or self._waiting[0].packed != source.packed):
            self._write_group()
        self._waiting.append(source)

    def _adopt(self, source: _Source) -> None:
        """Let the file of a part be a shard."""
        with atomic_path(self._next_shard()) as draft:
            try:
                os.link(source.file, draft)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                shutil.copyfile(source.file, draft)
        self._new.samples.append(replace(source.sample, shard=len(self._new.shards)))
        self._add_shard(packed=source.packed)

    def _write_group(self) -> None:
        if not self._waiting:
            return
        packed = self._waiting[0].packed
        target = self._next_shard()
        with named_when_full(target), atomic_path(target) as draft, ShardWriter(draft, packed=packed) as writer:
            for source in self._waiting:
                sample, pairs = copy_sample(source.file, source.sample, writer)
                self._new.samples.append(replace(sample, shard=len(self._new.shards)))
                self._new.moved.setdefault(source.file, []).extend(pairs)
        self._add_shard(packed=packed)
        self._waiting = []

    def _next_shard(self) -> Path:
        return self._folder.shard(self._next)

    def _add_shard(self, *, packed: bool) -> None:
        self._new.shards.append(shard_of(self._next_shard(), packed=packed))
        self._next += 1

    def _write_table(self) -> None:
        told = samples_bytes(self._new.samples, self._new.shards, self._next)
        target = self._folder.table
        with named_when_full(target), RowSorter(target.with_name(f".{target.name}.tmp.bases.rows"), IdTable.ROW) as rows:
            for some in self._rows():
                rows.add(some)
            with atomic_path(target) as draft:
                write_digest_table(draft, IdTable, rows, told, self._repeated)

    def _rows(self) -> Iterator[NDArray[Any]]:
        """Yield the rows of the old table that stay, and those of the parts."""
        numbers = {each.sample: number for number, each in enumerate(self._new.samples)}
        gone = {part.name for part in self._parts}
        if self._table is not None:
            samples = np.array([-1 if each.sample in gone else numbers[each.sample] for each in self._samples], np.int64)
            moves = {
                number: Moved.of(self._new.moved[path])
                for number, shard in enumerate(self._shards)
                if (path := self._folder.path / shard.name) in self._new.moved
            }
            yield from self._old_rows(self._table, samples, moves)
        for part in self._parts:
            if part.sample is None or part.shard is None:
                continue
            moved = Moved.of(self._new.moved.get(self._folder.path / part.shard.name, []))
            _, table = open_part(self._folder, part.name)
            for some in table.chunks(ROWS_IN_MEMORY):
                some["sample"], some["offset"] = numbers[part.name], moved(some["offset"])
                yield some
            table.close()

    def _old_rows(self, table: IdTable, samples: NDArray[np.int64], moves: dict[int, Moved]) -> Iterator[NDArray[Any]]:
        for chunk in table.chunks(ROWS_IN_MEMORY):
            some = chunk[samples[chunk["sample"]] >= 0]
            shards = table.shard_of_sample[some["sample"]]
            for number, moved in moves.items():
                inside = shards == number
                some["offset"][inside] = moved(some["offset"][inside])
            some["sample"] = samples[some["sample"]]
            yield some

    def _repeated(self, rows: NDArray[Any]) -> Exception:
        samples: Iterable[Sample] = (self._new.samples[number] for number in np.unique(rows["sample"]).tolist())
        places = ((self._new.shards[each.shard], each) for each in samples)
        return repeated_id(rows, [(self._folder.path / shard.name, each, shard.packed) for shard, each in places])
