"""Calls of the file system that read no data: open, stat, readdir; each is a round trip on a network file system."""

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from eden_core.benching.fresh import run_fresh
from eden_core.benching.settings import Trial
from eden_core.errors import EdenError

CALLS = (
    "open", "openat", "openat2", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink",
    "readlinkat", "getdents", "getdents64",
)  # fmt: skip
_CALL = re.compile(r"(?P<thread>\d+) +(?P<name>\w+)\(")


def metadata_calls(trial: Trial, sources: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """Count the calls that name the data's files before the first batch is there.

    Those of a worker are made once in each worker, and go on while it reads ahead.

    Args:
        trial: of 0 workers, or 1.
        sources: each with `store_location` and `index_location`.

    Returns:
        Process ("trainer", "worker") -> name of the call -> how many.

    Raises:
        EdenError: strace is not installed, or may not trace.
    """
    strace = shutil.which("strace")
    if strace is None:
        raise EdenError("strace is not installed")
    places = [source[key] for source in sources for key in ("store_location", "index_location")]
    with tempfile.TemporaryDirectory(prefix="eden-bench-") as folder:
        output = Path(folder) / "trace.txt"
        traced = ",".join(f"?{name}" for name in CALLS)  # "?": not every machine has all of them
        prefix = [strace, "-f", "-qq", "-y", "-s", "0", "-e", f"trace={traced}", "-e", "signal=none", "-o", str(output)]
        found = run_fresh("trace", trial, prefix=prefix)
        with output.open(encoding="utf-8", errors="replace") as lines:
            return counted(lines, places, {"trainer": found["trainer"], "worker": [*chain(*found["workers"])]})


def counted(lines: Iterable[str], places: Sequence[str], threads: Mapping[str, Sequence[int]]) -> dict[str, dict[str, int]]:
    """Count calls in the output of `strace -f -y`.

    Args:
        lines: the output.
        places: paths; calls that name them, or something below, count.
        threads: process -> its threads.
    """
    from eden_core.benching.trial import FIRST_BATCH

    process_of = {thread: process for process, some in threads.items() for thread in some}
    counts: dict[str, Counter[str]] = {process: Counter() for process, some in threads.items() if some}
    named = re.compile("|".join(rf'["<]{re.escape(place)}(?=["/>])' for place in places))
    for line in lines:
        if FIRST_BATCH in line:
            break
        call = _CALL.match(line)
        process = process_of.get(int(call["thread"])) if call else None
        if call and process and named.search(line) and "AT_EMPTY_PATH" not in line:  # that is fstat, of an open file
            counts[process][call["name"]] += 1
    return {process: dict(sorted(found.items())) for process, found in counts.items()}
