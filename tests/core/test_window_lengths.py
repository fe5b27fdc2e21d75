from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain import write_runs

from eden_core import SequenceStore, Tiling, WindowIndex, Windows
from eden_core.errors import ConfigurationError, InputError
from eden_core.runs import RunLimit, n_runs
from eden_core.window_lengths import LengthSource
from eden_sqlite.index import SqliteIndex

TILING = Tiling(10, 8)
CONTIGS = {"BCR__X-S1__a": 25, "BCR__X-S1__b": 3, "BCR__X-S2__c": 10, "VIR__X-S1__d": 18}


class PlainIndex(WindowIndex):
    """The windows of contigs, in memory; gives a few contigs a batch."""

    name = "plain"

    def __init__(self, location, lengths: dict[str, int], *, known: bool, at_once: int = 3) -> None:
        super().__init__(location)
        self.tiling, self.lengths, self.known, self.at_once = TILING, lengths, known, at_once

    def __len__(self) -> int:
        return len(expected(self.lengths))

    def lookup(self, window_ids) -> Windows:
        raise NotImplementedError

    def contigs(self):
        names = sorted(self.lengths, key=str.encode)
        counts = TILING.counts(np.array([self.lengths[name] for name in names]))
        firsts = np.cumsum(counts) - counts
        for first in range(0, len(names), self.at_once):
            some = slice(first, first + self.at_once)
            lengths = [self.lengths[name] if self.known else None for name in names[some]]
            columns = [pa.array(names[some]), pa.array(firsts[some]), pa.array(counts[some]), pa.array(lengths, pa.int64())]
            yield pa.RecordBatch.from_arrays(columns, names=["contig_id", "first_window", "windows", "length"])

    def fingerprint(self) -> str:
        return "plain"


class PlainStore(SequenceStore):
    """Knows lengths, or cannot list them."""

    name = "plain"

    def __init__(self, location, lengths: dict[str, int] | None = None) -> None:
        super().__init__(location)
        self.lengths = lengths

    def read(self, windows):
        raise NotImplementedError

    def contigs(self):
        if self.lengths is None:
            return super().contigs()
        names = list(self.lengths)
        return (pa.record_batch({"contig_id": [name], "length": [self.lengths[name]]}) for name in reversed(names))


def write_table(path: Path, lengths: dict[str, int]) -> str:
    pq.write_table(pa.table({"contig_id": list(lengths), "length": pa.array(lengths.values(), pa.int64())}), path)
    return str(path)


def expected(lengths: dict[str, int]) -> list[tuple[int, str, int, int]]:
    """(window, contig, start, bases) of each window."""
    found = []
    for name in sorted(lengths, key=str.encode):
        count = 1 if lengths[name] < 10 else 1 + (lengths[name] - 10) // 8
        for i in range(count):
            found.append((len(found), name, 8 * i, min(10, lengths[name] - 8 * i)))
    return found


def windows_of(source: LengthSource, limits=()) -> list[tuple[int, str, int, int]]:
    return [
        row
        for w in source.windows(limits)
        for row in zip(w.window_ids.tolist(), w.sequence_ids, w.starts.tolist(), w.lengths.tolist(), strict=True)
    ]


def source(folder: Path, *, known=False, listed=None, contigs=None, lengths=CONTIGS, at_once=3) -> LengthSource:
    index = PlainIndex(str(folder / "index" / "w.db"), lengths, known=known, at_once=at_once)
    return LengthSource(index, PlainStore(str(folder / "store"), listed), contigs)


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "index").mkdir()
    (tmp_path / "store").mkdir()
    return tmp_path


def test_an_index_that_knows_lengths_is_not_second_guessed(folder):
    table = write_table(folder / "index" / "contigs.parquet", dict.fromkeys(CONTIGS, 999))
    assert windows_of(source(folder, known=True, contigs=table)) == expected(CONTIGS)


@pytest.mark.parametrize("place", ["index", "store"])
def test_a_table_beside_the_index_or_in_the_store_tells_lengths(folder, place):
    write_table(folder / place / "contigs.parquet", CONTIGS)
    assert windows_of(source(folder)) == expected(CONTIGS)


def test_the_table_beside_the_index_comes_first(folder):
    beside = write_table(folder / "index" / "contigs.parquet", CONTIGS)
    write_table(folder / "store" / "contigs.parquet", dict.fromkeys(CONTIGS, 999))
    assert source(folder).table == beside


def test_a_table_that_is_given_comes_before_others(folder):
    write_table(folder / "index" / "contigs.parquet", dict.fromkeys(CONTIGS, 999))
    given_table = write_table(folder / "mine.parquet", CONTIGS)
    assert windows_of(source(folder, contigs=given_table)) == expected(CONTIGS)


def test_a_store_is_asked_where_there_is_no_table(folder):
    assert windows_of(source(folder, listed=CONTIGS)) == expected(CONTIGS)


def test_nothing_knows_lengths(folder):
    with pytest.raises(
        ConfigurationError, match="lengths of windows are needed, and neither index .* nor store .*: give contigs"
    ):
        windows_of(source(folder))


@settings(max_examples=50)
@given(st.dictionaries(st.text("abé_", min_size=1, max_size=4), st.integers(1, 60), min_size=1), st.integers(1, 5), st.data())
def test_lengths_are_joined_whatever_the_batches_and_the_order_of_the_table(tmp_path_factory, lengths, at_once, data):
    others = {f"{name}{data.draw(st.sampled_from('0z'))}": 5 for name in lengths}
    rows = data.draw(st.permutations(list((others | lengths).items())))
    table = write_table(tmp_path_factory.getbasetemp() / "contigs.parquet", dict(rows))
    found = source(tmp_path_factory.getbasetemp(), contigs=table, lengths=lengths, at_once=at_once)
    assert windows_of(found) == expected(lengths)


@pytest.mark.parametrize("missing", CONTIGS)
@pytest.mark.parametrize("at_once", [1, 4])
def test_a_contig_that_the_table_lacks_is_named(folder, missing, at_once):
    table = write_table(folder / "some.parquet", {name: n for name, n in CONTIGS.items() if name != missing})
    with pytest.raises(InputError, match=f"some.parquet has no contig '{missing}', of which .*w.db has windows"):
        windows_of(source(folder, contigs=table, at_once=at_once))


def test_a_contig_that_is_shorter_than_its_windows_is_named(folder):
    table = write_table(folder / "other.parquet", {**CONTIGS, "BCR__X-S1__a": 8})
    with pytest.raises(InputError, match=r"window at base 8 of 'BCR__X-S1__a', which has 8 bases according to .*other.parquet"):
        windows_of(source(folder, contigs=table))


def test_windows_over_a_limit_are_left_out(folder):
    write_runs(
        folder / "n.parquet", [("BCR__X-S1__a", n_runs(b"A" * 8 + b"N" * 12 + b"A" * 5)), ("VIR__X-S1__d", n_runs(b"N"))]
    )
    limit = RunLimit(str(folder / "n.parquet"), 0.2)
    left_out = {("BCR__X-S1__a", 8)}
    assert windows_of(source(folder, listed=CONTIGS), [limit]) == [w for w in expected(CONTIGS) if w[1:3] not in left_out]


def test_limits_add_up(folder):
    for name, contig in (("one", "BCR__X-S1__b"), ("two", "BCR__X-S2__c")):
        write_runs(folder / f"{name}.parquet", [(contig, n_runs(b"NNN"))])
    limits = [RunLimit(str(folder / f"{name}.parquet"), 0) for name in ("one", "two")]
    kept = windows_of(source(folder, listed=CONTIGS, at_once=1), limits)
    assert {name for _, name, _, _ in kept} == {"BCR__X-S1__a", "VIR__X-S1__d"}


INTERVALS = [
    ("BCR__X-S1__a", 3, 22, 25),
    ("BCR__X-S2__c", 0, 10, 64),
    ("BCR__X-S2__c", 24, 10, 64),
    ("BCR__X-S2__c", 40, 24, 64),
]
INTERVAL_WINDOWS = [
    (0, "BCR__X-S1__a", 8, 10),
    (1, "BCR__X-S2__c", 0, 10),
    (2, "BCR__X-S2__c", 24, 10),
    (3, "BCR__X-S2__c", 40, 10),
    (4, "BCR__X-S2__c", 48, 10),
]
WHOLE = {"BCR__X-S1__a": 25, "BCR__X-S2__c": 64}


@pytest.fixture
def intervals(folder) -> LengthSource:
    """An index of intervals, whose store lists whole contigs."""
    names = ("contig_id", "start", "length", "contig_length")
    table = pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in INTERVALS])
    pq.write_table(table, folder / "intervals.parquet")
    SqliteIndex.build(str(folder / "index" / "w.db"), table.to_batches(max_chunksize=3), TILING)
    return LengthSource(SqliteIndex(str(folder / "index" / "w.db")), PlainStore(str(folder / "store"), WHOLE))


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_windows_of_intervals_begin_where_these_do(intervals, monkeypatch, batch_rows):
    monkeypatch.setattr("eden_sqlite.index.BATCH_ROWS", batch_rows)
    assert windows_of(intervals) == INTERVAL_WINDOWS


def test_a_table_of_intervals_tells_how_long_contigs_are(intervals, folder):
    source = LengthSource(intervals.index, PlainStore("nowhere"), str(folder / "intervals.parquet"))
    assert windows_of(source) == INTERVAL_WINDOWS


def test_a_table_of_intervals_that_does_not_tell_is_refused(intervals, folder):
    pq.write_table(pq.read_table(folder / "intervals.parquet").drop_columns("contig_length"), folder / "short.parquet")
    with pytest.raises(InputError, match="holds intervals of contigs .* give the table of whole contigs"):
        windows_of(LengthSource(intervals.index, PlainStore("nowhere"), str(folder / "short.parquet")))


@pytest.mark.parametrize("batch_rows", [1, 2, 1000])
def test_a_limit_counts_the_runs_of_every_interval(intervals, folder, monkeypatch, batch_rows):
    monkeypatch.setattr("eden_sqlite.index.BATCH_ROWS", batch_rows)
    write_runs(folder / "n.parquet", [("BCR__X-S2__c", n_runs(b"N" * 4 + b"A" * 36 + b"N" * 4 + b"A" * 10))])
    kept = windows_of(intervals, [RunLimit(str(folder / "n.parquet"), 0.2)])
    assert kept == [INTERVAL_WINDOWS[i] for i in (0, 2, 4)]
