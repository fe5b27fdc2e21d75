"""What `eden replay` and `eden preview` have in common: a run's ledger, and the data it read, opened again."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eden_core.errors import ConfigurationError, FormatError, InputError, StaleIndexError
from eden_core.ledger import RunStart, read_ledger

if TYPE_CHECKING:
    from eden_core.dataset import EdenDataset
    from eden_core.sampler import RowBlock

RUN_HELP = "The run's eden-run.jsonl, or the folder that holds it."
Step = Annotated[int | None, typer.Option(min=0, help="Optimizer step, counted from 0 as Lightning's loggers do.")]
Rows = Annotated[str | None, typer.Option(help="Rows (of a Megatron run: samples) instead of a step.", metavar="FIRST:STOP")]
Rank = Annotated[int | None, typer.Option(min=0, help="Only what this data-parallel rank read.")]
Start = Annotated[
    int | None, typer.Option(min=0, help="Line of the ledger, from 0, up to which to look, where runs share one.")
]
SequenceDbDir = Annotated[str | None, typer.Option(help="Where the store lies now.", metavar="DIR")]
WindowDbPath = Annotated[str | None, typer.Option(help="Where the index lies now.", metavar="FILE")]
Moved = Annotated[
    list[str] | None,
    typer.Option("--source", help="Folder in which shards and index of a source of a mixture lie now.", metavar="NAME=DIR"),
]
OnMismatch = Annotated[str, typer.Option(help='"error", or "warn" to go on when the data have changed since.')]


@dataclass(frozen=True)
class RecordedRun:
    """A run's ledger, and where its data lie now.

    Args:
        run: the ledger, or its folder.
        start: line of the ledger up to which to look.
        sequence_db_dir, window_db_path: where store and index lie now.
        moved: `NAME=DIR`, where shards and index of sources of a mixture lie now.
        on_mismatch: "error", or "warn" to go on when the data have changed since.
    """

    run: Path
    start: int | None
    sequence_db_dir: str | None
    window_db_path: str | None
    moved: list[str]
    on_mismatch: str

    def starts(self) -> list[RunStart]:
        """Return the starts in the ledger, oldest first."""
        return _chosen(read_ledger(self.run), self.start)

    def dataset(self, start: RunStart) -> "EdenDataset":
        """Open the dataset of a start.

        Raises:
            InputError: it cannot be found, or is not what it was (unless `on_mismatch` is "warn").
        """
        dataset, differences = self._compared(start)
        self._check(start, differences)
        return dataset

    def _compared(self, start: RunStart) -> "tuple[EdenDataset, str]":
        """Return the dataset of a start, and what has changed since."""
        from eden_core.replay import dataset_of

        try:
            places = {"sequence_db_dir": self.sequence_db_dir, "window_db_path": self.window_db_path}
            dataset = dataset_of(start, **places, sources=_moved(start, self.moved))
            differences = start.fingerprint_recorded.differences(dataset.fingerprint)
        except (FormatError, LookupError, StaleIndexError) as error:
            entries = start.dataset.get("sources") or [start.dataset]
            read = ", ".join(str(entry.get(name)) for entry in entries for name in ("sequence_db_dir", "window_db_path"))
            advice = "--source NAME=DIR" if start.mixture else "--sequence-db-dir DIR --window-db-path FILE"
            raise InputError(
                f"what the run of {start.time} read ({read}) cannot be read any more: {error}\nIf it was moved, say where it "
                f"lies now: {advice}"
            ) from error
        if start.left_out.get("digest") != dataset.omissions.digest:
            differences += f"\n  left out was {start.left_out.get('text')}, is {dataset.omissions}"
        return dataset, differences

    def _check(self, start: RunStart, differences: str) -> None:
        if not differences:
            return
        message = f"what the run of {start.time} read has changed since, so this is not what it was trained on:{differences}"
        if self.on_mismatch != "warn":
            raise InputError(f"{message}\nGo on all the same with --on-mismatch warn")
        sys.stderr.write(f"warning: {message}\n")


@dataclass(frozen=True)
class Recorded:
    """Rows of a run.

    Args:
        run: the ledger, or its folder.
        step: a step; None: `rows` says which.
        rows: rows by number, `FIRST:STOP`.
        rank: only what this rank read for the step.
        start: line of the ledger up to which to look.
        sequence_db_dir, window_db_path: where store and index lie now.
        moved: `NAME=DIR`, where shards and index of sources of a mixture lie now.
        on_mismatch: "error", or "warn" to go on when the data have changed since.

    Raises:
        ConfigurationError: not exactly one of step and rows, or a rank of rows.
    """

    run: Path
    step: int | None
    rows: str | None
    rank: int | None
    start: int | None
    sequence_db_dir: str | None
    window_db_path: str | None
    moved: list[str]
    on_mismatch: str

    def __post_init__(self) -> None:
        if (self.step is None) == (self.rows is None):
            raise ConfigurationError("give either --step or --rows")
        if self.rows is not None and self.rank is not None:
            raise ConfigurationError("--rank goes with --step: rows are the same whatever rank read them")

    def opened(self) -> "tuple[RunStart, EdenDataset, dict[int | None, RowBlock]]":
        """Return the start, its dataset, and the rows by rank.

        Raises:
            InputError: they cannot be found, or are not what they were (unless `on_mismatch` is "warn").
        """
        from eden_core.replay import block_of_rows, blocks_of_step, start_of_step

        run = RecordedRun(self.run, self.start, self.sequence_db_dir, self.window_db_path, self.moved, self.on_mismatch)
        starts = run.starts()
        start = starts[-1] if self.step is None else start_of_step(starts, self.step)
        dataset = run.dataset(start)
        if self.step is None:
            return start, dataset, {None: block_of_rows(start, dataset, row_range(self.rows))}
        return start, dataset, blocks_of_step(start, self.step, dataset, self.rank)

    def title(self, start: RunStart) -> str:
        """Say in a line what is read again."""
        what = f"rows {self.rows}" if self.step is None else f"step {self.step}"
        reached = "" if self.step is None else ", if it got that far"
        return (
            f"{what} of the run started at {start.time}, {start.data_parallel_size} data-parallel ranks, seed {start.seed}"
            f"{reached}"
        )


def row_range(text: str | None) -> range:
    """Return the rows that `FIRST:STOP` names.

    Raises:
        ConfigurationError: it names none.
    """
    first, separator, stop = (text or "").partition(":")
    if not separator or not first.isdigit() or not stop.isdigit() or int(first) >= int(stop):
        raise ConfigurationError(f"--rows is {text!r}; expected FIRST:STOP, such as 1000:1016")
    return range(int(first), int(stop))


def check_writable(*paths: Path | None) -> None:
    """Raise `ConfigurationError` where the folder of a file that shall be written is missing."""
    for path in paths:
        if path is not None and not path.absolute().parent.is_dir():
            raise ConfigurationError(f"{path} cannot be written: there is no folder {path.absolute().parent}")


def _moved(start: RunStart, moved: list[str]) -> list[dict[str, object]] | None:
    """The sources of a mixture, those that were moved with their new places; None where none was."""
    if not moved:
        return None
    places = dict(entry.partition("=")[::2] for entry in moved)
    entries = [dict(entry) for entry in start.dataset.get("sources") or []]
    names = [str(entry.get("name", "")) or Path(str(entry.get("window_db_path"))).parent.name for entry in entries]
    if not set(places) <= set(names):
        raise ConfigurationError(f"--source is {', '.join(moved)}; expected NAME=DIR, with one of {', '.join(names) or 'none'}")
    for name, entry in zip(names, entries, strict=True):
        if name in places:
            index = Path(places[name], Path(str(entry["window_db_path"])).name)
            entry |= {"name": name, "sequence_db_dir": places[name], "window_db_path": str(index)}
    return entries


def _chosen(starts: list[RunStart], last: int | None) -> list[RunStart]:
    if last is None:
        return starts
    if last >= len(starts):
        raise InputError(f"--start is {last}, and the ledger holds {len(starts)} starts, numbered from 0")
    return starts[: last + 1]
