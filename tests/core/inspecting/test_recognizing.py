import gzip
import json
import sqlite3

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain import write_seed_shard

from eden_core import errors
from eden_core.inspecting.recognizing import Kind, recognize
from eden_core.sidecars import sidecar


def written(folder, content: bytes, name="file"):
    (folder / name).write_bytes(content)
    return folder / name


def table(path, *columns):
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in columns}), path)
    return path


def bgzip(content: bytes) -> bytes:
    block = gzip.compress(content)
    return block[:3] + b"\x04" + block[4:10] + b"\x06\0BC\x02\0\x1b\0" + block[10:]


def zstd(content: bytes) -> bytes:
    return pa.compress(content, codec="zstd", asbytes=True)


@pytest.mark.parametrize(
    ("content", "compression"),
    [
        (b">c1 text\nACGT\n", "none"),
        (b"\n\n>c1\r\nACGT", "none"),
        (b"\xef\xbb\xbf>c1\nACGT", "none"),
        (gzip.compress(b">c1\nACGT\n"), "gzip"),
        (bgzip(b">c1\nACGT\n"), "bgzip"),
        (zstd(b">c1\nACGT\n"), "zstd"),
    ],
    ids=["plain", "blank lines", "byte order mark", "gzip", "bgzip", "zstd"],
)
def test_fasta(tmp_path, content, compression):
    found = recognize(written(tmp_path, content))
    assert (found.kind, found.facts) == (Kind.FASTA, {"compression": compression, "first id": "c1"})


def test_a_long_gzip_is_read_at_its_beginning_only(tmp_path):
    noise = np.random.default_rng(0).integers(33, 60, 200_000).astype(np.uint8).tobytes()
    content = gzip.compress(b">c1\n" + noise)
    assert recognize(written(tmp_path, content[:100_000])).facts["first id"] == "c1"


def test_jsonl(tmp_path):
    found = recognize(written(tmp_path, gzip.compress(json.dumps({"text": "ACGT", "record": "r1"}).encode() + b"\n{}")))
    assert found.kind is Kind.JSONL
    assert found.facts == {"compression": "gzip", "fields": ["text", "record"], "first id": "r1"}


def test_a_record_that_is_longer_than_what_is_read(tmp_path):
    found = recognize(written(tmp_path, b'{"text": "' + b"A" * 100_000 + b'"}'))
    assert (found.kind, found.facts["fields"]) == (Kind.JSONL, ["(the first record is longer than 64 KiB)"])


def test_a_ledger_of_any_name(tmp_path):
    line = json.dumps({"fingerprint": {}, "data_parallel_size": 1}).encode()
    assert recognize(written(tmp_path, line, "copy.jsonl")).kind is Kind.RUN
    assert recognize(written(tmp_path, b"", "eden-run.jsonl")).kind is Kind.RUN


def test_databases(small):
    assert recognize(small.windows).kind is Kind.INDEX
    assert recognize(small.directory / "S0" / "glm_dataset_S0.sqlite").kind is Kind.SHARD
    assert recognize(small.directory).kind is Kind.FOLDER


def test_a_database_whose_name_means_something_in_a_uri(tmp_path):
    path = write_seed_shard(tmp_path, "S1", {"BCR__E-S1__1": "ACGT"})
    assert recognize(path.rename(tmp_path / "a?b#c%20.db")).kind is Kind.SHARD


@pytest.mark.parametrize(
    ("name", "columns", "kind"),
    [
        ("contigs", ("contig_id", "length"), Kind.CONTIGS),
        ("train", ("contig_id", "start", "end", "length"), Kind.SPLIT),
        ("anything", ("contig_id", "start", "end"), Kind.RUNS),
    ],
)
def test_tables(tmp_path, name, columns, kind):
    found = recognize(table(tmp_path / f"{name}.parquet", *columns))
    assert (found.kind, found.facts) == (kind, {"rows": 0, "columns": list(columns)})


def test_a_sidecar(tmp_path):
    made = sidecar(str(tmp_path / "train_windows.db"), "packed", 1, lambda folder: {"a": np.arange(3)})
    assert recognize(made.path).kind is Kind.SIDECAR


def other_database(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE people (name)")
    connection.close()
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nowhere", "there is no such file or folder"),
        (lambda folder: written(folder, b""), "looks like an empty file. Eden takes"),
        (lambda folder: written(folder, b"@read1\nACGT\n"), "looks like FASTQ"),
        (lambda folder: written(folder, gzip.compress(b"LOCUS  X")), "looks like GenBank"),
        (lambda folder: written(folder, bytes(range(200))), "looks like a binary file"),
        (lambda folder: written(folder, b"a,b\n1,2\n"), "text that begins with 'a,b'"),
        (lambda folder: written(folder, b"\x1f\x8b" + b"x" * 50), "gzip data that cannot be decompressed"),
        (lambda folder: written(folder, b"\x28\xb5\x2f\xfd" + b"x" * 50), "zstd data that cannot be decompressed"),
        (lambda folder: written(folder, b"SQLite format 3\0" + b"x" * 500), "cannot be read"),
        (lambda folder: written(folder, b"PAR1" + b"x" * 500), "Parquet table that cannot be read"),
        (lambda folder: table(folder / "t", "a", "b"), "with the columns a, b: a table of contigs has"),
        (lambda folder: other_database(folder / "t"), "the tables people: neither a shard"),
    ],
    ids=["missing", "empty", "FASTQ", "GenBank", "binary", "text", "gzip", "zstd", "database", "Parquet", "columns", "tables"],
)
def test_what_is_not_known_is_said_to_look_like_something(tmp_path, make, said):
    with pytest.raises(errors.InputError, match=said):
        recognize(make(tmp_path))
