"""Progress bars where there is a terminal to show them on, plain lines where long work has none."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from eden_core.importing import ImportProgress

_SECONDS_A_LINE = 10


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function of (done, total) that moves a bar on standard error, or does nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def lines_read() -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many further lines were read, and shows their sum where there is a terminal."""
    if not sys.stderr.isatty():
        yield lambda _lines: None
        return
    columns = TextColumn("{task.completed:,} lines read"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda lines: progress.update(task, advance=lines)


@contextmanager
def import_bar() -> Iterator[Callable[[ImportProgress], None]]:
    """Yield a function that shows how far an import is: a bar, or a line every ten seconds where there is no terminal."""
    if not sys.stderr.isatty():
        yield _Lines()
        return
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("import", total=None, state="")
        started = time.monotonic()

        def show(now: ImportProgress) -> None:
            state = _state(now, time.monotonic() - started)
            progress.update(task, completed=now.bytes, total=now.total_bytes or None, state=state)

        yield show


class _Lines:
    """Writes a line now and then."""

    def __init__(self) -> None:
        self._started = self._last = time.monotonic()

    def __call__(self, now: ImportProgress) -> None:
        """Write a line, if the last one was some time ago."""
        passed = time.monotonic()
        if passed - self._last < _SECONDS_A_LINE:
            return
        self._last = passed
        seconds = passed - self._started
        left = seconds * (now.total_bytes / now.bytes - 1) if now.bytes else 0.0
        share = f"{now.bytes / now.total_bytes:.1%}, " if now.total_bytes else ""
        sys.stderr.write(f"import: {share}{_state(now, seconds)}, {left:,.0f} s left\n")


def _state(now: ImportProgress, seconds: float) -> str:
    megabases = now.bases / 1e6
    return f"{now.files:,}/{now.total_files:,} files, {megabases:,.1f} Mb at {megabases / max(seconds, 1e-9):,.1f} Mb/s"
