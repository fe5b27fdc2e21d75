import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain import write_runs, write_seed_index, write_seed_shard

from eden_core import errors
from eden_core.inspecting.describing import Lookup, describe
from eden_core.precompute import precompute
from eden_core.splitting import split_contigs
from eden_core.splitting.rules import SplitRules
from eden_core.tiling import Tiling

LONG = "ACGT" * 20_000


def table(path, **columns):
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture
def contigs(tmp_path):
    letters = {name: [100, 200] if name in "AC" else [0, 0] for name in ("A", "C", "G", "T", "N", "other", "lower")}
    names = {"contig_id": ["BCR__E-S1__1", "VIR__E-S2__1"], "sample": ["S1", "S2"], "tag": ["BCR", "VIR"]}
    return table(tmp_path / "contigs.parquet", **names, length=[200, 400], **letters)


def test_a_store_alone_is_listed(small, tmp_path):
    for name in ("S0", "S1", "S2"):
        (tmp_path / name).symlink_to(small.directory / name)
    found = describe(tmp_path)
    assert (found.kind, found.facts["shards"], found.facts["shards listed"]) == ("store", 3, 3)
    assert found.contigs.lengths.bases == sum(map(len, small.sequences.values()))
    assert found.following == (f"eden contigs --store sqlite-shards {tmp_path}",)


def test_of_many_shards_some_are_listed(tmp_path, monkeypatch):
    for i in range(6):
        write_seed_shard(tmp_path, f"S{i}", {f"BCR__E-S{i}__1": "ACGT"})
    monkeypatch.setattr("eden_core.inspecting.store_contents.LISTED_SHARDS", 3)
    found = describe(tmp_path)
    assert (found.facts["shards listed"], found.facts["contigs, estimated"], found.facts["bases, estimated"]) == (3, 6, 24)
    assert found.bytes == 6 * 12_288
    every = describe(tmp_path, Lookup(all_shards=True))
    assert (every.facts["shards listed"], every.contigs.contigs) == (6, 6)


def test_shards_that_a_table_lists_are_not_opened(tmp_path, contigs):
    for name in ("S1", "S2"):
        write_seed_shard(tmp_path, name, {f"BCR__E-{name}__1": "ACGT"}).write_bytes(b"broken")
    store, listed = describe(tmp_path).parts
    assert (store.facts, store.contigs) == ({"shards": 2}, None)
    assert listed.contigs.contigs == 2


def test_slow_shards_are_to_be_optimized(tmp_path):
    path = write_seed_shard(tmp_path, "S1", {"BCR__E-S1__1": LONG})
    assert describe(tmp_path).following[-1] == f"eden optimize {tmp_path}"
    assert describe(path).following == (f"eden optimize {tmp_path}",)


def test_a_shard(small):
    found = describe(small.directory / "S1" / "glm_dataset_S1.sqlite")
    assert (found.kind, found.facts["sample"], found.contigs.contigs) == ("shard", "S1", 7)


def test_a_shard_out_of_its_place(tmp_path):
    path = write_seed_shard(tmp_path, "S1", {"BCR__E-S1__1": "ACGT"}).rename(tmp_path / "glm_dataset_S1.sqlite")
    assert "belongs at DIR/S1/glm_dataset_S1.sqlite" in describe(path).facts["note"]


def test_a_damaged_shard(tmp_path):
    path = write_seed_shard(tmp_path, "S1", {"BCR__E-S1__1": LONG})
    path.with_name(f"{path.name}-wal").write_bytes(b"x")
    with pytest.raises(errors.FormatError, match="is being written"):
        describe(path)
    path.write_bytes(path.read_bytes()[:-4096])
    with pytest.raises(errors.InputError, match="database that cannot be read"):
        describe(path)


def test_a_damaged_file_in_a_folder_is_named(tmp_path, contigs):
    (tmp_path / "train_windows.db").write_bytes(b"SQLite format 3\0")
    (tmp_path / "train.parquet").write_bytes(b"PAR1")
    (tmp_path / "notes.txt").write_text("hello")
    found = describe(tmp_path)
    assert [part.kind for part in found.parts] == ["table of contigs"]
    table_said, index_said = found.facts["not read"]
    assert f"{tmp_path}/train.parquet is a Parquet table that cannot be read" in table_said
    assert f"{tmp_path}/train_windows.db is an SQLite database that cannot be read" in index_said


def test_a_table_of_contigs(contigs):
    found = describe(contigs)
    assert (found.kind, found.contigs.tags, found.contigs.composition.gc) == ("table of contigs", {"BCR": 1, "VIR": 1}, 0.5)
    assert found.following[0].startswith("eden-precompute ")  # two contigs are too few to split


def test_many_contigs_are_to_be_split(tmp_path):
    path = table(tmp_path / "c.parquet", contig_id=[f"BCR__E-S1__{i}" for i in range(50)], length=[100] * 50)
    assert describe(path).following == (f"eden split {path} --out {tmp_path}",)


def test_a_split(tmp_path):
    path = table(tmp_path / "test.parquet", contig_id=["a", "a"], length=[5, 6], start=[0, 10])
    found = describe(path)
    assert (found.kind, found.contigs.lengths.bases) == ("split", 11)
    assert found.following == (f"eden-precompute {path} {tmp_path}/test_windows.db",)


def test_an_index_of_another_name(tmp_path):
    path = write_seed_index(tmp_path / "w.db", {"BCR__E-S1__1": 500}, 100, 90)
    found = describe(path)
    assert (found.kind, found.contigs.windows, found.contigs.lengths) == ("index", 5, None)
    assert found.following == (f"EdenDataModule(sequence_db_dir='{tmp_path}', train_window_db_path='{path}', seq_length=100)",)


def test_an_index_of_many_shards_does_not_list_them(tmp_path, monkeypatch):
    for i in range(3):
        write_seed_shard(tmp_path, f"S{i}", {f"BCR__E-S{i}__1": "ACGT" * 50})
    path = write_seed_index(tmp_path / "train_windows.db", {f"BCR__E-S{i}__1": 200 for i in range(3)}, 100, 90)
    assert describe(path).contigs.lengths.bases == 600
    monkeypatch.setattr("eden_core.inspecting.store_contents.LISTED_SHARDS", 2)
    assert describe(path).contigs.lengths is None
    assert describe(path, Lookup(all_shards=True)).contigs.lengths.bases == 600


def test_runs(tmp_path):
    write_runs(tmp_path / "n_runs.parquet", [("a", (pa.array([0, 9]).to_numpy(), pa.array([5, 10]).to_numpy()))])
    found = describe(tmp_path / "n_runs.parquet")
    assert (found.facts, "max_n_fraction" in found.following[0]) == ({"runs": 2, "bases": 6}, True)


def test_a_folder_of_a_run(tmp_path):
    (tmp_path / "eden-run.jsonl").touch()
    (tmp_path / "last.ckpt").write_bytes(b"\0" * 100)
    found = describe(tmp_path)
    assert (found.kind, found.following) == ("run", (f"eden replay --run {tmp_path}/eden-run.jsonl --step N",))


def test_a_folder_of_genomes(tmp_path, lambda_fasta):
    for name in ("a.fa", "b.fa"):
        (tmp_path / name).write_text(">c\nACGT\n")
    (tmp_path / "notes.txt").write_text("hello")
    found = describe(tmp_path)
    assert (found.facts, found.bytes) == ({"FASTA files": 2}, 16)
    assert found.following == (f"eden import {tmp_path} --out DIR",)
    assert describe(lambda_fasta).facts["read"] == "its beginning only"


def test_what_comes_next_in_a_data_folder(tmp_path, contigs):
    write_seed_shard(tmp_path, "S1", {"BCR__E-S1__1": "ACGT"})
    assert describe(tmp_path).following == (f"eden split {contigs} --out {tmp_path}",)
    table(tmp_path / "train.parquet", contig_id=["BCR__E-S1__1"], length=[4])
    assert describe(tmp_path).following == (f"eden-precompute {tmp_path}/train.parquet {tmp_path}/train_windows.db",)
    write_seed_index(tmp_path / "train_windows.db", {"BCR__E-S1__1": 200}, 100, 90)
    found = describe(tmp_path)
    assert found.following == (f"EdenDataModule(data_dir='{tmp_path}', seq_length=100)", f"eden doctor {tmp_path}")
    assert [part.kind for part in found.parts] == ["store", "table of contigs", "split", "index"]
    (tmp_path / "eden-run.jsonl").touch()
    assert describe(tmp_path).following[-1] == f"eden replay --run {tmp_path} --step N"


def test_a_folder_of_nothing(tmp_path):
    with pytest.raises(errors.InputError, match=r"holds no index, no store and no table .*\. Eden takes"):
        describe(tmp_path)


def test_the_files_of_a_split_by_region(tmp_path):
    path = table(tmp_path / "contigs.parquet", contig_id=["c"], length=[5000])
    split_contigs(path, tmp_path, SplitRules(0.5, 0.5, 0, by="region", block=1000, guard=0))
    precompute(tmp_path / "train.parquet", tmp_path / "train_windows.db", Tiling(100, 90))
    report = describe(tmp_path / "split_report.json")
    assert (report.kind, report.following) == ("report of a split", ())
    assert report.facts["train"].endswith(" bases")
    assert describe(tmp_path / "train.parquet").facts["rows"].startswith("regions of contigs")
    assert describe(tmp_path / "train_windows.db").facts["of"].startswith("regions of contigs")
    assert "rows" not in describe(path).facts
