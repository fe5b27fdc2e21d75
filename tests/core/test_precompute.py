import sqlite3
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eden_core import Tiling, errors
from eden_core.precompute import precompute


@pytest.fixture
def split(tmp_path):
    pq.write_table(pa.table({"contig_id": ["b", "a", "c"], "length": [100, 7, 30]}), tmp_path / "split.parquet")
    return tmp_path / "split.parquet"


def test_summary(tmp_path, split):
    summary = precompute(split, tmp_path / "w.db", Tiling(20, 15, 10))
    assert (summary.sequences, summary.windows, summary.windows_left_out) == (3, 7, 1)
    assert (summary.bases, summary.bases_read) == (137, 5 * 15 + 18 + 18)
    assert summary.bases_never_seen == 137 - summary.bases_read


def test_with_the_tail_kept_every_base_is_seen(tmp_path, split):
    summary = precompute(split, tmp_path / "w.db", Tiling(20, 15, keep_tail=True, reserve=5))
    assert summary.bases_never_seen == 0


def test_contigs_are_sorted(tmp_path, split):
    precompute(split, tmp_path / "w.db", Tiling(20, 15))
    ids = sqlite3.connect(tmp_path / "w.db").execute("SELECT DISTINCT sequence_id FROM window_mappings ORDER BY window_idx")
    assert [name for (name,) in ids] == ["a", "b", "c"]


def test_an_existing_output_is_kept(tmp_path, split):
    (tmp_path / "w.db").write_text("precious")
    with pytest.raises(errors.OutputExistsError, match="--force"):
        precompute(split, tmp_path / "w.db", Tiling(20, 15))
    assert (tmp_path / "w.db").read_text() == "precious"


def test_force_replaces_it(tmp_path, split):
    (tmp_path / "w.db").write_text("worthless")
    assert precompute(split, tmp_path / "w.db", Tiling(20, 15), force=True).windows == 8


@pytest.mark.parametrize(("tiling", "reads"), [(Tiling(20, 19), 18), (Tiling(40, 25, keep_tail=True), 24)])
def test_gaps_are_refused(tmp_path, split, tiling, reads):
    with pytest.raises(
        errors.ConfigurationError, match=f"stride {tiling.stride} is larger than the {reads} bases.*--allow-gaps"
    ):
        precompute(split, tmp_path / "w.db", tiling)


def test_gaps_are_allowed_when_asked_for(tmp_path, split):
    assert precompute(split, tmp_path / "w.db", Tiling(20, 30), allow_gaps=True).bases_never_seen > 0


def test_a_bad_table_leaves_no_output(tmp_path):
    pq.write_table(pa.table({"contig_id": ["a", "a"], "length": [100, 7]}), tmp_path / "split.parquet")
    with pytest.raises(errors.InputError, match="more than once"):
        precompute(tmp_path / "split.parquet", tmp_path / "w.db", Tiling(20, 15))
    assert [path.name for path in tmp_path.iterdir()] == ["split.parquet"]


def test_progress_is_told(tmp_path, split):
    told = []
    precompute(split, tmp_path / "w.db", Tiling(20, 15), progress=lambda done, total: told.append((done, total)))
    assert told == [(3, 3)]


def test_an_unknown_index_plugin(tmp_path, split):
    with pytest.raises(errors.PluginNotFoundError, match="no index plugin is named 'sqlit'"):
        precompute(split, tmp_path / "w.db", Tiling(20, 15), index="sqlit")


def test_a_folder_as_output(tmp_path, split):
    with pytest.raises(errors.OutputExistsError, match="is a folder"):
        precompute(split, tmp_path, Tiling(20, 15), force=True)


def test_padding_is_told(tmp_path, split):
    summary = precompute(split, tmp_path / "w.db", Tiling(20, 15))
    assert summary.padding == pytest.approx(1 - (6 * 18 + 18 + 7) / (8 * 18))


@pytest.mark.parametrize("change", ["lengths", "bases", "tiling", "no index", "one that does not know"])
def test_an_index_of_other_contigs_is_not_kept(tmp_path, split, change):
    table = pq.read_table(split).append_column("digest", pa.array(["x", "y", "z"]))
    pq.write_table(table, split)
    precompute(split, tmp_path / "w.db", Tiling(20, 15))
    assert precompute(split, tmp_path / "w.db", Tiling(20, 15), skip_existing=True).kept
    if change == "lengths":
        pq.write_table(table.set_column(1, "length", pa.array([100, 8, 30])), split)
    if change == "bases":
        pq.write_table(table.set_column(2, "digest", pa.array(["x", "y", "w"])), split)
    if change == "no index":
        (tmp_path / "w.db").write_text("something else")
    if change == "one that does not know":
        with sqlite3.connect(tmp_path / "w.db") as connection:
            connection.execute("DELETE FROM metadata WHERE key = 'contigs_digest'")
    tiling = Tiling(20, 14 if change == "tiling" else 15)
    with pytest.raises(errors.OutputExistsError, match="built from other contigs or in another way"):
        precompute(split, tmp_path / "w.db", tiling, skip_existing=True)
    assert not precompute(split, tmp_path / "w.db", tiling, skip_existing=True, force=True).kept
    assert precompute(split, tmp_path / "w.db", tiling, skip_existing=True).kept


def test_a_dry_run_counts_what_a_build_does(tmp_path, split):
    dry, built = precompute(split, None, Tiling(20, 15)), precompute(split, tmp_path / "w.db", Tiling(20, 15))
    assert replace(dry, seconds=0) == replace(built, seconds=0)


def test_intervals_without_windows_are_counted(tmp_path):
    table = {"contig_id": ["a", "a"], "length": [19, 40], "start": [0, 30]}
    pq.write_table(pa.table(table), tmp_path / "split.parquet")
    summary = precompute(tmp_path / "split.parquet", tmp_path / "w.db", Tiling(20, 15))
    assert (summary.sequences, summary.windows, summary.windows_left_out) == (2, 2, 1)
    assert (summary.bases, summary.bases_read) == (59, 15 + 18)


def test_regions_without_any_window_are_told_with_what_to_do(tmp_path):
    table = {"contig_id": ["a", "a"], "length": [19, 18], "start": [1, 100]}
    pq.write_table(pa.table(table), tmp_path / "split.parquet")
    with pytest.raises(errors.InputError, match="none of its 2 regions, the longest of 19 bases.*20.*multiples of 15.*--guard"):
        precompute(tmp_path / "split.parquet", tmp_path / "w.db", Tiling(20, 15))
    assert not (tmp_path / "w.db").exists()
