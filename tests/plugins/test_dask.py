import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from eden_core import errors
from eden_core.importing import import_files
from eden_core.importing.source_files import find_source_files
from eden_core.plugins import installed_plugins
from eden_core.testing import ExecutorTests

DASK = Path(sys.executable).with_name("dask")


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two workers, in processes of their own; gives the address and the workers."""
    file = tmp_path / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path, "start_new_session": True}
    at = ["--scheduler-file", str(file)]
    started = [subprocess.Popen([DASK, "scheduler", "--port", "0", "--no-dashboard", *at], **quiet)]
    while not file.exists():
        time.sleep(0.05)
    worker = [DASK, "worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", *at]
    started += [subprocess.Popen(worker, **quiet) for _ in range(2)]
    try:
        yield json.loads(file.read_text())["address"], started[1:]
    finally:
        for process in started:
            process.kill()
            process.wait()


class TestDask(ExecutorTests):
    def make_executor(self):
        return installed_plugins().executor("dask", {"workers": 2})


def sources(folder: Path, samples: int, bases: int) -> list:
    folder.mkdir()
    for number in range(samples):
        letters = "ACGT"[number % 4 :] + "ACGT"[: number % 4]
        (folder / f"S{number}.fa").write_text("".join(f">{i}\n{letters * (bases // 4)}\n" for i in range(5)))
    return find_source_files([folder])


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_worker_that_is_killed_is_made_up_for(cluster, tmp_path):
    address, workers = cluster
    files = sources(tmp_path / "in", 16, 400_000)
    import_files(files, tmp_path / "local", executor=installed_plugins().executor("local"))

    def kill(now):
        if now.files == 2 and workers[0].poll() is None:
            os.kill(workers[0].pid, signal.SIGKILL)

    dask = installed_plugins().executor("dask", {"scheduler": address})
    import_files(files, tmp_path / "dask", executor=dask, progress=kill)
    assert workers[0].poll() == -signal.SIGKILL
    assert contents(tmp_path / "dask") == contents(tmp_path / "local")


def test_a_cluster_of_this_machine(tmp_path):
    files = sources(tmp_path / "in", 3, 400)
    import_files(files, tmp_path / "dask", executor=installed_plugins().executor("dask", {"workers": 1}))
    import_files(files, tmp_path / "local", executor=installed_plugins().executor("local", {"workers": 1}))
    assert contents(tmp_path / "dask") == contents(tmp_path / "local")


def test_no_scheduler_is_there(monkeypatch):
    monkeypatch.setattr("eden_dask.executor._SECONDS", 1)
    executor = installed_plugins().executor("dask", {"scheduler": "tcp://127.0.0.1:9"})
    with pytest.raises(errors.ExecutorError, match="dask scheduler"), executor.opened():
        pass


@pytest.mark.parametrize("options", [{"workers": 0}, {"workers": 1, "scheduler": "tcp://127.0.0.1:9"}])
def test_options_that_do_not_fit(options):
    with pytest.raises(errors.ConfigurationError):
        installed_plugins().executor("dask", options)
