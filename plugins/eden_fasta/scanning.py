"""Finding the sequences of a FASTA file: where each begins, how long it is, and how its lines are cut."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from eden_core.errors import FormatError

LONGEST_HEADER = 1 << 20
_NEWLINE, _RETURN, _MARK = b"\n\r>"


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
        FormatError: it is no FASTA, has no bases at all, or the lines of a sequence differ in length; the message gives the line.
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


class _Scan:
    """What is known between blocks: the line and the sequence that are not complete."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._position = self._line_start = 0
        self._line = 1  # of the line that is not complete
        self._begun = b""  # of that line: all of a header, else its first and its last byte
        self._name: str | None = None
        self._offset = self._length = self._line_bases = self._line_ends = 0
        self._lines = 0  # of the open sequence
        self._goes_on = True  # whether its last line was as long as the first

    def feed(self, block: NDArray[np.uint8]) -> Records:
        """Read on, and return the sequences that are complete."""
        ends = np.flatnonzero(block == _NEWLINE)
        if not ends.size:
            self._begin(block)
            self._position += block.size
            return Records([], *np.zeros((4, 0), np.int64))
        starts = np.empty_like(ends)
        starts[0], starts[1:] = self._line_start - self._position, ends[:-1] + 1
        before = block[np.maximum(ends - 1, 0)]
        is_header = block[np.maximum(starts, 0)] == _MARK
        if self._begun:
            is_header[0] = self._begun[0] == _MARK
        if ends[0] == 0:
            before[0] = self._begun[-1] if self._begun else 0
        returns = (before == _RETURN) & (ends > starts)
        headers = np.flatnonzero(is_header)
        names = [self._name_of(block, int(starts[i]), int(ends[i]), int(i)) for i in headers.tolist()]
        found = self._sequences(ends - starts - returns, 1 + returns, is_header, names, ends[headers] + 1 + self._position)
        self._line += ends.size
        self._line_start, self._begun = self._position + int(ends[-1]) + 1, b""
        self._begin(block[ends[-1] + 1 :])
        self._position += block.size
        return found

    def finish(self) -> Records:
        """Return the last sequence."""
        if self._name is None:
            raise FormatError(f"{self._path} is empty; expected FASTA: a line with '>' and an id, then lines of bases")
        return Records.with_bases(
            [self._name], *(np.array([n]) for n in (self._length, self._offset, self._line_bases, self._line_ends))
        )

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

    def _name_of(self, block: NDArray[np.uint8], start: int, end: int, line: int) -> str:
        text = block[max(start, 0) : end].tobytes()
        if line == 0:
            text = self._begun + text
        words = text[1:].split(None, 1)
        if not words or not text[1:2].strip():
            raise self._error(line, "the header has no id directly behind '>'")
        try:
            name = words[0].decode()
        except UnicodeDecodeError as error:
            raise self._error(line, f"the id {words[0]!r} is no UTF-8 text") from error
        return name

    def _sequences(
        self,
        bases: NDArray[np.int64],
        ends: NDArray[np.int64],
        is_header: NDArray[np.bool_],
        names: list[str],
        offsets: NDArray[np.int64],
    ) -> Records:
        """Return the sequences that are complete, given all lines of a block; the last one stays open.

        Args:
            bases, ends: what each line has before its end, and bytes of that.
            is_header: which lines are headers.
            names, offsets: of the headers: the ids, and where the lines behind them begin.
        """
        lines = np.flatnonzero(~is_header)
        owners = np.cumsum(is_header)[lines]  # 0: the open sequence
        firsts = np.flatnonzero(np.diff(owners, prepend=-1))
        per_line, per_end = np.zeros((2, len(names) + 1), np.int64)
        per_line[owners[firsts]], per_end[owners[firsts]] = bases[lines[firsts]], ends[lines[firsts]]
        if self._lines:
            per_line[0], per_end[0] = self._line_bases, self._line_ends
        self._check_lines(bases[lines], ends[lines], lines, owners, firsts, per_line, per_end)
        lengths = np.bincount(owners, bases[lines], len(names) + 1).astype(np.int64)
        lengths[0] += self._length
        has_open = self._name is not None
        columns = (lengths, np.concatenate([[self._offset], offsets]), per_line, per_end)
        all_names = [self._name or "", *names]
        if names:
            self._lines, self._goes_on = 0, True
        mine = owners == len(names)
        self._lines += int(mine.sum())
        if mine.any():
            last = lines[-1]
            self._goes_on = bool(bases[last] == per_line[-1] and ends[last] == per_end[-1] and bases[last])
        self._name = all_names[-1] if names or has_open else None
        self._length, self._offset, self._line_bases, self._line_ends = (int(column[-1]) for column in columns)
        begin = 0 if has_open else 1
        return Records.with_bases(all_names[begin:-1], *(column[begin:-1] for column in columns))

    def _check_lines(
        self,
        bases: NDArray[np.int64],
        ends: NDArray[np.int64],
        lines: NDArray[np.int64],
        owners: NDArray[np.int64],
        firsts: NDArray[np.int64],
        per_line: NDArray[np.int64],
        per_end: NDArray[np.int64],
    ) -> None:
        if not lines.size:
            return
        if self._name is None and (stray := (owners == 0) & (bases > 0)).any():
            raise self._error(int(lines[np.argmax(stray)]), "expected FASTA, whose first line starts with '>'")
        full = (bases == per_line[owners]) & (ends == per_end[owners]) & (bases > 0)
        may_go_on = np.empty(lines.size, np.bool_)
        may_go_on[1:] = full[:-1]
        may_go_on[firsts] = True
        if owners[0] == 0:
            may_go_on[0] = self._goes_on
        wrong = (bases > per_line[owners]) | (~may_go_on & (bases > 0))
        if wrong.any():
            place = int(np.argmax(wrong))
            raise self._error(
                int(lines[place]),
                f"of {bases[place]:,} bases, where lines of this sequence have {per_line[owners[place]]:,} and only its last may "
                "have fewer: bases cannot be found in it. Write the file anew with lines of one length (seqkit seq -w 80, or "
                "fold), or import it (eden import)",
            )

    def _error(self, line: int, what: str) -> FormatError:
        return FormatError(f"{self._path}: line {self._line + line}: {what}")
