"""The index of a FASTA file, as samtools writes it: `genome.fa.fai`, found fresh or written anew.

One line a sequence, fields separated by tabs: name, length, offset of the first base, bases a line, bytes a line, line end
included (http://www.htslib.org/doc/faidx.html).
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from eden_core.atomic import atomic_path
from eden_fasta.scanning import LONGEST_HEADER, Records

SUFFIX = ".fai"

_COLUMNS = {"name": pa.string(), **dict.fromkeys(("length", "offset", "line_bases", "line_width"), pa.int64())}
_CHECKED_HEADERS = 10_000
_BYTES_A_LINE = 32
_MARK = b"\xef\xbb\xbf"
"""what Arrow leaves out at the beginning of a file, though an id may begin so"""


class Source(Protocol):
    """The uncompressed bytes of a FASTA file."""

    size: int

    def read(self, offset: int, count: int) -> bytes | memoryview:
        """Return bytes of it."""


class UnfitIndexError(Exception):
    """An index that is not that of its FASTA file."""


def write_fai(path: Path, records: Iterable[Records]) -> None:
    """Write an index, complete or not at all."""
    with atomic_path(path) as draft, draft.open("w", encoding="utf-8", newline="\n") as file:
        for some in records:
            columns = (some.lengths, some.offsets, some.line_bases, some.line_bases + some.line_ends)
            numbers = zip(some.names, *(column.tolist() for column in columns), strict=True)
            file.writelines("\t".join(map(str, row)) + "\n" for row in numbers)


def read_fai(path: Path) -> Iterator[Records]:
    """Yield the sequences of an index that have bases, many at a time.

    Raises:
        UnfitIndexError: it is no such index.
    """
    if not path.stat().st_size:
        raise UnfitIndexError("it is empty")
    with path.open("rb") as file:
        mark = "\ufeff" if file.read(3) == _MARK else ""
    try:
        reader = pa.csv.open_csv(
            path,
            read_options=pa.csv.ReadOptions(column_names=list(_COLUMNS), use_threads=False),
            parse_options=pa.csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pa.csv.ConvertOptions(column_types=_COLUMNS, null_values=[]),
        )
        for batch in reader:
            names, *numbers = batch.columns
            lengths, offsets, line_bases, widths = (column.to_numpy() for column in numbers)
            texts = names.to_pylist()
            texts[:1] = [mark + text for text in texts[:1]]
            mark = ""
            yield Records.with_bases(texts, lengths, offsets, line_bases, widths - line_bases)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise UnfitIndexError(f"it cannot be read: {error}") from error


def check_fit(fai: Path, source: Source) -> None:
    """Compare an index with its FASTA file: where sequences lie, and headers and lines of many of them, evenly chosen.

    Args:
        fai: the index.
        source: the FASTA file, uncompressed.

    Raises:
        UnfitIndexError: they do not belong together.
    """
    step = 1 + fai.stat().st_size // (_BYTES_A_LINE * _CHECKED_HEADERS)
    end = number = 0
    for some in filter(len, read_fai(fai)):
        ends = _ends(some)
        befores = np.concatenate([[end], ends[:-1]])
        names = np.array([len(name.encode()) for name in some.names], np.int64)
        if (some.offsets - befores < names + 2).any() or (ends > source.size).any():
            raise UnfitIndexError("its sequences do not lie one behind the other in the file")
        for i in range(-number % step, len(some), step):
            _check_header(source, int(befores[i]), int(some.offsets[i]), some.names[i])
            _check_lines(source, *(int(column[i]) for column in (some.offsets, some.lengths, some.line_bases, some.line_ends)))
        end, number = int(ends[-1]), number + len(some)
    rest = source.size - end
    if not number or rest > LONGEST_HEADER or _bases_between(bytes(source.read(end, rest)).splitlines()):
        raise UnfitIndexError("its last sequence does not end with the file")


def _ends(some: Records) -> NDArray[np.int64]:
    """Return where the last base of each sequence ends."""
    wrong = (some.lengths < 0) | (some.offsets < 0) | ((some.lengths > 0) & (some.line_bases < 1))
    several = some.lengths > some.line_bases
    wrong |= (some.line_ends < 0) | (some.line_ends > 2) | (several & (some.line_ends < 1))
    if wrong.any():
        raise UnfitIndexError("it has numbers that cannot be")
    return np.asarray(
        some.offsets + some.lengths + some.line_ends * (np.maximum(some.lengths - 1, 0) // np.maximum(some.line_bases, 1)),
        np.int64,
    )


def _check_header(source: Source, begin: int, end: int, name: str) -> None:
    """See that what lies between two sequences ends with the header of the second, and holds no bases."""
    text = bytes(source.read(begin, end - begin)) if end - begin <= LONGEST_HEADER else b""
    lines = text.splitlines()
    if not text.endswith(b"\n") or _bases_between(lines) or lines[-1][1:].split(None, 1)[:1] != [name.encode()]:
        raise UnfitIndexError(f"sequence {name!r} does not begin where it says")


def _check_lines(source: Source, offset: int, length: int, bases: int, ends: int) -> None:
    """See that the first line of a sequence ends where it must, and the last one that another follows."""
    lines = (length - 1) // bases
    for line in {0, lines - 1} if lines else ():
        end = offset + line * (bases + ends) + bases
        if bytes(source.read(end, ends)) != b"\r\n"[-ends:]:
            raise UnfitIndexError(f"no line ends at byte {end:,}, as it says")


def _bases_between(lines: list[bytes]) -> bool:
    """Return whether there is a line that is neither blank nor a header, as of a sequence without bases."""
    return any(line and not line.startswith(b">") for line in lines)
