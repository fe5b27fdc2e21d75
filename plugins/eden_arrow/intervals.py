"""Intervals that are given when an index is opened: fitted to its contigs, and kept in a file beside it."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eden_arrow.bed import read_intervals
from eden_arrow.contig_file import ContigFile
from eden_arrow.writing import ContigWriter
from eden_core.errors import ConfigurationError, InputError
from eden_core.sidecars import kept_file
from eden_core.sorting import sorted_batches

KEPT = "intervals_kept"
"""in the metadata of such a file: it is no index of its own"""

_NAMED = 5


def interval_file(contigs: ContigFile, path: str, placing: str, io: str) -> tuple[ContigFile, str]:
    """Return the rows of a BED file, with the lengths of their contigs, and a digest of it.

    They are written once, out of core, beside the index or into the cache folder (see `eden_core.sidecars`).

    Args:
        contigs: the rows of the index.
        path: the BED file, plain or compressed.
        placing: with "grid" its intervals must not overlap.
        io: how the rows are read.

    Raises:
        ConfigurationError: the index is of intervals itself.
        InputError: the BED file cannot be read, or does not fit the contigs; the message names the line.
    """
    if contigs.has_intervals:
        raise ConfigurationError(
            f"{contigs.path} was built from intervals itself, so it cannot take those of {path}: give an index of whole contigs"
        )
    digest = _digest_of_file(path)

    def write(draft: Path, folder: Path) -> None:
        writer = ContigWriter(folder)
        found = sorted_batches(read_intervals(path), ("contig_id", "start", "end"), folder=folder)
        for batch in _checked(_fitted(found, contigs, path), path, overlaps=placing == "start"):
            writer.add(batch)
        if not writer.rows:
            raise InputError(f"{path} has not one interval")
        writer.write(draft, contigs.metadata | {KEPT: digest})

    key = (digest, placing == "start", contigs.rows, sorted(contigs.metadata.items()))
    return ContigFile(str(kept_file(contigs.path, "intervals", key, write)), io), digest


def _digest_of_file(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
    except OSError as error:
        raise InputError(f"{path} cannot be read as a BED file of intervals: {error.strerror or error}") from error


def _fitted(batches: Iterable[pa.RecordBatch], contigs: ContigFile, path: str) -> Iterator[pa.RecordBatch]:
    """Add the lengths of contigs; both sides are in byte order of the ids."""
    for batch in batches:
        ids = batch.column("contig_id")
        rows = range(contigs.rows)
        first = bisect_left(rows, ids[0].as_py(), key=contigs.id_at)
        stop = bisect_right(rows, ids[-1].as_py(), key=contigs.id_at)
        lengths = np.full(len(ids), -1)
        for some in contigs.batches(first, stop):
            places = pc.index_in(ids, value_set=some.column("contig_id"))
            known = places.is_valid().to_numpy(zero_copy_only=False)
            lengths[known] = some.column("length").to_numpy()[places.drop_null().to_numpy()]
        _refuse_unknown(batch.filter(pa.array(lengths < 0)), contigs, path)
        yield batch.append_column("contig_length", pa.array(lengths))


def _refuse_unknown(unknown: pa.RecordBatch, contigs: ContigFile, path: str) -> None:
    if unknown.num_rows:
        lines = dict(zip(unknown.column("contig_id").to_pylist()[::-1], unknown.column("line").to_pylist()[::-1], strict=True))
        some = sorted(lines)[:_NAMED]
        named = ", ".join(f"{contig_id!r} (line {lines[contig_id]})" for contig_id in some)
        more = " and others" if len(lines) > len(some) else ""
        raise InputError(f"{path} names contigs that {contigs.path} does not have: {named}{more}")


def _checked(batches: Iterable[pa.RecordBatch], path: str, *, overlaps: bool) -> Iterator[pa.RecordBatch]:
    """Refuse intervals that reach behind their contig's end, and those that share bases unless they may."""
    last: pa.RecordBatch | None = None
    for batch in batches:
        far = pc.index(pc.greater(batch.column("end"), batch.column("contig_length")), value=True).as_py()
        if far >= 0:
            row = batch.slice(far, 1).to_pylist()[0]
            raise InputError(
                f"{path}, line {row['line']}: the interval ends at base {row['end']} of {row['contig_id']!r}, which has "
                f"{row['contig_length']} bases"
            )
        if not overlaps:
            joined = pa.Table.from_batches([batch] if last is None else [last, batch]).combine_chunks()
            _refuse_overlap(joined, path)
            last = batch.slice(batch.num_rows - 1)
        lengths = pc.subtract(batch.column("end"), batch.column("start"))
        yield pa.RecordBatch.from_pydict(
            {
                "contig_id": batch.column("contig_id"),
                "start": batch.column("start"),
                "length": lengths,
                "contig_length": batch.column("contig_length"),
            }
        )


def _refuse_overlap(rows: pa.Table, path: str) -> None:
    before, after = rows.slice(0, len(rows) - 1), rows.slice(1)
    same = pc.equal(before["contig_id"], after["contig_id"])
    place = pc.index(pc.and_(same, pc.less(after["start"], before["end"])), value=True).as_py()
    if place >= 0:
        lines = sorted(rows["line"][place + i].as_py() for i in range(2))
        raise InputError(
            f"{path}: lines {lines[0]} and {lines[1]} share bases of {rows['contig_id'][place].as_py()!r}, which would be read "
            "twice: merge the intervals (bedtools merge), or take placing='start', which cuts each of them by itself"
        )
