"""Rows of large tables, shared out by sample to files that each fit a task."""

from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eden_core.sequence_columns import samples_of

_ROWS_BUFFERED = 1 << 19
_FEW_SAMPLES = 16
_ROWS_A_GROUP = 250_000
_MOST_GROUPS = 256
_GROUPS_A_WORKER = 4


def group_count(rows: int, shards: int, workers: int) -> int:
    """Return into how many groups samples are shared out: of a size that fits into memory."""
    return max(1, min(shards, _MOST_GROUPS, max(_GROUPS_A_WORKER * workers, rows // _ROWS_A_GROUP)))


def with_samples(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield rows with the sample that they name, or else that of their ids; "" where there is none."""
    for batch in batches:
        of_ids = samples_of(batch.column("contig_id"))
        if "sample" not in batch.schema.names:
            yield batch.append_column("sample", of_ids)
            continue
        named = batch.column("sample")
        place = batch.schema.get_field_index("sample")
        yield batch.set_column(place, "sample", pc.if_else(pc.equal(named, ""), of_ids, named))


def only_sample(named: AbstractSet[str], present: Sequence[str]) -> str | None:
    """Return the one sample whose shard serves every id, whatever sample ids name; None: each id lies in its own sample's.

    Args:
        named: samples of a table of contigs, "" for ids that name none.
        present: samples that have a shard.
    """
    single = len(present) == 1 and (present[0] not in named or named <= {present[0], ""})
    return present[0] if single else None


def group_of(sample: str, groups: int) -> int:
    """Return the group that a sample goes to."""
    return crc32(sample.encode()) % groups


def write_groups(batches: Iterable[pa.RecordBatch], folder: Path, kind: str, groups: int) -> set[str]:
    """Write each row to the file of its sample's group, in the order in which rows come; return the samples.

    Args:
        batches: rows with a column `sample`.
        folder: where the files go.
        kind: a name for them.
        groups: how many there are; as many files are open.
    """
    samples: dict[str, int] = {}
    writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
    with ExitStack() as opened:
        for table in _buffered(batches):
            codes, names = _coded(table["sample"])
            numbers = np.array([samples.setdefault(name, group_of(name, groups)) for name in names], np.int64)[codes]
            order = np.argsort(numbers, kind="stable")
            bounds = np.searchsorted(numbers[order], np.arange(groups + 1))
            for group in np.flatnonzero(np.diff(bounds)).tolist():
                rows = table.take(pa.array(order[bounds[group] : bounds[group + 1]]))
                if group not in writers:
                    sink = opened.enter_context(pa.OSFile(str(_path(folder, kind, group)), "wb"))
                    writers[group] = opened.enter_context(pa.ipc.new_stream(sink, table.schema))
                writers[group].write_table(rows)
    return set(samples)


class Group:
    """The rows of one kind and group, mapped into memory.

    Args:
        folder, kind, number: as they were written.
        only: the sample that all rows are of, whatever they say; None: as they say.
    """

    def __init__(self, folder: Path, kind: str, number: int, only: str | None = None) -> None:
        path = _path(folder, kind, number)
        self._table: pa.Table | None = None
        self._codes, self.samples = np.empty(0, np.int64), list[str]()
        if path.exists():
            with pa.memory_map(str(path)) as file:
                self._table = pa.ipc.open_stream(file).read_all()
            self._codes, self.samples = _coded(self._table["sample"])
        if only is not None:
            self._codes, self.samples = np.zeros(0, np.int64), [only]
        self._number = {name: i for i, name in enumerate(self.samples)}
        self._order: NDArray[np.int64] | None = None

    def rows(self, sample: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one sample, in the order in which they came."""
        if self._table is None or sample not in self._number:
            return
        if len(self.samples) == 1:
            yield from self._table.to_batches(max_chunksize=1 << 16)
        elif len(self.samples) <= _FEW_SAMPLES:  # large ones perhaps, of which no copy should be made
            for batch in self._table.to_batches(max_chunksize=1 << 16):
                yield batch.filter(pc.equal(batch.column("sample"), sample))
        else:
            yield from self._taken(self._table, self._number[sample])

    def _taken(self, table: pa.Table, code: int) -> Iterator[pa.RecordBatch]:
        if self._order is None:
            self._order = np.argsort(self._codes, kind="stable")
            self._bounds = np.searchsorted(self._codes[self._order], np.arange(len(self.samples) + 1))
        yield from table.take(pa.array(self._order[self._bounds[code] : self._bounds[code + 1]])).to_batches()


def _coded(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    names = pc.unique(column)
    return pc.index_in(column, value_set=names).to_numpy().astype(np.int64), names.to_pylist()


def _buffered(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(part.num_rows for part in waiting) >= _ROWS_BUFFERED:
            yield pa.Table.from_batches(waiting).combine_chunks()
            waiting = []
    if any(part.num_rows for part in waiting):
        yield pa.Table.from_batches(waiting).combine_chunks()


def _path(folder: Path, kind: str, number: int) -> Path:
    return folder / f"{kind}_{number}.arrow"
