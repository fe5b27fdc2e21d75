import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eden_core import errors
from eden_core.plugins import installed_plugins
from eden_core.tasks import run_tasks
from eden_core.testing import ExecutorTests

WRITER = """
import sys
from eden_core.plugins import installed_plugins
from eden_core.tasks import run_tasks
sys.path.insert(0, sys.argv[2])
from running_tasks import note_until_killed

if __name__ == "__main__":
    list(run_tasks(note_until_killed, [sys.argv[1]], installed_plugins().executor("local", {"workers": 1})))
"""
TASKS = """
import os, time
from pathlib import Path

def note_until_killed(path):
    for _ in range(1000):
        Path(path).write_text(str(os.getpid()))
        time.sleep(0.01)
"""


class TestLocal(ExecutorTests):
    def make_executor(self):
        return installed_plugins().executor("local", {"workers": 2})


def killed(_argument) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_that_is_killed_is_an_error_that_says_what_to_do():
    with pytest.raises(errors.ExecutorError, match="the same command again goes on"):
        list(run_tasks(killed, [1], installed_plugins().executor("local", {"workers": 1})))


def test_one_worker_for_each_core_unless_said_otherwise():
    assert installed_plugins().executor("local").workers == len(os.sched_getaffinity(0))
    with pytest.raises(errors.ConfigurationError):
        installed_plugins().executor("local", {"workers": 0})


def test_workers_end_with_their_parent(tmp_path):
    (tmp_path / "running_tasks.py").write_text(TASKS)
    (tmp_path / "main.py").write_text(WRITER)
    note = tmp_path / "pid"
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    parent = subprocess.Popen([sys.executable, tmp_path / "main.py", note, tmp_path], env=environment)
    while not note.exists() or not note.read_text():
        time.sleep(0.02)
    worker = int(note.read_text())
    parent.kill()
    parent.wait()
    until = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists():
        assert time.monotonic() < until, "the worker outlived its parent"
        time.sleep(0.02)
