"""Tables of runs, such as stretches of N: which part of a window they cover, without reading its bases."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eden_core.batch import offsets_of
from eden_core.errors import InputError

N_RUNS = "n_runs.parquet"
"""stretches of N or n"""

SOFT_MASKED = "soft_masked.parquet"
"""stretches of lower-case letters"""

SCHEMA = pa.schema(
    [
        pa.field("contig_id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
    ]
)
"""contig_id, start (zero-based), end (not included); in byte order of the ids, then by start; runs do not overlap"""

Runs = tuple[NDArray[np.int64], NDArray[np.int64]]
"""starts and ends, int64 [k] each"""

_AT_ONCE = 1 << 18


def n_runs(bases: bytes) -> Runs | None:
    """Return the stretches of N or n, or None where there are none."""
    return _runs(bases, _is_n) if b"N" in bases or b"n" in bases else None


def soft_masked(bases: bytes) -> Runs | None:
    """Return the stretches of lower-case letters, or None where there are none."""
    return None if bases.isupper() else _runs(bases, _is_lower)


def _is_n(values: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray((values & np.uint8(0xDF)) == np.uint8(ord("N")))


def _is_lower(values: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.asarray(values - np.uint8(ord("a")) < np.uint8(26))  # what lies before "a" wraps around to more


def _runs(bases: bytes, marks: Callable[[NDArray[np.uint8]], NDArray[np.bool_]]) -> Runs | None:
    values = np.frombuffer(bases, np.uint8)
    found, inside = [], False
    for first in range(0, values.size, _AT_ONCE):
        marked = marks(values[first : first + _AT_ONCE])
        found.append(first + np.flatnonzero(np.diff(marked, prepend=inside)))
        inside = bool(marked[-1])
    edges = np.concatenate([*found, np.full(int(inside), values.size)])
    return (edges[::2], edges[1::2]) if edges.size else None


def read_runs(path: str | Path) -> Iterator[pa.RecordBatch]:
    """Yield the runs of a table as batches of `SCHEMA`.

    Raises:
        InputError: it cannot be read, or has other columns.
    """
    try:
        for batch in pq.ParquetFile(path).iter_batches(columns=SCHEMA.names):
            yield pa.RecordBatch.from_arrays([batch.column(field.name).cast(field.type) for field in SCHEMA], schema=SCHEMA)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise InputError(
            f"{path} is no table of runs that can be read ({error}); expected Parquet with contig_id, start and end, as "
            "`eden import` writes it"
        ) from error


@dataclass(frozen=True)
class RunLimit:
    """The largest share of a window that runs may cover.

    Args:
        table: a table of runs, in byte order of the contig ids.
        most: share, 0 to 1.
    """

    table: str
    most: float

    def filter(self) -> "RunFilter":
        """Begin at the first contig."""
        return RunFilter(self)


class RunFilter:
    """Goes through a table of runs while contigs come by in byte order of their ids."""

    def __init__(self, limit: RunLimit) -> None:
        self._limit = limit
        self._batches = read_runs(limit.table)
        self._ahead = SCHEMA.empty_table()

    def keeps(
        self,
        contig_ids: pa.Array,
        lengths: NDArray[np.int64],
        contigs: NDArray[np.int64],
        starts: NDArray[np.int64],
        bases: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Return which windows hold few enough runs.

        Args:
            contig_ids: the next contigs; one may come several times, side by side.
            lengths: int64, bases of each contig.
            contigs: int64 [W], the contig of each window, by its place in `contig_ids`.
            starts: int64 [W], where a window begins in its contig.
            bases: int64 [W], how many bases it has.
        """
        encoded = contig_ids.dictionary_encode()
        codes = encoded.indices.to_numpy()
        places, run_starts, run_ends = self._runs_of(encoded.dictionary)
        begins = offsets_of(lengths[np.flatnonzero(np.diff(codes, prepend=-1))])[:-1]
        contigs = codes[contigs]
        first, covered = begins[places] + run_starts, offsets_of(run_ends - run_starts)

        def before(x: NDArray[np.int64]) -> NDArray[np.int64]:
            if not first.size:
                return np.zeros_like(x)
            run = np.searchsorted(first, x, side="right") - 1
            within = np.minimum(x - first[run], np.diff(covered)[run])
            return np.where(run < 0, 0, covered[run] + within)

        begin = begins[contigs] + starts
        return (before(begin + bases) - before(begin)) / bases <= self._limit.most

    def _runs_of(self, contig_ids: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the contig (by its place), start and end of each run of these contigs, which are all different, in order."""
        last = contig_ids[-1].as_py()
        while not len(self._ahead) or self._ahead["contig_id"][-1].as_py() <= last:
            more = next(self._batches, None)
            if more is None:
                break
            loaded = pa.Table.from_batches([more])
            self._check_order(pa.concat_tables([self._ahead.slice(max(0, len(self._ahead) - 1)), loaded]).combine_chunks())
            self._ahead = pa.concat_tables([self._ahead, loaded])
        places = pc.index_in(self._ahead["contig_id"], value_set=contig_ids)
        found = self._ahead.append_column("place", places).filter(pc.is_valid(places))
        self._ahead = self._ahead.filter(pc.greater_equal(self._ahead["contig_id"], last))
        place, start, end = (np.asarray(found[name].to_numpy(), np.int64) for name in ("place", "start", "end"))
        return place, start, end

    def _check_order(self, table: pa.Table) -> None:
        before, after = table.slice(0, max(0, len(table) - 1)), table.slice(1)
        falls = pc.greater(before["contig_id"], after["contig_id"])
        overlaps = pc.and_(pc.equal(before["contig_id"], after["contig_id"]), pc.less(after["start"], before["end"]))
        if pc.any(pc.or_(falls, overlaps)).as_py():
            raise InputError(f"{self._limit.table} is not in byte order of contig_id, then by start, or runs overlap")
