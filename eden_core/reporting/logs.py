"""Access logs: where they lie, whose they are, and their windows piece by piece."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from eden_core.errors import EdenError, InputError
from eden_core.interfaces import WindowIndex
from eden_core.plugins import installed_plugins
from eden_core.reporting.accesses import UNKNOWN, Accesses, Batches, Facts, Record, SourceFacts
from eden_core.reporting.batch_lines import read_batches, read_facts

NEEDED = ("window_idx", "sequence_id", "sample_id", "window_in_seq_idx", "rank", "access_ts")
"""columns of every access log; Eden's have `step` and `row` besides"""
_MOST = 1 << 32
"""no window, row or step has a number as large as this"""
_NAME = re.compile(r"window_access_(?P<split>.+)_rank(?P<rank>\d+)_[0-9a-f]{8}")
_TYPES = {
    "window_idx": pa.int64(),
    "sequence_id": pa.string(),
    "sample_id": pa.string(),
    "window_in_seq_idx": pa.int64(),
    "rank": pa.int64(),
    "access_ts": pa.int64(),
    "step": pa.int64(),
    "row": pa.int64(),
}
_BLOCK = 1 << 23
_EDGE = 1 << 16
"""bytes at the ends of a CSV file in which its first and last lines are looked for"""


def find_logs(paths: Sequence[Path]) -> list["AccessLog"]:
    """Return the access logs that paths name, and those in folders and the folders below; logs without a line are left out.

    Raises:
        InputError: a path does not exist, is no access log, or none is found.
    """
    files = dict.fromkeys(file for path in paths for file in _files(path))
    logs = [AccessLog(file) for file in files]
    found = [log for log in logs if log.span is not None]
    if not found:
        named = ", ".join(map(str, paths))
        raise InputError(
            f"there is no window in a log in {named}; expected files window_access_<split>_rank<r>_<8 hex>.csv or .parquet, as "
            "log_windows=True writes them to log_dir, or the eden-run.jsonl of a run"
        )
    return found


def _files(path: Path) -> list[Path]:
    if path.is_dir() and path.suffix != ".parquet":
        return sorted(file for file in path.rglob("window_access_*") if file.suffix in {".csv", ".parquet"})
    if not path.exists():
        raise InputError(f"{path} does not exist; expected an access log, a folder of them, or an eden-run.jsonl")
    return [path]


class AccessLog(Record):
    """The log of one process.

    Args:
        path: a CSV or Parquet file, or a folder of Parquet files in order; a `.jsonl` of the same stem beside it says more.

    Raises:
        InputError: it is no access log.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self.damaged, self.unassigned = 0, 0
        self.columns = self._columns()
        lacking = [name for name in NEEDED if name not in self.columns]
        if lacking:
            raise InputError(
                f"{path} has no column {', '.join(lacking)}; expected an access log, with the columns {', '.join(NEEDED)}"
            )
        named = _NAME.search(path.stem)
        self._lines = path.with_suffix(".jsonl")
        self.facts, head = read_facts(self._lines) if self._lines.exists() else (Facts(), {})
        first, last = self._ends() or ({}, {})
        self.split = str(head.get("split") or (named["split"] if named else "unknown"))
        self.rank = int(head.get("rank", first.get("rank", 0)) or 0)
        self.data_parallel_rank = int(head.get("data_parallel_rank", self.rank))
        self.span = (first["access_ts"] or 0, last["access_ts"] or 0) if first else None
        begun, ended = first.get("step"), last.get("step")
        self.steps = None if begun is None or ended is None else (begun, ended)
        self.described_by = self._lines.name if head else ""

    @property
    def notes(self) -> list[str]:
        """What could not be read."""
        found = []
        if self.damaged:
            found.append(f"{self.name}: {self.damaged:,} damaged lines were passed over.")
        if self.unassigned:
            found.append(
                f"{self.name}: {self.unassigned:,} windows at its end were left out, since {self._lines.name} does not say of "
                "which source they are."
            )
        return found

    def accesses(self, *, names: bool) -> Iterator[Accesses]:
        """Yield the windows, some 100,000 at a time."""
        wanted = [name for name in _TYPES if name in self.columns and (names or name not in {"sequence_id", "sample_id"})]
        sources = _Flow(batches.sources for batches in self.batches()) if len(self.facts.sources) > 1 else None
        self.damaged, self.unassigned = 0, 0
        for batch in self._pieces(wanted):
            column = {name: batch.column(name) for name in wanted}
            windows = self._numbers(column["window_idx"], "window_idx")
            found = np.zeros(windows.size, np.int16) if sources is None else sources.take(windows.size)
            piece = Accesses(
                windows=windows,
                sources=found,
                ranks=self._numbers(column["rank"], "rank"),
                rows=self._numbers(column["row"], "row") if "row" in column else None,
                steps=self._numbers(pc.fill_null(column["step"], UNKNOWN), "step") if "step" in column else None,
                times=self._numbers(column["access_ts"], "access_ts", most=1 << 63),
                in_sequence=self._numbers(column["window_in_seq_idx"], "window_in_seq_idx", most=1 << 32),
                samples=pc.fill_null(column["sample_id"], "") if names else None,
                sequence_ids=pc.fill_null(column["sequence_id"], "") if names else None,
            )
            self.unassigned += windows.size - found.size
            yield piece if found.size == windows.size else _head(piece, found.size)

    def batches(self) -> Iterator[Batches]:
        """Yield the batches of the `.jsonl`."""
        return read_batches(self._lines) if self.described_by else iter(())

    def indexes(self) -> list[WindowIndex | None]:
        """Open the index of each source, where it is the one that was read."""
        return [_opened(source) for source in self.facts.sources]

    @cached_property
    def _parquet(self) -> list[Path]:
        """The files of a Parquet log."""
        if self.path.is_dir():
            return sorted(self.path.glob("*.parquet"))
        return [self.path] if self.path.suffix == ".parquet" else []

    def _columns(self) -> list[str]:
        try:
            if self.path.suffix == ".parquet":
                return list(pq.read_schema(self._parquet[0]).names) if self._parquet else list(NEEDED)
            with self.path.open(newline="", encoding="utf-8") as file:
                return next(csv.reader(file), [])
        except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.path} cannot be read as an access log: {error}") from error

    def _ends(self) -> tuple[dict[str, int | None], dict[str, int | None]] | None:
        """The numbers of the first and the last line; None: there is none."""
        wanted: list[str] = [name for name in ("rank", "access_ts", "step") if name in self.columns]
        lines = self._edge_lines(wanted)
        try:
            found = [dict(zip(wanted, (int(v) if v not in {"", None} else None for v in line), strict=True)) for line in lines]
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.path} is no access log: its first or last line is not of numbers ({error})") from error
        return (found[0], found[-1]) if found else None

    def _edge_lines(self, wanted: list[str]) -> list[list[Any]]:
        if self.path.suffix == ".parquet":
            files = dict.fromkeys((*self._parquet[:1], *self._parquet[-1:]))
            tables = [table for path in files if len(table := pq.read_table(path, columns=wanted))]
            return [[table[name][at].as_py() for name in wanted] for table in tables for at in (0, len(table) - 1)]
        with self.path.open("rb") as file:
            head = file.read(_EDGE)
            file.seek(max(file.seek(0, io.SEEK_END) - _EDGE, 0))
            tail = file.read().rpartition(b"\n")[0]
        rows = [_whole(block, len(self.columns)) for block in (head.rpartition(b"\n")[0], tail)]
        places = [self.columns.index(name) for name in wanted]
        ends = [*rows[0][1:2], *rows[1][-1:]] if rows[0][1:] else []
        return [[line[place] for place in places] for line in ends]

    def _pieces(self, wanted: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            if self.path.suffix == ".parquet":
                for path in self._parquet:
                    with pq.ParquetFile(path) as file:
                        yield from (_typed(batch, wanted) for batch in file.iter_batches(1 << 17, columns=wanted))
                return
            options = pcsv.ConvertOptions(
                column_types=_TYPES, include_columns=wanted, strings_can_be_null=False, null_values=[""]
            )
            parsing = pcsv.ParseOptions(newlines_in_values=True, invalid_row_handler=self._pass_over)
            with pcsv.open_csv(self.path, pcsv.ReadOptions(block_size=_BLOCK), parsing, options) as reader:
                yield from reader
        except pa.ArrowException as error:
            raise InputError(f"{self.path} cannot be read as an access log: {error}") from error

    def _pass_over(self, row: pcsv.InvalidRow) -> str:
        self.damaged += 1
        return "skip"

    def _numbers(self, column: pa.Array, name: str, most: int = _MOST) -> NDArray[np.int64]:
        if column.null_count:
            raise InputError(f"{self.path}: a line has no {name}")
        numbers = np.asarray(column.to_numpy(zero_copy_only=False), np.int64)
        least = UNKNOWN if name == "step" else 0
        if numbers.size and (int(numbers.min()) < least or int(numbers.max()) >= most):
            wrong = numbers[(numbers < least) | (numbers >= most)]
            raise InputError(f"{self.path}: {name} is {int(wrong[0])} in a line; expected a number from 0 up, below {most}")
        return numbers


class _Flow:
    """Takes from arrays that come one after another as many items as are asked for."""

    def __init__(self, arrays: Iterator[NDArray[np.int16]]) -> None:
        self._arrays, self._rest = arrays, np.empty(0, np.int16)

    def take(self, count: int) -> NDArray[np.int16]:
        """Return the next items; fewer, where there are no more."""
        parts, size = [self._rest], self._rest.size
        while size < count and (more := next(self._arrays, None)) is not None:
            parts.append(more)
            size += more.size
        joined = np.concatenate(parts)
        self._rest = joined[count:]
        return joined[:count]


def _head(piece: Accesses, count: int) -> Accesses:
    columns: dict[str, Any] = {field.name: getattr(piece, field.name) for field in fields(piece)}
    shorter: dict[str, Any] = {name: None if column is None else column[:count] for name, column in columns.items()}
    return Accesses(**shorter)


def _typed(batch: pa.RecordBatch, wanted: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([batch.column(name).cast(_TYPES[name]) for name in wanted], names=wanted)


def _whole(block: bytes, columns: int) -> list[list[str]]:
    """The lines of a block that have all columns; the first may be the rest of one, which is passed over by its length."""
    lines = csv.reader(io.StringIO(block.decode("utf-8", "replace"), newline=""))
    return [line for line in lines if len(line) == columns]


def _opened(source: SourceFacts) -> WindowIndex | None:
    if not source.index or not source.index_location:
        return None
    try:
        tiling = {"window_size": source.window_size, "stride": source.stride}
        retiles = installed_plugins().index_class(source.index).retiles
        index = installed_plugins().index(source.index, source.index_location, tiling if retiles else None)
    except (EdenError, OSError):
        return None
    return index if source.windows in {None, len(index)} else None
