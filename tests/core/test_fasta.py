import gzip
import io
import sys
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import read_genome

from eden_core import fasta
from eden_core.errors import InputError
from eden_core.fasta import FastaRecord, read_fasta

LETTERS = "ACGTURYSWKMBDHVNacgturyswkmbdhvn"

ids = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)
records = st.dictionaries(ids, st.text(LETTERS, min_size=1, max_size=60), min_size=1, max_size=6)


def written(sequences: dict[str, str], width: int, line_end: str, description: str = "") -> bytes:
    lines = []
    for name, bases in sequences.items():
        lines += [f">{name}{description}", *(bases[i : i + width] for i in range(0, len(bases), width))]
    return line_end.join(lines).encode()


def members(data: bytes, size: int) -> bytes:
    """Several gzip members, end to end, as bgzip writes them."""
    return b"".join(gzip.compress(data[i : i + size]) for i in range(0, len(data), size))


@pytest.fixture
def read(tmp_path):
    def read(content: bytes) -> list[FastaRecord]:
        (tmp_path / "g.fa").write_bytes(content)
        return list(read_fasta(tmp_path / "g.fa"))

    return read


@given(
    sequences=records,
    width=st.integers(1, 70),
    line_end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    description=st.sampled_from(["", " a > b", "\tx"]),
    last=st.booleans(),
    member=st.sampled_from([0, 5, 1000]),
    block=st.sampled_from([2, 3, 7, 50, 1 << 20]),
)
def test_what_is_written_is_read(sequences, width, line_end, description, last, member, block):
    content = written(sequences, width, line_end, description) + line_end.encode() * last
    content = members(content, member) if member else content
    with tempfile.TemporaryDirectory() as folder, patch.object(fasta, "_BLOCK_BYTES", block):
        path = Path(folder) / "g.fa"
        path.write_bytes(content)
        found = [(record.id, record.bases.decode()) for record in read_fasta(path)]
    assert found == list(sequences.items())


@pytest.mark.parametrize("block", [3, 1 << 20])
def test_lines_of_headers_are_counted(read, monkeypatch, block):
    monkeypatch.setattr(fasta, "_BLOCK_BYTES", block)
    content = b"\n>a x\nACG\n\nT\n>b\nA\n>c\r\nA\r\n\r\n>d\nC"
    assert [(record.id, record.line) for record in read(content)] == [("a", 2), ("b", 6), ("c", 8), ("d", 11)]


def test_a_genome(lambda_fasta):
    (record,) = read_fasta(lambda_fasta)
    assert record.id == "gi|9626243|ref|NC_001416.1|"
    assert record.bases.decode() == read_genome(lambda_fasta)


def test_one_long_line(read):
    bases = b"ACGTN" * 1_000_000
    assert read(b">a\n" + bases + b"\n>b\nA\n") == [("a", bases, 1), ("b", b"A", 3)]


def test_a_byte_order_mark_is_skipped(read):
    assert read(b"\xef\xbb\xbf>a\nACGT\n") == [("a", b"ACGT", 1)]


def test_padding_behind_gzip_is_skipped(read):
    assert read(gzip.compress(b">a\nAC") + bytes(20) + gzip.compress(b"GT\n") + bytes(3)) == [("a", b"ACGT", 1)]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_standard_input(monkeypatch, pack):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(b">a\nACGT\n"))))
    assert list(read_fasta("-")) == [("a", b"ACGT", 1)]


def test_progress_counts_bytes_of_the_file(tmp_path):
    content = gzip.compress(b">a\n" + b"ACGT" * 1000)
    (tmp_path / "g").write_bytes(content)
    seen = []
    list(read_fasta(tmp_path / "g", progress=seen.append))
    assert sum(seen) == len(content)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.fa cannot be read: No such file"):
        list(read_fasta(tmp_path / "none.fa"))


def test_a_directory(tmp_path):
    with pytest.raises(InputError, match="Is a directory"):
        list(read_fasta(tmp_path))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "is empty; expected FASTA", id="empty"),
        pytest.param(b"\n \r\n", "is empty; expected FASTA", id="blank"),
        pytest.param(gzip.compress(b""), "is empty; expected FASTA", id="empty-gzip"),
        pytest.param(b"\nACGT\n>a\nA\n", "line 2: expected FASTA.* found 'ACGT'", id="no-header"),
        pytest.param(b"\x89PNG\x00\n\x01\n>", "line 1: .*looks like a binary file", id="binary"),
        pytest.param(b"PK\x03\x04zip", "looks like zip; unpack it first", id="zip"),
        pytest.param(b"@read\nACGT\n+\nIIII\n", "looks like FASTQ", id="fastq"),
        pytest.param(b">a\nA\n>\nA\n", "line 3: the header has no id", id="no-id"),
        pytest.param(b">a\nA\n> b\nA\n", "line 3: the header has no id", id="space-before-id"),
        pytest.param(b">a\nA\n>\xff\nA\n", "line 3: the id .* printable UTF-8", id="no-utf-8"),
        pytest.param(b">a\x00\nA\n", "line 1: the id .* printable UTF-8", id="nul-in-id"),
        pytest.param(b">a\n\n\n>b\nA\n", "line 1: sequence 'a' is empty", id="empty-sequence"),
        pytest.param(b">a\nA\n>b", "line 3: sequence 'b' is empty", id="empty-last-sequence"),
        pytest.param(b">a\nA\n>b\nA\n>a x\nC\n", "line 5: the id 'a' stands on line 1 already", id="repeated-id"),
        pytest.param(b">a\nACGT\nAC-T\n", "line 3, column 3: '-' in sequence 'a' is no IUPAC", id="gap"),
        pytest.param(b">a\r\nACGT\r\nACGT \r\n", "line 3, column 5: ' ' in", id="space"),
        pytest.param(b">a\nACGT\nA\x00GT\n", r"line 3, column 2: '\\x00' in", id="nul"),
        pytest.param(b">a\nAC\n>b\nA\n>c\nA\nC>\n", "line 7, column 2: '>' in sequence 'c'", id="third-sequence"),
        pytest.param(b">a\nMKTAYIAKQRQISFVKSHFSRQLE\n", "column 6: 'I' .*looks like protein", id="protein"),
        pytest.param(b">a\rACGT\r>b\rACGT\r", "line 1: lines end in bare carriage returns", id="old-mac"),
        pytest.param(gzip.compress(b">a\nACGT\n")[:-9], "gzip data ends too early", id="truncated"),
        pytest.param(gzip.compress(b">a\nACGT\n")[:-1], "gzip data ends too early", id="truncated-trailer"),
        pytest.param(gzip.compress(b">a\nACGT\n")[:-8] + bytes(8), "gzip data is damaged", id="checksum"),
        pytest.param(gzip.compress(b">a\nACGT\n") + b"more", "gzip data is damaged", id="trailing"),
    ],
)
@pytest.mark.parametrize("block", [4, 1 << 20])
def test_bad_input(read, monkeypatch, block, content, message):
    monkeypatch.setattr(fasta, "_BLOCK_BYTES", block)
    with pytest.raises(InputError, match=message) as caught:
        read(content)
    assert "g.fa" in str(caught.value)


def test_one_odd_letter_is_no_protein(read):
    with pytest.raises(InputError, match=r"either case\)$"):
        read(b">a\nACGE\n")


def test_early_errors_leave_no_open_file(tmp_path, recwarn):
    (tmp_path / "g.fa").write_bytes(b">a\nA\n>b\n!\n" * 1000)
    reading = read_fasta(tmp_path / "g.fa")
    assert next(reading).id == "a"
    del reading
    assert not recwarn.list
