import subprocess
import sys
from pathlib import Path

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


def eden_preview(*arguments, code=0):
    command = [Path(sys.executable).parent / "eden", "preview", *arguments]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stderr


def bars(output: str) -> list[list[str]]:
    """The fields of each row's line."""
    lines = output.splitlines()
    first = next(i for i, line in enumerate(lines) if line.split()[:2] == ["row", "rank"])
    return [line.split() for line in lines[first + 1 :]]


def test_a_step_of_a_run_is_drawn_row_by_row(run):
    output = eden_preview("--run", run, "--step", "3")
    assert output.startswith("step 3 of the run started at 20")
    assert "T control tag" in output
    assert [row[:2] for row in bars(output)] == [["12", "0"], ["13", "0"], ["14", "1"], ["15", "1"]]


def test_one_rank_of_a_step(run):
    assert [row[:2] for row in bars(eden_preview("--run", run, "--step", "3", "--rank", "1"))] == [["14", "1"], ["15", "1"]]


def test_rows_of_a_run(run):
    assert [row[0] for row in bars(eden_preview("--run", run, "--rows", "7:9"))] == ["7", "8"]


def test_data_without_a_run_have_rows_as_long_as_their_windows(small):
    rows = bars(eden_preview("--data", small.directory, "--width", "100"))
    assert [row[0] for row in rows] == [str(number) for number in range(16)]
    assert {len(row[3]) for row in rows} == {64}


def test_options_of_the_dataset(small):
    options = ("--packing", "concat", "--seq-length", "128", "--option", "shuffle=false", "--option", "tokenizer=byte")
    [row] = bars(eden_preview("--data", small.directory, *options, "--rows", "0:1", "--width", "200"))
    dataset = EdenDataset(**small.options | {"seq_length": 128}, packing="concat", shuffle=False, tokenizer="byte")
    assert row[3].lower().count("s") == dataset.picks([0]).rows.size  # an end for each segment, no beginning
    assert len(row[3]) == 128


def test_the_same_picture_as_svg_and_html(run, tmp_path):
    eden_preview("--run", run, "--step", "0", "--svg", tmp_path / "p.svg", "--html", tmp_path / "p.html")
    picture = (tmp_path / "p.svg").read_text()
    assert picture.startswith("<svg")
    assert picture in (tmp_path / "p.html").read_text()


def test_data_that_changed_are_refused(run, tmp_path):
    text = (run / "eden-run.jsonl").read_text().replace('"tokenizer": "nucleotide"', '"tokenizer": "byte"', 1)
    (tmp_path / "eden-run.jsonl").write_text(text)
    assert "--on-mismatch warn" in eden_preview("--run", tmp_path, "--step", "0", code=2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "either --run or --data"),
        (("--run", "x", "--data", "y"), "either --run or --data"),
        (("--run", "x"), "either --step or --rows"),
        (("--run", "x", "--step", "1", "--packing", "thd"), "go with --data"),
        (("--data", "x", "--step", "1"), "go with --run"),
        (("--data", "x"), "x/train_windows.db"),
        (("--data", "x", "--option", "rc_aug"), "expected NAME=VALUE"),
        (("--data", "x", "--option", "rc_aug_=1"), "no argument rc_aug_"),
        (("--data", "x", "--svg", "nowhere/x.svg"), "there is no folder"),
    ],
)
def test_what_cannot_be_drawn(arguments, message):
    assert message in eden_preview(*arguments, code=2)
