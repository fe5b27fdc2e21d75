"""Samples that were written and are not merged into shards yet."""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_arrow.folder import StoreFolder
from eden_arrow.id_table import IdTable, Sample, Shard, samples_bytes
from eden_arrow.shard_files import SampleWriter, ShardWriter, sample_batches
from eden_core.atomic import atomic_path, named_when_full
from eden_core.digest_table import digests_of
from eden_core.digest_table_writing import RowSorter, write_digest_table
from eden_core.errors import FormatError, InputError, RepeatedIdError
from eden_core.open_files import OpenFiles


@dataclass(frozen=True)
class Part:
    """One part, or the note that a sample was removed.

    Attributes:
        name: the sample.
        sample: what its table says of it; None: it was removed.
        shard: its file.
    """

    name: str
    sample: Sample | None
    shard: Shard | None


def open_part(folder: StoreFolder, name: str) -> tuple[Part, IdTable]:
    """Open a part's table, which the caller closes."""
    path = folder.part_table(name)
    table = IdTable(OpenFiles(1, "pread").opened(str(path)), path)
    if not table.sample_count:
        return Part(name, None, None), table
    return Part(name, table.sample(0), table.shards[0]), table


def read_part(folder: StoreFolder, name: str) -> Part:
    """Return what a part's table says."""
    part, table = open_part(folder, name)
    table.close()
    return part


def write_part(folder: StoreFolder, name: str, sequences: Iterable[tuple[str, bytes]], *, packed: bool) -> Sample:
    """Write the sequences of a sample as a part, which replaces what the store has of it.

    Raises:
        RepeatedIdError: an id repeats.
        InputError: a sequence is no ASCII text.
    """
    target = folder.part_table(name)
    with ExitStack() as held:
        with named_when_full(target), _draft(folder, target) as draft, _removed(folder.draft_of_bases(draft)) as bases:
            with RowSorter(bases.with_name(f"{bases.name}.rows"), IdTable.ROW) as rows:
                with ShardWriter(bases, packed=packed) as shard:
                    sample = SampleWriter(shard, rows).write(name, sequences)
                _sync(bases)
                place = folder.part_bases(name, sample.digest)
                told = samples_bytes([sample], [Shard(folder.name_of(place), bases.stat().st_size, packed)], 0)
                write_digest_table(draft, IdTable, rows, told, lambda two: repeated_id(two, [(bases, sample, packed)]))
            held.enter_context(folder.locked())
            old = _bases_of(folder, name)
            bases.replace(place)
        if old is not None and old != place:
            old.unlink(missing_ok=True)
    return sample


def _bases_of(folder: StoreFolder, name: str) -> Path | None:
    """Return where the bases of a part lie; None: there is none, or it cannot be read, and `merge_parts` clears up."""
    with suppress(FileNotFoundError, FormatError):
        shard = read_part(folder, name).shard
        return None if shard is None else folder.path / shard.name
    return None


@contextmanager
def _draft(folder: StoreFolder, target: Path) -> Iterator[Path]:
    """Yield what `atomic_path` does, in a folder that is made, and goes when the block fails and it is empty."""
    try:
        with ExitStack() as opened:
            yield _entered(target, opened)
    except BaseException:
        folder.remove_if_empty()
        raise


def _entered(target: Path, opened: ExitStack) -> Path:
    while True:
        target.parent.mkdir(parents=True, exist_ok=True)
        with suppress(InputError):  # another writer failed, and took the folder along
            return opened.enter_context(atomic_path(target))


@contextmanager
def _removed(path: Path) -> Iterator[Path]:
    """Yield a path, and remove what is there in the end."""
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def remove_part(folder: StoreFolder, name: str, *, noted: bool) -> None:
    """Remove a part; `noted` leaves a note, for what the store has of the sample besides."""
    target = folder.part_table(name)
    with folder.locked():
        old = _bases_of(folder, name)
        if noted:
            with _draft(folder, target) as draft, RowSorter(draft.with_name(f"{draft.name}.rows"), IdTable.ROW) as rows:
                write_digest_table(draft, IdTable, rows, samples_bytes([], [], 0), lambda _two: AssertionError())
        else:
            target.unlink(missing_ok=True)
        if old is not None:
            old.unlink(missing_ok=True)
        folder.remove_if_empty()


def repeated_id(rows: NDArray[Any], samples: Iterable[tuple[Path, Sample, bool]]) -> Exception:
    """Return the error that two rows of a table have one digest.

    Args:
        rows: the two.
        samples: shard, sample and whether it is packed, of the one or two that hold them.
    """
    wanted = (int(rows["digest"][0]), int(rows["check"][0]))
    found = []
    for path, sample, packed in samples:
        file = OpenFiles(1, "pread").opened(str(path))
        try:
            for batch in sample_batches(file, sample, packed=packed):
                ids = batch.ids.to_pylist()
                words = digests_of(ids)
                hits = np.flatnonzero((words[:, 0] == wanted[0]) & (words[:, 1] == wanted[1]))
                found += [(ids[i], sample.sample) for i in hits.tolist()]
        finally:
            file.close()
    (first, one), (second, other) = found[0], found[-1]
    if first != second:
        return InputError(f"the sequence ids {first!r} and {second!r} have one digest of 128 bits: rename one of them")
    if one != other:
        return RepeatedIdError(f"sequence id {first!r} is in sample {one!r} and in sample {other!r}; ids must be unique")
    return RepeatedIdError(f"sequence id {first!r} occurs more than once in one sample")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
