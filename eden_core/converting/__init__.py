"""From one store to another, and from one index to another: each sample a task, restartable, verified, on any executor."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from eden_core.contigs import CONTIGS
from eden_core.converting.folder import ConversionFolder
from eden_core.converting.indexes import ConvertedIndex, IndexTask, convert_index
from eden_core.converting.plan import Plan
from eden_core.converting.samples import SampleTask, check_sample, write_sample
from eden_core.converting.table_rows import TableRows
from eden_core.errors import ConfigurationError, EdenError, InputError, NotSupportedError, ShardNotFoundError
from eden_core.importing.folder import locked_folder
from eden_core.inspecting.store_contents import bytes_below
from eden_core.interfaces import ExecutorFactory, SequenceStore
from eden_core.manifest import index_plugin, store_plugin
from eden_core.plugins import installed_plugins
from eden_core.scratch import scratch_folder
from eden_core.store_at import StoreAt
from eden_core.tasks import absolute, run_tasks

__all__ = ["ConversionSummary", "ConvertedIndex", "IndexTask", "Progress", "StoreAt", "convert_folder", "convert_index"]

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")
Progress = Callable[[int, int], None]
"""called with (steps done, steps in all): each index is one, each sample two, written and read back"""

_SHOWN_FAILURES = 10


@dataclass(frozen=True)
class ConversionSummary:
    """What a folder was converted to.

    Attributes:
        out: the new folder.
        store, index: names of the plugins that read it.
        samples, contigs, bases: how many there are.
        there_already: samples that an earlier call had written.
        unchanged: whether all of it was there.
        tables: names of the files that were carried over.
        indexes: the indexes that this call wrote.
        bytes_before, bytes_after: of the shards.
        seconds: it took.
    """

    out: Path
    store: str
    index: str
    samples: int
    contigs: int
    bases: int
    there_already: int
    unchanged: bool
    bytes_before: int
    bytes_after: int
    tables: tuple[str, ...] = ()
    indexes: tuple[ConvertedIndex, ...] = ()
    seconds: float = 0.0


def convert_folder(
    folder: str | Path,
    out: str | Path,
    *,
    store: str | None = None,
    index: str | None = None,
    from_store: str | None = None,
    from_index: str | None = None,
    store_options: Mapping[str, Any] | None = None,
    from_store_options: Mapping[str, Any] | None = None,
    executor: ExecutorFactory | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ConversionSummary:
    """Make another folder that trains the same rows, with another store, another index, or both.

    The shards are written by the other store, read back, and compared by the digest of each contig, also with those of
    `contigs.parquet` where it has them. Tables are carried over. Indexes, `<split>_windows.db`, keep their tiling and all their
    windows in order. `conversion.json` says what the folder was converted from; `eden.json`, where there is one, names the new
    plugins and is written last. A folder of shards alone is converted as well.

    After a kill, the same call goes on where it stopped, and ends with the same bytes; samples whose shards changed meanwhile
    are written again. A sample that cannot be converted does not stop the others.

    Args:
        folder: with shards, and tables and indexes where there are any.
        out: the new folder.
        store: name of the new store plugin; None: that of the folder.
        index: name of the new index plugin; None: that of the folder.
        from_store: name of the store plugin that reads the folder; None: that which the folder was made with.
        from_index: name of its index plugin; None: as its manifest says, else "sqlite".
        store_options: options of the new store.
        from_store_options: options of the store that reads the folder.
        executor: where the tasks run; None: processes of this machine, one for each core.
        force: whether what another conversion left in `out` is replaced.
        progress: told how far it is.

    Raises:
        ConfigurationError: neither store nor index is given, or one folder lies in the other.
        OutputExistsError: `out` holds something else, or another conversion, without `force`.
        InputError: a sample cannot be converted (the message names up to ten), an index cannot be carried over, or something
            changed meanwhile.
        NotSupportedError: a store cannot list its samples, or cannot be written; an index cannot be built.
    """
    started = time.perf_counter()
    if store is None and index is None:
        raise ConfigurationError("nothing says what to convert to: give --store, or --index, or both")
    source_folder, target_folder = _places(folder, out)
    source = StoreAt(from_store or store_plugin(source_folder), str(source_folder), dict(from_store_options or {}))
    read_by = from_index or index_plugin(source_folder)
    target = StoreAt(store or source.name, str(target_folder), dict(store_options or {}))
    plan = Plan(source, target, read_by, index or read_by)
    installed_plugins().find("index", plan.index)
    run = _Run(plan, executor or installed_plugins().executor("local"), progress)
    return run.run(force=force, started=started)


def _places(folder: str | Path, out: str | Path) -> tuple[Path, Path]:
    source, target = Path(absolute(folder)), Path(absolute(out))
    if not source.is_dir():
        raise InputError(f"{source}: there is no such folder; expected one with shards, as eden import writes it")
    if target.resolve().is_relative_to(source.resolve()) or source.resolve().is_relative_to(target.resolve()):
        raise ConfigurationError(f"{target} and {source} lie in each other: choose an output beside the folder")
    return source, target


class _Run:
    def __init__(self, plan: Plan, executor: ExecutorFactory, progress: Progress | None) -> None:
        self._plan, self._executor, self._progress = plan, executor, progress
        self._done = self._total = 0

    def run(self, *, force: bool, started: float) -> ConversionSummary:
        """Do all of it."""
        plan = self._plan
        with ExitStack() as opened:
            source = opened.enter_context(plan.source.opened())
            samples = list(source.samples())
            if not samples:
                raise ShardNotFoundError(
                    f"{plan.folder} holds no shards of store {plan.source.name!r}, so there is nothing to convert"
                )
            opened.enter_context(locked_folder(Path(plan.target.location)))
            target = opened.enter_context(plan.target.opened())
            folder = ConversionFolder(plan, samples)
            said = folder.begin(source, force=force)
            unchanged, there_already, indexes = said is not None, len(samples), list[ConvertedIndex]()
            if said is None:
                with _given_up_if_empty(folder):
                    there_already -= len(folder.unwritten())
                    indexes = self._convert(folder, target)
                    said = folder.complete(source, target)
            before, after = (_bytes_of(one, samples) for one in (source, target))
        return ConversionSummary(
            folder.out,
            plan.target.name,
            plan.index,
            said["samples"],
            said["contigs"],
            said["bases"],
            there_already,
            unchanged,
            before,
            after,
            tuple(path.name for path in plan.tables),
            tuple(indexes),
            time.perf_counter() - started,
        )

    def _convert(self, folder: ConversionFolder, target: SequenceStore) -> list[ConvertedIndex]:
        waiting = [place for place in self._plan.indexes if not folder.index_draft(place).exists()]
        self._total = len(waiting) + len(folder.unwritten()) + len(folder.unchecked())
        indexes = self._convert_indexes(waiting, folder)  # which may fail: before the hours that a store may take
        with scratch_folder(folder.out, "convert-rows") as scratch:
            unwritten, table = folder.unwritten(), self._plan.folder / CONTIGS
            rows = None
            if unwritten and table.is_file():
                rows = TableRows.written(table, scratch, folder.samples, self._executor.workers)
            self._each(write_sample, self._tasks(unwritten, folder, rows))
        target.finish()
        target.close()  # what it knew of its shards may be old
        self._each(check_sample, self._tasks(folder.unchecked(), folder))
        return indexes

    def _convert_indexes(self, places: Iterable[Path], folder: ConversionFolder) -> list[ConvertedIndex]:
        names = self._plan.from_index, self._plan.index
        tasks = [IndexTask(str(place), str(folder.index_draft(place)), *names, self._plan.source) for place in places]
        found = []
        for _, outcome in self._outcomes(convert_index, tasks):
            if isinstance(outcome, EdenError | OSError):
                raise outcome
            found.append(replace(outcome, location=str(folder.out / Path(outcome.location).name)))
        return sorted(found, key=lambda one: one.location)

    def _tasks(self, samples: Iterable[str], folder: ConversionFolder, rows: TableRows | None = None) -> Iterator[SampleTask]:
        for sample in samples:
            yield SampleTask(sample, self._plan.source, self._plan.target, folder.receipts, rows)

    def _each(self, function: Callable[[SampleTask], object], tasks: Iterable[SampleTask]) -> None:
        """Run tasks, and raise what was wrong with their samples together; what fails otherwise, at once."""
        failed: dict[str, EdenError] = {}
        for task, outcome in self._outcomes(function, tasks):
            if isinstance(outcome, NotSupportedError | OSError):
                raise outcome
            if isinstance(outcome, EdenError):
                failed[task.sample] = outcome
        if len(failed) == 1:
            raise next(iter(failed.values()))
        if failed:
            messages = [str(failed[sample]) for sample in sorted(failed)]
            more = [f"… and {len(messages) - _SHOWN_FAILURES:,} more"] if len(messages) > _SHOWN_FAILURES else []
            raise InputError(
                f"{len(failed):,} samples cannot be converted:\n  "
                + "\n  ".join([*messages[:_SHOWN_FAILURES], *more])
                + "\nMend them and give the same command again: the others are not converted again"
            )

    def _outcomes(
        self, function: Callable[[_Task], _Result], tasks: Iterable[_Task]
    ) -> Iterator[tuple[_Task, _Result | EdenError | OSError]]:
        for task, outcome in run_tasks(function, tasks, self._executor):
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)
            yield task, outcome


@contextmanager
def _given_up_if_empty(folder: ConversionFolder) -> Iterator[None]:
    try:
        yield
    except BaseException:
        folder.given_up_if_empty()
        raise


def _bytes_of(store: SequenceStore, samples: Iterable[str]) -> int:
    """Return the bytes of the shards."""
    try:
        return sum(store.shard_state(sample).bytes for sample in samples)
    except NotSupportedError:
        return bytes_below(Path(store.location))
