import shlex

import pytest
import typer
from data_folders import make_folder
from in_threads import InThread
from typer.testing import CliRunner

from eden_arrow.index import ArrowIndex
from eden_core import EdenDataModule, Tiling
from eden_core.cli import convert, import_, split
from eden_core.importing.source_files import find_source_files
from eden_core.importing.task import ImportOptions
from eden_core.inspecting.describing import Lookup, describe
from eden_core.next_steps import precompute_command
from eden_core.preparing import PrepareSettings, prepare
from eden_core.splitting.rules import SplitRules
from eden_sqlite.index import SqliteIndex


@pytest.fixture
def folder(tmp_path):
    """A folder that the Arrow plugins were prepared for."""
    fasta = tmp_path / "MG__s1.fa"
    fasta.write_text("".join(f">c{i}\n{'ACGT' * 100}\n" for i in range(10)))
    settings = PrepareSettings(ImportOptions(), Tiling(128, 112), SplitRules(0.6, 0.2, 0.2), "arrow-shards", "arrow")
    prepare(find_source_files([str(fasta)]), tmp_path / "d", settings, executor=InThread())
    return tmp_path / "d"


def call_of(folder) -> str:
    return f"EdenDataModule(data_dir={str(folder)!r}, store='arrow-shards', index='arrow', seq_length=128)"


@pytest.mark.parametrize("name", [".", "eden.json", "train_windows.arrow"])
def test_inspect_names_the_plugins_of_a_folder(folder, name):
    first, *_ = describe(folder / name, Lookup("arrow-shards")).following
    assert first == call_of(folder)
    module = eval(first, {"EdenDataModule": EdenDataModule})
    module.setup("fit")
    assert len(module.train_dataloader()) > 0


def test_runs_name_the_plugins_too(folder):
    (call,) = describe(folder / "n_runs.parquet").following
    assert call == call_of(folder).replace(")", ", max_n_fraction=0.1)")


def test_a_split_is_indexed_as_its_folder_was(folder):
    expected = f"eden-precompute {folder}/train.parquet {folder}/train_windows.arrow --index arrow"
    assert describe(folder / "train.parquet").following == (expected,)
    assert precompute_command(folder / "train.parquet", folder) == expected


def invoked(command, *arguments) -> list[str]:
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False).stdout.splitlines()


def test_import_and_split_follow_the_folder(folder, tmp_path):
    lines = invoked(
        split.split_command,
        folder / "contigs.parquet",
        "--out",
        folder,
        "--train",
        0.6,
        "--validation",
        0.2,
        "--test",
        0.2,
        "--force",
    )
    assert lines[-1].strip() == f"eden-precompute {folder}/test.parquet {folder}/test_windows.arrow --index arrow"
    arguments = (tmp_path / "MG__s1.fa", "--out", folder, "--store", "arrow-shards", "--force", "--workers", 1)
    line = invoked(import_.import_command, *arguments)[-1]
    assert shlex.split(line.partition("   (")[0])[2:] == [
        f"{folder}/contigs.parquet",
        f"{folder}/train_windows.arrow",
        "--index",
        "arrow",
    ]


@pytest.mark.parametrize("prepared", [True, False])
def test_an_index_is_converted_by_the_plugin_that_wrote_it(folder, tmp_path, prepared):
    if not prepared:
        (folder / "eden.json").unlink()
    stored = [] if prepared else ["--from-store", "arrow-shards"]
    out = tmp_path / "x.db"
    lines = invoked(convert.convert_command, folder / "train_windows.arrow", out, "--index", "sqlite", *stored)
    assert lines[0] == str(out)
    with SqliteIndex(str(out)) as new, ArrowIndex(str(folder / "train_windows.arrow")) as old:
        assert len(new) == len(old) > 0


def test_convert_names_the_length_of_rows(tmp_path):
    source, out = make_folder(tmp_path / "s"), tmp_path / "o"
    lines = invoked(convert.convert_command, source, out, "--store", "arrow-shards", "--index", "arrow", "--workers", 1)
    assert lines[-1] == f"next: {call_of(out).replace('128', '512')}"
