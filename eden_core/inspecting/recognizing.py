"""What a file or folder is, told from the beginning of its content and never from all of it."""

import json
import zlib
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw
import pyarrow as pa
import pyarrow.parquet as pq

from eden_core.errors import InputError
from eden_core.ledger import LEDGER
from eden_core.manifest import MANIFEST
from eden_core.sidecars import MAGIC as SIDECAR_MAGIC
from eden_core.splitting.reports import REPORT
from eden_core.splitting.words import SPLITS

TAKEN = (
    "Eden takes: a folder of a store, one with its indexes and tables, a shard, an index (eden-precompute), a Parquet table of "
    "contigs or runs (eden import), a split (eden split), FASTA or JSONL to import, the folder of a run (eden-run.jsonl)"
)

_HEAD = 1 << 16
_SQLITE = b"SQLite format 3\0"
_ARROW = b"ARROW1"
_ARROW_INDEX = b"eden index arrow"
_BASES = {"nt_sequence": "as they are", "nt_packed": "two bits a base"}
"""columns of a shard that is an Arrow file -> how it keeps bases"""
_COMPRESSED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2", b"\x04\x22\x4d\x18": "lz4"}
_LOOKS = {
    b"@": "FASTQ",
    b"LOCUS": "GenBank",
    b"\xfd7zXZ": "xz; decompress it first",
    b"PK\x03\x04": "a zip archive; unpack it first",
    b"\x89PNG": "a picture",
    b"%PDF": "a PDF document",
}


class Kind(StrEnum):
    """What Eden knows."""

    STORE = "store"
    SHARD = "shard"
    INDEX = "index"
    CONTIGS = "table of contigs"
    SPLIT = "split"
    RUNS = "table of runs"
    SOURCES = "table of sources"
    MANIFEST = "manifest"
    REPORT = "report of a split"
    FASTA = "FASTA"
    JSONL = "JSONL"
    RUN = "run"
    SIDECAR = "sidecar"
    FOLDER = "folder"


_BY_NAME = {LEDGER: Kind.RUN, MANIFEST: Kind.MANIFEST, REPORT: Kind.REPORT}


@dataclass(frozen=True)
class Recognized:
    """What a path is.

    Attributes:
        kind: what it is.
        path: where it lies.
        facts: what the look at it told besides, JSON-like.
    """

    kind: Kind
    path: Path
    facts: dict[str, Any] = field(default_factory=dict)


def recognize(path: str | Path) -> Recognized:
    """Say what a path is; of a file, its first 64 KiB are read, and the footer of a Parquet table.

    Raises:
        InputError: there is no such path, or it is nothing that Eden knows; the message says what it looks like.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    if path.is_dir():
        return Recognized(Kind.FOLDER, path)
    if path.name in _BY_NAME:
        return Recognized(_BY_NAME[path.name], path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    for magic, known in {_SQLITE: _database, b"PAR1": _table, _ARROW: _arrow}.items():
        if head.startswith(magic):
            return known(path)
    return Recognized(Kind.SIDECAR, path) if head.startswith(SIDECAR_MAGIC) else _text(path, head)


def _database(path: Path) -> Recognized:
    uri = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    query = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') ORDER BY name"
    try:
        with closing(apsw.Connection(uri, flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)) as connection:
            tables = [name for (name,) in connection.execute(query)]
    except apsw.Error as error:
        raise InputError(f"{path} is an SQLite database that cannot be read: {error}; copy it again") from error
    if "window_mappings" in tables:
        return Recognized(Kind.INDEX, path, {"plugin": "sqlite"})
    if "sequences" in tables:
        return Recognized(Kind.SHARD, path)
    raise InputError(
        f"{path} is an SQLite database with the tables {', '.join(tables) or '(none)'}: neither a shard, which has "
        "'sequences', nor an index, which has 'window_mappings'"
    )


def _arrow(path: Path) -> Recognized:
    try:
        with pa.OSFile(str(path)) as source, pa.ipc.open_file(source) as file:
            metadata, names, batches = file.schema.metadata or {}, file.schema.names, file.num_record_batches
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is an Arrow file that cannot be read: {error}; copy or write it again") from error
    if metadata.get(b"format") == _ARROW_INDEX:
        return Recognized(Kind.SIDECAR if b"intervals_kept" in metadata else Kind.INDEX, path, {"plugin": "arrow"})
    kept = next((how for name, how in _BASES.items() if name in names), None)
    if kept is not None and "contig_id" in names:
        return Recognized(Kind.SHARD, path, {"bases kept": kept, "record batches": batches})
    raise InputError(
        f"{path} is an Arrow file with the columns {', '.join(names) or '(none)'}: neither a shard, which has contig_id and "
        "nt_sequence, nor an index"
    )


def _table(path: Path) -> Recognized:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is a Parquet table that cannot be read: {error}; copy or write it again") from error
    names, rows = file.schema_arrow.names, file.metadata.num_rows
    facts = {"rows": rows, "columns": names}
    if {"contig_id", "length"} <= set(names):
        return Recognized(Kind.SPLIT if path.stem in SPLITS else Kind.CONTIGS, path, facts)
    if {"contig_id", "start", "end"} <= set(names):
        return Recognized(Kind.RUNS, path, facts)
    if {"path", "sample", "modified_ns"} <= set(names):
        return Recognized(Kind.SOURCES, path, facts)
    raise InputError(
        f"{path} is a Parquet table of {rows:,} rows with the columns {', '.join(names) or '(none)'}: a table of contigs has "
        "contig_id and length, one of runs contig_id, start and end"
    )


def _text(path: Path, head: bytes) -> Recognized:
    compression = next((name for magic, name in _COMPRESSED.items() if head.startswith(magic)), None)
    text = (head if compression is None else _expanded(path, head, compression)).removeprefix(b"\xef\xbb\xbf").lstrip()
    blocked = compression == "gzip" and head[3:4] == b"\x04" and head[12:14] == b"BC"
    facts = {"compression": "bgzip" if blocked else compression or "none"}
    first = text.partition(b"\n")[0]
    if text.startswith(b">"):
        words = first[1:].split(None, 1)
        return Recognized(Kind.FASTA, path, facts | {"first id": words[0].decode(errors="replace") if words else ""})
    if text.startswith(b"{"):
        return _records(path, first, facts)
    raise InputError(f"{path} is nothing that Eden knows: it looks like {_look(text)}. {TAKEN}")


def _records(path: Path, first: bytes, facts: dict[str, Any]) -> Recognized:
    try:
        record = json.loads(first)
    except ValueError:
        fields = ["(the first record is longer than 64 KiB)" if len(first) >= _HEAD // 2 else "(the first line is no JSON)"]
        return Recognized(Kind.JSONL, path, facts | {"fields": fields})
    if {"fingerprint", "data_parallel_size"} <= record.keys():
        return Recognized(Kind.RUN, path)
    ids = (str(record[name]) for name in ("record", "id", "contig_id", "name") if name in record)
    return Recognized(Kind.JSONL, path, facts | {"fields": list(record), "first id": next(ids, "")})


def _expanded(path: Path, head: bytes, compression: str) -> bytes:
    try:
        if compression == "gzip":
            return zlib.decompressobj(31).decompress(head, _HEAD)
        with pa.input_stream(str(path), compression=compression) as stream:
            return bytes(stream.read(_HEAD))
    except (zlib.error, pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is {compression} data that cannot be decompressed: {error}; copy it again") from error


def _look(text: bytes) -> str:
    if not text:
        return "an empty file"
    known = next((what for magic, what in _LOOKS.items() if text.startswith(magic)), None)
    if known is not None:
        return known
    printable = sum(32 <= byte < 127 or byte in b"\t\r\n" for byte in text[:4096])
    if printable < 0.95 * len(text[:4096]):
        return "a binary file"
    shown = text[:40].partition(b"\n")[0].decode(errors="replace").rstrip()
    return f"text that begins with {shown!r}"
