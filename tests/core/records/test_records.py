import gzip
import json
import os
import subprocess
import sys
import tempfile
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import write_seed_shard
from pyarrow import feather

from eden_core.errors import InputError
from eden_core.records import RecordFields, is_source, place_name, read_records, stem_of
from eden_core.records.record import LETTERS

Sequences = dict[str, str]


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def bgzip(data: bytes) -> bytes:
    return b"".join(gzip.compress(data[i : i + 100]) for i in range(0, len(data) + 1, 100))


PACKERS = {"plain": bytes, "gzip": gzip.compress, "bgzip": bgzip, "zstd": zstd, "frames": lambda d: zstd(d[:9]) + zstd(d[9:])}


def fasta(sequences: Sequences, width: int, line_end: str) -> bytes:
    lines = []
    for name, bases in sequences.items():
        lines += [f">{name} more", *(bases[i : i + width] for i in range(0, len(bases), width))]
    return line_end.join([*lines, ""]).encode()


def jsonl(sequences: Sequences) -> bytes:
    return "".join(json.dumps({"text": bases, "record": name}) + "\n" for name, bases in sequences.items()).encode()


def write_tables(sequences: Sequences, folder: Path, rows: int) -> list[Path]:
    table = pa.table({"record": list(sequences), "text": list(sequences.values())})
    pq.write_table(table, folder / "parquet", row_group_size=rows)
    feather.write_feather(table, str(folder / "feather"), chunksize=rows)
    for name, writer in (("file", pa.ipc.new_file), ("stream", pa.ipc.new_stream)):
        with pa.OSFile(str(folder / name), "wb") as file, writer(file, table.schema) as ipc:
            ipc.write_table(table, max_chunksize=rows)
    return [folder / name for name in ("parquet", "feather", "file", "stream")]


@pytest.fixture
def written(tmp_path):
    def written(content: bytes) -> Path:
        (tmp_path / "source").write_bytes(content)
        return tmp_path / "source"

    return written


@given(
    sequences=st.dictionaries(
        st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=9),
        st.text(LETTERS.decode(), min_size=1, max_size=200),
        min_size=1,
        max_size=5,
    ),
    width=st.integers(1, 90),
    line_end=st.sampled_from(["\n", "\r\n"]),
    rows=st.integers(1, 5),
)
def test_every_kind_of_source_gives_the_same_records(sequences, width, line_end, rows):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [*write_tables(sequences, folder, rows), write_seed_shard(folder, "s", sequences)]
        for kind, text in (("fasta", fasta(sequences, width, line_end)), ("jsonl", jsonl(sequences))):
            for packing, pack in PACKERS.items():
                paths.append(folder / f"{kind}-{packing}")
                paths[-1].write_bytes(pack(text))
        for path in paths:
            found = {record.id: record.bases.decode() for record in read_records(path)}
            assert (path, found) == (path, sequences)


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("text", [fasta({"a": "ACGT"}, 3, "\n"), jsonl({"a": "ACGT"})], ids=["fasta", "jsonl"])
def test_standard_input(pack, text):
    code = "from eden_core.records import read_records; print([tuple(record) for record in read_records('-')])"
    ran = subprocess.run([sys.executable, "-c", code], input=pack(text), capture_output=True, check=True)
    assert ran.stdout.decode() == "[('a', b'ACGT', 1)]\n"


def test_fields_letters_and_progress_reach_every_reader(tmp_path, written):
    (folder := tmp_path / "tables").mkdir()
    tables = write_tables({"a": "ACXT"}, folder, 1)
    jsonl_file = written(jsonl({"a": "ACXT"}))
    fasta_file = folder / "fasta"
    fasta_file.write_bytes(gzip.compress(fasta({"a": "ACXT"}, 80, "\n")))
    shard = write_seed_shard(folder, "s", {"a": "ACXT"})
    for path in [*tables, jsonl_file, fasta_file, shard]:
        seen = []
        assert [record.bases for record in read_records(path, check_letters=False, progress=seen.append)] == [b"ACXT"]
        assert sum(seen) == path.stat().st_size
        with pytest.raises(InputError, match=f"{path}: .*3: 'X'|{path}.* position 3: 'X'|{path}: line 2, column 3: 'X'"):
            list(read_records(path))
    for path in [*tables, jsonl_file]:
        with pytest.raises(InputError, match="'seq'; found .*--sequence-field"):
            list(read_records(path, fields=RecordFields("seq")))


@pytest.mark.parametrize("start", [b"\n\r\n", b"\xef\xbb\xbf", b" " * 100 + b"\n"])
@pytest.mark.parametrize("text", [b">a\nACGT\n", b'{"text": "ACGT", "record": "a"}'])
def test_byte_order_marks_and_blank_lines_may_come_first(written, start, text):
    (record,) = read_records(written(start + text))
    assert (record.id, record.bases, record.place) == ("a", b"ACGT", 1 + start.count(b"\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is empty; expected FASTA, whose", id="empty"),
        pytest.param(b" \n\n", "is empty; expected FASTA, whose", id="blank"),
        pytest.param(gzip.compress(b""), "is empty; expected FASTA, whose", id="empty-gzip"),
        pytest.param(zstd(b""), "is empty; expected FASTA, whose", id="empty-zstd"),
        pytest.param(b"\n\nACGT\nAC\n", "line 3: expected FASTA.* found 'ACGT'", id="text"),
        pytest.param(b"@read\nACGT\n+\nIIII\n", "line 1: .*looks like FASTQ", id="fastq"),
        pytest.param(gzip.compress(b"@read\nACGT\n+\nIIII\n"), "line 1: .*looks like FASTQ", id="fastq-gzip"),
        pytest.param(b"LOCUS       NC_1  48502 bp\n", "looks like GenBank", id="genbank"),
        pytest.param(b"ID   X56734; SV 1; linear\n", "looks like EMBL", id="embl"),
        pytest.param(b"BZh91AY&SY", "looks like bzip2; decompress it first", id="bzip2"),
        pytest.param(b"\xfd7zXZ\x00\x00", "looks like xz; decompress it first", id="xz"),
        pytest.param(b"PK\x03\x04zip", "looks like zip; unpack it first", id="zip"),
        pytest.param(b"\x89HDF\r\n\x1a\n\x00", "looks like HDF5", id="hdf5"),
        pytest.param(gzip.compress(gzip.compress(b">a\nA\n")), "looks like gzip in gzip", id="gzip-twice"),
        pytest.param(gzip.compress(zstd(b">a\nA\n")), "looks like Zstandard in another", id="zstd-in-gzip"),
        pytest.param(gzip.compress(b"PAR1" + bytes(20)), "a Parquet table that was compressed or piped", id="parquet-gzip"),
        pytest.param(zstd(b"SQLite format 3\0" + bytes(20)), "an SQLite database that was compressed", id="sqlite-zstd"),
        pytest.param(b"FEA1" + bytes(20), "looks like Feather version 1; write it again as version 2", id="feather-1"),
        pytest.param(b'[{"text": "ACGT"}]', "a JSON array; write one object a line", id="json-array"),
        pytest.param(">a\nACGT\n".encode("utf-16"), "UTF-16 text; convert it to UTF-8", id="utf-16"),
        pytest.param(b"\x89PNG\x00\n\x01\n>", "looks like a binary file", id="png"),
        pytest.param(b"\x7fELF\x02\x01", "looks like a binary file", id="elf"),
        pytest.param(bytes(1000), "looks like a binary file", id="zeros"),
        pytest.param(b"PAR1" + bytes(20), "the table cannot be read: Parquet magic bytes not found", id="parquet"),
        pytest.param(b"ARROW1\0\0" + bytes(20), "the table cannot be read: ", id="arrow"),
        pytest.param(b"\xff\xff\xff\xff" + bytes(20), "the table cannot be read: |is empty", id="arrow-stream"),
        pytest.param(b"SQLite format 3\0" + bytes(20), "the SQLite database is damaged", id="sqlite"),
        pytest.param(b"SQLite format 3\0" + bytes(2000), "the SQLite database is damaged", id="sqlite-zeros"),
    ],
)
def test_files_that_are_no_source(written, content, message):
    path = written(content)
    with pytest.raises(InputError, match=message) as caught:
        list(read_records(path))
    assert str(caught.value).startswith(str(path))


def test_a_missing_file_and_a_directory(tmp_path):
    for path, message in ((tmp_path / "none.fa", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(InputError, match=f"{path} cannot be read: {message}"):
            next(read_records(path))


def test_an_unreadable_file():
    with pytest.raises(InputError, match="/proc/self/mem cannot be read"):
        next(read_records("/proc/self/mem"))


def test_a_reading_that_stops_early_leaves_no_open_file(tmp_path):
    sequences = {str(number): "ACGT" * 100 for number in range(100)}
    paths = [*write_tables(sequences, tmp_path, 3), write_seed_shard(tmp_path, "s", sequences)]
    for path in paths:
        reading = read_records(path)
        assert next(reading).id == "0"
        reading.close()
        assert not [link for link in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{link}") == str(path)]
        assert str(path) not in Path("/proc/self/maps").read_text()


def test_a_table_in_a_pipe(tmp_path):
    pq.write_table(pa.table({"text": ["A"]}), tmp_path / "t")
    code = "from eden_core.records import read_records; list(read_records('-'))"
    ran = subprocess.run([sys.executable, "-c", code], input=(tmp_path / "t").read_bytes(), capture_output=True)
    assert b"standard input: line 1: " in ran.stderr
    assert b"a Parquet table that was compressed or piped" in ran.stderr


@pytest.mark.parametrize("text", [fasta({"a": "ACGT"}, 2, "\n"), jsonl({"a": "ACGT"}), gzip.compress(b">a\nA\n", mtime=0)])
def test_places_of_texts_are_lines(written, text):
    assert place_name(written(text)) == place_name("-") == "line"


def test_places_of_tables_and_shards_are_rows(tmp_path):
    for path in [*write_tables({"a": "A"}, tmp_path, 1), write_seed_shard(tmp_path, "s", {"a": "A"})]:
        assert place_name(path) == "row"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("x/SRR1.contigs.fa.gz", "SRR1.contigs"),
        ("a.fasta", "a"),
        ("a.FNA.GZ", "a"),
        ("a.ffn.bgz", "a"),
        ("a.fsa.zst", "a"),
        ("a.jsonl", "a"),
        ("a.ndjson.zst", "a"),
        ("a.jsonl.gz", "a"),
        ("a.parquet", "a"),
        ("a.arrow", "a"),
        ("a.feather", "a"),
        ("a.ipc", "a"),
        ("a.db", "a"),
        ("s1/glm_dataset_s1.sqlite", "s1"),
        ("glm_dataset_a.b.sqlite", "a.b"),
    ],
)
def test_names_of_sources(name, stem):
    assert is_source(name)
    assert is_source(Path(name))
    assert stem_of(name) == stem


@pytest.mark.parametrize("name", ["a.txt", "a.gz", "a.fastq", "a.fa.bz2", "fa", "a.parquet.gz", "a.fa.txt", "glm_dataset_s1"])
def test_names_that_sources_do_not_have(name):
    assert not is_source(name)
    assert stem_of(name) == name


def test_a_name_that_is_nothing_but_an_ending():
    assert stem_of(".fa") == ".fa"


@pytest.mark.parametrize("line", [b">%d\nACGT\n", b'{"record": "%d", "text": "ACGT"}\n'], ids=["fasta", "jsonl"])
def test_memory_does_not_grow_with_the_number_of_records(written, line):
    path = written(b"".join(line % number for number in range(100_000)))
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_records(path)) == 100_000
        assert tracemalloc.get_traced_memory()[1] < 12 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("text", "copies"), [(b">a\n%s\n", 1.5), (b'{"text": "%s"}\n', 2.5)], ids=["fasta", "jsonl"])
def test_a_long_contig_is_hardly_copied(written, text, copies):
    path = written(text % (b"ACGTACGTA" * 6_000_000))
    tracemalloc.start()
    try:
        assert len(next(read_records(path)).bases) == 54_000_000
        assert tracemalloc.get_traced_memory()[1] < copies * 54_000_000
    finally:
        tracemalloc.stop()
