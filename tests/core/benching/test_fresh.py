import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eden_core.benching.fresh import _message, run_fresh
from eden_core.benching.processes import descendants
from eden_core.benching.settings import BenchSettings
from eden_core.errors import EdenError, FormatError, StaleIndexError

LONG = """
import signal
import sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # CI may start us with it ignored
from eden_core.benching.fresh import run_fresh
from eden_core.benching.settings import BenchSettings
run_fresh("measure", BenchSettings({options}, (1,), seconds=600).trial(1))
"""


def test_an_error_comes_through_as_it_is(small, tmp_path):
    (tmp_path / "w.db").write_bytes(b"not a database")
    options = small.options | {"window_db_path": str(tmp_path / "w.db")}
    with pytest.raises(FormatError, match=r"^1 worker: .*w\.db"):
        run_fresh("survey", BenchSettings(options, (1,)).trial(1))


def test_a_process_that_dies_is_told(small):
    trial = BenchSettings(small.options, (0,)).trial(0)
    with pytest.raises(EdenError, match="the process for 0 workers ended with signal 9"):
        run_fresh("survey", trial, prefix=["sh", "-c", "kill -9 $$"])


def test_an_error_of_a_worker_is_told_without_its_traceback():
    text = "Caught StaleIndexError in DataLoader worker process 0.\nOriginal Traceback (most recent call last):\n  File …\n"
    assert _message(StaleIndexError(f"{text}eden_core.errors.StaleIndexError: the index is old\nbuild it anew")) == (
        "the index is old\nbuild it anew"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_all_processes_end_with_the_one_that_started_them(small, number):
    command = [sys.executable, "-c", LONG.format(options=small.options)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, process_group=0) as process:
        until = time.monotonic() + 60
        while len(found := descendants(process.pid)) < 4:  # trainer, resource tracker, fork server, worker
            assert time.monotonic() < until
            time.sleep(0.05)
        os.kill(process.pid, number)
        process.wait(30)
    while any(Path(f"/proc/{pid}").exists() for pid in found):
        assert time.monotonic() < until
        time.sleep(0.05)
