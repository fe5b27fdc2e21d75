"""The commands work on folders whose indexes are of "arrow"."""

from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import typer
from data_folders import make_folder
from typer.testing import CliRunner

from eden_arrow.index import ArrowIndex
from eden_core import EdenDataModule, Tiling, errors
from eden_core.cli import doctor, inspect, precompute, prepare, verify
from eden_core.inspecting import index_files
from eden_core.manifest import index_plugin
from eden_core.plugins import installed_plugins

pytestmark = pytest.mark.skipif(
    "arrow" not in {point.name for point in entry_points(group="eden")},
    reason="eden-core was installed before it had this plugin, so worker processes do not find it: install it again",
)


def run(command, *arguments) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, list(map(str, arguments)), catch_exceptions=False)
    return done.exit_code, done.stdout


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, lambda_fasta) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "data"
    run(prepare.prepare_command, lambda_fasta, "--out", out, "--index", "arrow", "--window-size", 512, "--workers", 1)
    return out


def test_a_prepared_folder_is_verified_inspected_and_examined(prepared):
    assert sorted(path.name for path in prepared.glob("*_windows.*")) == [
        "test_windows.arrow",
        "train_windows.arrow",
        "validation_windows.arrow",
    ]
    code, told = run(verify.verify_command, prepared, "--workers", 1)
    assert code == 0
    assert told.splitlines()[0] == "nothing is wrong"
    assert "indexes                              3" in told
    code, told = run(inspect.inspect, prepared)
    assert f"EdenDataModule(data_dir={str(prepared)!r}, index='arrow', seq_length=512)" in told
    assert run(inspect.inspect, prepared / "train_windows.arrow", "--packing")[0] == 0
    code, told = run(doctor.doctor, prepared, "--workers", 1)
    assert "train index: 89 windows, as many as train.parquet makes" in told


def test_training_reads_a_prepared_folder(prepared):
    module = EdenDataModule(data_dir=str(prepared), index="arrow", seq_length=512, num_workers=0)
    assert len(module.dataset("train")) == len(ArrowIndex(str(prepared / "train_windows.arrow")))
    shorter = EdenDataModule(data_dir=str(prepared), index="arrow", seq_length=128, window_size=128, num_workers=0)
    assert shorter.dataset("train").locate([0]).lengths.tolist() == [126]
    assert len(EdenDataModule(data_dir=str(prepared), seq_length=512).dataset("train")) == len(module.dataset("train"))
    with pytest.raises(errors.ConfigurationError, match="prepared with index='arrow', and index='sqlite' is asked for"):
        EdenDataModule(data_dir=str(prepared), index="sqlite", seq_length=512)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Splits of whole contigs, and indexes of both kinds."""
    out = make_folder(tmp_path / "data", (300, 900, 1500, 2000))
    tables = [out / "train.parquet", out / "validation.parquet"]
    tiling = ["--window-size", 512, "--stride", 480, "--keep-tail"]
    run(precompute.precompute_command, *tables, "--out", out, "--index", "arrow", "--workers", 1, *tiling)
    return out


def test_the_same_command_keeps_an_index(folder):
    command = [folder / "train.parquet", folder / "train_windows.arrow", "--index", "arrow", "--skip-existing"]
    command += ["--window-size", 512, "--stride", 480, "--keep-tail"]
    assert "is there already, and the same" in run(precompute.precompute_command, *command)[1]


def test_a_folder_with_both_is_told_of(folder):
    assert index_plugin(folder) == "sqlite"
    code, told = run(verify.verify_command, folder, "--workers", 1)
    assert f"{folder / 'train_windows.arrow'} is not checked: of indexes, those of --index sqlite are" in told
    code, told = run(verify.verify_command, folder, "--workers", 1, "--index", "arrow")
    assert code == 0
    assert f"{folder / 'train_windows.db'} is not checked: of indexes, those of --index arrow are" in told
    assert "\nnothing is wrong\n" in told
    for path in folder.glob("*.db"):
        path.unlink()
    assert index_plugin(folder) == "arrow"
    assert sorted(index_files(folder, "arrow")) == ["train", "validation"]


def test_verify_finds_damage_and_says_how_to_mend_it(folder):
    path = folder / "train_windows.arrow"
    table = pq.read_table(folder / "train.parquet")
    length = table["length"][0].as_py().to_bytes(8, "little")
    path.write_bytes(path.read_bytes().replace(length, (299).to_bytes(8, "little"), 1))
    code, told = run(verify.verify_command, folder, "--workers", 1, "--index", "arrow")
    assert code == 1
    assert f"damaged-index: {path}" in told
    assert f"eden-precompute {folder / 'train.parquet'} {path}" in told
    assert "--index arrow --force" in told


def test_both_kinds_read_the_same_windows(folder):
    plugins = installed_plugins()
    with (
        plugins.index("sqlite", str(folder / "train_windows.db")) as plain,
        ArrowIndex(str(folder / "train_windows.arrow")) as index,
    ):
        windows = np.arange(len(plain))
        assert index.lookup(windows).sequence_ids == plain.lookup(windows).sequence_ids
        assert index.tiling == plain.tiling == Tiling(512, 480, keep_tail=True)
