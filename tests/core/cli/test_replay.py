import json
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from eden_core import EdenDataset, EdenLoader
from eden_core.ledger import RunStart


@pytest.fixture(scope="module")
def run(small, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    dataset = EdenDataset(**small.options, rc_aug=True, use_control_tags=True)
    loader = EdenLoader(dataset, micro_batch_size=2, global_batch_size=4, data_parallel=(0, 2), num_workers=0)
    RunStart.of_loader(loader, 0).append(folder)
    return folder


def eden_replay(run, *arguments, code=0):
    command = [Path(sys.executable).parent / "eden", "replay", "--run", run, *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stderr


def test_a_step_is_printed_row_by_row(run):
    lines = eden_replay(run, "--step", "3").splitlines()
    assert lines[0].startswith("step 3 of the run started at 20")
    assert lines[1].split() == ["rank", "row", "source", "contig", "start", "length", "strand", "tag", "masked", "fill"]
    assert [line.split()[:2] for line in lines[2:]] == [["0", "12"], ["0", "13"], ["1", "14"], ["1", "15"]]


def test_json_parquet_and_fasta_say_the_same(run, tmp_path):
    files = ("--parquet", tmp_path / "step.parquet", "--fasta", tmp_path / "step.fa")
    found = json.loads(eden_replay(run / "eden-run.jsonl", "--step", "3", "--rank", "1", "--json", *files))
    assert [row["row"] for row in found] == [14, 15]
    assert pq.read_table(tmp_path / "step.parquet").to_pylist() == found
    headers = [line for line in (tmp_path / "step.fa").read_text().splitlines() if line.startswith(">")]
    assert [f"row={row['row']} rank=1" in header for row, header in zip(found, headers, strict=True)] == [True, True]


def test_rows_by_number(run):
    assert [row["row"] for row in json.loads(eden_replay(run, "--rows", "7:9", "--json"))] == [7, 8]


def test_data_that_changed_are_refused_with_both_sides(run, small, tmp_path):
    text = (run / "eden-run.jsonl").read_text().replace('"tokenizer": "nucleotide"', '"tokenizer": "byte"', 1)
    (tmp_path / "eden-run.jsonl").write_text(text)
    message = eden_replay(tmp_path, "--step", "0", code=2)
    assert "tokenizer was nucleotide, is byte" in message or "tokenizer was byte, is nucleotide" in message
    assert "--on-mismatch warn" in message
    assert eden_replay(tmp_path, "--step", "0", "--on-mismatch", "warn")


def test_data_that_are_gone_are_asked_for(run, tmp_path):
    lines = (run / "eden-run.jsonl").read_text().replace("train_windows.db", "moved.db")
    (tmp_path / "eden-run.jsonl").write_text(lines)
    message = eden_replay(tmp_path, "--step", "0", code=2)
    assert "cannot be read any more" in message
    assert "--sequence-db-dir DIR --window-db-path FILE" in message


def test_a_file_of_contigs_that_changed_is_noticed(small, tmp_path):
    names = sorted({name for name, _ in small.expected_windows()})
    (tmp_path / "out.txt").write_text("\n".join(names[:3]))
    dataset = EdenDataset(**small.options, exclude_contigs=str(tmp_path / "out.txt"))
    RunStart.of_loader(EdenLoader(dataset, num_workers=0), 0).append(tmp_path)
    assert eden_replay(tmp_path, "--step", "0")
    (tmp_path / "out.txt").write_text(names[0])
    assert "left out was" in eden_replay(tmp_path, "--step", "0", code=2)


def test_a_step_whose_rows_lost_all_their_windows_has_no_lines(small, tmp_path):
    whole = EdenDataset(**small.options, packing="concat")
    (tmp_path / "out.txt").write_text("\n".join(set(whole.locate([0]).sequence_ids)))
    dataset = EdenDataset(**small.options, packing="concat", exclude_contigs=str(tmp_path / "out.txt"))
    RunStart.of_loader(EdenLoader(dataset, num_workers=0), 0).append(tmp_path)
    assert eden_replay(tmp_path, "--step", "0").splitlines()[1:] == [
        "rank  row  source  contig  start  length  strand  tag  masked  fill"
    ]


def test_sources_that_moved_are_found_where_they_are_now(small, tmp_path):
    place = {"sequence_db_dir": str(tmp_path / "old"), "window_db_path": str(tmp_path / "old" / "train_windows.db")}
    shutil.copytree(small.directory, tmp_path / "old")
    dataset = EdenDataset(seq_length=64, sources=[{"name": "a", **place}, {"name": "b", **place}])
    RunStart.of_loader(EdenLoader(dataset, num_workers=0), 0).append(tmp_path)
    (tmp_path / "old").rename(tmp_path / "new")
    assert "--source NAME=DIR" in eden_replay(tmp_path, "--step", "0", code=2)
    moved = ("--source", f"a={tmp_path / 'new'}", "--source", f"b={tmp_path / 'new'}")
    assert eden_replay(tmp_path, "--step", "0", *moved)
    assert "with one of a, b" in eden_replay(tmp_path, "--step", "0", "--source", "c=x", code=2)


def test_one_of_several_starts_can_be_chosen(small, tmp_path):
    for seed in (42, 5):
        RunStart.of_loader(EdenLoader(EdenDataset(**small.options, seed=seed), num_workers=0), 0).append(tmp_path)
    assert "seed 5" in eden_replay(tmp_path, "--step", "0")
    assert "seed 42" in eden_replay(tmp_path, "--step", "0", "--start", "0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either --step or --rows"),
        (("--step", "1", "--rows", "1:2"), "either --step or --rows"),
        (("--rows", "5:5"), "expected FIRST:STOP"),
        (("--step", "1", "--rank", "2"), "no data-parallel rank 2"),
        (("--rows", "1:2", "--rank", "0"), "--rank goes with --step"),
        (("--step", "1", "--start", "1"), "holds 1 starts, numbered from 0"),
        (("--step", "1", "--parquet", "nowhere/x.parquet"), "there is no folder"),
    ],
)
def test_what_cannot_be_answered(run, arguments, message):
    assert message in eden_replay(run, *arguments, code=2)


def test_no_ledger(tmp_path):
    assert "eden-run.jsonl in the folder of a run" in eden_replay(tmp_path, "--step", "0", code=2)
