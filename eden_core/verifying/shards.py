"""Whether shards hold what the tables of contigs and runs say."""

import shlex
from collections.abc import Callable, Iterator, KeysView
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eden_core.contigs import SCHEMA
from eden_core.errors import EdenError, NotSupportedError
from eden_core.interfaces import SequenceStore
from eden_core.remedies import Remedies
from eden_core.runs import N_RUNS, SOFT_MASKED, Runs
from eden_core.sequence_columns import samples_of
from eden_core.store_at import StoreAt
from eden_core.verifying.contents import Contents, contents_of
from eden_core.verifying.grouping import Group
from eden_core.verifying.ordered_rows import OrderedRows, first_value
from eden_core.verifying.problems import Problems

CONTIG_ROWS = "contigs"
RUN_TABLES = (N_RUNS, SOFT_MASKED)


@dataclass(frozen=True)
class GroupTask:
    """A group of samples to check.

    Attributes:
        data_dir: the data folder, where its tables lie.
        store: the store.
        contigs: the table of contigs.
        folder: where the rows of the tables lie, by group.
        group: number of the group.
        present: samples of the group that have a shard.
        read: those of them whose bases are read.
        only: the one sample whose shard serves every id; None: each has its own.
        runs: the tables of runs that there are.
    """

    data_dir: str
    store: StoreAt
    contigs: str
    folder: str
    group: int
    present: frozenset[str]
    read: frozenset[str]
    only: str | None
    runs: tuple[str, ...]


@dataclass
class GroupResult:
    """What was checked in a group, and what is wrong."""

    samples: int = 0
    """whose bases were read"""
    contigs: int = 0
    bases: int = 0
    problems: Problems = field(default_factory=Problems)


def relisted(store: StoreAt, contigs: str) -> str:
    """Return the command that lists the contigs of shards as they are."""
    return shlex.join(["eden", "contigs", *store.words(), store.location, "--out", contigs, "--digests", "--force"])


def check_group(task: GroupTask) -> GroupResult:
    """Check the samples of a group; what is wrong with one does not stop the others."""
    folder, result, remedies = Path(task.folder), GroupResult(), Remedies(task.data_dir, task.contigs)
    contigs = Group(folder, CONTIG_ROWS, task.group, task.only)
    runs = {table: Group(folder, table, task.group, task.only) for table in task.runs}
    with task.store.opened() as store:
        for sample in sorted({*contigs.samples, *(name for group in runs.values() for name in group.samples)}):
            found = {table: _RunsOfSample(group.rows(sample)) for table, group in runs.items()}
            check = _SampleCheck(task, store, sample, found, result, remedies)
            check.run(contigs.rows(sample))
    return result


class _SampleCheck:
    def __init__(
        self,
        task: GroupTask,
        store: SequenceStore,
        sample: str,
        runs: "dict[str, _RunsOfSample]",
        result: GroupResult,
        remedies: Remedies,
    ) -> None:
        self._task, self._store, self._sample, self._runs, self._problems = task, store, sample, runs, result.problems
        self._result, self._damaged, self._remedies = result, False, remedies
        self._where = f"sample {sample}"
        self._relist = relisted(task.store, task.contigs)

    def run(self, rows: Iterator[pa.RecordBatch]) -> None:
        """Check the shard against the rows of its sample."""
        listed = OrderedRows(self._listed(), SCHEMA)
        readable = self._sample in self._task.present and self._sound()
        for batch in rows:
            if batch.num_rows:
                expected, contents = pa.Table.from_batches([batch]), dict[str, Contents]()
                self._check_names(expected)
                readable = readable and self._guarded(lambda: self._compare(expected, listed, contents))  # noqa: B023 - at once
                self._check_runs(expected, contents)
        if readable:
            self._guarded(lambda: self._extra(listed))
        for table, runs in self._runs.items():
            for contig_id, (starts, _) in runs.left():
                what = f"it lists {starts.size} runs of {contig_id}, which {self._task.contigs} does not have"
                self._problem("runs", what, self._reimport, where=str(Path(self._task.data_dir) / table))

    def _sound(self) -> bool:
        """Whether the shard can be listed and read; damage that lies elsewhere is noted."""
        if self._sample not in self._task.read:
            self._guarded(self._look)
            return False
        self._guarded(lambda: self._store.check_shard(self._sample))
        self._result.samples += 1
        return self._guarded(lambda: next(self._store.contigs(self._sample), None))

    def _look(self) -> None:
        try:
            state = self._store.shard_state(self._sample)
        except NotSupportedError:
            return
        if state.unsafe is not None:
            self._problem("damaged-shard", state.unsafe, self._reimport)

    @property
    def _reimport(self) -> str:
        return self._remedies.importing(self._sample)

    def _listed(self) -> Iterator[pa.RecordBatch]:
        for batch in self._store.contigs(self._sample):
            yield batch.select(SCHEMA.names).cast(SCHEMA)

    def _guarded(self, step: Callable[[], object]) -> bool:
        """Run a step; an error becomes a problem, the first of a shard, and False."""
        try:
            step()
        except NotSupportedError:
            raise
        except (EdenError, OSError) as error:
            if not self._damaged:
                self._problem("damaged-shard", str(error), self._reimport)
            self._damaged = True
            return False
        return True

    def _check_runs(self, expected: pa.Table, contents: dict[str, Contents]) -> None:
        if not contents and not any(runs.names for runs in self._runs.values()):
            return
        ids, lengths = expected["contig_id"].to_pylist(), expected["length"].to_pylist()
        for table, runs in self._runs.items():
            for contig_id, length in zip(ids, lengths, strict=True):
                if contig_id in contents or contig_id in runs.names:
                    self._check_runs_of(table, contig_id, length, runs.take(contig_id), contents.get(contig_id))

    def _check_names(self, expected: pa.Table) -> None:
        ids = expected["contig_id"]
        repeats = pc.equal(ids[:-1], ids[1:])
        if pc.any(repeats).as_py():
            what = f"contig_id {first_value(ids[1:], repeats)!r} occurs more than once"
            self._problem("contigs-table", what, self._relist, where=self._task.contigs, count=pc.sum(repeats).as_py())
        if self._task.only is None:
            named = samples_of(ids.combine_chunks())
            other = pc.and_(pc.not_equal(named, self._sample), pc.not_equal(named, ""))  # reading tells whether "" will do
            if pc.any(other).as_py():
                what = f"it puts {first_value(ids, other)!r} into sample {self._sample!r}, and the id names another"
                self._problem("contigs-table", what, self._relist, where=self._task.contigs, count=pc.sum(other).as_py())

    def _compare(self, expected: pa.Table, listed: OrderedRows, contents: dict[str, Contents]) -> None:
        found = listed.until(expected["contig_id"][-1].as_py())
        self._note_extra(found.filter(pc.is_null(_places(found, expected))))
        places = _places(expected, found)
        missing = pc.is_null(places)
        if pc.any(missing).as_py():
            what = f"the shard lacks contig {first_value(expected['contig_id'], missing)}"
            self._problem("missing-contig", what, self._reimport, count=pc.sum(missing).as_py())
        both = expected.filter(pc.is_valid(places))
        lengths = found["length"].take(places.drop_null())
        other = pc.not_equal(both["length"], lengths)
        if pc.any(other).as_py():
            names = (first_value(column, other) for column in (both["contig_id"], lengths, both["length"]))
            what = "contig {} has {} bases, and the table says {}".format(*names)
            self._problem("length", what, self._reimport, count=pc.sum(other).as_py())
        self._read(both, lengths, contents)

    def _read(self, expected: pa.Table, lengths: pa.ChunkedArray, contents: dict[str, Contents]) -> None:
        ids: list[str] = expected["contig_id"].to_pylist()
        digests = expected["digest"].to_pylist() if "digest" in expected.column_names else None
        same = pc.equal(expected["length"], lengths).to_pylist()
        for i, one in enumerate(contents_of(self._store, ids, lengths.to_numpy())):
            self._result.contigs += 1
            self._result.bases += one.length
            if one.nul is not None:
                what = f"contig {ids[i]} holds NUL bytes, the first at position {one.nul} (from 0)"
                self._problem("nul-bytes", f"{what}: a hole in the file", self._reimport)
            elif one.fault is not None:
                self._problem("damaged-contig", f"the bases of contig {ids[i]} are damaged: {one.fault}", self._reimport)
            elif digests is not None and same[i] and one.digest != digests[i]:
                what = f"the bases of contig {ids[i]} have the digest {one.digest}, and the table says {digests[i]}"
                self._problem("bases", what, self._reimport)
            if same[i] and any(ids[i] in runs.names or one.runs(table)[0].size for table, runs in self._runs.items()):
                contents[ids[i]] = one

    def _extra(self, listed: OrderedRows) -> None:
        for table in listed.rest():
            self._note_extra(table)

    def _note_extra(self, rows: pa.Table) -> None:
        if len(rows):
            what = f"the shard holds contig {rows['contig_id'][0].as_py()}, which {self._task.contigs} does not have"
            self._problem("extra-contig", what, self._relist, count=len(rows))

    def _check_runs_of(self, table: str, contig_id: str, length: int, listed: Runs | None, contents: Contents | None) -> None:
        starts, ends = listed or (np.empty(0, np.int64), np.empty(0, np.int64))
        place = str(Path(self._task.data_dir) / table)
        if starts.size and (starts[0] < 0 or ends.max() > length or (starts >= ends).any() or (starts[1:] < ends[:-1]).any()):
            what = f"runs of {contig_id} are out of order, overlap, or lie outside its {length} bases"
            self._problem("runs", what, self._reimport, where=place)
        elif contents is not None and contents.nul is None and contents.fault is None:
            wanted = contents.runs(table)
            if not (np.array_equal(wanted[0], starts) and np.array_equal(wanted[1], ends)):
                what = f"it lists {starts.size} runs of {contig_id}, and its bases have {_described(wanted)}"
                self._problem("runs", what, self._reimport, where=place)

    def _problem(self, kind: str, what: str, remedy: str, *, where: str | None = None, count: int = 1) -> None:
        self._problems.add(kind, where or self._where, what, remedy, count)


class _RunsOfSample:
    """The runs of a sample, by contig."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._found: dict[str, list[Runs]] = {}
        for batch in batches:
            if not batch.num_rows:
                continue
            ids = batch.column("contig_id")
            starts, ends = (batch.column(name).to_numpy() for name in ("start", "end"))
            changes = np.flatnonzero(pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)) + 1
            for a, b in pairwise([0, *changes.tolist(), len(ids)]):
                self._found.setdefault(ids[a].as_py(), []).append((starts[a:b], ends[a:b]))

    @property
    def names(self) -> KeysView[str]:
        """Contigs that have runs and were not taken."""
        return self._found.keys()

    def take(self, contig_id: str) -> Runs | None:
        """Take the runs of one contig; None: it has none."""
        pieces = self._found.pop(contig_id, None)
        if pieces is None:
            return None
        return np.concatenate([starts for starts, _ in pieces]), np.concatenate([ends for _, ends in pieces])

    def left(self) -> Iterator[tuple[str, Runs]]:
        """Take the runs of all contigs that are left."""
        for contig_id in list(self._found):
            yield contig_id, self.take(contig_id) or (np.empty(0, np.int64), np.empty(0, np.int64))


def _places(rows: pa.Table, among: pa.Table) -> pa.Array:
    """Return where the ids of rows stand among others', null where they do not."""
    return pc.index_in(rows["contig_id"].combine_chunks(), value_set=among["contig_id"].combine_chunks())


def _described(runs: Runs) -> str:
    if not runs[0].size:
        return "none"
    return f"{runs[0].size}, the first from {runs[0][0]} to {runs[1][0]}"
