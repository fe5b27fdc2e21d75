import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from eden_core.cli.precompute import app, main

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


TABLES = {
    "not Parquet": None,
    "lacks the column length": {"contig_id": ["a"]},
    "holds int64, expected strings": {"contig_id": [1], "length": [1]},
    "holds double, expected integers": {"contig_id": ["a"], "length": [1.5]},
    "is null in row 2": {"contig_id": ["a", "b"], "length": [1, None]},
    "is negative in row 1": {"contig_id": ["a"], "length": [-1]},
    "occurs more than once": {"contig_id": ["a", "a"], "length": [9, 9]},
    "not one window": {"contig_id": ["a"], "length": [0]},
}


@pytest.mark.parametrize(
    ("message", "options"),
    [
        *((message, ()) for message in TABLES),
        ("there is no such file", ("missing.parquet",)),
        ("at least 1 base", ("--stride", "0")),
        ("at least 1 base", ("--window-size", "0")),
        ("larger than the 8190 bases", ("--stride", "8191")),
        ("larger than the 8176 bases", ("--stride", "8190", "--keep-tail")),
        ("together with --keep-tail", ("--reserve", "4")),
        ("no index plugin is named 'nope'", ("--index", "nope")),
    ],
)
def test_refusals(tmp_path, split, capsys, monkeypatch, message, options):
    table = TABLES.get(message, {"contig_id": ["a"], "length": [9]})
    split.write_text("no") if table is None else pq.write_table(pa.table(table), split)
    source = tmp_path / options[0] if options[:1] == ("missing.parquet",) else split
    arguments = [str(source), str(tmp_path / "w.db"), *(o for o in options if o != "missing.parquet")]
    monkeypatch.setattr(sys, "argv", ["eden-precompute", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Parquet" in error if message == "not Parquet" else message in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["split.parquet"]


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
