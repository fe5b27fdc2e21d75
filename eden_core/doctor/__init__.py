"""Looking a data folder and a machine over before a training job."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc

from eden_core.assembly import index_paths, opened_index, opened_store
from eden_core.contigs import CONTIGS, read_contigs
from eden_core.doctor.findings import Finding, Job, Level
from eden_core.doctor.indexes import IndexTally, letter_findings, read_finding, row_findings, sample_findings, table_findings
from eden_core.doctor.machine import machine_findings
from eden_core.doctor.shards import LONG_CONTIG, ShardTally, shard_findings, tally_shards
from eden_core.errors import EdenError, FormatError, InputError, NotSupportedError, PluginOptionError, ShardNotFoundError
from eden_core.interfaces import ExecutorFactory, SequenceStore, WindowIndex
from eden_core.manifest import index_place
from eden_core.tiling import DEFAULT_WINDOW_SIZE

_NAMED = 5


def examine(
    folder: str | Path,
    job: Job,
    executor: ExecutorFactory,
    *,
    store: str = "sqlite-shards",
    index: str = "sqlite",
    store_options: Mapping[str, Any] | None = None,
    index_options: Mapping[str, Any] | None = None,
) -> Iterator[Finding]:
    """Yield what there is to say of a data folder and this machine before a job; no base is read.

    Looks at the header of every shard, at every sample of the indexes, and at the lengths in their splits' tables. What it
    cannot see, such as a flipped base, `eden verify` finds.

    Args:
        folder: what `EdenDataModule(data_dir=…)` is given.
        job: what is to run.
        executor: where the headers of many shards are looked at.
        store: name of the store plugin.
        index: name of the index plugin.
        store_options: options of the store.
        index_options: options of the indexes.

    Raises:
        InputError: there is no such folder.
        PluginOptionError: a plugin has no such option, or needs another.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected the data folder that training reads, with shards and indexes")
    opened = opened_store(store, str(folder), store_options)
    indexes, broken = _indexes(folder, index, index_options)
    sizes = [found.tiling.window_size for found in indexes.values()]
    seq_length = job.seq_length or max(sizes, default=DEFAULT_WINDOW_SIZE)
    yield from machine_findings(folder, job, seq_length, getattr(opened, "max_open_files", 0))
    yield from broken
    yield from letter_findings(folder)
    samples = _samples(opened)
    tally = ShardTally()
    if isinstance(samples, Finding):
        yield samples
    else:
        tally, findings = _shards(opened, samples, executor, folder)
        yield from findings
    yield from _windows(indexes, opened, None if isinstance(samples, Finding) else samples, tally, job)


def _indexes(folder: Path, index: str, options: Mapping[str, Any] | None) -> tuple[dict[str, WindowIndex], list[Finding]]:
    opened, findings = {}, []
    for split, place in index_paths(dict.fromkeys(("train", "validation", "test")), str(folder), index).items():
        try:
            if place is not None:
                opened[split] = opened_index(index, place, options)
        except PluginOptionError:
            raise
        except EdenError as error:
            findings.append(Finding(Level.ERROR, f"{split} index", str(error)))
    if not opened and not findings:
        train, validation, test = (index_place("", split, index) for split in ("train", "validation", "test"))
        found = f"{folder} holds no index: expected {train}, {validation} or {test}"
        plugin = "" if index == "sqlite" else f" --index {index}"
        findings.append(Finding(Level.ERROR, "indexes", found, f"eden-precompute SPLIT.parquet {train}{plugin}"))
    elif "train" not in opened and not findings:
        missing = index_place("", "train", index)
        findings.append(Finding(Level.NOTE, "indexes", f"there is none for training: {missing} is missing"))
    return opened, findings


def _samples(store: SequenceStore) -> list[str] | Finding:
    try:
        samples = list(store.samples())
    except (FormatError, ShardNotFoundError) as error:
        return Finding(Level.ERROR, "shards", str(error))
    except NotSupportedError as error:
        return Finding(Level.NOTE, "shards", f"{error}: they are not looked at")
    if not samples:
        return Finding(Level.ERROR, "shards", f"{store.location} holds none of store {store.name!r}", "eden import … --out DIR")
    return samples


def _shards(
    store: SequenceStore, samples: list[str], executor: ExecutorFactory, folder: Path
) -> tuple[ShardTally, Iterator[Finding]]:
    try:
        tally = tally_shards(store, samples, executor)
    except NotSupportedError as error:
        return ShardTally(), iter([Finding(Level.NOTE, "shards", f"{len(samples):,}; {error}")])
    return tally, shard_findings(tally, store.location, _longest(folder) if tally.slow else None)


def _longest(folder: Path) -> int | None:
    """Return the length of the longest contig, where a table says it; one that is long enough will do."""
    longest = None
    try:
        for batch in read_contigs(folder / CONTIGS):
            longest = max(longest or 0, pc.max(batch.column("length")).as_py() or 0)
            if longest >= LONG_CONTIG:
                break
    except InputError:
        return None
    return longest


def _windows(
    indexes: dict[str, WindowIndex], store: SequenceStore, samples: list[str] | None, shards: ShardTally, job: Job
) -> Iterator[Finding]:
    used: set[str] = set()
    for split, index in indexes.items():
        try:
            tally = IndexTally.of(index)
        except EdenError as error:
            yield Finding(Level.ERROR, f"{split} index", str(error))
            continue
        used |= set(tally.windows)
        if samples is not None:
            yield from sample_findings(split, tally, samples)
        yield from table_findings(split, index, store, job)
        yield from row_findings(split, index, job)
        if split == "train":
            yield read_finding(split, index, tally, shards.slow_samples, job)
        index.close()
    unused = sorted(set(samples or ()) - used) if len(samples or ()) > 1 and indexes else []
    if unused:
        some = ", ".join(unused[:_NAMED]) + (", …" if len(unused) > _NAMED else "")
        yield Finding(Level.NOTE, "shards", f"{len(unused):,} of {len(samples or ()):,} are in no index: {some}")
