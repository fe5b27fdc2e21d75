import shlex
import shutil

import pytest
from in_threads import InThread

from eden_core.import_again import import_again
from eden_core.import_task import ImportOptions
from eden_core.importing import import_files
from eden_core.source_files import find_source_files


@pytest.fixture
def sources(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in "ab":
        (tmp_path / f"{name}.fa").write_text(f">1\nACGTNN{name}\n>2\nGG\n")
    return tmp_path


def run(names, tag="META", **options):
    import_files(find_source_files(names, tag=tag), "out", options=ImportOptions(**options), executor=InThread())


def test_the_command_has_source_tag_and_settings(sources):
    run(["a.fa", "b.fa"], min_length=3)
    words = shlex.split(import_again("out", "a"))
    assert words == shlex.split("eden import a.fa --out out --sample a --tag META --min-length 3 --force")


def test_with_duplicates_the_import_is_given_again(sources):
    run(["a.fa", "b.fa"], dedup=True)
    contigs = (sources / "out" / "contigs.parquet").read_bytes()
    remove, _, after = import_again("out", "a").partition(", and then ")
    assert remove == "rm -f out/a/glm_dataset_a.sqlite"
    assert "a.fa" in after
    (sources / "out/a/glm_dataset_a.sqlite").unlink()
    run(["a.fa", "b.fa"], dedup=True)
    assert (sources / "out/a/glm_dataset_a.sqlite").exists()
    assert (sources / "out" / "contigs.parquet").read_bytes() == contigs


def test_shards_that_were_not_imported_are_copied(sources):
    run(["a.fa"])
    (sources / "out" / "sources.parquet").unlink()
    assert import_again("out", "a").startswith("copy the shard there again")
    shutil.rmtree("out")
    assert "eden contigs out --digests --force" in import_again("out", "a")
