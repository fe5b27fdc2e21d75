import gzip
import pickle

import numpy as np
import pytest

from eden_arrow.index import ArrowIndex
from eden_core import EdenDataset, Tiling, errors
from eden_core.inspecting.recognizing import Kind, recognize

CONTIGS = {"a": 250, "b": 300, "c": 100}


@pytest.fixture
def opened(built, tmp_path):
    def opened(text: str, **options) -> ArrowIndex:
        path = built(CONTIGS, Tiling(100, 50))
        (tmp_path / "r.bed").write_text(text)
        return ArrowIndex(path, intervals=str(tmp_path / "r.bed"), **options)

    return opened


def windows_of(index):
    windows = index.lookup(np.arange(len(index)))
    return list(zip(windows.sequence_ids, windows.starts.tolist(), windows.lengths.tolist(), strict=True))


def test_on_the_grid_of_the_contig(opened):
    index = opened("b\t20\t210\nc\t0\t100\n")
    assert windows_of(index) == [("b", 50, 100), ("b", 100, 100), ("c", 0, 100)]
    assert [tuple(row.values()) for batch in index.contigs() for row in batch.to_pylist()] == [
        ("b", 0, 2, 300, 50),
        ("c", 2, 1, 100, 0),
    ]


def test_from_the_start_of_the_interval(opened):
    index = opened("b\t20\t210\nb\t200\t230\n", placing="start", keep_tail=True, reserve=0)
    assert windows_of(index) == [("b", 20, 100), ("b", 70, 100), ("b", 120, 90), ("b", 200, 30)]
    assert [tuple(row.values()) for batch in index.contigs() for row in batch.to_pylist()] == [
        ("b", 0, 3, 300, 20, 210),
        ("b", 3, 1, 300, 200, 230),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\t0\t60\nb\t0\t9\na\t59\t90\n", "lines 1 and 3 share bases of 'a'.*placing='start'"),
        ("a\t0\t251\n", "line 1: the interval ends at base 251 of 'a', which has 250 bases"),
        ("a\t0\t9\nx\t0\t9\nab\t1\t2\nx\t1\t2\n", "does not have: 'ab' \\(line 3\\), 'x' \\(line 2\\)$"),
        ("# nothing\n", "has not one interval"),
    ],
)
def test_intervals_that_do_not_fit(opened, tmp_path, text, message):
    with pytest.raises(errors.InputError, match=message):
        opened(text)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.bed", "w.arrow"]


def test_equal_intervals_from_their_starts(opened):
    assert windows_of(opened("a\t3\t103\na\t3\t103\n", placing="start")) == [("a", 3, 100)] * 2


def test_a_missing_file(opened, built, tmp_path):
    with pytest.raises(errors.InputError, match=r"none\.bed cannot be read as a BED file of intervals: No such file"):
        ArrowIndex(built(CONTIGS, Tiling(100, 50)), intervals=str(tmp_path / "none.bed"))


def test_an_index_of_intervals_takes_none(built, tmp_path):
    (tmp_path / "r.bed").write_text("a\t0\t100\n")
    with pytest.raises(errors.ConfigurationError, match="was built from intervals itself"):
        ArrowIndex(built([("a", 0, 200, 300)], Tiling(100, 50)), intervals=str(tmp_path / "r.bed"))


def test_they_are_fitted_once(opened, monkeypatch):
    first = opened("b\t20\t210\n")
    monkeypatch.setattr("eden_arrow.intervals.read_intervals", lambda path: pytest.fail("read again"))
    again = ArrowIndex(first.location, intervals=first.intervals, window_size=50)
    assert windows_of(again)[0] == ("b", 34, 50)
    assert windows_of(pickle.loads(pickle.dumps(first))) == windows_of(first)


def test_the_fingerprint_changes_with_intervals_and_placing(opened, built):
    found = {
        opened("b\t20\t210\n").fingerprint(),
        opened("b\t20\t211\n").fingerprint(),
        opened("b\t20\t210\n", placing="start").fingerprint(),
    }
    assert len(found | {ArrowIndex(built(CONTIGS, Tiling(100, 50))).fingerprint()}) == 4


def test_what_is_kept_is_no_index(opened, tmp_path):
    opened("b\t20\t210\n")
    (kept,) = tmp_path.glob("w.arrow.intervals-*")
    assert recognize(kept).kind is Kind.SIDECAR
    assert recognize(tmp_path / "w.arrow").facts == {"plugin": "arrow"}


def test_compressed_files_and_many_contigs(built, tmp_path, monkeypatch):
    monkeypatch.setattr("eden_arrow.contig_file.BATCH_ROWS", 7)
    names = [f"c{i:03}" for i in range(100)]
    path = built(dict.fromkeys(names, 100), Tiling(10, 10))
    lines = [f"{name}\t{i % 9 * 10}\t{i % 9 * 10 + 10}\n" for i, name in enumerate(names) if i % 3 == 0]
    (tmp_path / "r.bed.gz").write_bytes(gzip.compress("".join(lines[::-1]).encode()))
    expected = [(name, i % 9 * 10, 10) for i, name in enumerate(names) if i % 3 == 0]
    assert windows_of(ArrowIndex(path, intervals=str(tmp_path / "r.bed.gz"))) == expected


@pytest.mark.parametrize("placing", ["grid", "start"])
def test_packed_rows_hold_what_intervals_do(built, small, tmp_path, placing):
    contigs = {name: len(bases) for name, bases in small.sequences.items()}
    longest = max(contigs, key=contigs.__getitem__)
    (tmp_path / "r.bed").write_text(f"{longest}\t10\t{contigs[longest]}\n{min(contigs)}\t0\t3\n")
    options = {"intervals": str(tmp_path / "r.bed"), "placing": placing, "keep_tail": True, "reserve": 0}
    path = built(contigs, Tiling(32, 20))
    common = {"sequence_db_dir": str(small.directory), "window_db_path": path, "seq_length": 64, "index_options": options}
    dataset = EdenDataset(
        "sqlite-shards", "arrow", packing="thd", window_size=32, include_bos=False, include_eos=False, **common
    )
    index = ArrowIndex(path, window_size=32, stride=20, **options)
    bases = sum(length for _, _, length in windows_of(index))
    masks = dataset.batch(list(range(len(dataset))))
    assert int((masks["tokens"] > 31).sum()) == bases
