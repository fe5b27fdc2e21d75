"""Parsing FASTA, one sequence in memory at a time."""

import io
import re
from collections.abc import Iterable, Iterator

from eden_core.errors import InputError
from eden_core.records.record import LETTERS, Record, are_letters, checked_id, letter_error

_LONGEST_HEADER = 1 << 20
_NO_LETTER = re.compile(b"[^" + LETTERS + b"\r\n]")
_NO_TEXT = re.compile(rb"[\x00\x80-\xff]")


def fasta_records(blocks: Iterable[bytes], name: str, *, check_letters: bool = True) -> Iterator[Record]:
    """Yield the sequences of a FASTA file.

    Lines may have any width and end in LF or CRLF; blank lines are skipped. The place of a record is its header's line.

    Args:
        blocks: the file's content, decompressed, cut anywhere.
        name: what messages call the file.
        check_letters: whether a letter that is no IUPAC nucleotide letter is an error; NUL and what is no ASCII always are.

    Raises:
        InputError: it is no FASTA, an id is missing or not printable, or a sequence is empty or holds a byte that it may not;
            with the line, and for letters the column, both counted from 1.
    """
    parser = _Parser(name, check_letters=check_letters)
    for text in _cut_at_lines(blocks):
        yield from parser.feed(text)
    yield parser.finish()


def _cut_at_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Move the cuts between blocks behind line ends; a line that is longer than any header comes in parts of its own."""
    waiting = b""
    for block in blocks:
        text = waiting + block
        end = text.rfind(b"\n") + 1
        if not end and len(text) > _LONGEST_HEADER:
            end = len(text)
        if end:
            yield text[:end]
        waiting = text[end:]
    if waiting:
        yield waiting


class _Parser:
    """Takes texts that begin or end inside a line of bases at most, and gives the records that they complete."""

    def __init__(self, name: str, *, check_letters: bool) -> None:
        self._name = name
        self._check_letters = check_letters
        self._line = 1  # of what comes next
        self._column = 0  # bytes of that line that came already
        self._id: str | None = None
        self._header_line = 1
        # Its growth moves no pages and its value is taken without a copy, so that a chromosome is in memory once.
        self._bases = io.BytesIO()

    def feed(self, text: bytes) -> Iterator[Record]:
        """Read on."""
        # Looking for the one byte first is fifty times faster, and most blocks of a genome have no header.
        pieces = text.split(b"\n>") if b">" in text else [text]
        if not self._column and pieces[0].startswith(b">"):
            pieces[0] = pieces[0][1:]
        else:
            self._add(pieces[0], self._line)
            self._line += pieces.pop(0).count(b"\n") + 1
        if pieces:
            self._column = 0
        for piece in pieces:
            if self._id is not None:
                yield self.finish()
            header, _, sequence = piece.partition(b"\n")
            self._start(header.rstrip(b"\r"))
            self._add(sequence, self._line + 1)
            self._line += piece.count(b"\n") + 1
        self._line -= 1  # the last piece still has its line end
        self._column = 0 if text.endswith(b"\n") else self._column + len(text)

    def finish(self) -> Record:
        """Return the record that was being read."""
        if self._id is None:
            raise InputError(f"{self._name} is empty; expected FASTA: a line with '>' and an id, then lines of bases")
        if not self._bases.tell():
            raise self._error(self._header_line, f"sequence {self._id!r} is empty; remove its header or add its bases")
        bases, self._bases = self._bases, io.BytesIO()
        return Record(self._id, bases.getvalue(), self._header_line)

    def _start(self, header: bytes) -> None:
        if b"\r" in header and not _NO_TEXT.search(header):
            raise self._error(self._line, "lines end in bare carriage returns; convert them with: tr '\\r' '\\n'")
        if len(header) >= _LONGEST_HEADER:
            raise self._error(self._line, f"a header of {len(header)} bytes or more; expected '>', an id, and a line end")
        if not header[:1].strip():
            raise self._error(self._line, "the header has no id directly behind '>'")
        where = f"{self._name}: line {self._line}"
        self._id = checked_id(header.split(None, 1)[0].decode(errors="replace"), where)
        self._header_line = self._line

    def _add(self, text: bytes, line: int) -> None:
        if self._id is None:
            if text.strip():
                raise self._no_header(text, line)
            return
        bases = text.replace(b"\n", b"")
        if b"\r" in bases:
            bases = bases.replace(b"\r", b"")
        if not are_letters(bases, check_letters=self._check_letters):
            raise self._no_letter(text, line)
        self._bases.write(bases)

    def _no_header(self, text: bytes, line: int) -> InputError:
        body = text.lstrip(b"\r\n")
        line += text[: len(text) - len(body)].count(b"\n")
        shown = body[:40].partition(b"\n")[0].decode(errors="replace").rstrip()
        return self._error(line, f"expected FASTA, whose first line starts with '>'; found {shown!r}")

    def _no_letter(self, text: bytes, line: int) -> InputError:
        found = (_NO_LETTER if self._check_letters else _NO_TEXT).search(text)
        assert found is not None  # noqa: S101 - the caller saw such a letter
        position = found.start()
        before = text.rfind(b"\n", 0, position)
        line += text.count(b"\n", 0, position)
        column = position - before + (self._column if before < 0 else 0)
        around = text[max(before + 1, position - 100) : position + 100].partition(b"\n")[0]
        return letter_error(f"{self._name}: line {line}, column {column}", text[position], self._id, around)

    def _error(self, line: int, what: str) -> InputError:
        return InputError(f"{self._name}: line {line}: {what}")
