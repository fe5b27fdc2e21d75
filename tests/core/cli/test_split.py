import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from eden_core.cli import split

COMMAND = Path(sys.executable).with_name("eden")


@pytest.fixture
def contigs(tmp_path):
    pq.write_table(pa.table({"contig_id": [f"c{i:03}" for i in range(100)], "length": [10] * 100}), tmp_path / "c.parquet")
    return tmp_path / "c.parquet"


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(split.split_command)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_the_summary(invoke, contigs, tmp_path):
    lines = invoke(contigs, "--out", tmp_path, "--train", 0.7, "--validation", 0.2, "--test", 0.1).stdout.splitlines()
    assert [line.split()[:4] for line in lines[1:4]] == [
        ["train", "70", "700", "70.00%"],
        ["validation", "20", "200", "20.00%"],
        ["test", "10", "100", "10.00%"],
    ]


def test_the_next_commands(invoke, contigs, tmp_path):
    lines = invoke(contigs, "--out", tmp_path, "--train", 0.9, "--validation", 0.1, "--test", 0).stdout.splitlines()
    assert lines[-2:] == [
        f"  eden-precompute {tmp_path}/train.parquet {tmp_path}/train_windows.db",
        f"  eden-precompute {tmp_path}/validation.parquet {tmp_path}/validation_windows.db",
    ]


def test_a_refusal_is_one_message_and_exit_code_2(contigs, tmp_path):
    command = [COMMAND, "split", contigs, "--out", tmp_path / "o", "--train", "0.9", "--validation", "0.2"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: the shares must sum to 1, and sum to 1.15: train 0.9, validation 0.2, test 0.05\n"
    assert not (tmp_path / "o").exists()
