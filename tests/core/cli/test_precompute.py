import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from eden_core.cli.precompute import app, main
from eden_core.errors import ConfigurationError

COMMAND = Path(sys.executable).with_name("eden-precompute")


@pytest.fixture
def split(tmp_path):
    pq.write_table(pa.table({"contig_id": ["b", "a"], "length": [100, 7]}), tmp_path / "split.parquet")
    return tmp_path / "split.parquet"


def test_the_summary(tmp_path, split):
    result = CliRunner().invoke(app, [str(split), str(tmp_path / "w.db"), "--window-size", "20", "--stride", "15"])
    numbers = {line.rsplit(maxsplit=1)[0].strip(): line.split()[-1] for line in result.stdout.splitlines()[1:5]}
    assert numbers["sequences"] == "2"
    assert numbers["windows"] == "7"


def run(*arguments):
    return subprocess.run([COMMAND, *map(str, arguments)], capture_output=True, text=True)


def test_a_refusal_is_one_message_and_exit_code_2(tmp_path, split):
    done = run(split, tmp_path / "w.db", "--stride", "9000")
    assert done.returncode == 2
    assert done.stderr.startswith("error: stride 9000 is larger than the 8190 bases")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "w.db").exists()


TABLES = {
    "not Parquet": None,
    "lacks the column length": {"contig_id": ["a"]},
    "holds int64, expected strings": {"contig_id": [1], "length": [1]},
    "holds double, expected integers": {"contig_id": ["a"], "length": [1.5]},
    "is null in row 2": {"contig_id": ["a", "b"], "length": [1, None]},
    "is negative in row 1": {"contig_id": ["a"], "length": [-1]},
    "occurs more than once": {"contig_id": ["a", "a"], "length": [9, 9]},
    "not one window": {"contig_id": ["a"], "length": [0]},
}


@pytest.mark.parametrize(
    ("message", "options"),
    [
        *((message, ()) for message in TABLES),
        ("there is no such file", ("missing.parquet",)),
        ("at least 1 base", ("--stride", "0")),
        ("at least 1 base", ("--window-size", "0")),
        ("larger than the 8190 bases", ("--stride", "8191")),
        ("larger than the 8176 bases", ("--stride", "8190", "--keep-tail")),
        ("together with --keep-tail", ("--reserve", "4")),
        ("no index plugin is named 'nope'", ("--index", "nope")),
    ],
)
def test_refusals(tmp_path, split, capsys, monkeypatch, message, options):
    table = TABLES.get(message, {"contig_id": ["a"], "length": [9]})
    split.write_text("no") if table is None else pq.write_table(pa.table(table), split)
    source = tmp_path / options[0] if options[:1] == ("missing.parquet",) else split
    arguments = [str(source), str(tmp_path / "w.db"), *(o for o in options if o != "missing.parquet")]
    monkeypatch.setattr(sys, "argv", ["eden-precompute", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert "Parquet" in error if message == "not Parquet" else message in error
    assert sorted(path.name for path in tmp_path.iterdir()) == ["split.parquet"]


def test_a_folder_that_cannot_be_written_is_no_traceback(tmp_path, split):
    done = run(split, tmp_path / "nowhere" / "w.db")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "nowhere" in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_killed_build_leaves_nothing_that_opens(tmp_path):
    import signal
    import time

    names = [f"contig{i:07d}" for i in range(300_000)]
    pq.write_table(pa.table({"contig_id": names, "length": [9000] * len(names)}), tmp_path / "split.parquet")
    process = subprocess.Popen([COMMAND, tmp_path / "split.parquet", tmp_path / "w.db"], stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(tmp_path.glob(".w.db.*")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -9
    assert not (tmp_path / "w.db").exists()


@pytest.fixture
def splits(tmp_path):
    for name, lengths in {"train": [100, 7, 900], "validation": [50], "test": [30, 40]}.items():
        ids = [f"{name}{i}" for i in range(len(lengths))]
        pq.write_table(pa.table({"contig_id": ids[::-1], "length": lengths[::-1]}), tmp_path / f"{name}.parquet")
    return [tmp_path / f"{name}.parquet" for name in ("train", "validation", "test")]


SMALL = ("--window-size", "20", "--stride", "15")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_many_splits_in_one_call_become_what_each_becomes_alone(tmp_path, splits):
    (tmp_path / "alone").mkdir()
    for split in splits:
        assert run(split, tmp_path / "alone" / f"{split.stem}_windows.db", *SMALL).returncode == 0
    done = run(*splits, "--out", tmp_path / "new" / "o", "--workers", "2", *SMALL)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("  windows  ") == 3
    assert contents(tmp_path / "new" / "o") == contents(tmp_path / "alone")


def test_one_split_that_fails_does_not_keep_the_others(tmp_path, splits):
    pq.write_table(pa.table({"contig_id": ["a"], "length": [0]}), splits[1])
    done = run(*splits, "--out", tmp_path / "o", *SMALL)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {splits[1]}: not one window")
    assert sorted(contents(tmp_path / "o")) == ["test_windows.db", "train_windows.db"]


def test_what_is_there_is_kept_and_what_is_not_is_made(tmp_path, splits):
    assert run(splits[0], splits[1], "--out", tmp_path / "o", *SMALL).returncode == 0
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "o").iterdir()}
    assert run(*splits[:2], "--out", tmp_path / "o", *SMALL).returncode == 2
    done = run(*splits, "--out", tmp_path / "o", *SMALL, "--skip-existing")
    assert done.returncode == 0
    assert done.stdout.count("is there already, and the same") == 2
    assert {name: (tmp_path / "o" / name).stat().st_mtime_ns for name in before} == before
    assert len(contents(tmp_path / "o")) == 3


def invoke(*arguments):
    return CliRunner().invoke(app, list(map(str, arguments)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train.parquet"], "where shall the index of .*train.parquet go"),
        (["train.parquet", "test.parquet"], "where shall the index of .*train.parquet go"),
        (["train.parquet", "test.parquet", "w.db"], "w.db does not end in .parquet"),
        (["train.parquet", "w.db", "--out", "o"], "w.db does not end in .parquet"),
        (["train.parquet", "other/train.parquet", "--out", "o"], "two splits would become o/train_windows.db"),
        (["train.parquet", "w.db", "--workers", "2"], "--workers .*go with --out"),
    ],
    ids=str,
)
def test_mixed_forms_are_refused(splits, arguments, message):
    found = invoke(*arguments)
    with pytest.raises(ConfigurationError, match=message):
        raise found.exception


def test_a_report_without_an_index(tmp_path, splits):
    found = json.loads(invoke(*splits, "--dry-run", "--report", "--json", "--window-size", "64", "--stride", "48").stdout)
    assert [Path(one["split"]).stem for one in found] == ["train", "validation", "test"]
    assert {one["index"] for one in found} == {None}
    coverage = found[0]["coverage"]["without_tail"]
    assert coverage["windows"] == found[0]["windows"] == 1 + 1 + 18
    assert coverage["never_seen"] == found[0]["bases_never_seen"]
    assert coverage["windows_by_class"]["< 1 kb"] == 20
    assert found[0]["coverage"]["with_tail"]["never_seen"] == 0
    assert not list(tmp_path.glob("*.db"))


def test_the_report_as_text(tmp_path, split):
    lines = invoke(split, tmp_path / "w.db", "--report", "--reserve", "5", "--keep-tail", *SMALL).stdout.splitlines()
    rows = {line[:26].strip(): line[26:].split() for line in lines[8:]}
    assert rows["bases never seen"] == ["7", "0"]
    assert rows["windows of < 1 kb"] == ["7", "8"]
    assert (tmp_path / "w.db").exists()


def test_a_stride_is_found_for_other_windows_and_a_refusal_of_all_splits_is_told_once(tmp_path, splits):
    found = json.loads(run(*splits, "--dry-run", "--window-size", "64", "--json").stdout)
    assert len(found) == 3
    done = run(*splits, "--dry-run", "--window-size", "64", "--stride", "63")
    assert (done.returncode, done.stderr.count("stride 63 is larger than the 62 bases")) == (2, 1)
