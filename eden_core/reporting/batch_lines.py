"""The `.jsonl` beside an access log: what was read, and a line for each batch."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj
from numpy.typing import DTypeLike, NDArray

from eden_core.batch import Ragged, offsets_of
from eden_core.errors import InputError
from eden_core.reporting.accesses import UNKNOWN, Batches, Facts, SourceFacts

_AT_ONCE = 1 << 22
"""bytes of lines that are parsed at once"""
_NUMBERS = pa.list_(pa.int64())
_SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("time_ns", pa.int64()),
        ("waited_ns", pa.int64()),
        ("rows", _NUMBERS),
        ("used", _NUMBERS),
        ("sources", _NUMBERS),
        ("continued", _NUMBERS),
    ]
)


def read_facts(path: Path) -> tuple[Facts, dict[str, Any]]:
    """Return what the first line says of the reading, and all of the line.

    Raises:
        InputError: it is no description of an access log.
    """
    try:
        with path.open("rb") as file:
            head = json.loads(file.readline())
        sources = tuple(SourceFacts(**_known(SourceFacts, source)) for source in head["sources"])
        if not sources:
            raise ValueError("no sources")  # noqa: TRY301 - said below
        facts = Facts(**_known(Facts, head | {"sources": sources}))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} does not begin with the description of an access log ({error!r}); expected a line such as "
            '{"eden_access_log": 1, "split": "train", …}: move the file away to read the log without it'
        ) from error
    return facts, head


def _known(kind: type[Facts | SourceFacts], found: dict[str, Any]) -> dict[str, Any]:
    return {field.name: found[field.name] for field in fields(kind) if found.get(field.name) is not None}


def read_batches(path: Path) -> Iterator[Batches]:
    """Yield the batches of all whole lines but the first, some thousand at a time.

    Raises:
        InputError: a line is not of a batch.
    """
    with path.open("rb") as file:
        file.readline()
        rest = b""
        while block := file.read(_AT_ONCE):
            lines, _, rest = (rest + block).rpartition(b"\n")
            if lines:
                yield _batches(path, lines)


def _batches(path: Path, lines: bytes) -> Batches:
    try:
        table = pj.read_json(
            pa.BufferReader(lines),
            pj.ReadOptions(block_size=len(lines) + 1),
            pj.ParseOptions(explicit_schema=_SCHEMA, unexpected_field_behavior="ignore"),
        ).combine_chunks()
        return Batches(
            steps=_filled(table["step"]),
            times=_filled(table["time_ns"]),
            waits=_filled(table["waited_ns"]),
            rows=_ragged(table["rows"], np.int64),
            used=_ragged(table["used"], np.int64).values,
            sources=_ragged(table["sources"], np.int16),
            continued=_ragged(table["continued"], np.int64),
        )
    except (pa.ArrowException, ValueError) as error:
        raise InputError(f"{path} holds a line that is of no batch ({error}); expected objects with rows, time_ns …") from error


def _filled(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(column, UNKNOWN).to_numpy(), np.int64)


def _ragged(column: pa.ChunkedArray, dtype: DTypeLike) -> Ragged[Any]:
    lists = column.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return Ragged(np.asarray(lists.flatten().to_numpy(zero_copy_only=False), dtype), offsets_of(lengths.astype(np.int64)))
