import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core import errors, splitting
from eden_core.splitting import split_contigs

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def write(path, lengths: dict[str, int]):
    pq.write_table(
        pa.table({"contig_id": pa.array(lengths, pa.string()), "length": pa.array(lengths.values(), pa.int64())}), path
    )
    return path


def read(folder) -> dict[str, dict[str, int]]:
    found = {}
    for file in sorted(folder.glob("*.parquet")):
        ids, lengths = pq.read_table(file).to_pydict().values()
        found[file.stem] = dict(zip(ids, lengths, strict=True))
    return found


@pytest.fixture
def lengths():
    draw = random.Random(3)
    return {f"contig{i}": draw.randint(500, 60_000) for i in range(1000)}


@pytest.fixture
def contigs(tmp_path, lengths):
    return write(tmp_path / "contigs.parquet", lengths)


def test_each_contig_is_in_one_split(tmp_path, contigs, lengths):
    split_contigs(contigs, tmp_path / "out", **SHARES)
    rows = [item for part in read(tmp_path / "out").values() for item in part.items()]
    assert sorted(rows) == sorted(lengths.items())


def test_shares_are_by_bases(tmp_path, contigs, lengths):
    parts = split_contigs(contigs, tmp_path / "out", **SHARES)
    longest = max(lengths.values()) / sum(lengths.values())
    for name, part in parts.items():
        assert part.bases / sum(lengths.values()) == pytest.approx(SHARES[name], abs=longest)


def test_the_summary_says_what_was_written(tmp_path, contigs):
    parts = split_contigs(contigs, tmp_path / "out", **SHARES)
    found = read(tmp_path / "out")
    assert {name: (part.sequences, part.bases) for name, part in parts.items()} == {
        name: (len(rows), sum(rows.values())) for name, rows in found.items()
    }
    assert parts["train"].location == tmp_path / "out" / "train.parquet"


def test_the_order_of_rows_does_not_matter(tmp_path, contigs, lengths):
    rows = list(lengths.items())
    random.Random(1).shuffle(rows)
    split_contigs(contigs, tmp_path / "one", **SHARES)
    split_contigs(write(tmp_path / "other.parquet", dict(rows)), tmp_path / "two", **SHARES)
    for name in SHARES:
        first, second = (tmp_path / folder / f"{name}.parquet" for folder in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()


def test_another_seed_gives_another_split(tmp_path, contigs):
    split_contigs(contigs, tmp_path / "one", **SHARES)
    split_contigs(contigs, tmp_path / "two", **SHARES, seed=-1)
    assert read(tmp_path / "one") != read(tmp_path / "two")


def test_the_split_of_this_version_stays(tmp_path):
    contigs = write(tmp_path / "contigs.parquet", {f"c{i}": 10 for i in range(10)})
    split_contigs(contigs, tmp_path / "out", **SHARES)
    found = read(tmp_path / "out")
    assert (list(found["validation"]), list(found["test"])) == (["c7"], ["c1"])


def test_ids_are_in_byte_order(tmp_path):
    contigs = write(tmp_path / "contigs.parquet", dict.fromkeys(["é", "b", "B", "a", "\U0001f9ec", "\uffee"], 1))
    split_contigs(contigs, tmp_path / "out", train=1, validation=0, test=0)
    assert list(read(tmp_path / "out")["train"]) == ["B", "a", "b", "é", "\uffee", "\U0001f9ec"]


def test_the_schema_is_that_of_contigs(tmp_path, contigs):
    split_contigs(contigs, tmp_path / "out", **SHARES)
    schema = pq.read_schema(tmp_path / "out" / "train.parquet")
    assert (schema.field("contig_id").type, schema.field("length").type) == (pa.string(), pa.int64())


def test_a_share_of_zero_has_no_file(tmp_path, contigs):
    parts = split_contigs(contigs, tmp_path / "out", train=0.9, validation=0, test=0.1)
    assert parts.keys() == read(tmp_path / "out").keys() == {"train", "test"}


@given(
    lengths=st.lists(st.integers(0, 2**40), min_size=1, max_size=40),
    shares=st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)).filter(any),
)
def test_no_contig_lands_in_a_split_that_nobody_wants(lengths, shares):
    wanted = [share / sum(shares) for share in shares if share]
    table = pa.table({"contig_id": [f"c{i}" for i in range(len(lengths))], "length": pa.array(lengths, pa.int64())})
    places = splitting._places(table, wanted, seed=1)
    assert len(places) == len(lengths)
    assert set(places.tolist()) <= set(range(len(wanted)))


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"train": 0.8, "validation": 0.1, "test": 0.2}, "sum to 1.1: train 0.8, validation 0.1, test 0.2"),
        ({"train": 0.99, "validation": 0, "test": 0}, "sum to 0.99"),
        ({"train": 1.2, "validation": -0.1, "test": -0.1}, "negative: .*validation -0.1"),
        ({"train": float("nan"), "validation": 0.5, "test": 0.5}, "train nan"),
    ],
)
def test_wrong_shares(tmp_path, shares, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        split_contigs(tmp_path / "missing.parquet", tmp_path / "out", **shares)


def test_shares_may_be_rounded(tmp_path, contigs):
    assert len(split_contigs(contigs, tmp_path / "out", train=0.3333333, validation=0.3333333, test=0.3333333)) == 3


@pytest.mark.parametrize("lengths", [{}, {"a": 0, "b": 0}, {"a": 48_502}])
def test_an_empty_split_is_refused(tmp_path, lengths):
    contigs = write(tmp_path / "contigs.parquet", lengths)
    with pytest.raises(errors.InputError, match=f"has {len(lengths)} contigs?, too few.*--cut-every"):
        split_contigs(contigs, tmp_path / "out", **SHARES)
    assert not (tmp_path / "out").exists()


def test_repeated_ids(tmp_path):
    pq.write_table(pa.table({"contig_id": ["b", "a", "b"], "length": [1, 2, 3]}), tmp_path / "c.parquet")
    with pytest.raises(errors.InputError, match="'b' occurs more than once"):
        split_contigs(tmp_path / "c.parquet", tmp_path / "out", **SHARES)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"contig_id": ["a"]}, "lacks the column length"),
        ({"contig_id": [1], "length": [1]}, "contig_id holds int64"),
        ({"contig_id": ["a", None], "length": [1, 1]}, "contig_id is null in row 2"),
        ({"contig_id": ["a"], "length": [-1]}, "length is negative in row 1"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path, columns, message):
    pq.write_table(pa.table(columns), tmp_path / "c.parquet")
    with pytest.raises(errors.InputError, match=message):
        split_contigs(tmp_path / "c.parquet", tmp_path / "out", **SHARES)


def test_existing_splits_are_kept(tmp_path, contigs):
    (tmp_path / "test.parquet").write_text("precious")
    with pytest.raises(errors.OutputExistsError, match="--force"):
        split_contigs(contigs, tmp_path, train=1, validation=0, test=0)
    assert (tmp_path / "test.parquet").read_text() == "precious"


def test_force_removes_splits_that_would_overlap_the_new_ones(tmp_path, contigs):
    split_contigs(contigs, tmp_path / "out", **SHARES)
    split_contigs(contigs, tmp_path / "out", train=0.9, validation=0.1, test=0, force=True)
    assert read(tmp_path / "out").keys() == {"train", "validation"}


def test_a_failed_write_leaves_nothing(tmp_path, contigs, monkeypatch):
    written = []

    def fail_at_the_second(path, batches):
        written.append(path)
        if len(written) == 2:
            raise OSError("disk full")
        path.write_bytes(b"")

    monkeypatch.setattr(splitting, "write_contigs", fail_at_the_second)
    with pytest.raises(OSError, match="disk full"):
        split_contigs(contigs, tmp_path / "out", **SHARES)
    assert not list((tmp_path / "out").glob("*"))


def test_an_output_below_a_file(tmp_path, contigs):
    with pytest.raises(errors.ConfigurationError, match="cannot be made"):
        split_contigs(contigs, contigs / "out", **SHARES)
