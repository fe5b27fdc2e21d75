"""`eden report`: what was read, as a page."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eden_core.amounts import size_text
from eden_core.atomic import atomic_path, refuse_existing
from eden_core.cli.progress import lines_read
from eden_core.cli.recorded import Moved, OnMismatch, RecordedRun, SequenceDbDir, Start, WindowDbPath
from eden_core.errors import ConfigurationError
from eden_core.ledger import LEDGER
from eden_core.reporting.logs import find_logs

if TYPE_CHECKING:
    from eden_core.reporting.accesses import Record
    from eden_core.reporting.report import Report


def report(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Access logs (CSV, Parquet), folders of them, or a run's eden-run.jsonl.", metavar="PATH…"),
    ],
    *,
    out: Annotated[Path, typer.Option(help="The page.", metavar="FILE")] = Path("report.html"),
    force: Annotated[bool, typer.Option("--force", help="Replace a page that is there.")] = False,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Of a ledger: steps that the run made [default: those until its last start].")
    ] = None,
    start: Start = None,
    sequence_db_dir: SequenceDbDir = None,
    window_db_path: WindowDbPath = None,
    source: Moved = None,
    on_mismatch: OnMismatch = "error",
) -> None:
    """Show what was read: coverage, order, repeats, fill and waits, in one HTML file that loads nothing."""
    from eden_core.reporting.page import page
    from eden_core.reporting.report import report_of

    refuse_existing(out, force=force)
    ledger, of_run = _ledger_of(paths), (start, sequence_db_dir, window_db_path, source or [], on_mismatch)
    if ledger is None:
        _refuse_options(steps, *of_run)
    with lines_read() as said:
        notes = [f"{path / LEDGER} was not read, since there are access logs beside it." for path in _beside_logs(paths)]
        records = find_logs(paths, notes.append) if ledger is None else _of_ledger(RecordedRun(ledger, *of_run), steps)
        found = report_of(records, notes, said=said)
    text = page(found)
    with atomic_path(out) as draft:
        draft.write_text(text, encoding="utf-8")
    for line in _lines(found):
        print(_printable(line))
    print(f"{out}: {size_text(len(text))}")


def _ledger_of(paths: list[Path]) -> Path | None:
    """Return the ledger that is to be read; None: logs are.

    Raises:
        ConfigurationError: a ledger stands among other things.
    """
    ledgers = [path for path in paths if path.name == LEDGER or _only_ledger(path)]
    if ledgers and len(paths) > 1:
        raise ConfigurationError(
            f"{ledgers[0]} is a ledger, which says by itself what a run read: give it alone, or logs alone"
        )
    return ledgers[0] if ledgers else None


def _only_ledger(path: Path) -> bool:
    return (path / LEDGER).is_file() and not _beside_logs([path])


def _beside_logs(paths: list[Path]) -> list[Path]:
    """Return the folders with a ledger that have logs as well."""
    return [path for path in paths if (path / LEDGER).is_file() and next(path.rglob("window_access_*"), None) is not None]


def _refuse_options(*values: object) -> None:
    """Raise `ConfigurationError` where options are given that say how a ledger is read."""
    names = ("--steps", "--start", "--sequence-db-dir", "--window-db-path", "--source", "--on-mismatch")
    given = [name for name, value in zip(names, values, strict=True) if value not in (None, [], "error")]
    if given:
        raise ConfigurationError(
            f"{', '.join(given)} can be given with a ledger only, and these are access logs: leave it out, or give the run's "
            f"{LEDGER} alone"
        )


def _of_ledger(run: RecordedRun, steps: int | None) -> "Sequence[Record]":
    from eden_core.reporting.ledger_steps import ledger_records

    return ledger_records(run.starts(), steps, run.dataset)


def _lines(found: "Report") -> Iterator[str]:
    """Yield what is printed of a report: a line for each reading, and what to look at."""
    for part in found["parts"]:
        of = (
            f"{part['read'] / max(part['size'], 1):.2%} of {part['size']:,}"
            if part["size_known"]
            else f"up to {part['size'] - 1:,}"
        )
        yield (
            f"{part['split']}: {part['reads']:,} windows read, {part['read']:,} different ones ({of}), "
            f"{_some(len(part['ranks']), 'rank')}, {_some(part['sessions'], 'start')}"
        )
        repeats, rows = part["repeats"], part["rows"]
        if repeats["windows"]:
            yield f"  {repeats['windows']:,} windows were read more often than the others of their epoch"
        if rows and rows["overlaps"]:
            yield f"  {rows['overlaps']:,} rows were read by two ranks at one time"
        if rows and rows["missing"] > rows["at_ends"]:
            yield f"  {rows['missing'] - rows['at_ends']:,} rows between the first and the last were not read"
        yield from (f"  note: {note}" for note in part["notes"])
    yield from (f"note: {note}" for note in found["notes"])


def _printable(text: str) -> str:
    """Return text, names of files in it, without what would steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _some(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"
