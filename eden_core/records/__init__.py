"""Reading the sequences of any source that `eden import` takes, told apart by content."""

import codecs
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Literal

from eden_core.errors import InputError
from eden_core.records.decompression import STANDARD_INPUT, Progress, decompressed, read_blocks, source_name
from eden_core.records.fasta import fasta_records
from eden_core.records.jsonl import jsonl_records
from eden_core.records.record import OPENGENOME2, Record, RecordFields
from eden_core.records.shards import shard_records
from eden_core.records.tables import table_records

__all__ = ["Record", "RecordFields", "is_source", "place_name", "read_records", "stem_of"]

_SHARD = b"SQLite format 3\0"
_TABLES = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")  # the last opens an Arrow stream
_HEAD_BYTES = 16
_EXPECTED = (
    "expected FASTA, whose first line starts with '>', JSON Lines, whose lines are objects, a Parquet or Arrow table, or an "
    "SQLite shard"
)
_UNCOMPRESSED = "that was compressed or piped; give the file itself, uncompressed"
_OTHER_FORMATS = {
    b"@": "FASTQ",
    b"LOCUS": "GenBank",
    b"ID   ": "EMBL",
    b"BZh": "bzip2; decompress it first",
    b"\xfd7zXZ": "xz; decompress it first",
    b"\x1f\x8b": "gzip in gzip; decompress it first",
    b"\x28\xb5\x2f\xfd": "Zstandard in another compression; decompress it first",
    b"PK\x03\x04": "zip; unpack it first",
    b"\x89HDF\r\n\x1a\n": "HDF5",
    b"PAR1": f"a Parquet table {_UNCOMPRESSED}",
    b"ARROW1": f"an Arrow table {_UNCOMPRESSED}",
    b"\xff\xff\xff\xff": f"an Arrow stream {_UNCOMPRESSED}",
    _SHARD: f"an SQLite database {_UNCOMPRESSED}",
    b"FEA1": "Feather version 1; write it again as version 2",
    b"[": "a JSON array; write one object a line instead",
    b"\xff\xfe": "UTF-16 text; convert it to UTF-8",
    b"\xfe\xff": "UTF-16 text; convert it to UTF-8",
}
_NO_PRINTABLE = re.compile(rb"[^\t-\r -~]")

_COMPRESSIONS = r"(?:\.(?:gz|bgz|zst))"
_NAMES = re.compile(
    rf"(?:\.(?:fa|fasta|fna|ffn|fsa|jsonl|ndjson){_COMPRESSIONS}?|\.(?:parquet|arrow|feather|ipc|sqlite|db))$", re.IGNORECASE
)
_SHARD_NAME = re.compile(r"glm_dataset_(.+)\.sqlite", re.IGNORECASE)


def read_records(
    source: str | Path,
    *,
    fields: RecordFields = OPENGENOME2,
    check_letters: bool = True,
    progress: Progress | None = None,
) -> Iterator[Record]:
    """Yield the sequences of a source, one in memory at a time, of a table one small batch.

    A source is FASTA or JSON Lines, plain or compressed with gzip, bgzip or Zstandard; a Parquet file; an Arrow file (Feather
    version 2 too) or stream; or an SQLite shard in the seed's format. Its content says which, never its name. Ids may repeat.

    Args:
        source: a file, or `-` for standard input, which gives FASTA or JSON Lines.
        fields: which fields or columns of JSON Lines and tables hold the sequence and its id.
        check_letters: whether a letter that is no IUPAC nucleotide letter is an error. NUL and what is no ASCII always are.
        progress: called with the bytes taken from the file since it was called last, before decompression. For tables and
            shards it is an estimate that adds up to the file's size.

    Raises:
        InputError: the source cannot be read, is damaged or empty, or is none of these, or a record cannot be used; with the
            file and the line or row, and for letters the column or the position in the sequence, all counted from 1.
    """
    magic = _magic(source)
    if magic == _SHARD:
        yield from shard_records(Path(source), check_letters=check_letters, progress=progress)
    elif magic.startswith(_TABLES):
        yield from table_records(Path(source), fields=fields, check_letters=check_letters, progress=progress)
    else:
        name = source_name(source)
        head, blocks = _head(decompressed(read_blocks(source, progress), name))
        if head.startswith(b">"):
            yield from fasta_records(blocks, name, check_letters=check_letters)
        elif head.startswith(b"{"):
            yield from jsonl_records(blocks, name, fields=fields, check_letters=check_letters)
        else:
            raise _unknown(head, next(blocks, b""), name)


def place_name(source: str | Path) -> Literal["line", "row"]:
    """Return what the places of a source's records count.

    Raises:
        InputError: the source cannot be read.
    """
    magic = _magic(source)
    return "row" if magic == _SHARD or magic.startswith(_TABLES) else "line"


def is_source(path: str | Path) -> bool:
    """Return whether a file's name is one that sources have."""
    return _NAMES.search(Path(path).name) is not None


def stem_of(path: str | Path) -> str:
    """Return a file's name without what says its kind; of a shard's, the sample.

    Examples:
        >>> stem_of("runs/SRR1.contigs.fa.gz"), stem_of("s1/glm_dataset_s1.sqlite")
        ('SRR1.contigs', 's1')
    """
    name = Path(path).name
    shard = _SHARD_NAME.fullmatch(name)
    return shard.group(1) if shard else _NAMES.sub("", name) or name


def _magic(source: str | Path) -> bytes:
    """Return the first bytes of a regular file; what is a pipe can be read only once, and is no table."""
    if str(source) == STANDARD_INPUT or not Path(source).is_file():
        return b""
    return next(read_blocks(source), b"")[: len(_SHARD)]


def _head(blocks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """Return what follows a byte order mark and blanks, if only a little of it, and all that follows the mark."""
    start = b""
    while len(start.removeprefix(codecs.BOM_UTF8).lstrip()) < _HEAD_BYTES and (block := next(blocks, None)) is not None:
        start += block
    start = start.removeprefix(codecs.BOM_UTF8)
    return start.lstrip(), chain([start], blocks)


def _unknown(head: bytes, start: bytes, name: str) -> InputError:
    if not head:
        return InputError(f"{name} is empty; {_EXPECTED}")
    looks = next((f"it looks like {what}" for magic, what in _OTHER_FORMATS.items() if head.startswith(magic)), None)
    if looks is None and _NO_PRINTABLE.search(head[:4096]):
        looks = "it looks like a binary file"
    line = 1 + start[: len(start) - len(start.lstrip())].count(b"\n")
    shown = head[:40].partition(b"\n")[0].decode(errors="replace").rstrip()
    return InputError(f"{name}: line {line}: {_EXPECTED}; {looks or f'found {shown!r}'}")
