import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import Tiling, installed_plugins
from eden_core.reporting.contigs import Coverage, stretches_of
from eden_core.reporting.windows import WindowCounts
from eden_core.sequence_ids import sample_or_empty

TILING = Tiling(10, 7)
LENGTHS = {f"T__E-S{i % 3}__c{i:02}": 5 + 11 * i % 90 for i in range(20)}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    location = str(tmp_path_factory.mktemp("index") / "index.arrow")
    names = sorted(LENGTHS)
    contigs = pa.RecordBatch.from_pydict({"contig_id": names, "length": [LENGTHS[name] for name in names]})
    kind = installed_plugins().index_class("arrow")
    kind.build(location, [contigs], TILING)
    with kind(location) as opened:
        yield opened


def counted(index, windows) -> WindowCounts:
    counts = WindowCounts(len(index))
    found = index.lookup(windows)
    counts.add(windows, np.zeros(windows.size, np.int64), found.starts // TILING.stride)
    return counts


@given(st.data())
def test_coverage_is_what_was_read_of_each_contig(index, data):
    windows = np.array(data.draw(st.lists(st.integers(0, len(index) - 1), max_size=80)), np.int64)
    found = index.lookup(windows)
    bases = {name: set() for name in LENGTHS}
    for name, start in zip(found.sequence_ids, found.starts.tolist(), strict=True):
        bases[name] |= set(range(start, min(start + TILING.window_size, LENGTHS[name])))
    coverage = Coverage()
    coverage.add_indexed(0, index, counted(index, windows))
    contigs = {one.contig: one for one in coverage.listed}
    assert {name: one.reads for name, one in contigs.items()} == {name: found.sequence_ids.count(name) for name in LENGTHS}
    assert {name: one.bases_read for name, one in contigs.items()} == {name: len(read) for name, read in bases.items()}
    assert {name: one.bases for name, one in contigs.items()} == LENGTHS
    assert coverage.contigs_read == len(set(found.sequence_ids))
    for sample, one in coverage.samples.items():
        mine = [name for name in LENGTHS if sample_or_empty(name) == sample]
        assert (one.contigs, one.bases, one.bases_read) == (
            len(mine), sum(LENGTHS[name] for name in mine), sum(len(bases[name]) for name in mine)
        )  # fmt: skip
        assert one.reads == sum(contigs[name].reads for name in mine)


def test_without_an_index_contigs_are_those_met(index):
    windows = np.array([3, 3, 9, len(index) - 1])
    coverage = Coverage()
    coverage.add_met(0, counted(index, windows))
    assert [(one.reads, one.read) for one in coverage.listed] == [(2, 1), (1, 1), (1, 1)]
    assert {one.contig for one in coverage.listed} == {None}


def test_samples_are_counted_from_logs_too():
    coverage = Coverage()
    coverage.add_met_samples(pa.array(["a", "b", "a"]), np.array([0, 1]))
    coverage.add_met_samples(pa.array(["a"]), np.array([], np.int64))
    assert {name: (one.reads, one.read) for name, one in coverage.samples.items()} == {"a": (3, 1), "b": (1, 1)}


def test_stretches_of_a_contig(index):
    coverage, windows = Coverage(), np.arange(len(index))
    counts = counted(index, np.concatenate([windows, windows[:1]]))
    coverage.add_indexed(0, index, counts)
    first = next(one for one in coverage.listed if one.first == 0)
    assert stretches_of(first, counts.total()) == [2, *[1] * (first.windows - 1)]
