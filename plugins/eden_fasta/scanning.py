"""Finding the sequences of a FASTA file: where each begins, how long it is, and how its lines are cut."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import FormatError

LONGEST_HEADER = 1 << 20
_NEWLINE, _RETURN, _MARK, _COMMENT = b"\n\r>;"
_BLANKS = 0x20  # bytes up to this one are no letters


@dataclass(frozen=True)
class Records:
    """Sequences of a FASTA file that have bases, as samtools' index describes them (http://www.htslib.org/doc/faidx.html).

    Attributes:
        names: the first word of each header.
        lengths: bases, int64 [n].
        offsets: where in the file (uncompressed) the first base lies, int64 [n].
        line_bases: bases of each line but the last, int64 [n].
        line_ends: bytes that end such a line, 1 or 2, int64 [n]; of one line without an end, 0 or 1.
    """

    names: list[str]
    lengths: NDArray[np.int64]
    offsets: NDArray[np.int64]
    line_bases: NDArray[np.int64]
    line_ends: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def with_bases(cls, names: list[str], *columns: NDArray[np.int64]) -> "Records":
        """Return those of some sequences that have bases."""
        if columns[0].all():
            return cls(names, *columns)
        some = np.flatnonzero(columns[0])
        return cls([names[i] for i in some.tolist()], *(column[some] for column in columns))


def scanned(blocks: Iterable[bytes], path: str) -> Iterator[Records]:
    """Yield the sequences of a FASTA file in order.

    Lines of a sequence are as long as its first, but for its last; blank lines may follow that.

    Args:
        blocks: the file's content, cut anywhere.
        path: what messages call it.

    Raises:
        FormatError: it is no FASTA, has no bases at all, lines of a sequence differ in length, or they hold
            blanks; the message gives the line.
    """
    scan, found = _Scan(path), False
    for block in _ended(blocks):
        some = scan.feed(np.frombuffer(block, np.uint8))
        found |= len(some) > 0
        yield some
    some = scan.finish()
    if not found and not len(some):
        raise FormatError(f"{path} has headers, and no bases")
    yield some


def _ended(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield blocks that are not empty, and a line end where there is none."""
    last = b"\n"
    for block in blocks:
        if block:
            last = block[-1:]
            yield block
    if last != b"\n":
        yield b"\n"


@dataclass(frozen=True)
class _Lines:
    """The lines that end in a block.

    Attributes:
        bases: bytes of each before its end, int64 [n].
        ends: bytes of its end, 1 or 2, int64 [n].
        is_header: bool [n].
        is_comment: whether it begins with ';', bool [n].
        names: ids of the headers.
        offsets: where the lines behind the headers begin, int64.
    """

    bases: NDArray[np.int64]
    ends: NDArray[np.int64]
    is_header: NDArray[np.bool_]
    is_comment: NDArray[np.bool_]
    names: list[str]
    offsets: NDArray[np.int64]


class _Scan:
    """What is known between blocks: the line and the sequence that are not complete."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._position = self._line_start = 0
        self._line = 1  # number of the line that is not complete
        self._begun = b""  # of that line: all of a header, else its first and its last byte
        self._name: str | None = None  # of the open sequence, of which come next: offset, length, and what its lines are like
        self._offset = self._length = self._line_bases = self._line_ends = 0
        self._has_lines = False
        self._goes_on = True  # whether its last line was as long as its first

    def feed(self, block: NDArray[np.uint8]) -> Records:
        """Read on, and return the sequences that are complete."""
        blanks = np.flatnonzero(block <= _BLANKS)
        is_end = block[blanks] == _NEWLINE
        ends, blanks = blanks[is_end], blanks[~is_end]
        if not ends.size:
            self._check_blanks(block, blanks, ends, np.zeros(0, np.bool_))
            self._begin(block)
            self._position += block.size
            return Records([], *np.zeros((4, 0), np.int64))
        lines = self._lines(block, ends)
        self._check_beginning(lines)
        self._check_blanks(block, blanks, ends, lines.is_header)
        found = self._completed(lines)
        self._line += ends.size
        self._line_start, self._begun = self._position + int(ends[-1]) + 1, b""
        self._begin(block[ends[-1] + 1 :])
        self._position += block.size
        return found

    def finish(self) -> Records:
        """Return the last sequence."""
        if self._name is None:
            raise FormatError(f"{self._path} is empty; expected FASTA: a line with '>' and an id, then lines of bases")
        columns = (self._length, self._offset, self._line_bases, self._line_ends)
        return Records.with_bases([self._name], *(np.array([number]) for number in columns))

    def _begin(self, rest: NDArray[np.uint8]) -> None:
        """Take the beginning of a line, or more of it."""
        if not rest.size:
            return
        if (self._begun or rest[:1].tobytes()).startswith(b">"):
            self._begun += rest.tobytes()
            if len(self._begun) > LONGEST_HEADER:
                raise self._error(0, f"a header of more than {LONGEST_HEADER} bytes; expected '>', an id, and a line end")
        else:
            self._begun = (self._begun[:1] or rest[:1].tobytes()) + rest[-1:].tobytes()

    def _lines(self, block: NDArray[np.uint8], ends: NDArray[np.int64]) -> _Lines:
        """Return the lines that end at some places of a block."""
        starts = np.empty_like(ends)
        starts[0], starts[1:] = self._line_start - self._position, ends[:-1] + 1
        firsts, before = block[np.maximum(starts, 0)], block[np.maximum(ends - 1, 0)]
        if self._begun:
            firsts[0] = self._begun[0]
            before[0] = block[ends[0] - 1] if ends[0] else self._begun[-1]
        returns = (before == _RETURN) & (ends > starts)
        is_header = firsts == _MARK
        headers = np.flatnonzero(is_header)
        names = [self._name_of(block, int(starts[i]), int(ends[i]), int(i)) for i in headers.tolist()]
        return _Lines(
            ends - starts - returns, 1 + returns, is_header, firsts == _COMMENT, names, self._position + ends[headers] + 1
        )

    def _name_of(self, block: NDArray[np.uint8], start: int, end: int, line: int) -> str:
        text = block[max(start, 0) : end].tobytes()
        if line == 0:
            text = self._begun + text
        if not text[1:2].strip():
            raise self._error(line, "the header has no id directly behind '>'")
        name = text[1:].split(None, 1)[0]
        try:
            return name.decode()
        except UnicodeDecodeError as error:
            raise self._error(line, f"the id {name!r} is no UTF-8 text") from error

    def _check_beginning(self, lines: _Lines) -> None:
        """See that bases stand behind a header, and no comments."""
        stray = ~lines.is_header & (lines.bases > 0) & (np.cumsum(lines.is_header) == 0)
        if self._name is None and stray.any():
            raise self._error(int(np.argmax(stray)), "expected FASTA, whose first line starts with '>'")
        if lines.is_comment.any():
            what = "it begins with ';' as a comment, of which FASTA has none: remove such lines"
            raise self._error(int(np.argmax(lines.is_comment)), what)

    def _check_blanks(
        self, block: NDArray[np.uint8], blanks: NDArray[np.int64], ends: NDArray[np.int64], is_header: NDArray[np.bool_]
    ) -> None:
        """See that lines of bases have no blanks, and no CR but before a LF.

        Args:
            block: the bytes.
            blanks: where some are that are no letters, and do not end a line.
            ends: where lines end, of which the last may go on behind the block.
            is_header: of each line that ends.
        """
        if self._name is None and not is_header.any():
            return  # lines of bases have no place here
        if self._begun[:1] != b">" and self._begun[-1:] == b"\r" and block[0] != _NEWLINE:
            raise self._blank(0, _RETURN)
        if not blanks.size:
            return
        rest = (self._begun if not ends.size else b"") or block[ends[-1] + 1 if ends.size else 0 :][:1].tobytes()
        lines = np.searchsorted(ends, blanks)
        before_end = (blanks + 1 == block.size) | (block[np.minimum(blanks + 1, block.size - 1)] == _NEWLINE)
        wrong = ~np.append(is_header, rest[:1] == b">")[lines] & ~((block[blanks] == _RETURN) & before_end)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise self._blank(int(lines[i]), int(block[blanks[i]]))

    def _blank(self, line: int, byte: int) -> FormatError:
        return self._error(line, f"the byte {bytes([byte])!r} among the bases: remove blanks, and what else is no letter")

    def _completed(self, lines: _Lines) -> Records:
        """Return the sequences that are complete with some lines; the last one stays open."""
        places = np.flatnonzero(~lines.is_header)
        owners = np.cumsum(lines.is_header, dtype=np.int64)[
            places
        ]  # 0 is the open sequence, and then come those of the headers
        bases, ends = lines.bases[places], lines.ends[places]
        firsts = np.flatnonzero(np.diff(owners, prepend=-1))
        line_bases, line_ends = np.zeros((2, len(lines.names) + 1), np.int64)
        line_bases[owners[firsts]], line_ends[owners[firsts]] = bases[firsts], ends[firsts]
        if self._has_lines:
            line_bases[0], line_ends[0] = self._line_bases, self._line_ends
        full = (bases == line_bases[owners]) & (ends == line_ends[owners]) & (bases > 0)
        self._check(places, owners, bases, line_bases[owners], full)
        lengths = np.bincount(owners, bases, line_bases.size).astype(np.int64)
        lengths[0] += self._length
        columns = (lengths, np.concatenate([[self._offset], lines.offsets]), line_bases, line_ends)
        begin, names = 1 if self._name is None else 0, [self._name or "", *lines.names]
        if lines.names:
            self._name, self._has_lines, self._goes_on = names[-1], False, True
        if owners.size and owners[-1] == len(lines.names):
            self._has_lines, self._goes_on = True, bool(full[-1])
        self._length, self._offset, self._line_bases, self._line_ends = (int(column[-1]) for column in columns)
        return Records.with_bases(names[begin:-1], *(column[begin:-1] for column in columns))

    def _check(
        self,
        places: NDArray[np.int64],
        owners: NDArray[np.int64],
        bases: NDArray[np.int64],
        limits: NDArray[np.int64],
        full: NDArray[np.bool_],
    ) -> None:
        """Look at lines of bases: only the last of a sequence may have fewer than its first, and none more."""
        if not places.size:
            return
        may_go_on = np.ones(places.size, np.bool_)
        may_go_on[1:] = full[:-1] | (owners[1:] != owners[:-1])
        may_go_on[0] = owners[0] > 0 or self._goes_on
        wrong = (bases > limits) | (~may_go_on & (bases > 0))
        if wrong.any():
            i = int(np.argmax(wrong))
            what = f"of {bases[i]:,} bases, where lines of this sequence have {limits[i]:,}, and only its last may have fewer"
            if not may_go_on[i]:
                what = "it follows one with fewer bases, or another line end (LF, or CR and LF), than the first of its sequence"
            raise self._error(
                int(places[i]),
                f"{what}: bases cannot be found in it. Write the file anew with lines of one length (such as with seqkit seq "
                "-w 80), or import it (eden import)",
            )

    def _error(self, line: int, what: str) -> FormatError:
        return FormatError(f"{self._path}: line {self._line + line}: {what}")
