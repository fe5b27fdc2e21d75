"""From a FASTA file to a store and the table of its contigs."""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from eden_core.atomic import atomic_path
from eden_core.contigs import BATCH_ROWS, SCHEMA, read_contigs, write_contigs
from eden_core.decompression import STANDARD_INPUT
from eden_core.errors import ConfigurationError, InputError, OutputExistsError
from eden_core.plugins import installed_plugins
from eden_core.records import Record, read_records
from eden_core.runs import RunCollector
from eden_core.sequence_ids import compose_sequence_id, is_sequence_id_of

CONTIGS = "contigs.parquet"

Progress = Callable[[int, int], None]
"""called with (bytes read, bytes in all); from standard input, whose size nobody knows, both are what was read"""


@dataclass(frozen=True)
class ImportSummary:
    """What an import wrote."""

    sample: str
    shard: str
    """where the store put the bases"""
    contigs: Path
    """the table of contigs"""
    sequences: int
    bases: int
    seconds: float


def import_fasta(
    fasta: str | Path,
    out: str | Path,
    *,
    sample: str,
    tag: str,
    store: str = "sqlite-shards",
    cut_every: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> ImportSummary:
    """Write a FASTA file's sequences into a store, as one sample, and list them in `<out>/contigs.parquet`.

    Their stretches of N go into `<out>/n_runs.parquet`, those of lower-case letters into `<out>/soft_masked.parquet`. The
    tables keep the sequences of other samples that were imported into the same directory. After an error there is no new
    shard and no new table. One sequence is in memory at a time, besides all ids and lengths.

    Args:
        fasta: plain or gzip-compressed, or `-` for standard input.
        out: the store's directory.
        sample: the sample all sequences belong to.
        tag: the control tag of ids that Eden composes. An id that has the form `TAG__X-SAMPLE__REST` and names the sample is
            kept; any other becomes `<tag>__FASTA-<sample>__<id>`.
        store: name of a store plugin.
        cut_every: bases after which to cut; the pieces of a longer sequence are sequences of their own, with `:start-end`
            (counted from 1, end included) behind the id.
        force: whether a sample that is there is replaced.
        progress: told how far it is.

    Raises:
        InvalidSequenceIdError: sample or tag would not survive in a sequence id.
        ConfigurationError: `cut_every` is less than 1, or `out` cannot be made.
        OutputExistsError: the sample's folder exists, without `force`.
        InputError: the FASTA file cannot be used.
    """
    started = time.perf_counter()
    compose_sequence_id(tag, sample, "only-a-check")
    if cut_every is not None and cut_every < 1:
        raise ConfigurationError(f"--cut-every {cut_every} cuts nothing; give 1 base or more")
    out = Path(out)
    if (out / sample).exists() and not force:
        raise OutputExistsError(f"{out / sample} exists already; give --force to replace it, or import under another --sample")
    lengths: dict[str, int] = {}
    records = read_records(fasta, progress=progress and _byte_counter(fasta, progress))
    sequences = _sequences(records, lengths, lambda name: _id_in_store(name, tag, sample), cut_every)
    runs = RunCollector(lambda contig_id: is_sequence_id_of(contig_id, sample))
    others: dict[str, int] = {}
    with (
        _folders(out, sample),
        _locked(out),
        installed_plugins().store(store, str(out)) as opened,
        atomic_path(out / CONTIGS) as draft,
        runs.tables(out, lambda: bool(others)),
    ):
        others |= _other_samples(out / CONTIGS, sample)
        shard = opened.write_shard(sample, _then_listed(runs.noted(sequences), lengths, others, draft))
        opened.finish()
    seconds = time.perf_counter() - started
    return ImportSummary(sample, shard.location, out / CONTIGS, len(lengths), sum(lengths.values()), seconds)


def _id_in_store(name: str, tag: str, sample: str) -> str:
    return name if is_sequence_id_of(name, sample) else compose_sequence_id(tag, sample, name)


def _sequences(
    records: Iterable[Record], lengths: dict[str, int], renamed: Callable[[str], str], cut_every: int | None
) -> Iterator[tuple[str, bytes]]:
    """Yield the sequences for the store, and note their lengths."""
    for record in records:
        if record.id is None:
            raise InputError(f"line or row {record.place}: the sequence has no id")
        for sequence_id, bases in _pieces(renamed(record.id), record.bases, cut_every):
            if sequence_id in lengths:
                raise InputError(
                    f"line {record.place}: sequence {record.id!r} would get the id {sequence_id!r}, which an earlier one has; "
                    "rename one of them"
                )
            lengths[sequence_id] = len(bases)
            yield sequence_id, bases


def _pieces(sequence_id: str, bases: bytes, cut_every: int | None) -> Iterator[tuple[str, bytes]]:
    if cut_every is None or len(bases) <= cut_every:
        yield sequence_id, bases
        return
    for start in range(0, len(bases), cut_every):
        piece = bases[start : start + cut_every]
        yield f"{sequence_id}:{start + 1}-{start + len(piece)}", piece


def _other_samples(table: Path, sample: str) -> dict[str, int]:
    """Return the sequences of other samples that a table of contigs lists."""
    rows = (row for batch in read_contigs(table) for row in batch.to_pylist()) if table.exists() else ()
    return {row["contig_id"]: row["length"] for row in rows if not is_sequence_id_of(row["contig_id"], sample)}


def _then_listed(
    sequences: Iterator[tuple[str, bytes]], lengths: dict[str, int], others: dict[str, int], draft: Path
) -> Iterator[tuple[str, bytes]]:
    """Yield the sequences, and write the table before the store completes its shard: what can fail must fail first."""
    yield from sequences
    write_contigs(draft, _batches(others | lengths))


def _batches(lengths: dict[str, int]) -> Iterator[pa.RecordBatch]:
    ids = sorted(lengths)  # the order of code points is the byte order of UTF-8
    for first in range(0, len(ids), BATCH_ROWS):
        some = ids[first : first + BATCH_ROWS]
        yield pa.RecordBatch.from_arrays([pa.array(some), pa.array([lengths[i] for i in some])], schema=SCHEMA)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Let imports into one directory follow each other: each adds to the same table."""
    descriptor = os.open(out, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _folders(out: Path, sample: str) -> Iterator[None]:
    """Make `out`; when the block fails, remove the sample's new folder and every other new one that is empty."""
    new = [folder for folder in (out / sample, out, *out.parents) if not folder.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"the directory {out} cannot be made: {error.strerror}") from error
    try:
        yield
    except BaseException:
        if out / sample in new:
            shutil.rmtree(out / sample, ignore_errors=True)
        for folder in new:
            with suppress(OSError):
                folder.rmdir()
        raise


def _byte_counter(fasta: str | Path, progress: Progress) -> Callable[[int], None]:
    size = 0 if str(fasta) == STANDARD_INPUT or not Path(fasta).is_file() else Path(fasta).stat().st_size
    done = 0

    def count(bytes_read: int) -> None:
        nonlocal done
        done += bytes_read
        progress(done, max(done, size))

    return count
