import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequence_files import write_fasta

from eden_core.errors import FormatError
from eden_fasta.fai import read_fai, write_fai
from eden_fasta.scanning import scanned

ENDS = st.sampled_from([b"\n", b"\r\n"])
SEQUENCES = st.lists(st.text("ACGTNacgt", max_size=40).map(str.encode), min_size=1, max_size=6)


def rows(blocks):
    found = []
    for some in scanned(blocks, "x.fa"):
        columns = (some.lengths, some.offsets, some.line_bases, some.line_ends)
        found += zip(some.names, *(column.tolist() for column in columns), strict=True)
    return found


def plain_rows(text):
    """What lies where, found by splitting the text."""
    found, place = [], 0
    for line in text.split(b"\n")[: -1 if text.endswith(b"\n") else None]:
        if line.startswith(b">"):
            found.append([line[1:].split()[0].decode(), 0, place + len(line) + 1, 0, 0])
        elif bases := len(line.removesuffix(b"\r")):
            found[-1][1] += bases
            if not found[-1][3]:
                found[-1][3:] = bases, len(line) - bases + 1
        place += len(line) + 1
    return [tuple(row) for row in found if row[1]]


@given(SEQUENCES, st.integers(1, 12), ENDS, st.integers(0, 2), st.booleans(), st.integers(1, 30))
def test_sequences_are_found_however_the_file_is_cut(tmp_path_factory, sequences, width, end, blanks, whole, block):
    path = tmp_path_factory.mktemp("fasta") / "x.fa"
    text = write_fasta(path, {f"s{i} described": bases for i, bases in enumerate(sequences)}, width, end).read_bytes()
    text = text + end * blanks if whole else text.removesuffix(end)
    wanted = plain_rows(text)
    if wanted:
        assert rows(text[i : i + block] for i in range(0, len(text), block)) == wanted


def test_an_index_is_that_of_samtools(tmp_path):
    pysam = pytest.importorskip("pysam")
    bases = np.random.default_rng(1).choice(np.frombuffer(b"ACGTn", np.uint8), 5_000).tobytes()
    path = write_fasta(tmp_path / "x.fa", {"one text": bases, "two": b"", "three": bases[:60], "four|x": bases[:61]}, 60)
    write_fai(tmp_path / "ours", scanned([path.read_bytes()], "x.fa"))
    pysam.faidx(str(path))
    assert (tmp_path / "ours").read_text() == (tmp_path / "x.fa.fai").read_text()


def test_an_index_reads_back(tmp_path):
    write_fai(tmp_path / "x.fai", scanned([b'>"quoted" \'id\nACGT\nAC\n>NA\nA'], "x.fa"))
    (found,) = read_fai(tmp_path / "x.fai")
    assert (found.names, found.lengths.tolist(), found.offsets.tolist()) == (['"quoted"', "NA"], [6, 1], [14, 26])


WRONG = {
    "a longer line": (b">a\nACGT\nACGTA\n", "line 3: of 5 bases, where lines of this sequence have 4"),
    "a shorter line": (b">a\nACGT\nACG\nACGT\n", "line 4: it follows one with fewer bases"),
    "a blank line within": (b">a\nACGT\n\nACGT\n", "line 4"),
    "a blank line in front": (b">a\n\nACGT\n", "line 3"),
    "mixed line ends": (b">a\nACGT\nACGT\r\nACGT\n", "line 4: it follows one with .* another line end"),
    "a line end without CR": (b">a\r\nACGT\r\nACGT\nACGT\r\n", "line 4: it follows one with .* another line end"),
    "a blank": (b">a b\nAC T\nACGT\n", "line 2: the byte b' ' among the bases"),
    "a tab at an end": (b">a\nACGT\n>b\nACG\t\n", "line 4: the byte b'.t'"),
    "CR within a line": (b">a\r\nAC\rT\r\n", "line 2: the byte b'.r'"),
    "two CR": (b">a\nACGT\r\r\n", "line 2: the byte b'.r'"),
    "a byte that is 0": (b">a\nACGT\0", "line 2: the byte b'.x00'"),
    "a comment": (b">a\n;1985\nACGT\n", "line 2: it begins with ';'"),
    "a comment behind bases": (b">a\nACGT\n;A\n", "line 3: it begins with ';'"),
    "a comment in front": (b";A\n>a\nACGT\n", "line 1: expected FASTA"),
    "no header": (b"\nACGT\n", "line 2: expected FASTA, whose first line starts with '>'"),
    "FASTQ": (b"@a\nACGT\n+\nIIII\n", "line 1: expected FASTA"),
    "no id": (b">a\nA\n> b\nA\n", "line 3: the header has no id directly behind '>'"),
    "an id in Latin-1": (b">\xe9\nA\n", "line 1: the id .* is no UTF-8 text"),
    "nothing": (b"\n\n", "is empty"),
    "headers alone": (b">a\n>b\n", "has headers, and no bases"),
}


@pytest.mark.parametrize("block", [1, 3, 1000])
@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_with_its_line(text, message, block):
    with pytest.raises(FormatError, match=f"x.fa.*{message}"):
        rows(text[i : i + block] for i in range(0, len(text), block))


def test_a_line_without_end_takes_little_memory():
    assert rows([b">a\n", *([b"A" * 1000] * 1000), b"\n"]) == [("a", 1_000_000, 3, 1_000_000, 1)]
    with pytest.raises(FormatError, match="a header of more than"):
        rows([b">a", *([b"A" * 1000] * 2000)])


@pytest.mark.parametrize("block", [1, 3, 1000])
def test_headers_may_hold_blanks_and_comments(block):
    text = b">a one\ttext; \r more\r\nACGT\r\nAC;\r\n"
    assert rows(text[i : i + block] for i in range(0, len(text), block)) == [("a", 7, 21, 4, 2)]
