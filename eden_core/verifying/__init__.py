"""Checking a data folder: shards, tables, splits and indexes against each other."""

import math
import os
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from eden_core.contigs import CONTIGS, count_contigs
from eden_core.errors import ConfigurationError, FormatError, InputError
from eden_core.interfaces import ExecutorFactory
from eden_core.manifest import MANIFEST, index_suffix
from eden_core.plugins import installed_plugins
from eden_core.remedies import Remedies, precompute_command, prepared_tiling
from eden_core.runs import read_runs
from eden_core.scratch import scratch_folder
from eden_core.sequence_columns import samples_of
from eden_core.splitting.reports import REPORT
from eden_core.splitting.words import SPLITS
from eden_core.store_at import StoreAt
from eden_core.tasks import absolute, run_tasks
from eden_core.tiling import Tiling
from eden_core.verifying.grouping import group_count, group_of, only_sample, with_samples, write_groups
from eden_core.verifying.indexes import IndexCheck, IndexResult, check_index
from eden_core.verifying.ordered_rows import ordered_rows, read_columns, read_through
from eden_core.verifying.problems import Problem, Problems
from eden_core.verifying.shards import CONTIG_ROWS, RUN_TABLES, GroupResult, GroupTask, check_group, relisted
from eden_core.verifying.splits import check_splits
from eden_core.verifying.tilings import differing, same_cuts, told

__all__ = ["Progress", "Verification", "verify"]

Progress = Callable[[int, int], None]
"""called with (steps done, steps in all)"""


@dataclass
class Verification:
    """What was checked, and what is wrong."""

    samples: int = 0
    """that the table of contigs names"""
    shards: int = 0
    """that were looked at"""
    samples_read: int = 0
    """whose bases were compared with their digests"""
    contigs_read: int = 0
    """of these"""
    bases_read: int = 0
    """of these"""
    splits: list[str] = field(default_factory=list)
    """the tables that were checked"""
    contigs_in_no_split: int = 0
    """that the table of contigs names"""
    indexes: list[str] = field(default_factory=list)
    """the files that were checked"""
    windows: int = 0
    """of these"""
    problems: list[Problem] = field(default_factory=list)
    """what is wrong"""
    notes: list[str] = field(default_factory=list)
    """what is not wrong, and should be known"""
    seconds: float = 0.0
    """that it took"""


def verify(
    data_dir: str | Path,
    factory: ExecutorFactory,
    *,
    contigs: str | Path | None = None,
    store: str = "sqlite-shards",
    index: str = "sqlite",
    store_options: Mapping[str, Any] | None = None,
    index_options: Mapping[str, Any] | None = None,
    samples: int | None = None,
    sample_share: float | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Check all that a data folder holds.

    Args:
        data_dir: folder with shards and tables, as `eden import` writes it.
        factory: where the shards are read.
        contigs: the table of contigs; None: `contigs.parquet` in the folder.
        store: name of the store plugin.
        index: name of the index plugin.
        store_options: options of the store.
        index_options: options of the indexes.
        samples: how many samples are read; of the others only what is cheap is checked. None: all.
        sample_share: the same as a share of all samples, 0 to 1.
        progress: told how far it is.

    Raises:
        InputError: there is no such folder or table, or a table cannot be read.
        ConfigurationError: `samples` and `sample_share` are both given, or out of their range.
        PluginOptionError: a plugin has no such option, or needs another.
    """
    started = time.perf_counter()
    folder = Path(absolute(data_dir))
    table = folder / CONTIGS if contigs is None else Path(absolute(contigs))
    place = StoreAt(store, str(folder), store_options or {})
    _check_arguments(folder, table, place, samples, sample_share)
    run = _Run(table, place, index, index_options or {}, factory, progress or (lambda _done, _total: None))
    run.check(lambda count: _wanted(count, samples, sample_share))
    run.result.problems = run.problems.listed()
    run.result.seconds = time.perf_counter() - started
    return run.result


def _check_arguments(folder: Path, table: Path, store: StoreAt, samples: int | None, share: float | None) -> None:
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; expected one with shards and {CONTIGS}, as eden import writes it")
    if not table.is_file():
        raise InputError(
            f"{table}: there is no such table of contigs, so nothing says what the shards should hold. Of shards that were not "
            f"imported it is made by: {shlex.join(['eden', 'contigs', *store.words(), str(folder), '--digests'])}"
        )
    if samples is not None and share is not None:
        raise ConfigurationError("give either --samples or --sample-share, not both")
    if (samples is not None and samples < 1) or (share is not None and not 0 < share <= 1):
        raise ConfigurationError("--samples must be 1 or more, and --sample-share more than 0 and at most 1")


def _wanted(count: int, samples: int | None, share: float | None) -> int:
    return count if samples is None and share is None else min(count, samples or math.ceil(count * (share or 1)))


class _Run:
    def __init__(
        self,
        table: Path,
        store: StoreAt,
        index: str,
        index_options: Mapping[str, Any],
        factory: ExecutorFactory,
        progress: Progress,
    ) -> None:
        self.result, self.problems = Verification(), Problems()
        self._folder, self._table, self._store = Path(store.location), table, store
        self._index, self._index_options = index, index_options
        self._factory, self._progress = factory, progress
        self._suffix = f"_windows{index_suffix(index)}"
        self._columns, self._unreadable = read_columns(table), set[Path]()
        self._relist, self._remedies = relisted(store, str(table)), Remedies(self._folder, table)

    def check(self, wanted: Callable[[int], int]) -> None:
        if "digest" not in self._columns:
            self.result.notes.append(
                f"{self._table} has no digests, so whether bases changed cannot be told; "
                f"{self._relist} writes them as they are now"
            )
        self._check_splits()
        self._check_shards_and_indexes(wanted)

    def _check_shards_and_indexes(self, wanted: Callable[[int], int]) -> None:
        with self._store.opened() as store:
            try:
                present = sorted(store.samples(), key=os.fsencode)
            except FormatError as error:
                self.problems.add("damaged-store", str(self._folder), str(error), self._remedies.importing_all())
                self._run([*self._indexes()])
                return
        runs = tuple(name for name in RUN_TABLES if (self._folder / name).is_file())
        groups = group_count(count_contigs(self._table), len(present), self._factory.workers)
        with scratch_folder(self._folder, "verify") as scratch:
            named = write_groups(self._contig_rows(), scratch, CONTIG_ROWS, groups)
            runs = tuple(table for table in runs if self._readable(table, partial(self._write_runs, table, scratch, groups)))
            only = only_sample(named, present)
            if only is not None:
                named = {only}
            self._compare_samples(named, set(present))
            both = sorted(named & set(present), key=os.fsencode)
            read = frozenset(_evenly(both, wanted(len(both))))
            members: list[list[str]] = [[] for _ in range(groups)]
            for sample in both:
                members[group_of(sample, groups)].append(sample)
            places = str(self._folder), self._store, str(self._table), str(scratch)
            tasks = [
                GroupTask(*places, group, frozenset(some), read.intersection(some), only, runs)
                for group, some in enumerate(members)
            ]
            self._run([*self._indexes(), *tasks])

    def _run(self, tasks: list[GroupTask | IndexCheck]) -> None:
        self._progress(0, len(tasks))
        tilings = {}
        for done, (task, result) in enumerate(run_tasks(_check, tasks, self._factory), 1):
            if isinstance(result, InputError) and isinstance(task, IndexCheck):
                self._damaged(Path(task.table), result)
                continue
            if isinstance(result, Exception):
                raise result
            if isinstance(result, GroupResult):
                self.result.samples_read += result.samples
                self.result.contigs_read += result.contigs
                self.result.bases_read += result.bases
            elif isinstance(task, IndexCheck):
                self.result.windows += result.windows
                self.result.notes += result.notes
                tilings[task.location] = result.tiling
            self.problems.extend(result.problems.listed())
            self._progress(done, len(tasks))
        if not self._compare_with_prepared(tilings):
            self.result.notes += differing({name: tilings[name] for name in sorted(tilings)})
        self.result.notes.sort()

    def _compare_with_prepared(self, tilings: Mapping[str, Tiling | None]) -> bool:
        """Note indexes that are cut otherwise than `eden prepare` did; return whether it made the folder."""
        wanted = prepared_tiling(self._folder)
        for location, tiling in tilings.items():
            if wanted is not None and tiling is not None and not same_cuts(tiling, wanted):
                what = f"it has windows of {told(tiling)}, and {MANIFEST} says {told(wanted)}"
                table = location.removesuffix(self._suffix) + ".parquet"
                self.problems.add("index-tiling", location, what, precompute_command(table, location, self._index, wanted))
        return wanted is not None

    def _indexes(self) -> list[IndexCheck]:
        indexes = sorted(self._folder.glob(f"*{self._suffix}"))
        self.result.indexes = [path.name for path in indexes]
        for path in _others(self._folder, indexes):
            called = path.suffix == Path(self._suffix).suffix
            how = f"those called SPLIT{self._suffix} are" if called else f"those of --index {self._index} are"
            self.result.notes.append(f"{path} is not checked: of indexes, {how}")
        checks = []
        for path in indexes:
            split = path.with_name(path.name.removesuffix(self._suffix) + ".parquet")
            table, whole = (split, True) if split.is_file() else (self._table, len(indexes) == 1)
            checks.append(IndexCheck(str(path), self._index, str(table), whole, str(split), self._index_options))
        return checks

    def _contig_rows(self) -> Iterator[pa.RecordBatch]:
        names = [name for name in ("contig_id", "length", "digest", "sample") if name in self._columns]
        return with_samples(ordered_rows(self._table, names))

    def _compare_samples(self, named: set[str], present: set[str]) -> None:
        self.result.samples, self.result.shards = len(named), len(present)
        for sample in named - present:
            what = f"{self._table} names it, and {self._folder} has no shard of it"
            if not sample:
                what = f"{self._table} has contigs of no sample, which only a single shard in {self._folder} could serve"
            self.problems.add("missing-shard", f"sample {sample}", what, self._remedies.importing(sample, force=False))
        for sample in present - named:
            what = f"{self._folder} has a shard of it, and {self._table} does not name it"
            self.problems.add("extra-shard", f"sample {sample}", what, f"{self._relist}, or remove the shard")

    def _check_splits(self) -> None:
        splits = {name: path for name in SPLITS if (path := self._folder / f"{name}.parquet").is_file()}
        for name in self._remedies.splits:
            if name not in splits:
                self.result.notes.append(f"{self._folder / name}.parquet is not there, and {REPORT} names it")
        splits = {name: path for name, path in splits.items() if self._readable(path.name, partial(read_through, path))}
        self.result.splits = list(splits)
        if splits:
            self.result.contigs_in_no_split = check_splits(self._table, splits, self.problems)

    def _write_runs(self, table: str, scratch: Path, groups: int) -> None:
        write_groups(_run_rows(self._folder / table), scratch, table, groups)

    def _readable(self, table: str, read: Callable[[], object]) -> bool:
        try:
            read()
        except InputError as error:
            self._damaged(self._folder / table, error)
            return False
        return True

    def _damaged(self, table: Path, error: InputError) -> None:
        if table in self._unreadable:
            return
        self._unreadable.add(table)
        remedy = self._remedies.importing_all() if table.name in RUN_TABLES else self._remedies.splitting()
        self.problems.add("damaged-table", str(table), str(error), remedy)


def _check(task: GroupTask | IndexCheck) -> GroupResult | IndexResult:
    return check_group(task) if isinstance(task, GroupTask) else check_index(task)


def _others(folder: Path, indexes: list[Path]) -> list[Path]:
    """Return files that may be indexes too."""
    suffixes = {index_suffix(entry.name) for entry in installed_plugins().entries("index")}
    found = {*folder.glob("*.db"), *(path for suffix in suffixes for path in folder.glob(f"*_windows{suffix}"))}
    return sorted(found - set(indexes))


def _run_rows(path: Path) -> Iterator[pa.RecordBatch]:
    for batch in read_runs(path):
        yield batch.append_column("sample", samples_of(batch.column("contig_id")))


def _evenly(samples: list[str], count: int) -> list[str]:
    return [samples[i * len(samples) // count] for i in range(count)] if samples else []
