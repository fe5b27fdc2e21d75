import os
import shutil
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from eden_core import errors
from eden_core.importing import folder as import_folder
from eden_core.importing import import_files
from eden_core.importing import task as import_task
from eden_core.importing.folder import ImportFolder
from eden_core.importing.source_files import SourceFile, find_source_files
from eden_core.importing.task import ImportOptions
from eden_core.plugins import installed_plugins


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "abc":
        (tmp_path / f"{name}.fa").write_text(f">1\nACGTNN{'a' * ord(name)}\n>2\nGG\n")
    return tmp_path


def run(*names, out="out", force=False, **options):
    executor = installed_plugins().executor("local", {"workers": 1})
    files = find_source_files(names)
    return import_files(files, out, options=ImportOptions(**options), executor=executor, force=force)


def contents(folder) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def samples(out) -> list[str]:
    return pq.read_table(out / "contigs.parquet")["sample"].to_pylist()


@contextmanager
def interrupted_at(monkeypatch, sample):
    """An import fails at a sample as if the machine had gone."""
    write = import_task.Receipt.write

    def failing(self, path):
        if self.source.sample == sample:
            raise KeyboardInterrupt
        write(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(import_task.Receipt, "write", failing)
        with pytest.raises(KeyboardInterrupt):
            yield


@pytest.fixture
def inline(monkeypatch):
    """Tasks run in this process, one after another, so that they can be interrupted."""
    monkeypatch.setattr("eden_core.importing.run_tasks", lambda function, tasks, _executor: ((t, function(t)) for t in tasks))


def test_the_same_command_again_does_nothing(sources):
    run("a.fa", "b.fa")
    before = {path: path.stat().st_mtime_ns for path in (sources / "out").rglob("*")}
    assert run("a.fa", "b.fa").unchanged == 2
    assert {path: path.stat().st_mtime_ns for path in (sources / "out").rglob("*")} == before


def test_an_interrupted_import_goes_on(sources, inline, monkeypatch):
    run("a.fa", "b.fa", "c.fa", out="whole")
    with interrupted_at(monkeypatch, "b"):
        run("a.fa", "b.fa", "c.fa")
    assert not (sources / "out" / "contigs.parquet").exists()
    assert run("a.fa", "b.fa", "c.fa").unchanged == 1
    assert contents(sources / "out") == contents(sources / "whole")


def test_other_files_join(sources):
    run("a.fa", "b.fa", "c.fa", out="whole")
    run("b.fa")
    run("a.fa", "c.fa")
    assert contents(sources / "out") == contents(sources / "whole")


def test_a_changed_source_is_noticed(sources):
    run("a.fa")
    (sources / "a.fa").write_text(">1\nA\n")
    with pytest.raises(errors.OutputExistsError, match=r"a\.fa has changed since sample 'a' was imported.*--force"):
        run("a.fa")
    run("a.fa", force=True)
    assert pq.read_table("out/contigs.parquet")["length"].to_pylist() == [1]


def test_a_source_that_changed_while_an_import_was_interrupted(sources, inline, monkeypatch):
    with interrupted_at(monkeypatch, "b"):
        run("a.fa", "b.fa")
    os.utime("a.fa", ns=(1, 1))
    with pytest.raises(errors.OutputExistsError, match=r"a\.fa has changed"):
        run("a.fa", "b.fa")


def test_another_file_of_a_sample_that_is_there(sources):
    run("a.fa")
    (sources / "other").mkdir()
    shutil.copy(sources / "b.fa", sources / "other" / "a.fa")
    with pytest.raises(errors.OutputExistsError, match=r"from a\.fa, and other/a\.fa claims it too"):
        run("other/a.fa")


def test_an_import_with_other_settings(sources):
    run("a.fa")
    with pytest.raises(errors.OutputExistsError, match="holds another import.*min_length 0, not 3"):
        run("b.fa", min_length=3)
    run("b.fa", min_length=3, force=True)
    assert samples(sources / "out") == ["a", "a", "b"]


def test_an_unfinished_import_of_other_files(sources, inline, monkeypatch):
    with interrupted_at(monkeypatch, "b"):
        run("a.fa", "b.fa")
    with pytest.raises(errors.OutputExistsError, match="unfinished import of other files"):
        run("c.fa")
    run("c.fa", force=True)
    assert samples(sources / "out") == ["c", "c"]
    assert not (sources / "out" / "a").exists()


def test_a_table_that_others_wrote_is_not_replaced(sources):
    (sources / "out").mkdir()
    shutil.copy(sources / "a.fa", sources / "out" / "contigs.parquet")
    before = contents(sources / "out")
    with pytest.raises(errors.InputError):
        run("a.fa")
    pq.write_table(pq.read_table(_imported(sources) / "contigs.parquet"), sources / "out" / "contigs.parquet")
    before = contents(sources / "out")
    with pytest.raises(errors.OutputExistsError, match="eden import did not write it"):
        run("a.fa", force=True)
    assert contents(sources / "out") == before


def _imported(folder):
    run("a.fa", out="elsewhere")
    return folder / "elsewhere"


def test_a_lost_table_of_runs(sources):
    run("a.fa")
    (sources / "out" / "n_runs.parquet").unlink()
    with pytest.raises(errors.InputError, match=r"lacks n_runs\.parquet"):
        run("b.fa")


def test_a_lost_shard_is_written_again(sources):
    run("a.fa", "b.fa")
    before = contents(sources / "out")
    shutil.rmtree(sources / "out" / "b")
    assert run("a.fa", "b.fa").unchanged == 1
    assert contents(sources / "out") == before


@pytest.mark.parametrize("force", [False, True])
def test_a_damaged_shard_is_written_again(sources, force):
    run("a.fa", "b.fa")
    before = contents(sources / "out")
    shard = sources / "out" / "b" / "glm_dataset_b.sqlite"
    shard.write_bytes(shard.read_bytes()[:3000])
    assert run("a.fa", "b.fa", force=force).unchanged == (0 if force else 1)
    assert contents(sources / "out") == before


def test_files_that_cannot_be_imported_do_not_stop_the_others(sources):
    good = (sources / "b.fa").read_text()
    (sources / "b.fa").write_text("no FASTA")
    (sources / "c.fa").write_text(">1\nAC!T\n")
    with pytest.raises(errors.InputError, match=r"2 of 3 files cannot be imported:\n  b\.fa: line 1.*\n  c\.fa: line 2"):
        run("a.fa", "b.fa", "c.fa")
    assert not (sources / "out" / "contigs.parquet").exists()
    (sources / "b.fa").write_text(good)
    (sources / "c.fa").write_text(">1\nACT\n")
    assert run("a.fa", "b.fa", "c.fa").unchanged == 1
    assert samples(sources / "out") == ["a", "a", "b", "b", "c"]


def test_when_no_file_can_be_imported_nothing_is_left(sources):
    (sources / "a.fa").write_text("no FASTA")
    (sources / "b.fa").write_text(">1\nAC!T\n")
    with pytest.raises(errors.InputError, match="2 of 2"):
        run("a.fa", "b.fa")
    assert not (sources / "out").exists()


def test_all_files_are_listed(sources):
    run("a.fa", "b.fa")
    rows = pq.read_table("out/sources.parquet").to_pylist()
    assert [(row["path"], row["sample"], row["tag"], row["contigs"], row["location"]) for row in rows] == [
        ("a.fa", "a", "A", 2, "a/glm_dataset_a.sqlite"),
        ("b.fa", "b", "B", 2, "b/glm_dataset_b.sqlite"),
    ]
    assert rows[0]["bytes"] == (sources / "a.fa").stat().st_size


def test_tasks_are_found_from_other_folders(sources):
    folder = ImportFolder(Path("out"), "sqlite-shards", ImportOptions(dedup=True))
    source = SourceFile("a.fa", "a", "A")
    task = folder.task(source)
    for place in (task.out, task.part, task.duplicates, folder.digests(source)):
        assert Path(place).is_absolute()


def test_with_dedup_no_file_joins_an_interrupted_import(sources, inline, monkeypatch):
    with interrupted_at(monkeypatch, "c"):
        run("b.fa", "c.fa", dedup=True)
    with pytest.raises(errors.OutputExistsError, match="unfinished import of other files"):
        run("a.fa", "b.fa", "c.fa", dedup=True)
    assert run("b.fa", "c.fa", dedup=True).unchanged == 1


def test_a_replacement_that_was_interrupted_is_not_given_up(sources, inline, monkeypatch):
    run("a.fa")
    (sources / "a.fa").write_text(">1\nGGGGGGGG\n")
    with interrupted_at(monkeypatch, "a"):
        run("a.fa", "c.fa", force=True)
    with pytest.raises(errors.OutputExistsError, match="was replacing sample 'a'"):
        run("b.fa", force=True)
    run("a.fa", "b.fa", force=True)
    run("a.fa", "b.fa", out="whole")
    assert contents(sources / "out") == contents(sources / "whole")


def test_a_replacement_that_was_interrupted_goes_on_without_force(sources, inline, monkeypatch):
    run("a.fa")
    (sources / "a.fa").write_text(">1\nGGGGGGGG\n")
    with interrupted_at(monkeypatch, "a"):
        run("a.fa", force=True)
    run("a.fa")
    run("a.fa", out="whole")
    assert contents(sources / "out") == contents(sources / "whole")


def test_an_import_is_given_up_at_once(sources, inline, monkeypatch):
    with interrupted_at(monkeypatch, "b"):
        run("a.fa", "b.fa")
    with monkeypatch.context() as patch:
        patch.setattr(import_folder.shutil, "rmtree", _stops_at_notes(shutil.rmtree))
        with pytest.raises(KeyboardInterrupt):
            run("c.fa", force=True, min_length=4)
    run("c.fa")
    assert samples(sources / "out") == ["c", "c"]


def _stops_at_notes(remove):
    """Removing the notes of an import begins with its plan, and is interrupted."""

    def removing(folder, **options):
        plan = Path(folder) / "plan.json"
        if plan.exists():
            plan.unlink()
            raise KeyboardInterrupt
        remove(folder, **options)

    return removing


def test_a_pipe_is_never_unchanged(sources):
    os.mkfifo("p.fa")
    writer = threading.Thread(target=lambda: Path("p.fa").write_text(">1\nACGT\n"), daemon=True)
    writer.start()
    run("p.fa")
    writer.join()
    with pytest.raises(errors.OutputExistsError, match=r"p\.fa cannot be compared"):
        run("p.fa")


def test_equal_sequences_are_not_looked_for_in_a_pipe(sources):
    os.mkfifo("p.fa")
    with pytest.raises(errors.ConfigurationError, match=r"p\.fa can be read once"):
        run("p.fa", dedup=True)


def test_goes_on_with_many_files_in_no_time(tmp_path):
    folder = ImportFolder(tmp_path, "sqlite-shards", ImportOptions())
    files = [SourceFile(f"{number}.fa", f"s{number}", "T") for number in range(20_000)]
    folder.begin(files, force=False)
    started = time.process_time()
    folder.begin(files[::-1], force=False)
    assert time.process_time() - started < 5


def test_a_file_that_cannot_be_imported_may_be_left_out(sources):
    (sources / "b.fa").write_bytes(b"")
    with pytest.raises(errors.InputError, match=r"b\.fa is empty"):
        run("a.fa", "b.fa", "c.fa")
    assert run("a.fa", "c.fa").unchanged == 2


def test_tasks_of_a_relative_folder_are_those_of_any_process(sources):
    folder = ImportFolder(Path("out"), "sqlite-shards", ImportOptions(dedup=True))
    [file] = find_source_files(["a.fa"])
    task = folder.task(file)
    places = [task.part, task.duplicates, task.out, str(folder.digests(file))]
    assert all(place.startswith(str(sources)) for place in places)
