import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from data_folders import (
    TILING,
    bases_of,
    build_indexes,
    execute,
    import_sample,
    make_folder,
    random_bases,
    shard,
)
from in_threads import InThread
from plain import write_seed_shard

from eden_core import Tiling
from eden_core.digests import ContigDigests
from eden_core.errors import ConfigurationError, InputError
from eden_core.listing import list_contigs
from eden_core.precompute import precompute
from eden_core.splitting import split_contigs
from eden_core.splitting.rules import SplitRules
from eden_core.verifying import verify

C3 = "BAC__FASTA-s2__c3"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_folder(tmp_path_factory.mktemp("made") / "data")


@pytest.fixture
def folder(made, tmp_path) -> Path:
    return shutil.copytree(made, tmp_path / "data")


@pytest.fixture(scope="module")
def holed(tmp_path_factory) -> Path:
    """A long contig with 1 MiB of zeros in the middle of its file."""
    folder = tmp_path_factory.mktemp("holed") / "data"
    import_sample(folder, "s1", {"long": random_bases(random.Random(1), 50_000) * 50, "short": "ACGT" * 50})
    with shard(folder, "s1").open("r+b") as file:
        file.seek(1 << 20)
        file.write(bytes(1 << 20))
    return folder


def checked(folder, **options):
    return verify(folder, InThread(), **options)


def kinds(folder, **options) -> set[tuple[str, str]]:
    """(kind, last part of the place) of all problems."""
    return {(one.kind, Path(one.where).name) for one in checked(folder, **options).problems}


def change(folder, sql, sample="s2"):
    execute(shard(folder, sample), sql)


def rewrite(path: Path, change) -> None:
    pq.write_table(change(pq.read_table(path)), path)


def set_bases_digests(folder) -> None:
    """Write the metadata that says of which bases an index was built."""
    join_digests(folder)
    for split in ("train", "validation"):
        digests = ContigDigests()
        for batch in pq.ParquetFile(folder / f"{split}.parquet").iter_batches():
            digests.add(batch)
        insert = ("INSERT OR REPLACE INTO metadata VALUES ('bases_digest', ?)", (digests.bases,))
        execute(folder / f"{split}_windows.db", insert)


def join_digests(folder) -> None:
    """Write the digests of contigs into their splits."""
    digests = pq.read_table(folder / "contigs.parquet", columns=["contig_id", "digest"])
    for split in ("train", "validation"):
        table = pq.read_table(folder / f"{split}.parquet", columns=["contig_id", "length"])
        pq.write_table(table.join(digests, "contig_id").sort_by("contig_id"), folder / f"{split}.parquet")


def test_a_clean_folder(folder):
    result = checked(folder)
    assert result.problems == []
    assert (result.samples, result.shards, result.samples_read, result.contigs_read) == (3, 3, 3, 21)
    assert result.bases_read == sum(map(len, bases_of(folder).values()))
    assert (result.splits, result.contigs_in_no_split) == (["train", "validation"], 0)
    assert result.windows > 40


def flipped_base(folder):
    change(folder, f"UPDATE sequences SET nt_sequence = 'A' || substr(nt_sequence, 2) WHERE contig_id = '{C3}'")
    assert bases_of(folder)[C3][0] == "A"


def flipped_case(folder):
    lower = "lower(substr(nt_sequence, 1, 1))"
    change(folder, f"UPDATE sequences SET nt_sequence = {lower} || substr(nt_sequence, 2) WHERE contig_id = '{C3}'")


def truncated_shard(folder):
    path = shard(folder, "s2")
    path.write_bytes(path.read_bytes()[:-100])


def empty_shard(folder):
    shard(folder, "s2").write_bytes(b"")


def missing_shard(folder):
    shard(folder, "s2").unlink()


def extra_contig(folder):
    change(folder, "INSERT INTO sequences VALUES ('BAC__FASTA-s2__more', 'ACGT')")


def extra_contig_in_the_middle(folder):
    change(folder, "INSERT INTO sequences VALUES ('BAC__FASTA-s2__c3a', 'ACGT')")


def missing_contig(folder):
    change(folder, f"DELETE FROM sequences WHERE contig_id = '{C3}'")


def extra_shard(folder):
    write_seed_shard(folder, "s9", {"BAC__FASTA-s9__c1": "ACGT"})


def other_length(folder):
    change(folder, f"UPDATE sequences SET nt_sequence = nt_sequence || 'A' WHERE contig_id = '{C3}'")


def blob(folder):
    change(folder, f"UPDATE sequences SET nt_sequence = CAST(nt_sequence AS BLOB) WHERE contig_id = '{C3}'")


def damaged_page(folder):
    path = shard(folder, "s2")
    content = bytearray(path.read_bytes())
    content[3 * 8192 : 3 * 8192 + 64] = b"\xff" * 64
    path.write_bytes(content)


SHARDS = {
    flipped_base: ("bases", "s2"),
    flipped_case: ("bases", "s2"),
    truncated_shard: ("damaged-shard", "s2"),
    empty_shard: ("damaged-shard", "s2"),
    damaged_page: ("damaged-shard", "s2"),
    blob: ("damaged-shard", "s2"),
    missing_shard: ("missing-shard", "s2"),
    extra_contig: ("extra-contig", "s2"),
    extra_contig_in_the_middle: ("extra-contig", "s2"),
    missing_contig: ("missing-contig", "s2"),
    extra_shard: ("extra-shard", "s9"),
    other_length: ("length", "s2"),
}


@pytest.mark.parametrize("damage", SHARDS, ids=lambda damage: damage.__name__)
def test_damage_to_a_shard_is_found_and_named(folder, damage):
    kind, sample = SHARDS[damage]
    damage(folder)
    problems = checked(folder).problems
    # A base that turned into A or lost its case may change runs, too.
    assert {(one.kind, one.where) for one in problems if one.kind != "runs"} >= {(kind, f"sample {sample}")}
    named = next(one for one in problems if one.kind == kind)
    assert named.remedy.startswith("eden ")
    if damage in {flipped_base, flipped_case, missing_contig, other_length}:
        assert C3 in named.what


def test_a_hole_is_named_with_its_place(holed):
    problems = {one.kind: one for one in checked(holed).problems}
    hole = problems["nul-bytes"].what
    position = int(hole.split("position ")[1].split()[0])
    assert "BAC__FASTA-s1__long" in hole
    assert 900_000 < position < 1_100_000
    assert "damaged-shard" in problems


def another_tiling(folder):
    execute(folder / "train_windows.db", "UPDATE metadata SET value = 400 WHERE key = 'stride'")


def windows_of_another_tiling(folder):
    path = folder / "train_windows.db"
    precompute(folder / "train.parquet", path, Tiling(512, 256, keep_tail=True), force=True)
    execute(path, "UPDATE metadata SET value = 480 WHERE key = 'stride'")


def a_window_that_jumps(folder):
    execute(folder / "train_windows.db", "UPDATE window_mappings SET window_in_seq_idx = 7 WHERE window_in_seq_idx = 3")


def a_truncated_index(folder):
    path = folder / "train_windows.db"
    path.write_bytes(path.read_bytes()[:-5000])


def an_index_that_lacks_its_last_contig(folder):
    table = pq.read_table(folder / "train.parquet")
    pq.write_table(table[:-1], folder / "less.parquet")
    precompute(folder / "less.parquet", folder / "train_windows.db", TILING, force=True)
    (folder / "less.parquet").unlink()


def an_index_of_more_contigs(folder):
    rewrite(folder / "train.parquet", lambda table: table[1:])


INDEXES = {
    another_tiling: "index-windows",
    windows_of_another_tiling: "index-windows",
    a_window_that_jumps: "damaged-index",
    a_truncated_index: "damaged-index",
    an_index_that_lacks_its_last_contig: "index-windows",
    an_index_of_more_contigs: "index-windows",
}


@pytest.mark.parametrize("damage", INDEXES, ids=lambda damage: damage.__name__)
def test_damage_to_an_index_is_found_and_named(folder, damage):
    damage(folder)
    assert kinds(folder) == {(INDEXES[damage], "train_windows.db")}


def test_the_remedy_builds_the_index_as_it_was(folder):
    execute(folder / "train_windows.db", "UPDATE window_mappings SET window_in_seq_idx = 7 WHERE window_in_seq_idx = 3")
    [problem] = checked(folder).problems
    assert problem.remedy == (
        f"eden-precompute {folder}/train.parquet {folder}/train_windows.db --window-size 512 --stride 480 --keep-tail "
        "--reserve 16 --force"
    )


@pytest.mark.parametrize("grown", [1, 2000])
def test_an_index_older_than_a_contig_of_another_length(folder, grown):
    sequences = {name.rpartition("__")[2]: bases for name, bases in bases_of(folder).items() if "-s2__" in name}
    import_sample(folder, "s2", sequences | {"c3": sequences["c3"] + "A" * grown})
    assert {kind for kind, _ in kinds(folder)} >= {"split-length"}
    split_contigs(folder / "contigs.parquet", folder, SplitRules(0.7, 0.3, 0), force=True)
    found = kinds(folder)
    assert {kind for kind, _ in found} <= {"index-stale", "index-windows"}
    assert found


def test_an_index_older_than_a_contig_of_other_bases(folder):
    set_bases_digests(folder)
    assert checked(folder).notes == checked(folder).problems == []
    sequences = {name.rpartition("__")[2]: bases for name, bases in bases_of(folder).items() if "-s2__" in name}
    import_sample(folder, "s2", sequences | {"c3": "T" + sequences["c3"][1:] if sequences["c3"][0] != "T" else "A"})
    assert [one.kind for one in checked(folder).problems] == ["split-stale"]
    join_digests(folder)
    [problem] = checked(folder).problems
    assert problem.kind == "index-stale"


def test_an_index_that_cannot_tell_says_so(folder):
    execute(folder / "train_windows.db", "DELETE FROM metadata WHERE key IN ('bases_digest')")
    assert any("train_windows.db" in note and "cannot be told" in note for note in checked(folder).notes)


def test_indexes_of_several_tilings_are_a_note(folder):
    precompute(folder / "train.parquet", folder / "train_windows.db", Tiling(256, 240), force=True)
    result = checked(folder)
    assert result.problems == []
    assert any("256/240" in note for note in result.notes)


def test_an_index_without_a_split_is_compared_with_all_contigs(folder):
    for split in ("train", "validation"):
        (folder / f"{split}.parquet").unlink()
    assert kinds(folder) == set()
    (folder / "validation_windows.db").unlink()  # one index alone should be of all contigs
    assert kinds(folder) == {("index-windows", "train_windows.db")}
    precompute(folder / "contigs.parquet", folder / "train_windows.db", TILING, force=True)
    assert kinds(folder) == set()


def test_runs_that_lie(folder):
    rewrite(folder / "n_runs.parquet", lambda table: table[1:])
    assert kinds(folder) == {("runs", "n_runs.parquet")}


def test_runs_outside_their_contig(folder):
    def longer(table):
        ends = table["end"].to_pylist()
        return table.set_column(2, table.schema.field("end"), pa.array([*ends[:-1], 10**6]))

    rewrite(folder / "soft_masked.parquet", longer)
    [problem] = checked(folder).problems
    assert (problem.kind, "lie outside" in problem.what) == ("runs", True)


def test_runs_of_an_unknown_contig(folder):
    more = pa.table({"contig_id": ["BAC__FASTA-s2__nothing"], "start": [0], "end": [1]})
    rewrite(folder / "n_runs.parquet", lambda table: pa.concat_tables([table, more.cast(table.schema)]))
    [problem] = checked(folder).problems
    assert "BAC__FASTA-s2__nothing" in problem.what


def test_without_digests_bases_cannot_be_compared(folder):
    rewrite(folder / "contigs.parquet", lambda table: table.select(["contig_id", "length"]))
    flipped_case(folder)
    (folder / "soft_masked.parquet").unlink()
    result = checked(folder)
    assert result.problems == []
    assert any("no digests" in note for note in result.notes)


def test_a_table_that_is_not_sorted(folder):
    rewrite(folder / "contigs.parquet", lambda table: table.take(list(reversed(range(len(table))))))
    assert checked(folder).problems == []


def test_a_contig_twice_in_the_table(folder):
    rewrite(folder / "contigs.parquet", lambda table: pa.concat_tables([table, table[:1]]))
    assert ("contigs-table", "contigs.parquet") in kinds(folder)


def test_a_table_with_another_sample_than_the_id(folder):
    def other(table):
        return table.set_column(2, table.schema.field("sample"), pc.replace_substring(table["sample"], "s2", "s1"))

    rewrite(folder / "contigs.parquet", other)
    assert {("contigs-table", "contigs.parquet"), ("extra-shard", "sample s2")} <= kinds(folder)


def test_some_samples_are_read_and_the_rest_is_checked(folder):
    flipped_base(folder)
    (folder / "n_runs.parquet").unlink()
    read = [one for count in (1, 2) if (one := checked(folder, samples=count)).problems]
    assert checked(folder, samples=1).samples_read == 1
    assert checked(folder, sample_share=0.5).samples_read == 2
    assert len(read) < 2
    missing_shard(folder)
    assert ("missing-shard", "sample s2") in kinds(folder, samples=1)


def test_many_samples_share_tasks(tmp_path):
    for i in range(60):
        write_seed_shard(tmp_path, f"s{i}", {f"B__X-s{i}__c{n}": "ACGTNn" * (n + 1) for n in range(3)})
    list_contigs(tmp_path, InThread(), digests=True)
    assert checked(tmp_path).contigs_read == 180
    change(tmp_path, "UPDATE sequences SET nt_sequence = 'ACGTNN' WHERE contig_id = 'B__X-s42__c0'", "s42")
    assert kinds(tmp_path) == {("bases", "sample s42")}


def test_a_single_shard_serves_every_id(tmp_path):
    write_seed_shard(tmp_path, "all", {"chr1": "ACGT" * 100, "chr2": "GG"})
    table = pa.table({"contig_id": ["chr1", "chr2"], "length": [400, 2]})
    pq.write_table(table, tmp_path / "contigs.parquet")
    assert checked(tmp_path).problems == []
    change(tmp_path, "DELETE FROM sequences WHERE contig_id = 'chr2'", "all")
    assert kinds(tmp_path) == {("missing-contig", "sample all")}


def test_a_single_shard_has_runs_too(tmp_path):
    write_seed_shard(tmp_path, "all", {"chr1": "ACNNGT", "chr2": "GG"})
    list_contigs(tmp_path, InThread(), digests=True)
    pq.write_table(pa.table({"contig_id": ["chr1"], "start": [2], "end": [4]}), tmp_path / "n_runs.parquet")
    assert checked(tmp_path).problems == []
    pq.write_table(pa.table({"contig_id": ["chr1"], "start": [2], "end": [5]}), tmp_path / "n_runs.parquet")
    assert kinds(tmp_path) == {("runs", "n_runs.parquet")}


def test_nothing_is_left_behind(folder):
    before = sorted(path.name for path in folder.iterdir())
    checked(folder)
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize("table", ["train.parquet", "n_runs.parquet"])
def test_a_damaged_table(folder, table):
    (folder / table).write_bytes((folder / table).read_bytes()[:-50])
    assert kinds(folder) == {("damaged-table", table)}


def test_a_damaged_table_of_contigs_cannot_be_verified(folder):
    (folder / "contigs.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="not a Parquet file"):
        checked(folder)


def test_no_folder_and_no_table(folder, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        checked(tmp_path / "nowhere")
    (folder / "contigs.parquet").unlink()
    with pytest.raises(InputError, match="eden contigs --store sqlite-shards"):
        checked(folder)


@pytest.mark.parametrize("options", [{"samples": 0}, {"sample_share": 1.5}, {"samples": 1, "sample_share": 0.5}])
def test_contradicting_options(folder, options):
    with pytest.raises(ConfigurationError, match="--sample"):
        checked(folder, **options)


def test_the_indexes_of_splits_made_anew(folder):
    split_contigs(folder / "contigs.parquet", folder, SplitRules(0.5, 0.5, 0, seed=1), force=True)
    assert {kind for kind, _ in kinds(folder)} == {"index-windows"}
    build_indexes(folder)
    assert kinds(folder) == set()


def test_an_index_of_another_name_is_told_of(folder):
    (folder / "all.db").write_bytes((folder / "train_windows.db").read_bytes())
    found = checked(folder)
    assert (len(found.indexes), found.problems) == (2, [])
    assert any(note.startswith(f"{folder}/all.db is not checked") for note in found.notes)


@pytest.mark.parametrize("keep", [50, 200])
def test_a_split_that_cannot_be_read_is_one_problem_and_stops_nothing_else(folder, keep):
    """Whether its end is gone, or its pages alone are damaged."""
    path, other = folder / "train.parquet", shard(folder, "s2")
    content = path.read_bytes()
    damaged = content[:keep] if keep < 100 else content[:4] + bytes(keep) + content[4 + keep :]
    path.write_bytes(damaged)
    other.write_bytes(b"")
    found = checked(folder).problems
    assert {(one.kind, one.count) for one in found} == {("damaged-table", 1), ("damaged-shard", 1)}
