"""From files of sequences to a store and the tables of its contigs: each file a task, restartable, the same on any executor."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eden_core.contigs import CONTIGS
from eden_core.errors import ConfigurationError, EdenError, InputError
from eden_core.importing.duplicates import DigestTask, write_digests, write_duplicates
from eden_core.importing.folder import ImportFolder, locked_folder
from eden_core.importing.source_files import SourceFile
from eden_core.importing.task import Counts, ImportOptions, ImportTask, Receipt, import_file
from eden_core.interfaces import ExecutorFactory
from eden_core.plugins import installed_plugins
from eden_core.records.decompression import source_name
from eden_core.tasks import run_tasks

__all__ = ["ImportProgress", "ImportSummary", "Progress", "import_files"]

_SHOWN_FAILURES = 10
_SECONDS_BETWEEN = 0.1
"""from one report of a file's progress to the next: there may be millions of contigs in it"""


@dataclass(frozen=True)
class ImportProgress:
    """How far an import is."""

    bytes: int
    """of the source files, read"""
    total_bytes: int
    """of all source files"""
    files: int
    """that are done"""
    total_files: int
    """that there are"""
    bases: int
    """given to the store"""


Progress = Callable[[ImportProgress], None]
"""called every tenth of a second"""


@dataclass(frozen=True)
class ImportSummary:
    """What an import wrote.

    Attributes:
        out: the store's directory.
        contigs: the table of contigs.
        receipts: of each file, in byte order of the samples.
        unchanged: files that had been imported before.
        counts: of all files together.
        seconds: it took.
    """

    out: Path
    contigs: Path
    receipts: tuple[Receipt, ...]
    unchanged: int
    counts: Counts
    seconds: float


def import_files(
    files: Sequence[SourceFile],
    out: str | Path,
    *,
    options: ImportOptions | None = None,
    store: str = "sqlite-shards",
    store_options: Mapping[str, Any] | None = None,
    executor: ExecutorFactory | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ImportSummary:
    """Write files into a store, each as the shard of one sample, and list their contigs in tables.

    `<out>/contigs.parquet` lists the contigs (see `eden_core.contigs.DETAILS`), `n_runs.parquet` and `soft_masked.parquet`
    their stretches of N and of lower case, `sources.parquet` the files. The bytes of all of them, and of the shards, are the
    same whatever the executor and the number of its workers. What other imports wrote into the same directory stays.

    After a kill, the same call goes on where it stopped. A file that cannot be imported does not stop the others; the tables
    are written once all can be. When none could be, nothing is left behind.

    Args:
        files: as `find_source_files` gives them.
        out: the store's directory, made if need be.
        options: what becomes of the sequences.
        store: name of a store plugin.
        store_options: its options.
        executor: where the tasks run; None: processes of this machine, one for each core.
        force: whether samples that are there are replaced.
        progress: told how far it is.

    Raises:
        InputError: files cannot be used; the message names up to ten, with line or row.
        OutputExistsError: samples are there from other files, or the directory holds an import with other settings, without
            `force`.
        ConfigurationError: `out` cannot be made, or the store cannot be written.
        ExecutorError: a worker was lost.
        OSError: the disk is full, or fails.
    """
    started = time.perf_counter()
    options = options or ImportOptions()
    installed_plugins().find("store", store)
    once = next((file.path for file in files if file.can_be_read_once), None) if options.dedup else None
    if once is not None:
        raise ConfigurationError(f"--dedup reads its sources twice, and {source_name(once)} can be read once: give files")
    run = executor or installed_plugins().executor("local")
    folder = ImportFolder(Path(out), store, options, store_options)
    with locked_folder(Path(out)):
        waiting = folder.begin(files, force=force)
        with folder.given_up_if_empty():
            if options.dedup and waiting:
                _find_duplicates(files, folder, run)
            _wait([folder.task(file) for file in waiting], run, _Counter(waiting, progress))
            with folder.opened_store() as opened:
                opened.finish()
        receipts = folder.complete(files)
    counts = Counts()
    for receipt in receipts:
        counts.add(receipt.counts)
    seconds = time.perf_counter() - started
    return ImportSummary(Path(out), Path(out) / CONTIGS, receipts, len(files) - len(waiting), counts, seconds)


def _wait(tasks: Sequence[ImportTask], executor: ExecutorFactory, counter: "_Counter") -> None:
    """Run the tasks, and raise what was wrong with their files together; what fails otherwise, at once."""
    failed: dict[str, InputError] = {}
    for task, outcome in _outcomes(tasks, executor, counter):
        if isinstance(outcome, InputError):
            failed[task.source.sample] = outcome
        elif isinstance(outcome, EdenError | OSError):
            raise outcome
        else:
            counter.done(task.source, outcome)
    if len(tasks) == 1:
        for error in failed.values():
            raise error
    if failed:
        raise InputError(_listed(failed, len(tasks)))


def _outcomes(
    tasks: Sequence[ImportTask], executor: ExecutorFactory, counter: "_Counter"
) -> Iterable[tuple[ImportTask, Receipt | EdenError | OSError]]:
    if executor.name == "local" and 1 in {len(tasks), executor.workers}:
        return _here(tasks, counter)
    return run_tasks(import_file, tasks, executor)


def _here(tasks: Sequence[ImportTask], counter: "_Counter") -> Iterator[tuple[ImportTask, Receipt | EdenError | OSError]]:
    """Run the tasks one after another in this process: a worker of its own would only take time to start."""
    for task in tasks:
        try:
            yield task, import_file(task, counter.moved)
        except (EdenError, OSError) as error:
            yield task, error


def _listed(failed: dict[str, InputError], files: int) -> str:
    messages = [str(failed[sample]) for sample in sorted(failed, key=str.encode)]
    more = [f"… and {len(messages) - _SHOWN_FAILURES} more"] if len(messages) > _SHOWN_FAILURES else []
    lines = "\n  ".join([*messages[:_SHOWN_FAILURES], *more])
    return (
        f"{len(failed)} of {files} files cannot be imported:\n  {lines}\nMend them or leave them out, and give the same "
        "command again: the others are not read again"
    )


def _find_duplicates(files: Sequence[SourceFile], folder: ImportFolder, executor: ExecutorFactory) -> None:
    # What the tables list already stays; among new files, however far an interrupted import came, the order is that of samples.
    ordered = sorted(files, key=lambda file: (not folder.was_imported(file), file.sample.encode()))
    digests = [folder.digests(file) for file in ordered]
    tasks = [
        DigestTask(file, folder.options, str(place), str(Path.cwd()))
        for file, place in zip(ordered, digests, strict=True)
        if not place.exists()
    ]
    failed: dict[str, InputError] = {}
    for task, outcome in run_tasks(write_digests, tasks, executor):
        if isinstance(outcome, InputError):
            failed[task.source.sample] = outcome
        elif outcome is not None:
            raise outcome
    if failed:
        raise InputError(_listed(failed, len(tasks)))
    write_duplicates(digests, [folder.duplicates(file) for file in ordered])


class _Counter:
    """Adds up how far an import is, and tells it."""

    def __init__(self, waiting: Sequence[SourceFile], progress: Progress | None) -> None:
        self._unread = {file.sample: max(0, file.stamp[0]) for file in waiting}
        self._total = self._left = sum(self._unread.values())
        self._progress = progress
        self._told = 0.0
        self._read = self._files = self._bases = self._done_bases = 0

    def moved(self, read: int, bases: int) -> None:
        """Count what was read and written of the file that is being imported here."""
        self._read += read
        self._bases += bases
        now = time.monotonic()
        if now - self._told > _SECONDS_BETWEEN:
            self._told = now
            self._tell()

    def done(self, file: SourceFile, receipt: Receipt) -> None:
        """Count a file."""
        self._files += 1
        self._done_bases += receipt.counts.bases
        self._bases = max(self._bases, self._done_bases)
        self._left -= self._unread.pop(file.sample)
        self._read = max(self._read, self._total - self._left)
        self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            files = self._files + len(self._unread)
            self._progress(ImportProgress(self._read, max(self._read, self._total), self._files, files, self._bases))
