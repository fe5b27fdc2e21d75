import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from data_folders import SAMPLES, bases_of, execute, make_folder, shard
from in_threads import InThread
from plain import write_seed_shard

from eden_core.contigs import DETAILS
from eden_core.errors import FormatError, InputError, OutputExistsError, ShardNotFoundError
from eden_core.listing import LISTED, list_contigs, listed_at


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_folder(tmp_path_factory.mktemp("made") / "data")


def test_the_table_is_the_one_an_import_writes(made, tmp_path):
    wanted = pq.read_table(made / "contigs.parquet")
    summary = list_contigs(made, InThread(), out=tmp_path / "t.parquet", digests=True)
    found = pq.read_table(tmp_path / "t.parquet")
    assert found.schema.equals(DETAILS)
    assert found.drop_columns("source").equals(wanted.drop_columns("source"))
    assert set(found["source"].to_pylist()) == {str(shard(made, sample)) for sample in SAMPLES}
    assert (summary.samples, summary.contigs, summary.bases) == (3, 21, sum(map(len, bases_of(made).values())))


def test_without_digests_no_bases_are_read(made, tmp_path):
    list_contigs(made, InThread(), out=tmp_path / "t.parquet")
    found = pq.read_table(tmp_path / "t.parquet")
    assert found.schema.equals(LISTED)
    assert found.equals(pq.read_table(made / "contigs.parquet").select(LISTED.names))
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_ids_come_in_byte_order_across_samples(tmp_path):
    draw = random.Random(5)
    for i in range(40):
        names = {f"{draw.choice('ABCaé')}__X-S{i}__c{n}": "ACGT" * n for n in range(9)}
        write_seed_shard(tmp_path, f"S{i}", names)
    list_contigs(tmp_path, InThread())
    table = pq.read_table(tmp_path / "contigs.parquet")
    assert table["contig_id"].to_pylist() == sorted(bases_of(tmp_path), key=str.encode)


def test_a_single_shard_of_ids_without_sample(tmp_path):
    write_seed_shard(tmp_path, "all", {"chr1": "ACGT", "chr2": ""})
    list_contigs(tmp_path, InThread(), digests=True)
    rows = pq.read_table(tmp_path / "contigs.parquet").to_pylist()
    assert [(row["contig_id"], row["length"], row["sample"], row["tag"]) for row in rows] == [
        ("chr1", 4, "all", ""),
        ("chr2", 0, "all", ""),
    ]


def test_a_contig_in_two_shards_names_both(tmp_path):
    for sample in ("S1", "S2"):
        write_seed_shard(tmp_path, sample, {"B__X-S1__c1": "ACGT", f"B__X-{sample}__c2": "A"})
    with pytest.raises(InputError, match=r"B__X-S1__c1.*'S1'.*'S2'"):
        list_contigs(tmp_path, InThread())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["S1", "S2"]


def test_an_existing_table_stays(tmp_path):
    write_seed_shard(tmp_path, "S1", {"B__X-S1__c1": "ACGT"})
    list_contigs(tmp_path, InThread())
    with pytest.raises(OutputExistsError, match="--force"):
        list_contigs(tmp_path, InThread())
    execute(shard(tmp_path, "S1"), "DELETE FROM sequences")
    assert list_contigs(tmp_path, InThread(), force=True).contigs == 0


def test_damage_is_an_error_and_leaves_nothing(tmp_path):
    write_seed_shard(tmp_path, "S1", {"B__X-S1__c1": "ACGT"})
    shard(tmp_path, "S1").write_bytes(b"")
    with pytest.raises(FormatError, match="is empty"):
        list_contigs(tmp_path, InThread())
    write_seed_shard(tmp_path, "S2", {"B__X-S2__c1": "AC\0T"})
    shard(tmp_path, "S1").unlink()
    with pytest.raises(InputError, match="NUL bytes, the first at position 2"):
        list_contigs(tmp_path, InThread(), digests=True)
    assert not (tmp_path / "contigs.parquet").exists()


def test_no_shards(tmp_path):
    with pytest.raises(ShardNotFoundError, match="no shards"):
        list_contigs(tmp_path, InThread())


def test_the_table_of_a_file_lies_beside_it(tmp_path):
    (tmp_path / "genome.fa").touch()
    assert listed_at(tmp_path) == listed_at(tmp_path / "genome.fa") == tmp_path / "contigs.parquet"
