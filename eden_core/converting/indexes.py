"""An index, written by another index plugin: the same tiling, the same windows in the same order."""

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eden_core.atomic import refuse_existing
from eden_core.batch import Windows
from eden_core.converting.index_rows import IndexRows, rows_of_index
from eden_core.converting.stretches import first_difference, stretches_of_index
from eden_core.errors import ConfigurationError, FormatError, InputError
from eden_core.interfaces import WindowIndex
from eden_core.plugins import installed_plugins
from eden_core.scratch import scratch_folder
from eden_core.store_at import StoreAt

SAMPLED_WINDOWS = 1 << 16
"""windows that are looked up in both indexes, spread evenly; all are compared through `WindowIndex.contigs`"""

_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class IndexTask:
    """An index to convert, for `convert_index`.

    Attributes:
        source: where it lies.
        target: where the other one goes.
        from_index, index: names of index plugins.
        store: the store that it is of, which may have a table of contigs in its folder.
        contigs: the table of contigs that it was built from; None: tables beside it and the store are looked through.
        force: whether an existing target is replaced.
        from_index_options, index_options: with which the two are read.
    """

    source: str
    target: str
    from_index: str
    index: str
    store: StoreAt
    contigs: str | None = None
    force: bool = False
    from_index_options: Mapping[str, Any] = field(default_factory=dict)
    index_options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ConvertedIndex:
    """What became of an index.

    Attributes:
        location: where the new one lies.
        windows: how many it has.
        table: the table that it was built from; None: from the old index and what knows the lengths of its contigs, or it was
            copied.
        bytes_before, bytes_after: of the files; None: they are no files.
        notes: what was not carried over.
        seconds: it took.
    """

    location: str
    windows: int
    table: str | None
    bytes_before: int | None
    bytes_after: int | None
    notes: tuple[str, ...]
    seconds: float


def convert_index(task: IndexTask) -> ConvertedIndex:
    """Write an index by another plugin, and compare all windows of both; it is complete or absent.

    One of the same plugin that is a file is copied, unless options say how it is read.

    Raises:
        OutputExistsError: the target exists, without `force`.
        InputError: no contigs are known that explain the windows, or nothing says how long contigs are; there is no folder for
            the target.
        NotSupportedError: the other plugin cannot build an index, or not one of intervals.
        FormatError: it is damaged, or the other one is not as it should be.
    """
    started = time.perf_counter()
    if Path(task.source).resolve() == Path(task.target).resolve():
        raise ConfigurationError(f"{task.target} is the index itself: give another place for the new one")
    refuse_existing(task.target, force=task.force)
    if not Path(task.target).parent.is_dir():
        raise InputError(f"{task.target} cannot be written: there is no folder {Path(task.target).parent}; make it first")
    plugins = installed_plugins()
    builder = plugins.index_class(task.index)
    with plugins.index(task.from_index, task.source, task.from_index_options) as old, task.store.opened() as store:
        copied = task.from_index == task.index and not task.from_index_options and Path(task.source).is_file()
        rows = None if copied else rows_of_index(old, store, task.contigs)
        with scratch_folder(Path(task.target).parent, "convert-index") as scratch:
            draft = scratch / Path(task.target).name
            if rows is None:
                shutil.copyfile(task.source, draft)
            else:
                builder.build(str(draft), rows.batches(), old.tiling)
            with plugins.index(task.index, str(draft), task.index_options) as new:
                notes = _compared(old, new, rows)
            for path in sorted(scratch.iterdir(), key=lambda path: path == draft):  # behind what was worked out from it
                path.replace(Path(task.target).with_name(path.name))
        windows = len(old)
    before, after = (_bytes_of(place) for place in (task.source, task.target))
    table = None if rows is None else rows.table
    return ConvertedIndex(task.target, windows, table, before, after, notes, time.perf_counter() - started)


def _bytes_of(location: str) -> int | None:
    return Path(location).stat().st_size if Path(location).is_file() else None


def _compared(old: WindowIndex, new: WindowIndex, rows: IndexRows | None) -> tuple[str, ...]:
    """Return what the new index lacks, or raise `FormatError` where it has other windows."""
    if (new.tiling, len(new)) != (old.tiling, len(old)):
        _refuse(old, new, f"{len(new)} windows of {new.tiling}, and not {len(old)} of {old.tiling}")
    difference = first_difference(stretches_of_index(old), stretches_of_index(new))
    if difference is not None:
        _refuse(old, new, difference)
    count = min(len(old), SAMPLED_WINDOWS)
    sampled = np.unique(np.append(np.arange(count) * len(old) // count, len(old) - 1))
    for first in range(0, sampled.size, _AT_ONCE):
        _compare_lookups(old, new, sampled[first : first + _AT_ONCE])
    return _compared_digests(old, new, rows)


def _compare_lookups(old: WindowIndex, new: WindowIndex, window_ids: NDArray[np.int64]) -> None:
    before, after = old.lookup(window_ids), new.lookup(window_ids)
    same = np.array([a == b for a, b in zip(before.sequence_ids, after.sequence_ids, strict=True)], bool)
    same &= before.starts == after.starts
    unknown = np.maximum(before.lengths, after.lengths) == old.tiling.window_size  # by an index without lengths of contigs
    same &= (before.lengths == after.lengths) | unknown
    if not same.all():
        i = int(np.argmin(same))
        _refuse(old, new, f"window {window_ids[i]} {_place(after, i)}, and not {_place(before, i)}")


def _place(windows: Windows, i: int) -> str:
    return f"in {windows.sequence_ids[i]!r} at {windows.starts[i]}, {windows.lengths[i]} bases"


def _compared_digests(old: WindowIndex, new: WindowIndex, rows: IndexRows | None) -> tuple[str, ...]:
    pairs = {"contigs": (old.contigs_digest, new.contigs_digest), "bases": (old.bases_digest, new.bases_digest)}
    lost = [what for what, (before, after) in pairs.items() if before is not None and before != after]
    built_from_table = rows is not None and rows.table is not None
    if not lost or (built_from_table and new.contigs_digest is None):  # which knows of no digests
        return ()
    if built_from_table and "contigs" in lost:
        _refuse(old, new, "another digest of contigs")
    what = " and ".join(lost)
    note = "its windows are the same, and no table was found that it was built from (--contigs names one), so its digest of"
    return (f"{old.location}: {note} {what} was not carried over",)


def _refuse(old: WindowIndex, new: WindowIndex, what: str) -> None:
    raise FormatError(f"index {new.name!r} did not keep what {old.location} has: it has {what}; that is a bug in the index")
