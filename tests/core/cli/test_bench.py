import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from data_folders import random_bases

EDEN = "from eden_core.cli import main; main()"


def eden(*arguments, code=0):
    done = subprocess.run([sys.executable, "-c", EDEN, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done.stdout if not code else done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder, draw = tmp_path_factory.mktemp("bench"), random.Random(3)
    records = (f">contig{i}\n{random_bases(draw, 2000 + 10 * i)}\n" for i in range(60))
    (folder / "genome.fa").write_text("".join(records))
    eden("prepare", folder / "genome.fa", "--out", folder / "data", "--window-size", 512)
    return folder


@pytest.fixture(scope="module")
def output(folder) -> str:
    measured = ("--workers", "0,1", "--seconds", 0.2, "--rounds", 1, "--cold", "--micro-batch-size", 2)
    return eden("bench", folder / "data", *measured, "--json", folder / "b.json", "--plot", folder / "b.svg")


@pytest.fixture(scope="module")
def report(folder, output) -> dict:
    return json.loads((folder / "b.json").read_text())


def test_the_table_names_machine_data_and_settings_in_100_columns(output, report):
    lines = output.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].startswith(report["machine"]["cpu"])
    assert "sqlite-shards + sqlite" in output
    rows = [line.split()[:2] for line in lines if line.split()[1:2] in (["warm"], ["cold"])]
    assert rows == 2 * [["0", "warm"], ["1", "warm"], ["0", "cold"], ["1", "cold"]]
    assert "…" not in output.replace("(min … max)", "").replace(" … ", "")
    assert report["limit"].split(":")[0] in " ".join(output.split())


def test_json_has_every_setting_with_plausible_figures(report):
    assert [(one["workers"], one["cache"]) for one in report["results"]] == [(0, "warm"), (1, "warm"), (0, "cold"), (1, "cold")]
    for one in report["results"]:
        [round_] = one["rounds"]
        assert round_["rows"] == 2 * round_["steps"] > 0
        assert one["rows_per_s"]["median"] == pytest.approx(round_["rows"] / round_["seconds"])
        assert one["tokens_per_s"]["median"] == pytest.approx(512 * one["rows_per_s"]["median"])
        assert 0 < one["useful_tokens_per_s"] <= one["tokens_per_s"]["median"]
        assert 0 <= one["wait_p50_ms"]["median"] <= one["wait_p99_ms"]["median"] <= one["wait_max_ms"]["median"]
        assert 0 < one["trainer_private"]["median"] <= one["trainer_pss"]["median"] <= one["trainer_peak_rss"]["median"]
        assert len(round_["workers"]) == one["workers"]
        assert one["total_pss"]["median"] > one["trainer_pss"]["median"] + (one["workers"] and one["worker_pss"]["median"]) - 1


def test_rows_that_are_read_cold_cost_at_least_their_bases(report):
    for one in report["results"]:
        if one["cache"] == "cold":
            assert one["kept_bytes"] is not None
            assert one["read_bytes_per_row"]["median"] >= report["data"]["bases_per_row"] or not one["workers"]


def test_metadata_calls_are_counted_where_there_is_strace(report):
    if shutil.which("strace") is None:
        assert report["metadata_calls"] is None
        assert any("strace" in note for note in report["notes"])
    else:
        assert {1 <= sum(calls.values()) <= 30 for calls in report["metadata_calls"].values()} == {True}
        assert list(report["metadata_calls"]) == ["trainer", "worker"]


def test_the_plot_is_sound_svg(folder, output):
    assert ET.parse(folder / "b.svg").getroot().tag.endswith("svg")


def test_steps_packing_and_another_split(folder):
    options = ("--split", "validation", "--packing", "thd", "--seq-length", 1024, "--option", "rc_aug=true", "--no-trace")
    output = eden("bench", folder / "data", *options, "--workers", 0, "--seconds", 0.2, "--rounds", 1, "--step-ms", 20)
    assert "validation, packing thd" in output
    assert "rows of 1,024 tokens" in output
    assert "with steps of 20 ms" in output
    assert "metadata" not in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--workers", "0,x"), "--workers is '0,x'; expected numbers"),
        (("--workers", "0", "--seq-length", "4096"), "error: 0 workers: index"),
    ],
    ids=["workers", "seq_length"],
)
def test_what_cannot_be_is_one_message(folder, arguments, message):
    said = eden("bench", folder / "data", *arguments, code=2)
    assert message in said
    assert "Traceback" not in said


def test_without_a_place_it_says_what_is_missing():
    assert "window_db_path" in eden("bench", "--workers", "0", code=2)
