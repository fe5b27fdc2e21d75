import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain import write_runs, write_seed_index, write_seed_shard

from eden_core import EdenDataset, errors, planning
from eden_core.batch import offsets_of
from eden_core.order import EpochOrder, SelectedOrder
from eden_core.packing import PackedOrder, class_lengths, plan_rows
from eden_core.planning import Packing
from eden_core.runs import n_runs, soft_masked
from eden_core.sequence_ids import extract_sample_id
from eden_core.stitching import StitchedOrder

SEQ_LENGTH, STRIDE = 64, 48


def sequences() -> dict[str, str]:
    """Three samples, with stretches of N and of lower case."""
    draw = random.Random(5)
    found = {}
    for i in range(24):
        parts = ("".join(draw.choices(draw.choice(["ACGT", "acgt", "N"]), k=draw.randint(1, 40))) for _ in range(12))
        found[f"{'BV'[i % 2]}CR__ECT-S{i % 3}__CT{i}-1"] = "".join(parts)[: draw.randint(3, 400)]
    return found


SEQUENCES = sequences()


class Genome:
    """A store and an index in the seed's format, which knows no lengths."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for sample in range(3):
            write_seed_shard(folder, f"S{sample}", {n: s for n, s in SEQUENCES.items() if extract_sample_id(n) == f"S{sample}"})
        lengths = {name: len(bases) for name, bases in SEQUENCES.items()}
        self.index = write_seed_index(folder / "train_windows.db", lengths, SEQ_LENGTH, STRIDE)

    def write_tables(self) -> None:
        """What an import writes beside the store."""
        names = sorted(SEQUENCES, key=str.encode)
        columns = {"contig_id": names, "length": [len(SEQUENCES[name]) for name in names]}
        pq.write_table(pa.table(columns), self.folder / "contigs.parquet")
        for table, runs in (("n_runs", n_runs), ("soft_masked", soft_masked)):
            found = ((name, runs(SEQUENCES[name].encode())) for name in names)
            write_runs(self.folder / f"{table}.parquet", ((name, some) for name, some in found if some is not None))

    def rows(self, **options) -> EdenDataset:
        paths = {"sequence_db_dir": str(self.folder), "window_db_path": str(self.index)}
        return EdenDataset(**{**paths, "seq_length": SEQ_LENGTH, "shuffle": False, **options})

    def plans(self) -> list[str]:
        """The kinds of plan that lie beside the index."""
        return sorted(path.name.split(".")[2].partition("-")[0] for path in self.folder.glob("train_windows.db.*-*"))


@pytest.fixture
def genome(tmp_path) -> Genome:
    return Genome(tmp_path)


def windows() -> list[tuple[str, str]]:
    """(contig, bases) of each window."""
    found = []
    for name in sorted(SEQUENCES, key=str.encode):
        n = len(SEQUENCES[name])
        count = 1 if n < SEQ_LENGTH else 1 + (n - SEQ_LENGTH) // STRIDE
        found += [(name, SEQUENCES[name][i * STRIDE : i * STRIDE + SEQ_LENGTH]) for i in range(count)]
    return found


WINDOWS = windows()


def picked(rows: EdenDataset) -> list[list[int]]:
    """The windows of each row of an epoch."""
    picks = rows.picks(np.arange(rows.epoch_rows))
    return [picks.window_ids[picks.rows == row].tolist() for row in range(rows.epoch_rows)]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "thc"}, "packing is 'thc'; expected one of 'none', 'concat', 'thd'"),
        ({"kind": "thd", "by": "contig"}, "pack_by is 'contig'; expected one of 'length', 'sample'"),
        ({"kind": "thd", "pad_segments_to": 0}, "pad_segments_to must be at least 1 token, not 0"),
        ({"by": "sample"}, "pack_by='sample' needs packing='concat' or 'thd'"),
        ({"kind": "concat", "pad_segments_to": 8}, "pad_segments_to needs packing='thd'"),
        ({"pad_segments_to": 8}, "pad_segments_to needs packing='thd'"),
        ({"kind": "thd", "separate": True}, "separate_segments needs packing='concat'"),
        ({"separate": True}, "separate_segments needs packing='concat'"),
        ({"kind": "thd", "split_windows": True}, "split_windows needs pack_by='sample'"),
        ({"pad_segments_to": 8, "separate": True}, "pad_segments_to needs .*; separate_segments needs"),
    ],
)
def test_settings_that_have_no_meaning_together(settings, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        Packing(**settings)


def test_only_packing_is_packing():
    assert not Packing()
    assert Packing("concat")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"packing": "thd", "pad_segments_to": 48}, "seq_length 64 is no multiple of pad_segments_to 48"),
        ({"packing": "thd", "pad_to_multiple_of": 8}, "pad_to_multiple_of has no meaning with packing='thd'"),
        (
            {"packing": "concat", "separate_segments": True, "tokenizer": "byte"},
            "needs a sep token, which tokenizer byte lacks",
        ),
        ({"packing": "concat", "seq_length": 60}, "built with window_size 64, but window_size 60 is asked for"),
        ({"packing": "concat", "seq_length": 100, "window_size": 60}, "built with window_size 64, but window_size 60"),
        ({"seq_length": 100}, "built with window_size 64, but window_size 100 is asked for"),
        ({"packing": "thd", "shuffle": "block"}, "shuffle='block' needs pack_by='sample' where windows share rows"),
        ({"max_n_fraction": 1.5}, "max_n_fraction is 1.5; expected a share from 0 to 1"),
        ({"max_soft_masked_fraction": True}, "max_soft_masked_fraction is True; expected a share from 0 to 1"),
        ({"max_n_fraction": 0.5}, "max_n_fraction needs n_runs.parquet, the table of runs that `eden import` writes"),
    ],
)
def test_arguments_that_contradict_each_other(genome, options, message):
    with pytest.raises(errors.EdenError, match=message):
        genome.rows(**options)


class Pairs:
    """Two bases a token."""

    pad_id, eos_id = 0, 1

    def tokenize(self, text):
        return [10 + len(text[i : i + 2]) for i in range(0, len(text), 2)]


def test_packing_needs_one_token_a_base(genome):
    with pytest.raises(errors.ConfigurationError, match="packing needs one token a base"):
        genome.rows(packing="concat", tokenizer=Pairs())


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({}, EpochOrder),
        ({"max_n_fraction": 0.5}, SelectedOrder),
        ({"packing": "concat"}, PackedOrder),
        ({"packing": "thd", "pack_by": "sample"}, StitchedOrder),
    ],
)
def test_which_order_makes_rows(genome, options, kind):
    genome.write_tables()
    assert type(genome.rows(**options).order) is kind


def share_of(bases: str, letters: str) -> float:
    return sum(base in letters for base in bases) / len(bases)


@pytest.mark.parametrize("most", [0, 0.25, 0.5, 1])
@pytest.mark.parametrize("packing", ["none", "concat"])
def test_windows_of_too_much_n_are_left_out(genome, most, packing):
    genome.write_tables()
    made = picked(genome.rows(max_n_fraction=most, packing=packing))
    kept = [i for i, (_, bases) in enumerate(WINDOWS) if share_of(bases, "Nn") <= most]
    assert sorted(window for row in made for window in row) == kept


def test_windows_of_too_much_lower_case_are_left_out_too(genome):
    genome.write_tables()
    made = picked(genome.rows(max_n_fraction=0.3, max_soft_masked_fraction=0.4))
    kept = [i for i, (_, s) in enumerate(WINDOWS) if share_of(s, "Nn") <= 0.3 and share_of(s, "acgtn") <= 0.4]
    assert made == [[window] for window in kept]
    assert 0 < len(kept) < len(WINDOWS)


@pytest.mark.parametrize("packing", [{}, {"packing": "concat"}, {"packing": "concat", "pack_by": "sample"}])
def test_limits_that_leave_nothing(genome, packing):
    genome.write_tables()
    runs = [(name, (np.array([0]), np.array([len(SEQUENCES[name])]))) for name in sorted(SEQUENCES, key=str.encode)]
    write_runs(genome.folder / "n_runs.parquet", runs)
    with pytest.raises(errors.ConfigurationError, match="no window of .* is left: max_n_fraction and max_soft_masked_fraction"):
        genome.rows(max_n_fraction=0.5, **packing)


PACKINGS = [
    {"packing": "concat"},
    {"packing": "concat", "separate_segments": True},
    {"packing": "thd"},
    {"packing": "thd", "pad_segments_to": 8},
    {"packing": "thd", "pad_segments_to": 64},
    {"packing": "concat", "pack_by": "sample"},
    {"packing": "concat", "pack_by": "sample", "separate_segments": True},
    {"packing": "thd", "pack_by": "sample", "pad_segments_to": 16},
]


def space(window: int, options) -> int:
    """Tokens that a window takes, with bos, eos, and its padding or separator."""
    tokens = min(len(WINDOWS[window][1]), 62) + 2
    multiple = options.get("pad_segments_to", 1)
    return -(-tokens // multiple) * multiple + options.get("separate_segments", False)


@pytest.mark.parametrize("options", PACKINGS)
@pytest.mark.parametrize("tables", [False, True])
def test_windows_of_an_index_without_lengths_share_rows(genome, options, tables):
    if tables:
        genome.write_tables()
    made = picked(genome.rows(**options))
    assert sorted(window for row in made for window in row) == list(range(len(WINDOWS)))
    room = SEQ_LENGTH + options.get("separate_segments", False)  # none stands behind the last
    assert all(sum(space(window, options) for window in row) <= room for row in made)
    assert len(made) < len(WINDOWS) or options.get("pad_segments_to") == 64


@pytest.mark.parametrize("options", PACKINGS[:5])
def test_rows_are_as_few_as_a_plan_by_length_makes_of_plain_lengths(genome, options):
    room = SEQ_LENGTH + options.get("separate_segments", False)
    found, counts = np.unique([space(window, options) for window in range(len(WINDOWS))], return_counts=True)
    assert genome.rows(**options).epoch_rows == plan_rows(found, counts, room).rows
    assert class_lengths(found, room, options.get("pad_segments_to", 1)).tolist() == found.tolist()


def test_windows_of_a_sample_follow_each_other(genome):
    made = picked(genome.rows(packing="concat", pack_by="sample"))
    assert [window for row in made for window in row] == list(range(len(WINDOWS)))
    for row in made:
        assert len({extract_sample_id(WINDOWS[window][0]) for window in row}) == 1


def test_cut_windows_are_read_whole(genome):
    rows = genome.rows(packing="concat", pack_by="sample", split_windows=True)
    picks = rows.picks(np.arange(rows.epoch_rows))
    lengths = rows.locate(np.arange(rows.epoch_rows)).lengths
    pieces = zip(picks.window_ids.tolist(), picks.skips.tolist(), lengths.tolist(), strict=True)
    read = [(window, base) for window, skip, bases in pieces for base in range(skip, skip + bases)]
    assert read == [(i, base) for i, (_, bases) in enumerate(WINDOWS) for base in range(min(len(bases), 62))]
    full = rows.batch(np.arange(rows.epoch_rows))["tokens"]
    assert [bytes(row[row > 5].tolist()).decode() for row in full] == [
        "".join(
            WINDOWS[w][1][s : s + b] for (w, s, _, r), b in zip(rows_of(picks), lengths.tolist(), strict=True) if r == row
        ).upper()
        for row in range(len(full))
    ]


def rows_of(picks) -> list[tuple[int, int, int, int]]:
    columns = (picks.window_ids, picks.skips, picks.limits, picks.rows)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_control_tags_take_their_room(genome):
    rows = genome.rows(packing="concat", use_control_tags=True)
    tag = len("<ctrl_bcr>") + 1
    for row in picked(rows):
        assert sum(2 + tag + min(len(WINDOWS[window][1]), 62 - tag) for window in row) <= SEQ_LENGTH


def test_a_plan_is_made_once(genome, monkeypatch):
    first = picked(genome.rows(packing="concat"))
    monkeypatch.setattr(planning.RowPlanner, "_classified", None)
    assert picked(genome.rows(packing="concat", seed=7, num_samples=3)) == first
    assert genome.plans() == ["packed"]


@pytest.mark.parametrize(
    "options",
    [
        {"packing": "thd"},
        {"packing": "concat", "use_control_tags": True},
        {"packing": "concat", "include_eos": False},
        {"packing": "concat", "max_n_fraction": 0.5},
        {"packing": "concat", "seq_length": 128},
    ],
)
def test_other_settings_have_a_plan_of_their_own(genome, options):
    genome.write_tables()
    genome.rows(packing="concat")
    genome.rows(**options)
    assert genome.plans() == ["packed"] * 2


def test_another_table_of_runs_is_another_selection(genome):
    genome.write_tables()
    before = picked(genome.rows(max_n_fraction=0.2))
    write_runs(genome.folder / "n_runs.parquet", [])
    assert picked(genome.rows(max_n_fraction=0.2)) == [[window] for window in range(len(WINDOWS))] != before


@pytest.mark.parametrize("options", PACKINGS)
def test_contigs_longer_than_their_table_are_noticed(genome, options):
    pq.write_table(
        pa.table({"contig_id": sorted(SEQUENCES), "length": [3] * len(SEQUENCES)}), genome.folder / "contigs.parquet"
    )
    write_seed_index(genome.folder / "short.db", dict.fromkeys(SEQUENCES, 3), SEQ_LENGTH, STRIDE)
    rows = genome.rows(
        **{**options, "pad_segments_to": min(options.get("pad_segments_to", 1), 8)},
        window_db_path=str(genome.folder / "short.db"),
    )
    with pytest.raises(errors.StaleIndexError, match="windows that were planned to share a row"):
        rows.batch(np.arange(rows.epoch_rows))


OUTGROWN = pytest.mark.parametrize(
    ("options", "most"),
    [({"packing": "thd", "pad_segments_to": 16}, 14), ({"packing": "concat", "separate_segments": True}, 8)],
)
"""how long a contig may be beside others of 3 bases, by padding and separators alone, where its table says 3 as well"""


def outgrown(folder: Path, bases: int, options) -> EdenDataset:
    contigs = {f"c{i:02}": "AAA" for i in range(24)} | {"c03": "A" * bases}
    write_seed_shard(folder, "S", contigs)
    write_seed_index(folder / "w.db", dict.fromkeys(contigs, 3), SEQ_LENGTH, STRIDE)
    pq.write_table(pa.table({"contig_id": sorted(contigs), "length": [3] * 24}), folder / "contigs.parquet")
    paths = {"sequence_db_dir": str(folder), "window_db_path": str(folder / "w.db")}
    return EdenDataset(**paths, seq_length=SEQ_LENGTH, shuffle=False, **options)


@OUTGROWN
def test_a_row_may_be_filled_to_its_end(tmp_path, options, most):
    rows = outgrown(tmp_path, most, options)
    assert rows.batch(np.arange(rows.epoch_rows))["loss_mask"].sum() == most + 23 * 3


@OUTGROWN
def test_a_row_that_its_padding_or_separators_overflow_is_noticed(tmp_path, options, most):
    rows = outgrown(tmp_path, most + 1, options)
    with pytest.raises(errors.StaleIndexError, match=r"'c\d\d' among them, take"):
        rows.batch(np.arange(rows.epoch_rows))


def test_separators_between_windows_of_a_sample_take_their_room(tmp_path):
    rows = outgrown(tmp_path, 3, {"packing": "concat", "pack_by": "sample", "separate_segments": True})
    assert [len(row) for row in picked(rows)] == [10, 10, 4]


@pytest.mark.parametrize("options", [{}, {"packing": "concat", "pack_by": "sample"}, {"max_n_fraction": 0.4}])
def test_blocks_of_rows_are_shuffled(genome, options):
    genome.write_tables()
    plain = picked(genome.rows(**options))
    rows = picked(genome.rows(**options, shuffle={"block": {"rows": 4, "buffer_blocks": 2}}))
    assert rows != plain
    assert sorted(rows) == sorted(plain)
    assert len({plain.index(row) // 4 for row in rows[:5]}) <= 2  # a buffer is no smaller, even with the short block in it


@given(st.lists(st.integers(1, 9), min_size=1, max_size=40), st.integers(1, 10))
def test_windows_are_grouped_some_at_a_time(tmp_path_factory, tokens, at_once):
    ids = np.arange(len(tokens), dtype=np.int32) + 100
    lengths, counts = np.unique(tokens, return_counts=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "_SORTED_AT_ONCE", at_once)
        folder = tmp_path_factory.getbasetemp()
        grouped = planning._grouped(ids, np.array(tokens, np.int32), lengths, offsets_of(counts), folder)
    assert grouped.tolist() == [100 + i for i in sorted(range(len(tokens)), key=lambda i: tokens[i])]
