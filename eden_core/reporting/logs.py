"""Access logs: where they lie, whose they are, and their windows piece by piece."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

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
from eden_core.reporting.batch_of_window import BatchOfWindow

NEEDED = ("window_idx", "sequence_id", "sample_id", "window_in_seq_idx", "rank", "access_ts")
"""columns of every access log; Eden's have `step` and `row` besides"""
_MOST = 1 << 32
"""no window, row or step has a number as large as this"""
_UNKNOWN_WINDOWS = 1 << 28
"""nor a window where the log does not say how many there are: all up to the last one that was read take memory"""
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


def find_logs(paths: Sequence[Path], said: Callable[[str], object] = lambda _note: None) -> list["AccessLog"]:
    """Return the access logs that paths name, and those in folders and the folders below; logs without a window are left out.

    Args:
        paths: files and folders.
        said: is told what was passed over in folders.

    Raises:
        InputError: a path does not exist, is no access log, or none is found.
    """
    notes: list[str] = []
    files = {file.resolve(): file for path in paths for file in _files(path, notes.append)}
    found = [log for log in map(AccessLog, files.values()) if log.span is not None]
    if not found:
        named = ", ".join(map(str, paths))
        raise InputError(
            f"there is no window in a log in {named}; expected files window_access_<split>_rank<r>_<8 hex>.csv or .parquet, as "
            "log_windows=True writes them to log_dir, or the eden-run.jsonl of a run" + "".join(f"\n  {note}" for note in notes)
        )
    for note in notes:
        said(note)
    return found


def _files(path: Path, said: Callable[[str], object]) -> Iterator[Path]:
    if not path.exists():
        raise InputError(f"{path} does not exist; expected an access log, a folder of them, or an eden-run.jsonl")
    if not path.is_dir() or path.suffix == ".parquet":
        yield path
        return
    for file in sorted(path.rglob("window_access_*")):
        if file.suffix == ".csv" and not _whole_lines(file):
            said(f"{file.name} was passed over: the line with the names of its columns is not there, or cut short.")
        elif file.suffix in {".csv", ".parquet"}:
            yield file


class AccessLog(Record):
    """The log of one process.

    Args:
        path: a CSV or Parquet file, or a folder of Parquet files in order; a `.jsonl` of the same stem beside it says more.

    Raises:
        InputError: it is no access log.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        self.rank, self.damaged, self.unassigned = 0, 0, 0
        self.columns = self._columns()
        lacking = [name for name in NEEDED if name not in self.columns]
        if lacking:
            raise InputError(
                f"{path} has no column {', '.join(lacking)}; expected an access log, with the columns {', '.join(NEEDED)}"
            )
        named = _NAME.search(path.stem)
        self._lines = path.with_suffix(".jsonl")
        self.facts, head = read_facts(self._lines) if self._lines.exists() else (Facts(), {})
        self._scan()
        self.split = str(head.get("split") or (named["split"] if named else "unknown"))
        self.rank = int(head.get("rank", self.rank))
        self.data_parallel_rank = int(head.get("data_parallel_rank", self.rank))
        self.described_by = self._lines.name if head else ""

    @property
    def notes(self) -> list[str]:
        """What could not be read."""
        found = []
        if self.damaged:
            found.append(f"{self.name}: damaged lines were passed over: {self.damaged:,}.")
        if self.unassigned:
            found.append(
                f"{self.name}: {self.unassigned:,} windows were left out: {self._lines.name} does not say their source."
            )
        return found

    def accesses(self, *, names: bool) -> Iterator[Accesses]:
        """Yield the windows, some 100,000 at a time."""
        wanted = [name for name in _TYPES if name in self.columns and (names or name not in {"sequence_id", "sample_id"})]
        several = len(self.facts.sources) > 1
        said = BatchOfWindow(self.batches()) if several or self.facts.split_windows else None
        self.unassigned = 0
        for batch in self._pieces(wanted):
            column = {name: batch.column(name) for name in wanted}
            windows = self._numbers(column["window_idx"], "window_idx")
            times = self._numbers(column["access_ts"], "access_ts", most=1 << 63)
            here = None if said is None or not windows.size else said.take(times)
            piece = Accesses(
                windows=windows,
                sources=np.zeros(windows.size, np.int16) if here is None else here.sources,
                ranks=self._numbers(column["rank"], "rank"),
                rows=self._numbers(column["row"], "row") if "row" in column else None,
                steps=self._numbers(pc.fill_null(column["step"], UNKNOWN), "step") if "step" in column else None,
                times=times,
                continued=None if here is None else here.continued,
                in_sequence=self._numbers(column["window_in_seq_idx"], "window_in_seq_idx", most=1 << 32),
                samples=pc.fill_null(column["sample_id"], "") if names else None,
                sequence_ids=pc.fill_null(column["sequence_id"], "") if names else None,
            )
            if several and here is not None and not here.found.all():
                self.unassigned += int((~here.found).sum())
                piece = piece.take(np.flatnonzero(here.found))
            self._check_windows(piece)
            yield piece

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

    def _scan(self) -> None:
        """Find the rank, the times and the steps; they need not be in order."""
        spans: list[int] = []
        steps: list[int] = []
        for batch in self._pieces([name for name in ("rank", "access_ts", "step") if name in self.columns]):
            if not len(batch):
                continue
            if not spans:
                self.rank = int(self._numbers(batch.column("rank"), "rank")[0])
            times = self._numbers(batch.column("access_ts"), "access_ts", most=1 << 63)
            spans += [int(times.min()), int(times.max())]
            if "step" in self.columns:
                found = self._numbers(pc.fill_null(batch.column("step"), UNKNOWN), "step")
                steps += [int(found.min()), int(found.max())]
        self.span = (min(spans), max(spans)) if spans else None
        self.steps = (min(steps), max(steps)) if steps and min(steps) != UNKNOWN else None

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
            size = _whole_lines(self.path)
            with self.path.open("rb") as file:
                self.damaged = int(file.seek(0, io.SEEK_END) > size)
                file.seek(0)
                with pcsv.open_csv(_Beginning(file, size), pcsv.ReadOptions(block_size=_BLOCK), parsing, options) as reader:
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

    def _check_windows(self, piece: Accesses) -> None:
        for number, source in enumerate(self.facts.sources):
            most = _UNKNOWN_WINDOWS if source.windows is None else source.windows
            wrong = piece.windows[(piece.sources == number) & (piece.windows >= most)]
            if wrong.size:
                why = "a log that does not say how many there are" if source.windows is None else "its index has no more"
                raise InputError(f"{self.path}: window_idx is {int(wrong[0])} in a line; expected less than {most} ({why})")


def _typed(batch: pa.RecordBatch, wanted: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([batch.column(name).cast(_TYPES[name]) for name in wanted], names=wanted)


class _Beginning(io.RawIOBase):
    """The first bytes of a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer, as far as there is something left."""
        size = self._file.readinto(memoryview(buffer)[: self._left])  # type: ignore[attr-defined]
        self._left -= size
        return int(size)


def _whole_lines(path: Path) -> int:
    """Return how many bytes of a file are whole lines: a process that was killed may leave a part of one at the end."""
    with path.open("rb") as file:
        end = file.seek(0, io.SEEK_END)
        while end:
            begin = max(end - _BLOCK, 0)
            file.seek(begin)
            found = file.read(end - begin).rfind(b"\n")
            if found >= 0:
                return begin + found + 1
            end = begin
    return 0


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
