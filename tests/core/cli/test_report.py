import subprocess
import sys
from pathlib import Path

import pytest
from report_logs import batches_of, write_log

from eden_core import EdenDataset, EdenLoader
from eden_core.ledger import RunStart


@pytest.fixture(scope="module")
def run(small, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    dataset = EdenDataset(**small.options)
    write_log(folder / "logs", dataset, batches_of(dataset, range(5)))
    RunStart.of_loader(EdenLoader(dataset, micro_batch_size=4, num_workers=0, data_parallel=(0, 1)), 0).append(folder)
    return folder


def eden_report(*arguments, code=0) -> str:
    command = [Path(sys.executable).parent / "eden", "report", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stderr


def test_logs_become_a_page(run, tmp_path):
    said = eden_report(run / "logs", "--out", tmp_path / "page.html")
    assert said.startswith("train: 20 windows read, 20 different ones")
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert "exists already" in eden_report(run / "logs", "--out", tmp_path / "page.html", code=2)
    assert eden_report(run / "logs", "--out", tmp_path / "page.html", "--force")


def test_a_ledger_is_replayed(run, tmp_path):
    said = eden_report(run / "eden-run.jsonl", "--steps", "5", "--out", tmp_path / "page.html")
    assert said.startswith("train: 20 windows read, 20 different ones")


def test_a_ledger_stands_alone(run, tmp_path):
    message = eden_report(run / "eden-run.jsonl", run / "logs", "--out", tmp_path / "page.html", code=2)
    assert "give it alone" in message


def test_what_is_said_of_ledgers_is_refused_with_logs(run, tmp_path):
    options = ("--steps", 3, "--start", 0, "--window-db-path", "x")
    message = eden_report(run / "logs", *options, "--out", tmp_path / "page.html", code=2)
    assert "--steps, --start, --window-db-path can be given with a ledger only" in message


def test_a_ledger_beside_logs_is_said_to_be_left(run, tmp_path):
    said = eden_report(run, "--out", tmp_path / "page.html")
    assert f"{run / 'eden-run.jsonl'} was not read" in said


def test_names_do_not_steer_the_terminal(run, tmp_path):
    (log,) = run.glob("logs/*.csv")
    (tmp_path / "window_access_\x1b[2J_rank0_00000000.csv").write_text(log.read_text() + "half")
    said = eden_report(tmp_path, "--out", tmp_path / "page.html")
    assert "\x1b" not in said
    assert said.startswith("\\x1b[2J: 20 windows read")
    assert "window_access_\\x1b[2J_rank0_00000000.csv: damaged lines" in said
