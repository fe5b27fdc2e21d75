"""The table of contigs of a store that is there already, without copying its bases."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eden_core.atomic import atomic_path, refuse_existing
from eden_core.contigs import CONTIGS, COUNTED, DETAILS, SCHEMA
from eden_core.errors import FormatError, InputError, ShardNotFoundError
from eden_core.interfaces import ExecutorFactory, SequenceStore
from eden_core.scratch import scratch_folder
from eden_core.sequence_columns import tags_of
from eden_core.sorting import merged, sorted_batches
from eden_core.store_at import StoreAt
from eden_core.tasks import absolute, run_tasks
from eden_core.verifying.contents import contents_of

LISTED = pa.schema([DETAILS.field(name) for name in (*SCHEMA.names, "sample", "tag")])
"""what is listed of each contig unless digests are asked for: then it is `DETAILS`"""

_SAMPLES_A_TASK = 256

Progress = Callable[[int, int], None]
"""called with (samples done, samples in all)"""


@dataclass(frozen=True)
class ListingTask:
    """Some samples whose contigs are listed, and the file they are listed in."""

    store: StoreAt
    samples: tuple[str, ...]
    part: str
    digests: bool


@dataclass
class ListingSummary:
    """What was listed."""

    samples: int = 0
    contigs: int = 0
    bases: int = 0
    longest: int = 0
    """bases of the longest contig"""
    seconds: float = 0.0


def list_contigs(
    location: str | Path,
    factory: ExecutorFactory,
    *,
    out: str | Path | None = None,
    store: str = "sqlite-shards",
    store_options: Mapping[str, Any] | None = None,
    digests: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> ListingSummary:
    """Write the table of the contigs of a store, in byte order of their ids, complete or not at all.

    Args:
        location: where the store lies.
        factory: where shards are read.
        out: the table to write; None: `listed_at(location)`.
        store: name of the store plugin.
        store_options: its options.
        digests: whether bases are read, for all columns of `DETAILS`; without, the table has those of `LISTED`.
        force: whether an existing table is replaced.
        progress: told how far it is.

    Raises:
        OutputExistsError: the table exists, without `force`.
        ShardNotFoundError: there are no shards.
        InputError: a contig lies in two shards; the message names both samples.
        FormatError: a shard is damaged.
        NotSupportedError: the store cannot list its samples or contigs.
    """
    started = time.perf_counter()
    table = Path(absolute(listed_at(location) if out is None else out))
    place = StoreAt(store, absolute(location), store_options or {})
    with place.opened() as opened:
        samples = list(opened.samples())
    if not samples:
        raise ShardNotFoundError(f"{location} holds no shards of store {store!r}, so there are no contigs to list")
    refuse_existing(table, force=force)
    summary = ListingSummary(samples=len(samples))
    with atomic_path(table) as draft, scratch_folder(table.parent, "contigs") as scratch:
        tasks = _tasks(samples, place, scratch, digests=digests, workers=factory.workers)
        _write(draft, _written_parts(tasks, factory, progress, len(samples)), DETAILS if digests else LISTED, summary)
    summary.seconds = time.perf_counter() - started
    return summary


def listed_at(location: str | Path) -> Path:
    """Return where the contigs of a store are listed unless said otherwise: in its folder, or in that of its file."""
    return (Path(location) if Path(location).is_dir() else Path(location).parent) / CONTIGS


def list_samples(task: ListingTask) -> str:
    """Write the contigs of some samples to a file, in byte order of their ids."""
    with task.store.opened() as store:
        rows = (batch for sample in task.samples for batch in _rows(store, sample, digests=task.digests))
        with pq.ParquetWriter(task.part, DETAILS if task.digests else LISTED, compression="zstd") as writer:
            for batch in sorted_batches(rows, folder=Path(task.part).parent):
                writer.write_batch(batch)
    return task.part


def _rows(store: SequenceStore, sample: str, *, digests: bool) -> Iterator[pa.RecordBatch]:
    for batch in store.contigs(sample):
        count, ids = batch.num_rows, batch.column("contig_id")
        columns = [ids, batch.column("length"), pa.array([sample] * count, pa.string()), tags_of(ids)]
        if digests:
            columns += _details(store, sample, ids.to_pylist(), batch.column("length"))
        yield pa.RecordBatch.from_arrays(columns, schema=DETAILS if digests else LISTED)


def _details(store: SequenceStore, sample: str, ids: list[str], lengths: pa.Array) -> list[pa.Array]:
    found = []
    for contig_id, contents in zip(ids, contents_of(store, ids, lengths.to_numpy(), counted=True), strict=True):
        if contents.fault is not None:
            raise FormatError(f"the bases of contig {contig_id!r} of sample {sample!r} are damaged: {contents.fault}")
        if contents.nul is not None:
            raise InputError(
                f"contig {contig_id!r} of sample {sample!r} holds NUL bytes, the first at position {contents.nul} (from 0): "
                "a hole in its shard; copy the shard again"
            )
        found.append((contents.digest, *contents.counts))
    digests, *counts = zip(*found, strict=True)
    source = pa.array([store.reading or f"{store.location}/{sample}"] * len(ids), pa.string())
    return [source, pa.array(digests, pa.string()), *(pa.array(some, pa.int64()) for some in counts[: len(COUNTED)])]


def _tasks(samples: list[str], store: StoreAt, scratch: Path, *, digests: bool, workers: int) -> Iterator[ListingTask]:
    size = max(1, min(_SAMPLES_A_TASK, len(samples) // (4 * workers)))
    waiting, number = iter(samples), 0
    while some := tuple(islice(waiting, size)):
        yield ListingTask(store, some, str(scratch / f"part_{number:06}.parquet"), digests)
        number += 1


def _written_parts(
    tasks: Iterator[ListingTask], factory: ExecutorFactory, progress: Progress | None, samples: int
) -> list[Path]:
    parts, done = [], 0
    for task, part in run_tasks(list_samples, tasks, factory):
        if isinstance(part, Exception):
            raise part
        parts.append(Path(part))
        done += len(task.samples)
        if progress is not None:
            progress(done, samples)
    return sorted(parts)


def _write(draft: Path, parts: list[Path], schema: pa.Schema, summary: ListingSummary) -> None:
    last = schema.empty_table()
    with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        for batch in merged(parts, folder=parts[0].parent):
            rows = pa.concat_tables([last, pa.Table.from_batches([batch])])
            _refuse_repeats(rows)
            last = rows.slice(max(0, len(rows) - 1))
            summary.contigs += batch.num_rows
            summary.bases += pc.sum(batch.column("length")).as_py() or 0
            summary.longest = max(summary.longest, pc.max(batch.column("length")).as_py() or 0)
            writer.write_batch(batch)


def _refuse_repeats(rows: pa.Table) -> None:
    ids = rows["contig_id"].combine_chunks()
    place = pc.index(pc.equal(ids[:-1], ids[1:]), value=True).as_py() if len(ids) > 1 else -1
    if place >= 0:
        one, other = rows["sample"][place].as_py(), rows["sample"][place + 1].as_py()
        raise InputError(
            f"contig {ids[place].as_py()!r} lies in the shards of sample {one!r} and of sample {other!r}; each id must be "
            "there once: remove one of them"
        )
