import json
import subprocess
import sys
from pathlib import Path

import pytest
from plain import write_seed_shard

from eden_core.cli.descriptions import description_lines
from eden_core.inspecting.describing import Description


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


def headings(text: str) -> list[str]:
    return [line.partition(":")[0] for line in text.splitlines() if line and not line.startswith(" ")]


def test_a_data_folder_is_described_part_by_part(data):
    parts = [
        "store",
        "table of contigs",
        *["table of runs"] * 2,
        *["split"] * 3,
        *["index"] * 3,
        "table of sources",
        "report of a split",
    ]
    text = run("eden", "inspect", data)
    assert headings(text) == ["data folder", *parts, "next", "next"]
    assert f"next: EdenDataModule(data_dir='{data}', seq_length=1024)\nnext: eden doctor {data}\n" in text


def test_an_index(data):
    text = run("eden", "inspect", data / "test_windows.db")
    assert text.startswith(f"index: {data / 'test_windows.db'}\n")
    assert "of 1,024 bases every 1,000" in text
    assert "samples                 1  the largest 'lambda': 2 contigs, 3,000 bases\n  tags     PHAGE 2\n" in text


def test_lengths_are_drawn(data):
    lines = run("eden", "inspect", data / "contigs.parquet").splitlines()
    few, many = (next(line.split() for line in lines if bounds in line) for bounds in ("500 - 1 kb", "1 kb - 2 kb"))
    assert (few[4:], many[5:]) == (["#", "3.0%", "#", "1.0%"], ["#" * 24, "97.0%", "#" * 24, "99.0%"])
    assert lines[-1] == f"next: eden-precompute {data}/contigs.parquet {data}/train_windows.db"


def test_json_of_a_data_folder(data):
    found = json.loads(run("eden", "inspect", data, "--json"))
    assert found["kind"] == "data folder"
    assert [part["contigs"]["contigs"] for part in found["parts"] if part["kind"] == "index"] == [30, 1, 2]


def test_a_store_is_listed_in_part_unless_all_is_asked_for(tmp_path):
    for i in range(40):
        write_seed_shard(tmp_path, f"S{i}", {f"BCR__ECT-S{i}__CT1-1": "ACGT"})
    some, every = (run("eden", "inspect", tmp_path, *options).split() for options in ((), ("--all",)))
    assert some[some.index("listed") :][:2] == ["listed", "32"]
    assert some[some.index("estimated") :][:2] == ["estimated", "40"]
    assert every[every.index("listed") :][:2] == ["listed", "40"]
    assert "estimated" not in every


def test_large_numbers_stand_apart_from_their_names():
    facts = {"bases, estimated": 8_000_000_000}
    assert "  bases, estimated 8,000,000,000" in description_lines(Description("store", "DIR", None, facts))


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
        (("nowhere.db",), "nowhere.db: there is no such file or folder"),
        ((".", "--pack-by", "sample"), "go with --packing"),
        ((".", "--packing", "--split-windows"), "split_windows needs pack_by='sample'"),
        ((".",), "holds no index"),
    ],
)
def test_what_cannot_be_inspected(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message in run("eden", "inspect", *arguments, code=2)
