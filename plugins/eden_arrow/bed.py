"""Reading BED files: intervals of contigs, one a line."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from eden_core.errors import InputError
from eden_core.records.decompression import decompressed, read_blocks

SCHEMA = pa.schema(
    [
        pa.field("contig_id", pa.string(), nullable=False),
        pa.field("start", pa.int64(), nullable=False),
        pa.field("end", pa.int64(), nullable=False),
        pa.field("line", pa.int64(), nullable=False),
    ]
)
"""contig, the bases of an interval as `[start, end)`, counted from 0, and the line that says so, counted from 1"""

_BLOCK_BYTES = 1 << 22
_PASSED_OVER = r"^(#|track([ \t]|$)|browser([ \t]|$)|[ \t]*$)"
_NUMBER = r"^[0-9]{1,18}$"


def read_intervals(path: str | Path) -> Iterator[pa.RecordBatch]:
    """Yield the intervals of a BED file, plain or compressed, in its order.

    Comments, empty lines, and those that begin with `track` or `browser` are passed over, and so are further columns.

    Raises:
        InputError: the file cannot be read, or a line is no interval; the message names it.
    """
    first_line = 1
    for text in _whole_lines(decompressed(read_blocks(path), str(path)), str(path)):
        lines = _lines(text, path, first_line)
        numbers = np.arange(first_line, first_line + len(lines))
        first_line += len(lines)
        kept = pc.invert(pc.match_substring_regex(lines, _PASSED_OVER))
        if pc.any(kept).as_py():
            yield _parsed(lines.filter(kept), pa.array(numbers).filter(kept), path)


def _whole_lines(blocks: Iterable[bytes], path: str) -> Iterator[bytes]:
    """Yield text that ends where a line does."""
    waiting: list[bytes] = []
    size = 0
    for block in blocks:
        waiting.append(block)
        size += len(block)
        if size >= _BLOCK_BYTES:
            text, newline, rest = b"".join(waiting).rpartition(b"\n")
            if len(rest) > _BLOCK_BYTES * 16:
                raise InputError(f"{path} has a line of more than {len(rest):,} bytes: it is no BED file")
            yield text + newline
            waiting, size = [rest], len(rest)
    last = b"".join(waiting)
    if last:
        yield last if last.endswith(b"\n") else last + b"\n"


def _lines(text: bytes, path: str | Path, first_line: int) -> pa.Array:
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == 10) + 1
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    lines = pa.Array.from_buffers(pa.string(), ends.size, [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InputError(f"{path} is no text in UTF-8 from line {first_line} on: {error}") from error
    return pc.ascii_rtrim(lines, "\r\n")


def _parsed(lines: pa.Array, numbers: pa.Array, path: str | Path) -> pa.RecordBatch:
    fields = pc.split_pattern(lines, "\t", max_splits=3)
    short = pc.less(pc.list_value_length(fields), 3)
    _refuse(short, lines, numbers, path, "expected contig, start and end with tabs between them, and it is {line!r}")
    ids, starts, ends = (pc.list_element(fields, column) for column in range(3))
    _refuse(pc.equal(ids, ""), lines, numbers, path, "it names no contig: {line!r}")
    for values in (starts, ends):
        wrong = pc.invert(pc.match_substring_regex(values, _NUMBER))
        _refuse(wrong, lines, numbers, path, "start and end must be whole numbers of 0 or more, and it is {line!r}")
    starts, ends = starts.cast(pa.int64()), ends.cast(pa.int64())
    _refuse(pc.less_equal(ends, starts), lines, numbers, path, "the end must lie behind the start, and it is {line!r}")
    return pa.RecordBatch.from_arrays([ids, starts, ends, numbers], schema=SCHEMA)


def _refuse(wrong: pa.Array, lines: pa.Array, numbers: pa.Array, path: str | Path, message: str) -> None:
    place = pc.index(wrong, value=True).as_py()
    if place >= 0:
        line = message.format(line=lines[place].as_py()[:80])
        raise InputError(f"{path}, line {numbers[place].as_py()}: {line}")
