import json
import sqlite3
from contextlib import closing

import pytest
import typer
from data_folders import bases_of, make_folder
from plain import write_seed_index, write_seed_shard
from typer.testing import CliRunner

from eden_core.cli import convert
from eden_core.errors import ConfigurationError, PluginOptionError


@pytest.fixture
def invoke():
    app = typer.Typer()
    app.command()(convert.convert_command)
    return lambda *arguments: CliRunner().invoke(app, ["--workers", "1", *map(str, arguments)], catch_exceptions=False)


def test_the_summary_of_a_folder(invoke, tmp_path):
    folder, out = make_folder(tmp_path / "data"), tmp_path / "out"
    lines = invoke(folder, out, "--store", "sqlite-shards", "--store-options", '{"max_open_files": 7}').stdout.splitlines()
    assert lines[0] == str(out)
    assert [line.split()[:2] for line in lines[1:4]] == [
        ["samples", "3"],
        ["contigs", "21"],
        ["bases", f"{sum(map(len, bases_of(folder).values())):,}"],
    ]
    assert f"{out}/train_windows.db" in lines
    assert lines[-1] == (f"next: EdenDataModule(data_dir={str(out)!r}, seq_length=512, store_options={{'max_open_files': 7}})")
    assert bases_of(out) == bases_of(folder)
    assert json.loads((out / "conversion.json").read_text())["plan"]["to"]["options"] == {"max_open_files": 7}
    again = invoke(folder, out, "--store", "sqlite-shards", "--store-options", '{"max_open_files": 7}').stdout.splitlines()
    assert again[0] == f"{out}: was converted already"


def test_an_index_alone(invoke, tmp_path):
    write_seed_shard(tmp_path / "store", "S1", {"B__X-S1__c": "ACGT" * 30})
    write_seed_index(tmp_path / "old.db", {"B__X-S1__c": 120}, 64, 48)
    place = tmp_path / "new.db"
    done = invoke(tmp_path / "old.db", place, "--index", "sqlite", "--store-dir", tmp_path / "store")
    assert done.stdout.splitlines()[0] == str(place)
    with closing(sqlite3.connect(place)) as connection:
        assert connection.execute("SELECT count(*) FROM window_mappings").fetchone() == (2,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--store", "sqlite-shards", "--contigs", "x.parquet"], "--contigs go with an index, and .* is a folder"),
        (["--index", "sqlite", "--index-options", '{"io": "pread"}'], "--index-options go with an index, and .* is a folder"),
        ([], "nothing says what to convert to"),
    ],
)
def test_wrong_options_of_a_folder(invoke, tmp_path, arguments, message):
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigurationError, match=message):
        invoke(tmp_path / "data", tmp_path / "out", *arguments)


@pytest.mark.parametrize(("arguments", "message"), [(["--store", "s"], "--store go with a folder"), ([], "give --index")])
def test_wrong_options_of_an_index(invoke, tmp_path, arguments, message):
    (tmp_path / "w.db").touch()
    with pytest.raises(ConfigurationError, match=message):
        invoke(tmp_path / "w.db", tmp_path / "out", *arguments)


def test_options_of_indexes_say_how_they_are_read(invoke, tmp_path):
    bases = {"B__X-S1__c": "ACGT" * 30}
    write_seed_shard(tmp_path, "S1", bases)
    write_seed_index(tmp_path / "old.db", {contig: len(letters) for contig, letters in bases.items()}, 64, 48)
    assert invoke(tmp_path / "old.db", tmp_path / "w.arrow", "--index", "arrow").exit_code == 0
    other = "--from-index-options", '{"window_size": 32, "stride": 16}'
    assert invoke(tmp_path / "w.arrow", tmp_path / "new.db", "--index", "sqlite", *other).exit_code == 0
    with closing(sqlite3.connect(tmp_path / "new.db")) as connection:
        assert connection.execute("SELECT count(*) FROM window_mappings").fetchone() == (6,)
    with pytest.raises(PluginOptionError, match="index 'arrow' has no option oi"):
        invoke(tmp_path / "old.db", tmp_path / "v.arrow", "--index", "arrow", "--index-options", '{"oi": 1}')
    assert not (tmp_path / "v.arrow").exists()
