import json
import shutil
import subprocess
import sys

import pytest
import typer
from data_folders import make_folder, shard
from typer.testing import CliRunner

from eden_core.cli import verify

COMMAND = [sys.executable, "-c", "from eden_core.cli import main; main()", "verify"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("made") / "data", (300, 900, 1500, 2000))


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "data")


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(verify.verify_command)
    return lambda *arguments: CliRunner().invoke(app, ["--workers", "1", *map(str, arguments)], catch_exceptions=False)


def test_nothing_wrong(invoke, folder):
    done = invoke(folder)
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines() if not line.startswith("note")]
    assert lines[0] == ["nothing", "is", "wrong"]
    assert ["contigs", "read", "12"] in lines


def test_a_problem_is_a_line_and_exit_code_1(invoke, folder):
    shard(folder, "s2").unlink()
    done = invoke(folder)
    assert done.exit_code == 1
    assert done.stdout.splitlines()[0].startswith("missing-shard: sample s2: ")
    assert f"--out {folder} --sample s2 --tag " in done.stdout
    assert "\n1 problem\n" in done.stdout


def test_json(invoke, folder):
    shard(folder, "s2").unlink()
    told = json.loads(invoke(folder, "--json", "--samples", 1).stdout)
    [problem] = told["problems"]
    assert {key: problem[key] for key in ("kind", "where", "count")} == {
        "kind": "missing-shard",
        "where": "sample s2",
        "count": 1,
    }
    assert set(problem) == {"kind", "where", "what", "remedy", "count"}
    assert (told["checked"]["samples"], told["checked"]["samples_read"]) == (3, 1)


def test_what_cannot_be_verified_is_exit_code_2(tmp_path):
    done = subprocess.run([*COMMAND, tmp_path / "nowhere"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
