"""The directory that an import writes to: what is there, what an interrupted import left, and how it is completed."""

import fcntl
import json
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from eden_core.atomic import atomic_path, made_folder
from eden_core.contigs import CONTIGS, column_names
from eden_core.errors import InputError, NotSupportedError, OutputExistsError
from eden_core.importing.catalogue import RUN_TABLES, merge_parts
from eden_core.importing.source_files import SourceFile
from eden_core.importing.task import Counts, ImportOptions, ImportTask, Receipt
from eden_core.interfaces import SequenceStore
from eden_core.plugins import installed_plugins
from eden_core.records.decompression import source_name

SOURCES = "sources.parquet"
"""the files that were imported: path, sample, tag, size and time of change, settings, counts"""

_WORK = ".eden-import"
_DONE = ".eden-import.done"


@contextmanager
def locked_folder(out: Path) -> Iterator[None]:
    """Make a directory and hold its lock: imports into one directory follow each other, since each adds to the same tables.

    When the block fails, directories that are new and empty go.

    Raises:
        ConfigurationError: it cannot be made.
    """
    with made_folder(out):
        descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


class ImportFolder:
    """What an import finds and leaves in its directory; used under `locked_folder`.

    Args:
        out: the store's directory.
        store: name of a store plugin.
        options: what becomes of the sequences.
        store_options: options of the store plugin.
    """

    def __init__(self, out: Path, store: str, options: ImportOptions, store_options: Mapping[str, Any] | None = None) -> None:
        self.out = out.absolute()
        self.store = store
        self.store_options = dict(store_options or {})
        self.options = options
        self._work = self.out / _WORK
        told = {"store_options": self.store_options} if self.store_options else {}
        self._settings = json.dumps({"store": store} | told | asdict(options))
        self._imported: dict[str, tuple[Receipt, str]] = {}
        self._replaced: set[str] = set()  # of those, samples whose shards are not what the tables say until all is complete

    def begin(self, files: Sequence[SourceFile], *, force: bool) -> list[SourceFile]:
        """Return the files that are still to be imported, and note what is planned.

        Raises:
            OutputExistsError: samples are there from other files, or an import with other settings, without `force`.
            InputError: the tables of an earlier import cannot be read.
        """
        shutil.rmtree(self.out / _DONE, ignore_errors=True)
        self._imported = self._read_sources()
        stored = self._stored()
        planned = self._planned(files, stored, force=force)
        if not force:
            self._refuse_other_settings()
        done = {file.sample for file in files if self._is_done(file, stored, planned, force=force)}
        done -= self._damaged(done)
        waiting = [file for file in files if file.sample not in done]
        if waiting and self._imported.keys() - {file.sample for file in waiting}:
            for name in (*RUN_TABLES, CONTIGS):
                _check_readable(self.out / name)
        if waiting or planned:
            self._replaced |= {file.sample for file in waiting if self.was_imported(file)}
            plan = {"settings": self._settings, "replaced": sorted(self._replaced), "files": self._planned_files(files)}
            with self.given_up_if_empty():
                (self._work / "parts").mkdir(parents=True, exist_ok=True)
                with atomic_path(self._plan) as draft:
                    draft.write_text(json.dumps(plan))
        return waiting

    def was_imported(self, file: SourceFile) -> bool:
        """Return whether the tables have the file's contigs already."""
        return file.sample in self._imported

    def task(self, file: SourceFile) -> ImportTask:
        """Return the task that imports a file."""
        duplicates = str(self.duplicates(file)) if self.options.dedup else None
        part = str(self._part(file.sample))
        return ImportTask(file, str(self.out), self.store, self.options, part, duplicates, str(Path.cwd()), self.store_options)

    def digests(self, file: SourceFile) -> Path:
        """Return where the digests of a file's sequences go."""
        size, time = file.stamp
        return self._work / "parts" / f"{file.sample}.{size}.{time}.npy"

    def duplicates(self, file: SourceFile) -> Path:
        """Return where the numbers of those that are left out go."""
        return self._work / "parts" / f"{file.sample}.npy"

    @contextmanager
    def given_up_if_empty(self) -> Iterator[None]:
        """When the block fails and no file was imported, leave nothing behind."""
        try:
            yield
        except BaseException as error:
            # A shard that was to be replaced may be new without a receipt, unless every task came to its end.
            may_be_new = self._replaced and not isinstance(error, InputError)
            if not may_be_new and not any((self._work / "parts").glob("*.json")):
                self._discard()
            raise

    def complete(self, files: Sequence[SourceFile]) -> tuple[Receipt, ...]:
        """Merge the parts into the tables, and return the receipts of files."""
        new = {receipt.source.sample: receipt for receipt in self._receipts()}
        if new:
            samples = sorted(new, key=str.encode)
            parts = [self._part(sample) for sample in samples]
            merge_parts(parts, self.out, samples, self._work, others=bool(self._imported.keys() - new))
            self._imported |= {sample: (receipt, self._settings) for sample, receipt in new.items()}
            self._write_sources()
        self._discard()
        return tuple(self._imported[file.sample][0] for file in files)

    @property
    def _plan(self) -> Path:
        return self._work / "plan.json"

    def _part(self, sample: str) -> Path:
        return self._work / "parts" / f"{sample}.arrow"

    def _planned_files(self, files: Sequence[SourceFile]) -> list[dict[str, Any]]:
        """Return what must not change until an import is complete."""
        # What is a duplicate depends on all files: none of them may change once some are imported.
        return [asdict(file) | ({"stamp": [*file.stamp]} if self.options.dedup else {}) for file in files]

    def _discard(self) -> None:
        """Remove what is noted of an import, at once for whoever looks after a kill."""
        if self._work.exists():
            self._work.rename(self.out / _DONE)
            shutil.rmtree(self.out / _DONE)

    def _receipts(self) -> Iterator[Receipt]:
        for path in (self._work / "parts").glob("*.json"):
            yield Receipt.read(path)

    def _planned(self, files: Sequence[SourceFile], stored: set[str], *, force: bool) -> set[str]:
        """Return the samples of an interrupted import that this one goes on with."""
        if not self._plan.exists():
            return set()
        found = self._read_plan(force=force)
        planned: dict[str, Any] = {each["sample"]: each for each in found["files"]}
        now = {each["sample"]: each for each in self._planned_files(files)}
        self._replaced = set(found["replaced"])
        goes_on = all(now.get(sample) == each or self._is_left_out(sample, now, stored) for sample, each in planned.items())
        goes_on = planned == now if self.options.dedup else goes_on
        if found["settings"] == self._settings and goes_on:
            return set(planned)
        if not force:
            differences = _differences(found["settings"], self._settings)
            what = f"with other settings ({differences})" if differences else "of other files"
            raise OutputExistsError(
                f"{self.out} holds an unfinished import {what}: give its command again to complete it, choose another --out, "
                "or give --force to give it up"
            )
        lost = sorted(self._replaced - now.keys())
        if lost:
            raise OutputExistsError(
                f"{self.out} holds an unfinished import that was replacing sample {lost[0]!r}, whose shard may be new: "
                "give its command again to complete it, or give the sources of such samples too, to import them anew"
            )
        given_up = stored & (planned.keys() - self._imported.keys())
        with self.opened_store() as store:
            for sample in sorted(given_up):
                store.remove_shard(sample)
        stored -= given_up
        self._discard()
        return set()

    def _read_plan(self, *, force: bool) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(self._plan.read_text())
            return {name: found[name] for name in ("settings", "replaced", "files")}
        except (ValueError, TypeError, KeyError) as error:
            if force:
                return {"settings": None, "replaced": [], "files": []}
            raise InputError(
                f"{self._plan} of an unfinished import cannot be read: {error}; give --force to begin anew, or choose another "
                "--out"
            ) from error

    def _is_left_out(self, sample: str, now: Collection[str], stored: Collection[str]) -> bool:
        """Return whether a file of an interrupted import, nothing of which came of it, is given no longer."""
        return sample not in now and not Receipt.place(self._part(sample)).exists() and sample not in stored

    def _refuse_other_settings(self) -> None:
        for receipt, settings in self._imported.values():
            if settings != self._settings:
                raise OutputExistsError(
                    f"{self.out} holds another import, such as sample {receipt.source.sample!r}, with other settings "
                    f"({_differences(settings, self._settings)}): choose another --out, or give --force to mix them"
                )

    def _stored(self) -> set[str]:
        """Return the samples that have a shard."""
        with self.opened_store() as store:
            try:
                return set(store.samples())
            except NotSupportedError:
                return {path.name for path in self.out.iterdir()}

    def _damaged(self, samples: Iterable[str]) -> set[str]:
        """Return the samples whose shards cannot be read, as far as a cheap look tells."""
        with self.opened_store() as store, suppress(NotSupportedError):
            return {sample for sample in samples if store.shard_state(sample).unsafe is not None}
        return set()

    def opened_store(self) -> SequenceStore:
        """Return the store, open."""
        return installed_plugins().store(self.store, str(self.out), self.store_options)

    def _is_done(self, file: SourceFile, stored: set[str], planned: set[str], *, force: bool) -> bool:
        """Return whether a file need not be imported again.

        Raises:
            OutputExistsError: its sample is there from another file, without `force`.
        """
        receipt_file = Receipt.place(self._part(file.sample))
        fresh = Receipt.read(receipt_file) if receipt_file.exists() else None
        stays = self.was_imported(file) and file.sample not in self._replaced
        receipt = fresh or (self._imported[file.sample][0] if stays else None)
        if receipt is not None and file.sample in stored:
            change = _change(receipt, file)
            if change is None and (fresh or not force):
                return True
            if change is not None and not force:
                raise OutputExistsError(f"{change}; give --force to import it anew, or choose another --out")
        elif receipt is None and file.sample not in planned and file.sample in stored and not force:
            raise OutputExistsError(
                f"a shard of sample {file.sample!r} exists already in {self.out}; give --force to replace it, or import under "
                "another --sample"
            )
        return False

    def _read_sources(self) -> dict[str, tuple[Receipt, str]]:
        path = self.out / SOURCES
        if not path.exists():
            self._refuse_foreign_tables()
            return {}
        try:
            rows = pq.read_table(path).to_pylist()
            found = {row["sample"]: (_receipt(row), row["settings"]) for row in rows}
        except (pa.ArrowException, OSError, KeyError) as error:
            raise InputError(f"{path} cannot be read: {error}; restore it, or choose another --out") from error
        tables = [self.out / name for name in (*RUN_TABLES, CONTIGS)]
        missing = [table.name for table in tables if not table.exists()]
        if missing:
            raise InputError(
                f"{self.out} lacks {' and '.join(missing)} of an earlier import: restore it, or import everything into "
                "another --out"
            )
        return found

    def _refuse_foreign_tables(self) -> None:
        if (self.out / CONTIGS).exists() and not self._plan.exists():
            column_names(self.out / CONTIGS)
            raise OutputExistsError(
                f"{self.out / CONTIGS} is there, and {SOURCES} is not: eden import did not write it, and would replace it; "
                "choose another --out"
            )

    def _write_sources(self) -> None:
        receipts = sorted(self._imported.values(), key=lambda each: each[0].source.sample.encode())
        with atomic_path(self.out / SOURCES) as draft:
            pq.write_table(pa.Table.from_pylist([_row(*each) for each in receipts]), draft, compression="zstd")


def _check_readable(table: Path) -> None:
    try:
        pq.read_schema(table)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{table} cannot be read, and an import adds to it: {error}; restore it, or choose another --out"
        ) from error


def _change(receipt: Receipt, file: SourceFile) -> str | None:
    """Say how a file differs from the one that its sample was imported from, or that it does not."""
    before, sample = receipt.source, f"sample {file.sample!r}"
    if file.can_be_read_once:
        return f"{sample} is there already, and {source_name(file.path)} cannot be compared with what it was"
    if before.path != file.path and file.stamp != receipt.stamp:  # else it is that file, seen from elsewhere
        return f"{sample} is there already, from {before.path}, and {file.path} claims it too"
    if before.tag != file.tag:
        return f"{sample} is there already, with the tag {before.tag!r}, and is to get {file.tag!r}"
    size, time = file.stamp
    if (size, time) != receipt.stamp:
        what = (
            f"it had {receipt.stamp[0]:,} bytes, and has {size:,}" if size != receipt.stamp[0] else "its time of change differs"
        )
        return f"{file.path} has changed since {sample} was imported from it ({what})"
    return None


def _differences(before: str, now: str) -> str:
    old, new = json.loads(before), json.loads(now)
    names = [*new, *(name for name in old if name not in new)]
    return ", ".join(f"{name} {old.get(name)!r}, not {new.get(name)!r}" for name in names if old.get(name) != new.get(name))


def _row(receipt: Receipt, settings: str) -> dict[str, Any]:
    size, time = receipt.stamp
    place = {"bytes": size, "modified_ns": time, "location": receipt.location, "settings": settings}
    return asdict(receipt.source) | place | asdict(receipt.counts)


def _receipt(row: dict[str, Any]) -> Receipt:
    source = SourceFile(row["path"], row["sample"], row["tag"])
    counts = Counts(**{name: row[name] for name in asdict(Counts())})
    return Receipt(source, (row["bytes"], row["modified_ns"]), row["location"], counts)
