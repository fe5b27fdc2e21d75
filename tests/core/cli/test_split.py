import json
import random
import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from typer.testing import CliRunner

from eden_core.cli import split
from eden_core.plugins import installed_plugins

COMMAND = Path(sys.executable).with_name("eden")


def write(path, lengths):
    pq.write_table(pa.table({"contig_id": list(lengths), "length": list(lengths.values())}), path)
    return path


@pytest.fixture
def contigs(tmp_path):
    return write(tmp_path / "c.parquet", {f"T__F-s__c{i:03}": 10 for i in range(100)})


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(split.split_command)
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)


@pytest.fixture
def leaking(tmp_path):
    """Ten contigs in a store, of which two are the same."""
    draw = random.Random(1)
    contigs = {f"c{i}": "".join(draw.choices("ACGT", k=3000)) for i in range(10)}
    contigs["c9"] = contigs["c8"]
    with installed_plugins().store("sqlite-shards", str(tmp_path)) as store:
        store.write_shard("s", [(name, bases.encode()) for name, bases in contigs.items()])
    return write(tmp_path / "contigs.parquet", {name: len(bases) for name, bases in contigs.items()})


def test_the_summary(invoke, contigs, tmp_path):
    lines = invoke(contigs, "--out", tmp_path, "--train", 0.7, "--validation", 0.2, "--test", 0.1).stdout.splitlines()
    assert [line.split()[:6] for line in lines[1:4]] == [
        ["train", "70", "700", "70.00%", "70.00%", "1"],
        ["validation", "20", "200", "20.00%", "20.00%", "1"],
        ["test", "10", "100", "10.00%", "10.00%", "1"],
    ]


def test_the_next_commands(invoke, contigs, tmp_path):
    lines = invoke(contigs, "--out", tmp_path, "--train", 0.9, "--validation", 0.1, "--test", 0).stdout.splitlines()
    assert lines[-2:] == [
        f"  eden-precompute {tmp_path}/train.parquet {tmp_path}/train_windows.db",
        f"  eden-precompute {tmp_path}/validation.parquet {tmp_path}/validation_windows.db",
    ]


def test_contigs_by_name(invoke, contigs, tmp_path):
    options = ("--test-contigs", "c00?,c010", "--test-contigs", "c011", "--validation-contigs", "c02*", "--exclude", "c09*")
    found = json.loads(invoke(contigs, "--out", tmp_path, *options, "--json").stdout)
    assert {name: part["contigs"] for name, part in found["splits"].items()} == {"train": 68, "validation": 10, "test": 12}
    assert found["left_out"]["excluded"] == {"contigs": 10, "bases": 100}
    assert found == json.loads((tmp_path / "split_report.json").read_text())


def test_regions(invoke, tmp_path):
    contigs = write(tmp_path / "c.parquet", {"genome": 1_000_000})
    out = invoke(contigs, "--out", tmp_path, "--by", "region", "--block", "10k", "--guard", "1_000").stdout
    assert "left out where splits meet: 6,000 bases" in out
    assert pq.read_schema(tmp_path / "train.parquet").names == ["contig_id", "start", "length", "contig_length"]


def test_clusters(invoke, contigs, tmp_path):
    (tmp_path / "c.tsv").write_text("c000\tc001\nc000\tgone\n")
    out = invoke(contigs, "--out", tmp_path, "--clusters", tmp_path / "c.tsv").stdout
    assert "clusters: 2 contigs are in one, 98 are in none and stand alone; 1 names in the file are no contigs" in out


def test_leakage_is_told_and_kept_in_the_report(invoke, leaking, tmp_path):
    options = ("--test-contigs", "c9", "--validation-contigs", "c7", "--check-leakage", "--workers", 1)
    done = invoke(leaking, "--out", tmp_path / "out", "--sequence-db-dir", tmp_path, *options)
    assert done.exit_code == 0
    assert "LEAKAGE: 5 of 5 windows of test (100.00%) are like train" in done.stdout
    assert re.search(r"  test c9:0-3000  train c8:\d+-29\d\d  \d+ of \d+ k-mers", done.stdout)
    assert "identity 100.0%" in done.stdout
    found = json.loads((tmp_path / "out" / "split_report.json").read_text())["leakage"]
    assert [overlap["share"] for overlap in found["overlaps"]] == [0, 1, 0]


@pytest.mark.parametrize(("held_out", "code"), [("c9", 1), ("c7", 0)])
def test_too_much_leakage_is_exit_code_1(leaking, tmp_path, held_out, code):
    options = ("--validation", "0", "--train", "0.95", "--test-contigs", held_out, "--max-leakage", "0.5", "--workers", "1")
    done = subprocess.run(
        [COMMAND, "split", leaking, "--out", tmp_path, *options], capture_output=True, check=False, text=True, timeout=60
    )
    assert done.returncode == code
    assert ("100.00% of the held-out windows are like training, more than --max-leakage 0.5" in done.stderr) == bool(code)


def test_a_refusal_is_one_message_and_exit_code_2(contigs, tmp_path):
    command = [COMMAND, "split", contigs, "--out", tmp_path / "o", "--train", "0.9", "--validation", "0.2"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: the shares must sum to 1, and sum to 1.15: train 0.9, validation 0.2, test 0.05\n"
    assert not (tmp_path / "o").exists()
