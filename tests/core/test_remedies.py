import json
import shlex
import shutil
import sqlite3
from contextlib import closing

import pytest
import typer
from data_folders import bases_of, shard
from in_threads import InThread
from typer.testing import CliRunner

from eden_core.cli.import_ import import_command
from eden_core.cli.precompute import precompute_command as precompute_cli
from eden_core.cli.split import split_command
from eden_core.importing import import_files
from eden_core.importing.source_files import SourceFile, find_source_files
from eden_core.importing.task import ImportOptions
from eden_core.precompute import precompute
from eden_core.records import RecordFields
from eden_core.remedies import Remedies, precompute_command, prepared_tiling
from eden_core.splitting import split_contigs
from eden_core.splitting.rules import SplitRules
from eden_core.tiling import Tiling
from eden_core.verifying import verify


@pytest.fixture
def folder(tmp_path):
    """Two samples, imported with options from JSON Lines, divided by regions."""
    for sample in ("a", "b"):
        records = [{"seq": "ACGTTGCA" * n, "name": f"c{n}"} for n in (3, 3000, 4000)]
        (tmp_path / f"{sample}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    options = ImportOptions(min_length=100, fields=RecordFields("seq", "name"))
    files = [SourceFile(str(tmp_path / f"{sample}.jsonl"), sample, "PLN") for sample in ("a", "b")]
    import_files(files, tmp_path / "data", options=options)
    return tmp_path / "data"


def run(command, line: str) -> None:
    app = typer.Typer()
    app.command()(command)
    words = shlex.split(line)
    skipped = 1 if words[0] == "eden-precompute" else 2
    done = CliRunner().invoke(app, words[skipped:], catch_exceptions=False)
    assert done.exit_code == 0, done.stdout


def test_a_sample_is_imported_again_as_it_was(folder):
    before, table = bases_of(folder), (folder / "contigs.parquet").read_bytes()
    with closing(sqlite3.connect(shard(folder, "b"))) as connection, connection:
        connection.execute("UPDATE sequences SET nt_sequence = replace(nt_sequence, 'A', 'C')")
    [problem] = verify(folder, InThread()).problems
    run(import_command, problem.remedy)
    assert bases_of(folder) == before
    assert (folder / "contigs.parquet").read_bytes() == table


def test_contigs_are_divided_again_as_they_were(folder):
    rules = SplitRules(0.6, 0.2, 0.2, by="region", block=1000, guard=100, seed=3, exclude=("PLN__*a__c4000",))
    split_contigs(folder / "contigs.parquet", folder, rules)
    before = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    (folder / "test.parquet").write_bytes((folder / "train.parquet").read_bytes())
    problems = [one for one in verify(folder, InThread()).problems if one.kind == "split-overlap"]
    run(split_command, problems[0].remedy)
    assert {path.name: path.read_bytes() for path in folder.glob("*.parquet")} == before


def test_an_index_of_regions_is_not_taken_for_one_of_all_contigs_when_its_split_is_gone(folder):
    """It would be built again from held-out bases too."""
    split_contigs(folder / "contigs.parquet", folder, SplitRules(0.6, 0.2, 0.2, by="region", block=1000, guard=100))
    precompute(folder / "train.parquet", folder / "train_windows.db", Tiling(64, 60))
    before = (folder / "train_windows.db").read_bytes()
    (folder / "train.parquet").unlink()
    [problem] = verify(folder, InThread()).problems
    assert problem.what == f"it is of intervals of contigs, and no {folder}/train.parquet says which"
    divide, build = problem.remedy.split(", then ")
    run(split_command, divide)
    run(precompute_cli, build)
    assert (folder / "train_windows.db").read_bytes() == before


def test_without_tables_of_their_making_commands_name_what_they_lack(tmp_path):
    remedies = Remedies(tmp_path)
    assert f"eden contigs {tmp_path} --digests --force" in remedies.importing("s", force=False)
    assert remedies.splitting() == f"eden split {tmp_path}/contigs.parquet --out {tmp_path} --force"
    assert precompute_command("t", tmp_path / "i", "sqlite", None).endswith("--window-size N --stride N --force")


def test_a_damaged_table_of_runs_is_written_again(folder):
    before = (folder / "n_runs.parquet").read_bytes()
    (folder / "n_runs.parquet").write_bytes(before[:100])
    [problem] = verify(folder, InThread()).problems
    run(import_command, problem.remedy)
    assert (folder / "n_runs.parquet").read_bytes() == before


def write_manifest(folder, tiling: dict) -> None:
    text = json.dumps({"store": "sqlite-shards", "index": "sqlite", "splits": {}, "plan": {}, "tiling": tiling})
    (folder / "eden.json").write_text(text)


@pytest.mark.parametrize("tiling", [{"window_size": 0, "stride": 1}, {"window": 3}, {}])
def test_a_manifest_without_a_tiling_that_can_be_used(tmp_path, tiling):
    write_manifest(tmp_path, tiling)
    assert prepared_tiling(tmp_path) is None


def test_an_index_of_another_tiling_than_the_folder_was_prepared_with(folder):
    split_contigs(folder / "contigs.parquet", folder, SplitRules(0.5, 0.5, 0))
    write_manifest(folder, {"window_size": 64, "stride": 60, "min_length": 20, "keep_tail": True, "reserve": 10})
    for split, size in (("train", 64), ("validation", 128)):
        precompute(folder / f"{split}.parquet", folder / f"{split}_windows.db", Tiling(size, 54, 20, True, 10))
    problems = {one.where: one for one in verify(folder, InThread()).problems}
    assert {one.kind for one in problems.values()} == {"index-tiling"}
    for one in problems.values():
        run(precompute_cli, one.remedy)
    found = verify(folder, InThread())
    assert not found.problems
    assert not found.notes


@pytest.fixture
def two_sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.fa").write_text(f">1\nACGTNN{name}\n>2\nGG\n")
    return tmp_path


def import_two(names, tag="META", **options):
    import_files(find_source_files(names, tag=tag), "out", options=ImportOptions(**options), executor=InThread())


def test_with_duplicates_the_import_is_given_again(two_sources):
    import_two(["a.fa", "b.fa"], dedup=True)
    contigs = (two_sources / "out" / "contigs.parquet").read_bytes()
    remove, _, after = Remedies("out").importing("a").partition(", and then ")
    assert remove == "rm -f out/a/glm_dataset_a.sqlite"
    assert "a.fa" in after
    (two_sources / "out/a/glm_dataset_a.sqlite").unlink()
    import_two(["a.fa", "b.fa"], dedup=True)
    assert (two_sources / "out/a/glm_dataset_a.sqlite").exists()
    assert (two_sources / "out" / "contigs.parquet").read_bytes() == contigs


def test_shards_that_were_not_imported_are_copied(two_sources):
    import_two(["a.fa"])
    (two_sources / "out" / "sources.parquet").unlink()
    assert Remedies("out").importing("a").startswith("copy the shard there again")
    shutil.rmtree("out")
    assert "eden contigs out --digests --force" in Remedies("out").importing("a")
