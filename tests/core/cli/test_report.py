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
