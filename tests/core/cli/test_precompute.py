import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from eden_core.cli.precompute import app

COMMAND = Path(sys.executable).with_name("eden-precompute")


@pytest.fixture
def split(tmp_path):
    pq.write_table(pa.table({"contig_id": ["b", "a"], "length": [100, 7]}), tmp_path / "split.parquet")
    return tmp_path / "split.parquet"


def test_the_summary(tmp_path, split):
    result = CliRunner().invoke(app, [str(split), str(tmp_path / "w.db"), "--window-size", "20", "--stride", "15"])
    numbers = {line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in result.stdout.splitlines()[1:5]}
    assert numbers["sequences"] == "2"
    assert numbers["windows"] == "7"


def run(*arguments):
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True)


def test_a_refusal_is_one_message_and_exit_code_2(tmp_path, split):
    done = run(split, tmp_path / "w.db", "--stride", "9000")
    assert done.returncode == 2
    assert done.stderr.startswith("error: stride 9000 is larger than the 8190 bases")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "w.db").exists()


def test_a_folder_that_cannot_be_written_is_no_traceback(tmp_path, split):
    done = run(split, tmp_path / "nowhere" / "w.db")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "nowhere" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_killed_build_leaves_nothing_that_opens(tmp_path):
    import signal
    import time

    names = [f"contig{i:07d}" for i in range(300_000)]
    pq.write_table(pa.table({"contig_id": names, "length": [9000] * len(names)}), tmp_path / "split.parquet")
    process = subprocess.Popen([COMMAND, tmp_path / "split.parquet", tmp_path / "w.db"], stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.glob(".w.db.*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -9
    assert not (tmp_path / "w.db").exists()
