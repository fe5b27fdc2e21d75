"""The same contigs in the same tiling are the same windows, with the same numbers, in "arrow" as in "sqlite"."""

import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from contig_batches import batches_of
from hypothesis import given, settings
from hypothesis import strategies as st

from eden_arrow.index import ArrowIndex
from eden_core import Tiling, WindowIndex, errors
from eden_core.cutting import Cut
from eden_sqlite.index import SqliteIndex

TILINGS = st.builds(
    lambda size, stride, least, keep, reserve: Tiling(size, stride, least, keep, reserve % size),
    st.integers(1, 40),
    st.integers(1, 40),
    st.sampled_from([0, 0, 1, 7, 30]),
    st.booleans(),
    st.integers(0, 39),
)
IDS = st.text("ABab_1é", min_size=1, max_size=4)
CONTIGS = st.dictionaries(IDS, st.integers(0, 200), min_size=1, max_size=12)


@st.composite
def intervals(draw) -> list[tuple]:
    """Rows (contig_id, start, length, contig_length), not overlapping."""
    rows = []
    for name in "abc"[: draw(st.integers(1, 3))]:
        whole = draw(st.integers(1, 200))
        edges = sorted(draw(st.sets(st.integers(0, whole), min_size=2, max_size=8)))
        rows += [(name, start, stop - start, whole) for start, stop in zip(edges[::2], edges[1::2], strict=False)]
    return rows


def by_bytes(contigs: dict[str, int]) -> list[tuple]:
    return sorted(contigs.items(), key=lambda item: item[0].encode())


def sqlite(folder: Path, rows: list[tuple], tiling: Tiling) -> WindowIndex | None:
    try:
        SqliteIndex.build(str(folder / "w.db"), batches_of(rows), tiling)
    except errors.InputError:  # not one window
        return None
    return SqliteIndex(str(folder / "w.db"))


def compare(arrow: WindowIndex, plain: WindowIndex, ends: dict[str, int] | None = None) -> None:
    """Lengths are those of "sqlite", or fewer where the contig ends."""
    assert (len(arrow), arrow.tiling) == (len(plain), plain.tiling)
    window_ids = np.random.default_rng(len(plain)).permutation(len(plain))
    found, wanted = arrow.lookup(window_ids), plain.lookup(window_ids)
    assert found.sequence_ids == wanted.sequence_ids
    assert found.starts.tolist() == wanted.starts.tolist()
    if ends is not None:
        left = np.array([ends[name] for name in wanted.sequence_ids]) - wanted.starts
        assert found.lengths.tolist() == np.minimum(wanted.lengths, left).tolist()


@settings(max_examples=25)
@given(CONTIGS, TILINGS, TILINGS, st.sampled_from(["mmap", "pread"]))
def test_contigs(contigs, built, asked, io):
    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name), by_bytes(contigs)
        path = str(folder / "w.arrow")
        plain = sqlite(folder, rows, built)
        if plain is None:
            with pytest.raises(errors.InputError, match="not one window"):
                ArrowIndex.build(path, batches_of(rows), built)
            return
        summary = ArrowIndex.build(path, batches_of(rows), built)
        assert (summary.windows, summary.sequences) == (len(plain), len(set(plain.lookup(np.arange(len(plain))).sequence_ids)))
        index = ArrowIndex(path, io=io)
        compare(index, plain, contigs)
        assert (index.contigs_digest, index.bases_digest) == (plain.contigs_digest, plain.bases_digest)
        listed, wanted = (pa.Table.from_batches(each.contigs()) for each in (index, plain))
        assert listed.drop("length").to_pydict() == wanted.drop("length").to_pydict()
        assert listed["length"].to_pylist() == [contigs[name] for name in listed["contig_id"].to_pylist()]
        other = sqlite(folder, rows, asked)
        if other is not None:
            compare(ArrowIndex(path, io=io, allow_gaps=True, **asdict(asked)), other, contigs)


@settings(max_examples=25)
@given(intervals(), TILINGS, TILINGS, st.booleans(), st.sampled_from(["mmap", "pread"]))
def test_intervals_it_is_built_from(rows, built, asked, known, io):
    with tempfile.TemporaryDirectory() as name:
        folder, rows = Path(name), [row[: 4 if known else 3] for row in rows]
        plain = sqlite(folder, rows, built)
        if plain is None:
            return
        ArrowIndex.build(str(folder / "w.arrow"), batches_of(rows), built)
        compare(ArrowIndex(str(folder / "w.arrow"), io=io), plain)
        other = sqlite(folder, rows, asked)
        if other is not None:
            compare(ArrowIndex(str(folder / "w.arrow"), io=io, allow_gaps=True, **asdict(asked)), other)


@settings(max_examples=25)
@given(intervals(), TILINGS, st.randoms(use_true_random=False))
def test_intervals_of_a_bed_file(rows, tiling, random):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contigs = {row[0]: row[3] for row in rows} | {"aa": 50, "z": 1000}
        ArrowIndex.build(str(folder / "w.arrow"), batches_of(by_bytes(contigs)), Tiling(10, 8))
        bed = folder / "regions.bed"
        lines = [f"{name}\t{start}\t{start + length}\n" for name, start, length, _ in rows]
        random.shuffle(lines)
        bed.write_text("".join(lines))
        plain = sqlite(folder, rows, tiling)
        options = {"intervals": str(bed), "allow_gaps": True, **asdict(tiling)}
        if plain is None:
            with pytest.raises(errors.ConfigurationError, match="not one window in the intervals"):
                ArrowIndex(str(folder / "w.arrow"), **options)
        else:
            index = ArrowIndex(str(folder / "w.arrow"), **options)
            compare(index, plain)
            ends = [(index_id, start + length) for index_id, start, length, _ in rows]
            found = index.lookup(np.arange(len(index)))
            for place in zip(found.sequence_ids, found.starts.tolist(), found.lengths.tolist(), strict=True):
                assert any(n == place[0] and place[1] + place[2] <= end for n, end in ends)


@settings(max_examples=25)
@given(intervals(), TILINGS)
def test_windows_from_the_start_of_intervals_are_those_of_sequences_of_their_own(rows, tiling):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        contigs = {row[0]: row[3] for row in rows}
        ArrowIndex.build(str(folder / "w.arrow"), batches_of(by_bytes(contigs)), Tiling(1, 1))
        (folder / "r.bed").write_text("".join(f"{name}\t{start}\t{start + length}\n" for name, start, length, _ in rows))
        expected = []
        for row in rows:
            lone = pa.RecordBatch.from_pydict({"contig_id": [row[0]], "length": [row[2]]})
            count = int(Cut.of(lone, tiling).counts[0])
            shifts = [i * tiling.stride for i in range(count)]
            expected += [(row[0], row[1] + shift, min(tiling.window_size, row[2] - shift)) for shift in shifts]
        options = {"intervals": str(folder / "r.bed"), "placing": "start", "allow_gaps": True, **asdict(tiling)}
        if not expected:
            with pytest.raises(errors.ConfigurationError, match="not one window"):
                ArrowIndex(str(folder / "w.arrow"), **options)
            return
        found = ArrowIndex(str(folder / "w.arrow"), **options).lookup(np.arange(len(expected)))
        assert list(zip(found.sequence_ids, found.starts.tolist(), found.lengths.tolist(), strict=True)) == expected
