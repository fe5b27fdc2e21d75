"""Reading FASTA, plain or gzip-compressed, from a file or standard input, in blocks."""

import codecs
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from eden_core.errors import InputError

STANDARD_INPUT = "-"

_BLOCK_BYTES = 1 << 20
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31  # zlib's way to ask for a gzip header and trailer, and to check both
_IUPAC = b"ACGTURYSWKMBDHVN"
_LETTERS = _IUPAC + _IUPAC.lower()
_NO_LETTER = re.compile(b"[^" + _LETTERS + b"\r\n]")
_PROTEIN_ONLY = frozenset(b"EFILPQ")
_OTHER_FORMATS = {
    b"@": "FASTQ",
    b"LOCUS": "GenBank",
    b"BZh": "bzip2; decompress it first",
    b"\xfd7zXZ": "xz; decompress it first",
    b"\x28\xb5\x2f\xfd": "Zstandard; decompress it first",
    b"PK\x03\x04": "zip; unpack it first",
}


class FastaRecord(NamedTuple):
    """One sequence of a FASTA file."""

    id: str
    """the header up to its first white space"""
    bases: bytes
    """IUPAC letters as they stand in the file, case kept, without line ends"""
    line: int
    """the header's line, counted from 1"""


def read_fasta(source: str | Path, *, progress: Callable[[int], object] | None = None) -> Iterator[FastaRecord]:
    """Yield the sequences of a FASTA file, one in memory at a time.

    Plain and gzip files (bgzip too) are told apart by their content. Lines may have any width and end in LF or CRLF; blank
    lines are skipped.

    Args:
        source: a file, or `-` for standard input.
        progress: called after each block with the bytes it took from the file, before decompression.

    Raises:
        InputError: the file cannot be read, is damaged or empty, is no FASTA, repeats an id, or has a sequence that is empty
            or holds anything but IUPAC nucleotide letters; with the line, and for letters the column, both counted from 1.
    """
    name = "standard input" if str(source) == STANDARD_INPUT else str(source)
    parser = _Parser(name)
    for text in _whole_lines(_decompressed(_file_blocks(source, name, progress), name)):
        yield from parser.feed(text)
    yield parser.finish()


def _file_blocks(source: str | Path, name: str, progress: Callable[[int], object] | None) -> Iterator[bytes]:
    try:
        with nullcontext(sys.stdin.buffer) if str(source) == STANDARD_INPUT else Path(source).open("rb") as stream:
            while block := stream.read(_BLOCK_BYTES):
                if progress:
                    progress(len(block))
                yield block
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}") from error


def _decompressed(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    first = next(blocks, b"")
    blocks = chain([first], blocks)
    return _gunzipped(blocks, name) if first.startswith(_GZIP_MAGIC) else blocks


def _gunzipped(blocks: Iterable[bytes], name: str) -> Iterator[bytes]:
    member = zlib.decompressobj(_GZIP_WINDOW)
    try:
        for block in blocks:
            packed = block.lstrip(b"\0") if member.eof else block  # zeros may pad the end of a member
            while packed:
                if member.eof:
                    member = zlib.decompressobj(_GZIP_WINDOW)
                yield member.decompress(packed, _BLOCK_BYTES)
                packed = member.unused_data.lstrip(b"\0") if member.eof else member.unconsumed_tail
    except zlib.error as error:
        raise InputError(f"{name}: the gzip data is damaged ({error}); copy or download the file again") from error
    if not member.eof:
        raise InputError(f"{name}: the gzip data ends too early; copy or download the file again")


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Move the cuts between blocks behind line ends; only the last block may lack one."""
    waiting: list[bytes] = []
    for block in blocks:
        end = block.rfind(b"\n") + 1
        if end:
            yield b"".join([*waiting, block[:end]])
            waiting = []
        waiting.append(block[end:])
    if rest := b"".join(waiting):
        yield rest


class _Parser:
    """Takes blocks of whole lines and gives the records that they complete."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._line = 1  # of what comes next
        self._lines_of_ids: dict[str, int] = {}
        self._id: str | None = None
        self._parts: list[bytes] = []

    def feed(self, text: bytes) -> Iterator[FastaRecord]:
        """Read on."""
        if self._line == 1:
            text = text.removeprefix(codecs.BOM_UTF8)
        # Looking for the one byte first is fifty times faster, and most blocks of a genome have no header.
        pieces = text.split(b"\n>") if b">" in text else [text]
        if pieces[0].startswith(b">"):
            pieces[0] = pieces[0][1:]
        else:
            self._add(pieces[0], self._line)
            self._line += pieces.pop(0).count(b"\n") + 1
        for piece in pieces:
            if self._id is not None:
                yield self.finish()
            header, _, sequence = piece.partition(b"\n")
            self._start(header.rstrip(b"\r"))
            self._add(sequence, self._line + 1)
            self._line += piece.count(b"\n") + 1
        self._line -= 1  # the last piece still has its line end

    def finish(self) -> FastaRecord:
        """Return the record that was being read."""
        if self._id is None:
            raise InputError(f"{self._name} is empty; expected FASTA: a line with '>' and an id, then lines of bases")
        line = self._lines_of_ids[self._id]
        if not self._parts:
            raise self._error(line, f"sequence {self._id!r} is empty; remove its header or add its bases")
        record = FastaRecord(self._id, b"".join(self._parts), line)
        self._parts.clear()
        return record

    def _start(self, header: bytes) -> None:
        if b"\r" in header:
            raise self._error(self._line, "lines end in bare carriage returns; convert them with: tr '\\r' '\\n'")
        if not header[:1].strip():
            raise self._error(self._line, "the header has no id directly behind '>'")
        sequence_id = header.split(None, 1)[0].decode(errors="replace")
        if not sequence_id.isprintable() or "\N{REPLACEMENT CHARACTER}" in sequence_id:
            raise self._error(self._line, f"the id {sequence_id!r} holds something other than printable UTF-8 text")
        first = self._lines_of_ids.setdefault(sequence_id, self._line)
        if first != self._line:
            raise self._error(self._line, f"the id {sequence_id!r} stands on line {first} already; ids must be unique")
        self._id = sequence_id

    def _add(self, text: bytes, line: int) -> None:
        if self._id is None:
            if text.strip():
                raise self._no_header(text, line)
            return
        bases = text.replace(b"\n", b"")
        if b"\r" in bases:
            bases = bases.replace(b"\r", b"")
        if bases.translate(None, _LETTERS):
            raise self._no_letter(text, line)
        if bases:
            self._parts.append(bases)

    def _no_header(self, text: bytes, line: int) -> InputError:
        body = text.lstrip()
        line += text[: len(text) - len(body)].count(b"\n")
        looks = next((what for magic, what in _OTHER_FORMATS.items() if body.startswith(magic)), None)
        if looks is None and re.search(rb"[^\t-\r -~]", body[:4096]):
            looks = "a binary file"
        shown = body[:40].partition(b"\n")[0].decode(errors="replace").rstrip()
        found = f"it looks like {looks}" if looks else f"found {shown!r}"
        return self._error(line, f"expected FASTA, whose first line starts with '>'; {found}")

    def _no_letter(self, text: bytes, line: int) -> InputError:
        found = _NO_LETTER.search(text)
        assert found is not None  # noqa: S101 - the caller saw such a letter
        position, letter = found.start(), found.group()
        line += text.count(b"\n", 0, position)
        before = text.rfind(b"\n", 0, position)
        column = position - before
        protein = len(_PROTEIN_ONLY.intersection(text[before + 1 :].partition(b"\n")[0].upper())) > 1
        return InputError(
            f"{self._name}: line {line}, column {column}: {letter.decode('latin-1')!r} in sequence {self._id!r} is no IUPAC "
            f"nucleotide letter ({_IUPAC.decode()}, either case)" + ("; it looks like protein" if protein else "")
        )

    def _error(self, line: int, what: str) -> InputError:
        return InputError(f"{self._name}: line {line}: {what}")
