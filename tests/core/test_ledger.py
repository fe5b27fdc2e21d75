import json
import subprocess
import sys
from dataclasses import replace

import pytest

from eden_core import EdenDataset, EdenLoader, Transform, errors
from eden_core.ledger import LEDGER, RunStart, last_start, read_ledger
from eden_objectives import MaskedLanguage
from eden_sqlite.store import SqliteShards


def start(small, step=0, **options) -> RunStart:
    dataset = EdenDataset(**small.options | options)
    loader = EdenLoader(dataset, micro_batch_size=2, global_batch_size=8, data_parallel=(0, 2), num_workers=0)
    return RunStart.of_loader(loader, step)


def test_a_start_reads_back(small, tmp_path):
    written = start(small, 7, rc_aug=True, skip_rows=[(3, 5)])
    path = written.append(tmp_path / "run")
    assert path == tmp_path / "run" / LEDGER
    assert read_ledger(path) == read_ledger(path.parent) == [replace(written, dataset=json.loads(json.dumps(written.dataset)))]


def test_it_says_what_the_run_depends_on(small):
    found = start(small, 7, rc_aug=True, use_control_tags=True, seed=3)
    assert (found.kind, found.step, found.epoch, found.position, found.epoch_rows) == ("epochs", 7, 0, 0, 80)
    assert (found.data_parallel_size, found.micro_batch_size, found.global_batch_size, found.seed) == (2, 2, 8, 3)
    assert [p["name"] for p in found.plugins] == ["sqlite-shards", "sqlite", "control-tags", "reverse-complement", "causal"]
    assert all(p["version"] for p in found.plugins)
    assert {"eden-core", "python", "torch", "numpy"} <= set(found.versions)
    assert found.fingerprint_recorded == EdenDataset(**small.options, rc_aug=True, use_control_tags=True, seed=3).fingerprint


def test_what_is_left_out_is_recorded(small, tmp_path):
    (tmp_path / "contigs.txt").write_text(small.expected_windows()[0][0])
    found = start(small, skip_rows=[(3, 5)], exclude_contigs=str(tmp_path / "contigs.txt"))
    count = sum(name == small.expected_windows()[0][0] for name, _ in small.expected_windows())
    assert found.left_out["text"] == f"rows 3 to 4, {count} windows of excluded contigs from row 0 on"
    assert found.left_out["digest"] != start(small).left_out["digest"]


def test_an_access_log_is_none_of_what_a_replay_needs(small, tmp_path):
    plain, logged = (
        RunStart.of_loader(EdenLoader(EdenDataset(**small.options | options)), 0)
        for options in ({}, {"log_windows": True, "log_dir": str(tmp_path)})
    )
    assert (logged.dataset, logged.fingerprint) == (plain.dataset, plain.fingerprint)


def test_an_objective_is_recorded_by_name_and_options(small):
    found = start(small, objective=MaskedLanguage(0.2)).dataset["objective"]
    assert found == {"mlm": {"probability": 0.2, "mask_share": 0.8, "random_share": 0.1, "mean_span": 1.0}}


def test_an_open_store_is_recorded_by_name_place_and_options(small):
    options = start(small, store=SqliteShards(str(small.directory), max_open_files=9), sequence_db_dir=None).dataset
    assert (options["store"], options["sequence_db_dir"]) == ("sqlite-shards", str(small.directory))
    assert options["store_options"]["max_open_files"] == 9


class Other(Transform):
    name = "other"

    def __init__(self, strength: float = 2.0) -> None:
        self.strength = strength

    def apply(self, batch, draws):
        return batch


def test_objects_are_recorded_as_far_as_they_can(small):
    class Tokenizer:
        pad_id = 0

        def text_to_ids(self, text):
            return [ord(letter) for letter in text]

    found = start(small, transforms=[Other(3.0)], tokenizer=Tokenizer()).dataset
    assert found["transforms"] == [{"other": {"strength": 3.0}}]
    assert found["tokenizer"]["object"].endswith("Tokenizer")


def test_an_unfinished_line_harms_no_other(small, tmp_path):
    path = start(small, 1).append(tmp_path)
    with path.open("a") as file:
        file.write('{"time": "2026')
    start(small, 2).append(tmp_path)
    assert [found.step for found in read_ledger(path)] == [1, 2]


def test_processes_that_append_at_once_lose_nothing(small, tmp_path):
    start(small).append(tmp_path)
    script = """
import sys
from eden_core.ledger import read_ledger
(found,) = read_ledger(sys.argv[1])[:1]
for _ in range(20):
    found.append(sys.argv[1])
"""
    processes = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(read_ledger(tmp_path)) == 61


@pytest.mark.parametrize(("text", "message"), [(None, "cannot be read"), ("{}\n", "holds no start")])
def test_no_ledger(tmp_path, text, message):
    if text is not None:
        (tmp_path / LEDGER).write_text(text)
    with pytest.raises(errors.InputError, match=message):
        read_ledger(tmp_path / LEDGER)


@pytest.mark.parametrize("place", ["s3://bucket/run", "/dev/null/run"])
def test_a_place_that_cannot_hold_a_ledger_is_warned_about(small, place):
    with pytest.warns(UserWarning, match="no ledger of this run is kept in .* give another run_dir"):
        start(small).append_or_warn(place)


def test_no_place_is_no_ledger(small, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start(small).append_or_warn("")
    assert list(tmp_path.iterdir()) == []


def test_the_last_start_of_a_kind(small, tmp_path):
    assert last_start(tmp_path, "samples") is None
    (tmp_path / LEDGER).touch()  # as another process leaves it for a moment
    assert last_start(tmp_path, "samples") is None
    for step in (1, 2):
        start(small, step).append(tmp_path)
    assert last_start(tmp_path, "epochs").step == 2
    assert last_start(tmp_path, "samples") is None
