"""Parsing JSON Lines: one object with a sequence and its id a line."""

import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from eden_core.errors import InputError
from eden_core.records.record import OPENGENOME2, Record, RecordFields, checked_bases, checked_id


def jsonl_records(
    blocks: Iterable[bytes], name: str, *, fields: RecordFields = OPENGENOME2, check_letters: bool = True
) -> Iterator[Record]:
    """Yield the sequences of a JSON Lines file; blank lines and further fields are skipped.

    Args:
        blocks: the file's content, decompressed, cut anywhere.
        name: what messages call the file.
        fields: which fields hold the sequence, a string, and its id: a string or an integer, or missing or null.
        check_letters: whether a letter that is no IUPAC nucleotide letter is an error; NUL and what is no ASCII always are.

    Raises:
        InputError: a line is no JSON object, lacks the sequence, has a value of a wrong type, or a sequence that is empty or
            holds a byte that it may not; with the line and the position in the sequence, both counted from 1.
    """
    place = 0
    for line in _lines(blocks):
        place += 1
        if not line or line.isspace():
            continue
        where = f"{name}: line {place}"
        text = _text(line, where)
        del line
        row = _object(text, where)
        del text
        record_id = _id(row, where, fields)
        yield Record(record_id, checked_bases(_bases(row, where, fields), record_id, where, check_letters=check_letters), place)


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines without their ends, keeping none."""
    waiting = [io.BytesIO()]
    for block in blocks:
        first, end, more = block.partition(b"\n")
        waiting[0].write(first)
        if end:
            yield waiting.pop().getvalue()
            *lines, rest = more.split(b"\n")
            yield from lines
            waiting.append(io.BytesIO())
            waiting[0].write(rest)
    yield waiting.pop().getvalue()


def _text(line: bytes, where: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: byte {error.start + 1} is no UTF-8 text; expected a JSON object") from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{where}: invalid JSON: {error.msg}, at column {error.colno}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: JSON that cannot be read: {error}") from error
    if not isinstance(row, dict):
        raise InputError(f"{where}: expected a JSON object, {{…}}; found {_kind(row)}")
    return row


def _id(row: dict[str, Any], where: str, fields: RecordFields) -> str | None:
    value = row.get(fields.id)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{where}: the id {fields.id!r} is {_kind(value)}; expected a string, an integer or null")
    return checked_id(str(value), where)


def _bases(row: dict[str, Any], where: str, fields: RecordFields) -> bytes:
    if fields.sequence not in row:
        raise fields.missing(where, row, "field")
    value = row.pop(fields.sequence)
    if not isinstance(value, str):
        raise InputError(f"{where}: the sequence {fields.sequence!r} is {_kind(value)}; expected a string")
    return value.encode(errors="surrogatepass")


def _kind(value: object) -> str:
    """Return what JSON calls a value."""
    kinds = {dict: "an object", list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")
