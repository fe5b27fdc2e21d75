import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from eden_arrow.columns import MappedColumns, ReadColumns
from eden_arrow.contig_file import ContigFile
from eden_arrow.index import ArrowIndex
from eden_core import EdenDataset, Tiling, errors

CONTIGS = {"a": 250, "b": 3, "c": 100, "d": 181, "é": 40}
TILING = Tiling(100, 80)


def windows_of(index):
    windows = index.lookup(np.arange(len(index)))
    return list(zip(windows.sequence_ids, windows.starts.tolist(), windows.lengths.tolist(), strict=True))


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_lengths_end_where_the_sequence_does(built, io):
    index = ArrowIndex(built(CONTIGS, Tiling(100, 80, keep_tail=True, reserve=0)), io=io)
    expected = [("a", 0, 100), ("a", 80, 100), ("a", 160, 90), ("b", 0, 3), ("c", 0, 100)]
    assert windows_of(index)[:5] == expected
    assert windows_of(index)[5:] == [("d", 0, 100), ("d", 80, 100), ("d", 160, 21), ("é", 0, 40)]


def test_the_file_is_a_plain_arrow_table(built):
    path = built(CONTIGS, TILING)
    with pa.memory_map(path) as source, pa.ipc.open_file(source) as file:
        assert file.num_record_batches == 1
        assert file.read_all().to_pydict() == {"contig_id": list(CONTIGS), "length": list(CONTIGS.values())}
        assert file.schema.types == [pa.large_string(), pa.int64()]
        metadata = {key.decode(): value.decode() for key, value in file.schema.metadata.items()}
    digest = metadata.pop("contigs_digest")
    assert digest == str(ArrowIndex(path).contigs_digest)
    told = {"format": "eden index arrow", "format_version": "1", "window_size": "100", "stride": "80", "min_length": "0"}
    assert metadata == told | {"keep_tail": "0", "reserve": "16", "windows": "7", "sequences": "5"}
    assert pl.read_ipc(path)["length"].to_list() == list(CONTIGS.values())


def test_contigs_without_a_window_are_kept_for_other_tilings(built):
    path = built(CONTIGS, Tiling(100, 80, 90))
    assert {name for name, _, _ in windows_of(ArrowIndex(path))} == {"a", "c", "d"}
    assert {name for name, _, _ in windows_of(ArrowIndex(path, min_length=0))} == set(CONTIGS)


def test_contigs_lists_those_with_windows(built):
    index = ArrowIndex(built(CONTIGS, Tiling(100, 80, 90)))
    rows = [tuple(row.values()) for batch in index.contigs() for row in batch.to_pylist()]
    assert rows == [("a", 0, 2, 250), ("c", 2, 1, 100), ("d", 3, 2, 181)]


def test_the_reading_that_was_asked_for(built, monkeypatch):
    path = built(CONTIGS, TILING)
    assert isinstance(ContigFile(path, "auto").columns, MappedColumns)
    assert isinstance(ContigFile(path, "pread").columns, ReadColumns)
    monkeypatch.setattr("eden_arrow.contig_file.MAPPED_BYTES", 10)
    assert isinstance(ContigFile(path, "auto").columns, ReadColumns)
    monkeypatch.undo()
    monkeypatch.setattr("eden_arrow.contig_file.is_on_network", lambda file: True)
    assert isinstance(ContigFile(path, "auto").columns, ReadColumns)
    with pytest.raises(errors.ConfigurationError, match="io is 'fast'"):
        ContigFile(path, "fast")


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("eden_arrow.directory._MOST_BLOCKS", 7)
    monkeypatch.setattr("eden_arrow.directory._ROWS_IN_MEMORY", 20)


@pytest.mark.parametrize("io", ["mmap", "pread"])
@pytest.mark.parametrize("rows", [28, 29, 61])
def test_blocks_of_rows_answer_as_single_rows_do(built, monkeypatch, io, rows):
    path = built({f"c{i:02}": (i * 37) % 300 for i in range(rows)}, TILING)
    expected = windows_of(ArrowIndex(path))
    monkeypatch.setattr("eden_arrow.directory._MOST_BLOCKS", 7)
    index = ArrowIndex(path, io=io)
    assert index._directory.block_rows in {4, 8, 16}
    assert windows_of(index) == expected
    monkeypatch.setattr("eden_arrow.index._WINDOWS_AT_ONCE", 5)
    assert windows_of(index) == expected


def test_the_directory_of_many_rows_is_kept_beside_the_index(built, small_blocks):
    path = built({f"c{i:02}": 100 + i for i in range(30)}, TILING)
    kept = [place.name for place in Path(path).parent.glob("w.arrow.directory-*")]
    assert len(kept) == 1
    index = ArrowIndex(path)
    assert [place.name for place in Path(path).parent.glob("w.arrow.directory-*")] == kept
    assert len(pickle.dumps(index)) < 4000
    assert windows_of(pickle.loads(pickle.dumps(index))) == windows_of(index)
    ArrowIndex(path, stride=50)
    assert len([*Path(path).parent.glob("w.arrow.directory-*")]) == 2


def test_another_tiling_is_that_of_an_index_built_so(built):
    path, other = built(CONTIGS, TILING), Tiling(40, 30, 10, keep_tail=True, reserve=3)
    rebuilt = ArrowIndex(built(CONTIGS, other, "other.arrow"))
    retiled = ArrowIndex(path, window_size=40, stride=30, min_length=10, keep_tail=True, reserve=3)
    assert retiled.tiling == rebuilt.tiling
    assert windows_of(retiled) == windows_of(rebuilt)
    assert retiled.fingerprint() == rebuilt.fingerprint() != ArrowIndex(path).fingerprint()


def test_another_window_size_has_its_own_stride(built):
    path = built({"a": 100_000}, Tiling())
    assert ArrowIndex(path, window_size=2048).tiling == Tiling(2048, 1920)
    assert ArrowIndex(path, window_size=8192).tiling == Tiling()


def test_gaps_must_be_asked_for(built):
    path = built(CONTIGS, TILING)
    with pytest.raises(errors.ConfigurationError, match="stride 99 is larger than the 98 bases"):
        ArrowIndex(path, stride=99)
    assert ArrowIndex(path, stride=99, allow_gaps=True).tiling.stride == 99
    gaps = built(CONTIGS, Tiling(100, 130), "gaps.arrow")
    assert ArrowIndex(gaps).tiling.stride == 130


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"window_size": "10"}, "window_size is '10'; expected integers"),
        ({"window_size": 2**70}, "window_size is 1180591620717411303424; expected integers of up to"),
        ({"stride": True}, "stride is True; expected integers"),
        ({"window_size": 0}, "at least 1 base"),
        ({"allow_gaps": "no"}, "allow_gaps is 'no'; expected True or False"),
        ({"keep_tail": 2}, "keep_tail is 2; expected True or False"),
        ({"min_length": 1000}, "not one window: no sequence has 1000 bases or more"),
        ({"placing": "start"}, "with intervals"),
        ({"placing": "middle"}, "placing is 'middle'"),
    ],
)
def test_options_without_a_meaning(built, options, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        ArrowIndex(built(CONTIGS, TILING), **options)


@pytest.mark.parametrize("window", [-1, 7])
def test_a_window_out_of_range(built, window):
    with pytest.raises(errors.WindowOutOfRangeError, match=f"window {window} of .* 7 windows"):
        ArrowIndex(built(CONTIGS, TILING)).lookup(np.array([0, window, 3]))


def test_a_missing_index(tmp_path):
    for path in (tmp_path / "w.arrow", tmp_path / "none" / "w.arrow"):
        with pytest.raises(errors.FormatError, match="there is no such index; build it with: eden-precompute .* --index arrow"):
            ArrowIndex(str(path))


def test_a_file_that_is_cut_short_is_refused(built):
    path = Path(built(CONTIGS, TILING))
    whole = path.read_bytes()
    for size in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(errors.FormatError, match="eden-precompute"):
            ArrowIndex(str(path))


def rewritten(path, change):
    with pa.OSFile(path) as source:
        table = pa.ipc.open_file(source).read_all()
    table = change(table)
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def told(name, value):
    return lambda table: table.replace_schema_metadata({**table.schema.metadata, name.encode(): value.encode()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (told("format", "else"), "is an Arrow file, and no index"),
        (told("format_version", "2"), "version 2 of its format"),
        (told("stride", "abc"), "'abc' as its stride, which is no integer"),
        (told("stride", "0"), "a tiling that has no meaning"),
        (told("windows", "8"), "promise 8 windows, and its rows have 7"),
        (lambda table: table.rename_columns(["a", "b"]).replace_schema_metadata(table.schema.metadata), "has the columns"),
        (lambda table: pa.concat_tables([table, table]), "2 record batches"),
        (lambda table: table.slice(0, 0), "no rows|0 record batches"),
    ],
)
def test_a_file_of_another_kind_is_refused(built, change, message):
    path = built(CONTIGS, TILING)
    rewritten(path, change)
    with pytest.raises(errors.FormatError, match=message):
        ArrowIndex(path)


def test_the_check_finds_rows_that_changed(built):
    path = built(CONTIGS, TILING)
    ArrowIndex(path).check()
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole.replace("abcdé".encode(), "abxdé".encode()))
    with pytest.raises(errors.FormatError, match="comes after"):
        ArrowIndex(path).check()
    Path(path).write_bytes(whole.replace("abcdé".encode(), "aabdé".encode()))
    with pytest.raises(errors.FormatError, match="occurs more than once"):
        ArrowIndex(path).check()
    Path(path).write_bytes(whole.replace((181).to_bytes(8, "little"), (180).to_bytes(8, "little")))
    with pytest.raises(errors.FormatError, match="not those that it was built from"):
        ArrowIndex(path).check()


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_ids_that_are_damaged(built, io):
    path = built(CONTIGS, TILING)
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole.replace("abcdé".encode(), b"abcd\xff\xff"))
    with pytest.raises(errors.FormatError, match="is damaged"):
        windows_of(ArrowIndex(path, io=io))
    with pytest.raises(errors.FormatError, match="is damaged"):
        list(ArrowIndex(path, io=io).contigs())


def test_names_of_columns_that_are_damaged(built):
    path = built(CONTIGS, TILING)
    Path(path).write_bytes(Path(path).read_bytes().replace(b"contig_id", b"contig\xff\xfed"))
    with pytest.raises(errors.FormatError, match="no Arrow file that can be read"):
        ArrowIndex(path)


def test_a_file_that_was_replaced_is_opened_again_first(built):
    path = built(CONTIGS, TILING)
    index = ArrowIndex(path)
    index.lookup(np.array([0]))
    index.close()
    built({"z": 1000}, TILING)
    with pytest.raises(errors.FormatError, match="was replaced since it was opened"):
        index.lookup(np.array([0]))


def test_columns_must_stay_the_same(tmp_path):
    batches = [pa.RecordBatch.from_pydict({"contig_id": ["a"], "length": [9]})]
    batches += [pa.RecordBatch.from_pydict({"contig_id": ["b"], "length": [9], "start": [3]})]
    with pytest.raises(errors.InputError, match="columns"):
        ArrowIndex.build(str(tmp_path / "w.arrow"), batches, TILING)
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_chooses_its_windows(built, small):
    contigs = {name: len(bases) for name, bases in small.sequences.items()}
    path = built(contigs, Tiling(64, 48))
    common = {"sequence_db_dir": str(small.directory), "window_db_path": path, "include_bos": False, "include_eos": False}
    chosen = EdenDataset("sqlite-shards", "arrow", seq_length=32, window_size=32, stride=24, **common)
    assert chosen.batch([0, 1])["tokens"].shape == (2, 32)
    assert len(chosen) == int(Tiling(32, 24).counts(np.array(list(contigs.values()))).sum())
    other = EdenDataset("sqlite-shards", "arrow", seq_length=32, index_options={"window_size": 32, "stride": 24}, **common)
    assert len(other) == len(chosen)
    with pytest.raises(errors.ConfigurationError, match="let it be cut in another way when it is opened: window_size=32"):
        EdenDataset("sqlite-shards", "arrow", seq_length=32, **common)
    with pytest.raises(errors.ConfigurationError, match="index_options has stride 20, and stride 24 is asked for"):
        EdenDataset("sqlite-shards", "arrow", stride=24, index_options={"stride": 20}, seq_length=64, **common)


def test_a_mixture_of_indexes_of_both_kinds(built, small):
    path = built({name: len(bases) for name, bases in small.sequences.items()}, Tiling(64, 48))
    folder = {"sequence_db_dir": str(small.directory), "weight": 1}
    mixed = [
        {"name": "one", "window_db_path": path, "index": "arrow"} | folder,
        {"name": "two", "window_db_path": str(small.windows)} | folder,
    ]
    dataset = EdenDataset(sources=mixed, seq_length=64, shuffle=False)
    rows = dataset.batch(list(range(20)))["tokens"]
    assert (rows[0::2] == rows[1::2]).all()


BUILD = """
import os, signal, sys
import pyarrow as pa
from eden_arrow import index, writing
from eden_core import Tiling
def batches():
    for i in range(3):
        if sys.argv[2] == "between" and i == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield pa.RecordBatch.from_pydict({"contig_id": [f"c{i}"], "length": [1000]})
if sys.argv[2] == "writing":
    whole = writing._Sink.write
    def write(self, data):
        whole(self, data)
        if self.tell() > 500:
            self._file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    writing._Sink.write = write
index.ArrowIndex.build(sys.argv[1], batches(), Tiling(100, 80))
"""


@pytest.mark.parametrize("moment", ["between", "writing"])
def test_a_killed_build_leaves_nothing_that_opens(tmp_path, moment):
    path = tmp_path / "w.arrow"
    killed = subprocess.run([sys.executable, "-c", BUILD, str(path), moment], env=os.environ, capture_output=True)
    assert killed.returncode == -9, killed.stderr
    assert not path.exists()
    subprocess.run([sys.executable, "-c", BUILD, str(path), "never"], env=os.environ, check=True)
    assert [left.name for left in tmp_path.iterdir()] == ["w.arrow"]
    assert len(ArrowIndex(str(path))) == 36


KEPT = """
import sys, numpy as np
from eden_arrow.index import ArrowIndex
np.kept = ArrowIndex(sys.argv[1], io=sys.argv[2])
np.kept.lookup(np.arange(1))
"""


@pytest.mark.parametrize("io", ["mmap", "pread"])
def test_a_process_that_ends_without_closing_ends_quietly(built, io):
    command = [sys.executable, "-c", KEPT, built(CONTIGS, TILING), io]
    ended = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)
    assert ended.stderr == ""
