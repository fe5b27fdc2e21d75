"""Running a task of `eden_core.benching.trial` in a fresh process, which ends with this one."""

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from eden_core import errors
from eden_core.benching.settings import Trial
from eden_core.errors import EdenError

_START = "from eden_core.benching.fresh import serve; serve()"
_SECONDS_TO_END = 5
_RESULT, _SAID, _TASK = "result.json", "stderr.txt", "task.json"


def run_fresh(task: str, trial: Trial, *, prefix: Sequence[str] = ()) -> dict[str, Any]:
    """Run a task in a new process, and return what it found; `notes` holds the warnings of the library.

    Args:
        task: a name of `eden_core.benching.trial.TASKS`.
        trial: what it is given.
        prefix: a command to run the process under, such as strace.

    Raises:
        EdenError: what the process raised, of the same class, or that it ended otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="eden-bench-") as name:
        folder = Path(name)
        (folder / _TASK).write_text(json.dumps({"task": task, "trial": asdict(trial), "started": time.monotonic()}))
        command = [*prefix, sys.executable, "-P", "-c", _START, name]
        with (folder / _SAID).open("wb") as said, _started(command, said.fileno()) as process:
            code = process.wait()
        result = folder / _RESULT
        if not result.exists():
            raise EdenError(f"the process for {_described(trial)} ended with {_ending(code)}{_last_words(folder / _SAID)}")
        found: dict[str, Any] = json.loads(result.read_text())
    if "error" in found:
        kind = getattr(errors, found["error"], EdenError)
        raise kind(f"{_described(trial)}: {found['message']}")
    return found


@contextmanager
def _started(command: list[str], stderr: int) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process in a group of its own, so that Ctrl-C reaches this one alone, which then ends the group."""
    process = subprocess.Popen(  # noqa: S603 - our own interpreter
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=stderr, process_group=0
    )
    try:
        with process:
            yield process
    except BaseException:
        _end(process)
        raise


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(_SECONDS_TO_END)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def serve() -> None:
    """Do the task of the folder that the command line names, and write what came out into it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folder = Path(sys.argv[1])
    given = json.loads((folder / _TASK).read_text())
    notes = _Notes()
    logging.captureWarnings(capture=True)
    logging.getLogger().addHandler(notes)
    try:
        found = _done(given)
    except (EdenError, OSError) as error:
        found = {"error": type(error).__name__, "message": _message(error)}
    draft = folder / f"{_RESULT}.tmp"
    draft.write_text(json.dumps({**found, "notes": list(notes.messages)}))
    draft.rename(folder / _RESULT)


def _done(given: dict[str, Any]) -> dict[str, Any]:
    from eden_core.benching.trial import TASKS

    timed = {"started": given["started"]} if given["task"] == "measure" else {}
    return TASKS[given["task"]](Trial(**given["trial"]), **timed)


class _Notes(logging.Handler):
    """Keeps warnings, each once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message of a record."""
        self.messages[record.getMessage()] = None


def _end_with_parent() -> None:
    """Wait until the process that started this one has ended: then nobody holds the other end of standard input."""
    os.read(0, 1)
    os._exit(1)


def _message(error: Exception) -> str:
    """Return a message; of an error in a worker, which torch gives with its traceback, the error's own."""
    text = str(error)
    if isinstance(error, OSError) and not isinstance(error, EdenError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if text.startswith("Caught "):
        return text.rpartition(f"{type(error).__name__}: ")[2].strip()
    return text


def _described(trial: Trial) -> str:
    workers = trial.loader["num_workers"]
    return "1 worker" if workers == 1 else f"{workers} workers"


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"signal {-code} ({signal.Signals(-code).name})"


def _last_words(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f": {lines[-1]}" if lines else ", without a word"
