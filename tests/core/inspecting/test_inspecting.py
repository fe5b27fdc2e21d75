from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from plain import write_seed_index

from eden_core import EdenDataset, Tiling, errors, installed_plugins
from eden_core.inspecting import index_files, inspect_index, inspect_packing
from eden_core.planning import Packing
from eden_core.sources import SourceSettings
from eden_core.window_lengths import LengthSource


def lengths_of(folder, windows) -> LengthSource:
    return LengthSource(
        installed_plugins().index("sqlite", str(windows)), installed_plugins().store("sqlite-shards", str(folder))
    )


def settings_of(small, **options) -> SourceSettings:
    return SourceSettings(sequence_db_dir=str(small.directory), window_db_path=str(small.windows), **options)


def without_bases(folder: Path, lengths: dict[str, int], window_size=1000, stride=900) -> SourceSettings:
    """An index and a table of contigs, and no store beside them."""
    windows = write_seed_index(folder / "train_windows.db", lengths, window_size, stride)
    pq.write_table(pa.table({"contig_id": list(lengths), "length": list(lengths.values())}), folder / "contigs.parquet")
    return SourceSettings(sequence_db_dir=str(folder), window_db_path=str(windows))


def test_contigs_and_windows_are_counted(small):
    report = inspect_index(lengths_of(small.directory, small.windows))
    assert (report.windows, report.contigs) == (len(small.expected_windows()), len(small.sequences))
    assert (report.window_size, report.stride) == (64, 48)


def test_lengths_are_those_of_the_contigs(small):
    lengths = sorted(map(len, small.sequences.values()))
    found = inspect_index(lengths_of(small.directory, small.windows)).lengths
    assert found.bases == sum(lengths)
    assert found.n50 == max(n for n in lengths if sum(m for m in lengths if m >= n) >= sum(lengths) / 2)
    assert found.quantiles == tuple(np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1], method="inverted_cdf").tolist())


def test_lengths_that_nothing_knows_are_left_out(small, tmp_path):
    report = inspect_index(lengths_of(tmp_path, small.windows))
    assert (report.lengths, report.contigs) == (None, len(small.sequences))


@pytest.mark.parametrize(
    ("options", "seq_length"),
    [
        ({"kind": "thd"}, 64),
        ({"kind": "thd", "pad_segments_to": 8}, 128),
        ({"kind": "concat", "separate": True}, 256),
        ({"kind": "thd", "by": "sample"}, 256),
        ({"kind": "concat", "by": "sample", "split_windows": True}, 100),
    ],
)
def test_rows_are_as_full_as_a_dataset_makes_them(small, options, seq_length):
    packing = Packing(**options)
    report = inspect_packing(settings_of(small), packing, seq_length)
    names = {"kind": "packing", "by": "pack_by", "separate": "separate_segments"}
    arguments = {names.get(name, name): value for name, value in options.items()}
    dataset = EdenDataset(**small.options | {"seq_length": seq_length}, **arguments, extra_keys=("token_counts",))
    padding = dataset.batch(range(len(dataset)))["token_counts"][:, 0].sum().item()
    segments = np.bincount(dataset.picks(range(len(dataset))).rows)
    assert report.after.rows == len(dataset)
    assert report.after.fill == pytest.approx(1 - padding / (len(dataset) * seq_length))
    assert (report.after.mean_segments, report.after.most_segments) == (pytest.approx(segments.mean()), segments.max())


def test_before_there_is_one_window_a_row(small):
    report = inspect_packing(settings_of(small), Packing("thd"), 64)
    dataset = EdenDataset(**small.options, extra_keys=("token_counts",))
    padding = dataset.batch(range(len(dataset)))["token_counts"][:, 0].sum().item()
    assert (report.before.rows, report.before.most_segments) == (len(dataset), 1)
    assert report.before.fill == pytest.approx(1 - padding / (len(dataset) * 64))


def test_control_tags_take_their_room(small):
    fills = [
        inspect_packing(settings_of(small, use_control_tags=tags), Packing("thd"), 256).before.fill for tags in (False, True)
    ]
    shortest = len("<ctrl_bcr>") + 1
    assert (fills[1] - fills[0]) * 256 == pytest.approx(shortest)


def test_classes_are_by_the_length_of_the_contig(tmp_path):
    lengths = {"A__X-S__1": 999, "A__X-S__2": 1000, "A__X-S__3": 2500, "A__X-S__4": 2_000_000}
    report = inspect_packing(without_bases(tmp_path, lengths), Packing("thd"), 1000)
    assert [(one.shortest, one.below, one.windows) for one in report.classes] == [
        (0, 1000, 1),
        (1000, 2000, 1),
        (2000, 4000, 2),
        (1_000_000, None, 1 + (2_000_000 - 1000) // 900),
    ]
    assert [one.share for one in report.classes][:3] == pytest.approx(np.array([998, 998, 2 * 998]) / (998 * 2226))


def test_how_full_the_rows_of_a_class_are(small, monkeypatch):
    bounds = (60, 120, 240)
    monkeypatch.setattr("eden_core.inspecting.CLASS_BOUNDS", bounds)
    report = inspect_packing(settings_of(small), Packing("thd"), 128)
    options = small.options | {"seq_length": 128, "packing": "thd", "shuffle": False, "extra_keys": ("token_counts",)}
    dataset = EdenDataset(**options)
    rows = range(len(dataset))
    fills = 1 - dataset.batch(rows)["token_counts"][:, 0].numpy() / 128
    contigs = dataset.locate(rows, measured=False).sequence_ids
    classes = np.searchsorted(bounds, [len(small.sequences[contig]) for contig in contigs], side="right")
    fills = fills[dataset.picks(rows).rows]
    assert [one.fill_after for one in report.classes] == pytest.approx([fills[classes == i].mean() for i in range(4)])


def test_many_rows_are_counted_as_few_are(small, monkeypatch):
    whole = inspect_packing(settings_of(small), Packing("thd"), 128)
    monkeypatch.setattr("eden_core.inspecting._ROWS_AT_ONCE", 3)
    assert inspect_packing(settings_of(small), Packing("thd"), 128) == whole


def test_a_folder_has_an_index_for_each_split(tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"{split}_windows.db").touch()
    assert index_files(tmp_path) == {split: str(tmp_path / f"{split}_windows.db") for split in ("train", "test")}


def test_a_folder_without_an_index(tmp_path):
    with pytest.raises(errors.InputError, match=r"expected train_windows\.db"):
        index_files(tmp_path)


def test_a_contig_of_several_intervals_counts_once(tmp_path):
    batch = pa.record_batch({"contig_id": ["a", "b", "b"], "start": [0, 0, 30], "length": [10, 10, 20]})
    installed_plugins().index_class("sqlite").build(str(tmp_path / "w.db"), [batch], Tiling(10, 10))
    pq.write_table(pa.table({"contig_id": ["a", "b"], "length": [10, 50]}), tmp_path / "contigs.parquet")
    report = inspect_index(lengths_of(tmp_path, tmp_path / "w.db"))
    assert (report.windows, report.contigs) == (4, 2)
    assert (report.lengths.bases, report.lengths.quantiles) == (60, (10, 10, 10, 50, 50))
