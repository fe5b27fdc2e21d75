import random
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data_folders import execute
from hypothesis import given, settings
from hypothesis import strategies as st
from in_memory import JsonIndex
from plain import write_seed_index, write_seed_shard

from eden_core import Tiling, installed_plugins
from eden_core.converting import IndexTask, StoreAt, convert_index
from eden_core.errors import ConfigurationError, FormatError, InputError, OutputExistsError
from eden_core.interfaces import IndexSummary

LENGTHS = {f"BCR__X-S1__c{i}": n for i, n in enumerate((30, 63, 64, 65, 200, 401, 12))}


def run(folder: Path, source="train_windows.db", target="new", from_index="sqlite", index="json", **options):
    store = StoreAt("sqlite-shards", str(folder))
    return convert_index(IndexTask(str(folder / source), str(folder / target), from_index, index, store, **options))


def windows_of(name: str, place: Path) -> list[tuple[str, int]]:
    with installed_plugins().index(name, str(place)) as index:
        found = index.lookup(np.arange(len(index)))
        return list(zip(found.sequence_ids, found.starts.tolist(), strict=True))


def write_table(path: Path, lengths=None, **columns) -> None:
    lengths = LENGTHS if lengths is None else lengths
    names = sorted(lengths, key=str.encode)
    pq.write_table(pa.table({"contig_id": names, "length": [lengths[name] for name in names], **columns}), path)


@pytest.mark.parametrize("threshold", [0, 40])
def test_an_index_of_another_program_takes_its_lengths_from_a_table(tmp_path, threshold):
    write_seed_index(tmp_path / "train_windows.db", LENGTHS, 64, 48, threshold)
    write_table(tmp_path / "contigs.parquet")
    done = run(tmp_path)
    assert (done.windows, done.notes, done.table) == (16 - 2 * bool(threshold), (), str(tmp_path / "contigs.parquet"))
    assert windows_of("json", tmp_path / "new") == windows_of("sqlite", tmp_path / "train_windows.db")


def test_or_from_the_store(tmp_path):
    write_seed_index(tmp_path / "train_windows.db", LENGTHS, 64, 48)
    write_seed_shard(tmp_path, "S1", {name: "A" * n for name, n in LENGTHS.items()})
    assert run(tmp_path).table is None
    with JsonIndex(str(tmp_path / "new")) as index:
        lengths = index.lookup(np.arange(len(index))).lengths
    assert sorted(set(lengths.tolist())) == [12, 30, 63, 64]


def test_nothing_knows_the_lengths(tmp_path):
    write_seed_index(tmp_path / "train_windows.db", LENGTHS, 64, 48)
    with pytest.raises(InputError, match="has no contig 'BCR__X-S1__c0'"):
        run(tmp_path)
    assert not (tmp_path / "new").exists()


def test_of_several_tables_that_which_it_was_built_from_is_taken(tmp_path):
    write_table(tmp_path / "contigs.parquet")
    short = {name: n for name, n in LENGTHS.items() if n > 63}
    write_table(tmp_path / "train.parquet", short, digest=["x"] * len(short))
    write_seed_index(tmp_path / "train_windows.db", short, 64, 48)
    assert run(tmp_path).table == str(tmp_path / "train.parquet")


def test_windows_that_no_tiling_explains_are_refused(tmp_path):
    write_seed_index(tmp_path / "train_windows.db", LENGTHS | {"BCR__X-S1__c4": 300}, 64, 48)
    write_table(tmp_path / "contigs.parquet")
    with pytest.raises(InputError, match=r"3 windows of contig 'BCR__X-S1__c4' .* should be 5 windows .*--contigs TABLE"):
        run(tmp_path)
    assert not (tmp_path / "new").exists()


def test_contigs_in_another_order_are_refused(tmp_path):
    place = write_seed_index(tmp_path / "train_windows.db", {"a9": 64, "b10": 64}, 64, 48)
    execute(place, "UPDATE window_mappings SET sequence_id = 'c' WHERE window_idx = 0")
    write_table(tmp_path / "contigs.parquet", {"a9": 64, "b10": 64, "c": 64})
    with pytest.raises(InputError, match="in byte order"):
        run(tmp_path)


def test_digests_come_back(tmp_path):
    write_table(tmp_path / "contigs.parquet", digest=[f"{i:032x}" for i in range(len(LENGTHS))])
    build(tmp_path / "train_windows.db", pq.read_table(tmp_path / "contigs.parquet"), Tiling(64, 48))
    run(tmp_path)
    run(tmp_path, "new", "back.db", "json", "sqlite")
    assert (tmp_path / "back.db").read_bytes() == (tmp_path / "train_windows.db").read_bytes()


def test_a_digest_that_is_lost_is_told(tmp_path):
    write_table(tmp_path / "contigs.parquet")
    build(tmp_path / "train_windows.db", pq.read_table(tmp_path / "contigs.parquet").slice(0, 6), Tiling(64, 48, 20))
    done = run(tmp_path)
    assert "its digest of contigs was not carried over" in done.notes[0]
    assert windows_of("json", tmp_path / "new") == windows_of("sqlite", tmp_path / "train_windows.db")


def build(place: Path, rows: pa.Table, tiling: Tiling) -> None:
    installed_plugins().index_class("sqlite").build(str(place), rows.to_batches(max_chunksize=3), tiling)


TILINGS = st.builds(
    Tiling, st.integers(4, 20), st.integers(1, 24), st.sampled_from([0, 3, 9]), st.booleans(), st.integers(0, 3)
)


@settings(max_examples=40)
@given(st.lists(st.integers(0, 90), min_size=1, max_size=8), TILINGS, st.booleans(), st.data())
def test_any_index_and_back(lengths, tiling, with_table, data):
    """With the table it was built from, or with lengths alone; of contigs or of intervals of them."""
    rows = [{"contig_id": f"c{i}", "length": n} for i, n in enumerate(lengths)]
    if data.draw(st.booleans(), "intervals"):
        rows = [part for row in rows for part in parts_of(row, data)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "contigs.parquet", {f"c{i}": n for i, n in enumerate(lengths)})
        table = pa.Table.from_pylist(rows)
        try:
            build(folder / "train_windows.db", table, tiling)
        except InputError:  # not one window
            return
        if with_table:
            pq.write_table(table, folder / "train.parquet")
        wanted = windows_of("sqlite", folder / "train_windows.db")
        run(folder)
        assert windows_of("json", folder / "new") == wanted
        run(folder, "new", "back_windows.db", "json", "sqlite", contigs=str(folder / "train.parquet") if with_table else None)
        assert windows_of("sqlite", folder / "back_windows.db") == wanted


def parts_of(row: dict, data) -> list[dict]:
    edges = sorted(data.draw(st.sets(st.integers(0, row["length"]), max_size=4), "edges"))
    pairs = zip(edges[::2], edges[1::2], strict=False)
    return [row | {"start": a, "length": b - a, "contig_length": row["length"]} for a, b in pairs]


def build_wrongly(cls, location: str, contigs, tiling) -> IndexSummary:
    """Put the last window into another contig."""
    summary = BUILD(cls, location, contigs, tiling)
    place = Path(location)
    place.write_text(place.read_text().replace('["BCR__X-S1__c6", 0, 12]', '["BCR__X-S1__c5", 336, 12]'))
    return summary


BUILD = JsonIndex.build.__func__


def test_an_index_that_is_not_what_it_should_be_is_refused(tmp_path, monkeypatch):
    write_seed_index(tmp_path / "train_windows.db", LENGTHS, 64, 48)
    write_table(tmp_path / "contigs.parquet")
    monkeypatch.setattr(JsonIndex, "build", classmethod(build_wrongly))
    with pytest.raises(FormatError, match="index 'json' did not keep what"):
        run(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["contigs.parquet", "train_windows.db"]


def test_one_of_the_same_plugin_is_copied(tmp_path):
    place = write_seed_index(tmp_path / "train_windows.db", LENGTHS, 64, 48)
    run(tmp_path, index="sqlite")
    assert (tmp_path / "new").read_bytes() == place.read_bytes()


def test_an_output_is_replaced_only_when_that_is_said(tmp_path):
    write_seed_index(tmp_path / "train_windows.db", LENGTHS, 64, 48)
    write_table(tmp_path / "contigs.parquet")
    (tmp_path / "new").write_text("old")
    with pytest.raises(OutputExistsError, match="--force"):
        run(tmp_path)
    run(tmp_path, force=True)
    assert len(windows_of("json", tmp_path / "new")) == 16
    with pytest.raises(ConfigurationError, match="the index itself"):
        run(tmp_path, target="train_windows.db", index="sqlite", force=True)


def test_random_order_of_lookups_is_the_same(tmp_path):
    write_seed_index(tmp_path / "train_windows.db", LENGTHS, 64, 48)
    write_table(tmp_path / "contigs.parquet")
    run(tmp_path)
    ids = random.Random(1).choices(range(16), k=40)
    with (
        installed_plugins().index("sqlite", str(tmp_path / "train_windows.db")) as old,
        installed_plugins().index("json", str(tmp_path / "new")) as new,
    ):
        before, after = old.lookup(np.array(ids)), new.lookup(np.array(ids))
    assert before.sequence_ids == after.sequence_ids
    assert before.starts.tolist() == after.starts.tolist()
