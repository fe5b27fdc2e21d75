import gzip
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from eden_core.cli import import_

COMMAND = Path(sys.executable).with_name("eden")
NAMES = ["--sample", "s1", "--tag", "BAC"]


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(import_.import_command)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


def test_the_summary(invoke, lambda_fasta, tmp_path):
    lines = invoke(lambda_fasta, "--out", tmp_path / "o", *NAMES, "--cut-every", 1000).stdout.splitlines()
    assert lines[1].split() == ["s1", "49", "48,502", str(tmp_path / "o/s1/glm_dataset_s1.sqlite")]
    assert lines[2] == str(tmp_path / "o/contigs.parquet")
    assert [line.split() for line in lines[4:6]] == [["sequences", "49"], ["bases", "48,502"]]


def test_the_next_command_is_to_split(invoke, lambda_fasta, tmp_path):
    out = tmp_path / "my store"
    *_, last = invoke(lambda_fasta, "--out", out, *NAMES, "--cut-every", 1000).stdout.splitlines()
    assert last.startswith(f"next: eden split '{out}/contigs.parquet' --out '{out}'")


def test_one_sequence_goes_straight_to_the_index(invoke, lambda_fasta, tmp_path):
    *_, last = invoke(lambda_fasta, "--out", tmp_path / "o", *NAMES).stdout.splitlines()
    assert last.startswith(f"next: eden-precompute {tmp_path}/o/contigs.parquet {tmp_path}/o/train_windows.db ")
    assert "--by region" in last


def test_a_pipe(tmp_path):
    command = [COMMAND, "import", "-", "--out", tmp_path / "o", *NAMES]
    done = subprocess.run(command, input=gzip.compress(b">a\nACGT\n>b\nAC\n"), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert pq.read_table(tmp_path / "o" / "contigs.parquet")["length"].to_pylist() == [4, 2]


def test_bad_input_is_one_message_and_exit_code_2(tmp_path):
    command = [COMMAND, "import", "-", "--out", tmp_path / "o", *NAMES]
    done = subprocess.run(command, input="ACGT\n", capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: standard input: line 1: expected FASTA")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(("what", "fate"), [("skip", "were left out"), ("keep", "were kept: train with invalid_bases='unk'")])
def test_what_became_of_other_letters_is_told(tmp_path, what, fate):
    command = [COMMAND, "import", "-", "--out", tmp_path / "o", *NAMES, "--other-letters", what]
    done = subprocess.run(command, input=">a\nAC@GT\n>b\nAC\n", capture_output=True, check=True, text=True)
    assert f"  1 sequences have letters that are no IUPAC nucleotides, and {fate}\n" in done.stdout
