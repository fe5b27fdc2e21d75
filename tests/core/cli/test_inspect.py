import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(command, *arguments, code=0):
    done = subprocess.run(
        [Path(sys.executable).parent / command, *map(str, arguments)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stderr


@pytest.fixture(scope="module")
def data(lambda_fasta, tmp_path_factory) -> Path:
    """What the commands make of a genome."""
    folder = tmp_path_factory.mktemp("data")
    run("eden", "import", lambda_fasta, "--out", folder, "--sample", "lambda", "--tag", "PHAGE", "--cut-every", "1500")
    run("eden", "split", folder / "contigs.parquet", "--out", folder)
    for split in ("train", "validation", "test"):
        tiling = ("--window-size", "1024", "--stride", "1000")
        run("eden-precompute", folder / f"{split}.parquet", folder / f"{split}_windows.db", *tiling)
    return folder


def test_a_folder_is_described_split_by_split(data):
    lines = run("eden", "inspect", data).splitlines()
    assert [line.partition(":")[0] for line in lines if not line.startswith(" ")] == ["train", "validation", "test"]
    assert [line.split()[0] for line in lines[1:6]] == ["windows", "contigs", "bases", "N50", "lengths"]


def test_one_index_is_described_alone(data):
    assert run("eden", "inspect", data / "test_windows.db").startswith(f"test_windows.db: {data / 'test_windows.db'}\n")


def test_packing_is_compared_with_one_window_a_row(data):
    lines = run("eden", "inspect", data / "train_windows.db", "--packing", "--seq-length", "4096").splitlines()
    before, after = (next(line.split() for line in lines if name in line) for name in ("one window", "concat or thd"))
    assert int(before[-4]) > int(after[-4])
    assert float(before[-3].rstrip("%")) < float(after[-3].rstrip("%"))
    assert [line.split()[:4] for line in lines if " kb " in line] == [["<", "1", "kb", "1"], ["1", "-", "2", "kb"]]


def test_json_says_the_same(data):
    found = json.loads(run("eden", "inspect", data, "--packing", "--pack-by", "sample", "--json"))
    assert list(found) == ["train", "validation", "test"]
    assert found["train"]["packing"]["before"]["rows"] == found["train"]["windows"]


def test_lengths_that_nothing_knows_are_said_to_be_unknown(small, tmp_path):
    assert "unknown" in run("eden", "inspect", small.windows, "--sequence-db-dir", tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.db",), "nowhere.db"),
        ((".", "--pack-by", "sample"), "go with --packing"),
        ((".", "--packing", "--split-windows"), "split_windows needs pack_by='sample'"),
        ((".",), "holds no index"),
    ],
)
def test_what_cannot_be_inspected(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in run("eden", "inspect", *arguments, code=2)
