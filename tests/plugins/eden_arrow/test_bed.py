import gzip

import pytest

from eden_arrow import bed
from eden_arrow.bed import read_intervals
from eden_core.errors import InputError


def rows_of(path):
    return [tuple(row.values()) for batch in read_intervals(path) for row in batch.to_pylist()]


TEXT = (
    "#chrom\tstart\tend\nbrowser position chr1\ntrack name=x\na\t0\t10\r\n\n"
    "b\t5\t9\tgene\t0\t+\n \ntrack1\t1\t2\na b\t7\t8\textra"
)
ROWS = [("a", 0, 10, 4), ("b", 5, 9, 6), ("track1", 1, 2, 8), ("a b", 7, 8, 9)]


@pytest.mark.parametrize("block", [10, 40, 1 << 20])
def test_lines_that_are_no_intervals_are_passed_over(tmp_path, monkeypatch, block):
    monkeypatch.setattr(bed, "_BLOCK_BYTES", block)
    monkeypatch.setattr("eden_core.records.decompression._BLOCK_BYTES", 7)
    (tmp_path / "r.bed").write_text(TEXT)
    assert rows_of(tmp_path / "r.bed") == ROWS


def test_compressed(tmp_path):
    (tmp_path / "r.bed.gz").write_bytes(gzip.compress(TEXT[:40].encode()) + gzip.compress(TEXT[40:].encode()))
    assert rows_of(tmp_path / "r.bed.gz") == ROWS


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a 5 9", "expected contig, start and end with tabs between them, and it is 'a 5 9'"),
        ("a\t5", "expected contig, start and end"),
        ("\t5\t9", "names no contig"),
        ("a\t5\t9.5", "start and end must be whole numbers of 0 or more"),
        ("a\t-5\t9", "start and end must be whole numbers"),
        ("a\t9\t9", "the end must lie behind the start"),
        ("a\t5\t99999999999999999999", "start and end must be whole numbers"),
    ],
)
def test_a_line_that_is_no_interval_is_named(tmp_path, line, message):
    (tmp_path / "r.bed").write_text(f"# {{}}\nb\t1\t2\n{line}\n")
    with pytest.raises(InputError, match=rf"r\.bed, line 3: .*{message}"):
        rows_of(tmp_path / "r.bed")


def test_text_that_is_no_utf8(tmp_path):
    (tmp_path / "r.bed").write_bytes(b"a\t1\t2\n\xff\xfe\t1\t2\n")
    with pytest.raises(InputError, match="no text in UTF-8"):
        rows_of(tmp_path / "r.bed")
