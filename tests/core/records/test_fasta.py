import gzip
import tempfile
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import read_genome

from eden_core.errors import InputError
from eden_core.records import Record, decompression, fasta, read_records

LETTERS = "ACGTURYSWKMBDHVNacgturyswkmbdhvn"

ids = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)
records = st.dictionaries(ids, st.text(LETTERS, min_size=1, max_size=200), min_size=1, max_size=6)


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
    def read(content: bytes, **options) -> list[Record]:
        (tmp_path / "g.fa").write_bytes(content)
        return list(read_records(tmp_path / "g.fa", **options))

    return read


@given(
    sequences=records,
    width=st.integers(1, 150),
    line_end=st.sampled_from(["\n", "\r\n", "\n\n"]),
    description=st.sampled_from(["", " a > b", "\tx"]),
    last=st.booleans(),
    member=st.sampled_from([0, 5, 1000]),
    block=st.sampled_from([2, 3, 7, 50, 1 << 20]),
)
def test_what_is_written_is_read(sequences, width, line_end, description, last, member, block):
    content = written(sequences, width, line_end, description) + line_end.encode() * last
    content = members(content, member) if member else content
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(decompression, "_BLOCK_BYTES", block),
        patch.object(fasta, "_LONGEST_HEADER", 70),  # longer lines come in parts
    ):
        path = Path(folder) / "g.fa"
        path.write_bytes(content)
        found = [(record.id, record.bases.decode()) for record in read_records(path)]
    assert found == list(sequences.items())


@pytest.mark.parametrize("block", [3, 1 << 20])
def test_lines_of_headers_are_counted(read, monkeypatch, block):
    monkeypatch.setattr(decompression, "_BLOCK_BYTES", block)
    content = b"\n>a x\nACG\n\nT\n>b\nA\n>c\r\nA\r\n\r\n>d\nC"
    assert [(record.id, record.place) for record in read(content)] == [("a", 2), ("b", 6), ("c", 8), ("d", 11)]


def test_a_genome(lambda_fasta):
    (record,) = read_records(lambda_fasta)
    assert record.id == "gi|9626243|ref|NC_001416.1|"
    assert record.bases.decode() == read_genome(lambda_fasta)


def test_one_long_line(read):
    bases = b"ACGTN" * 1_000_000
    assert read(b">a\n" + bases + b"\n>b\nA\n") == [("a", bases, 1), ("b", b"A", 3)]


def test_a_byte_order_mark_is_skipped(read):
    assert read(b"\xef\xbb\xbf>a\nACGT\n") == [("a", b"ACGT", 1)]


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
        pytest.param(b">a\nACGT\nAC-T\n", "line 3, column 3: '-' in sequence 'a' is no IUPAC", id="gap"),
        pytest.param(b">a\r\nACGT\r\nACGT \r\n", "line 3, column 5: ' ' in", id="space"),
        pytest.param(b">a\nACGT\nA\x00GT\n", r"line 3, column 2: '\\x00' in", id="nul"),
        pytest.param(b">a\nAC\n>b\nA\n>c\nA\nC>\n", "line 7, column 2: '>' in sequence 'c'", id="third-sequence"),
        pytest.param(b">a\nMKTAYIAKQRQISFVKSHFSRQLE\n", "column 6: 'I' .*looks like protein", id="protein"),
        pytest.param(b">a\rACGT\r>b\rACGT\r", "line 1: lines end in bare carriage returns", id="old-mac"),
    ],
)
@pytest.mark.parametrize("block", [4, 1 << 20])
def test_bad_input(read, monkeypatch, block, content, message):
    monkeypatch.setattr(decompression, "_BLOCK_BYTES", block)
    with pytest.raises(InputError, match=message) as caught:
        read(content)
    assert "g.fa" in str(caught.value)


def test_ids_may_repeat_and_the_last_line_end_may_lack(read):
    assert read(b">a\nACGT\n>a\nA") == [("a", b"ACGT", 1), ("a", b"A", 3)]


def test_columns_are_counted_over_the_parts_of_a_long_line(read, monkeypatch):
    monkeypatch.setattr(fasta, "_LONGEST_HEADER", 8)
    monkeypatch.setattr(decompression, "_BLOCK_BYTES", 4)
    with pytest.raises(InputError, match="line 4, column 52: '!'"):
        read(b">a\nA\n>b\n" + b"ACG" * 17 + b"!ACG\n")


def test_a_header_mark_within_a_long_line_is_no_header(read, monkeypatch):
    monkeypatch.setattr(fasta, "_LONGEST_HEADER", 8)
    monkeypatch.setattr(decompression, "_BLOCK_BYTES", 9)
    with pytest.raises(InputError, match="line 2, column 10: '>'"):
        read(b">a xyzu\n" + b"ACGTACGTA>b\nAC\n")


def test_a_header_of_megabytes(read):
    with pytest.raises(InputError, match=r"line 3: a header of \d+ bytes"):
        read(b">a\nA\n>" + b"x" * (3 << 20))


def test_other_letters_pass_where_letters_are_not_checked(read):
    assert read(b">a\nAC-*J\r\nEFIL\n", check_letters=False) == [("a", b"AC-*JEFIL", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b">a\nAC\nA\x00\n", r"line 3, column 2: '\\x00'"),
        (b">a\nAC\nAC\xc3\xa9\n", "line 3, column 3: the byte 0xC3"),
    ],
)
def test_nul_and_what_is_no_ascii_never_pass(read, content, message):
    with pytest.raises(InputError, match=message):
        read(content, check_letters=False)


def test_one_odd_letter_is_no_protein(read):
    with pytest.raises(InputError, match=r"either case\); import with --other-letters"):
        read(b">a\nACGE\n")


def test_early_errors_leave_no_open_file(tmp_path, recwarn):
    (tmp_path / "g.fa").write_bytes(b">a\nA\n>b\n!\n" * 1000)
    reading = read_records(tmp_path / "g.fa")
    assert next(reading).id == "a"
    del reading
    assert not recwarn.list
