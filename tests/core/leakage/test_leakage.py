import random
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eden_core import leakage
from eden_core.errors import InputError
from eden_core.interfaces import ExecutorFactory
from eden_core.leakage import check_leakage
from eden_core.plugins import installed_plugins

COMPLEMENT = str.maketrans("ACGT", "TGCA")
COPIES = 200


def random_bases(draw, count):
    return "".join(draw.choices("ACGT", k=count))


def copy_of(draw, bases, identity=0.95, *, reverse=False):
    """Return a copy with substitutions alone, of either strand."""
    changed = "".join(base if draw.random() < identity else draw.choice("ACGT".replace(base, "")) for base in bases)
    return changed.translate(COMPLEMENT)[::-1] if reverse else changed


def planted(bases, place, piece):
    return bases[:place] + piece + bases[place + len(piece) :]


class Here(ExecutorFactory):
    """Runs tasks in this process, where tests may change limits."""

    name = "here"
    workers = 1

    @contextmanager
    def opened(self):
        with ThreadPoolExecutor(1) as executor:
            yield executor


@pytest.fixture
def check(tmp_path):
    """Compare splits, given as {split: {contig: bases}} or {split: {contig: (start, bases)}} for regions."""

    def compare(splits, *, factory=None, regions=None):
        with installed_plugins().store("sqlite-shards", str(tmp_path)) as store:
            store.write_shard("s", [(name, bases.encode()) for part in splits.values() for name, bases in part.items()])
        for split, part in splits.items():
            rows = [(name, 0, len(bases)) for name, bases in part.items()] if regions is None else regions[split]
            ids, starts, lengths = zip(*rows, strict=True)
            table = pa.table({"contig_id": ids, "start": pa.array(starts, pa.int64()), "length": pa.array(lengths, pa.int64())})
            pq.write_table(table if regions else table.drop_columns("start"), tmp_path / f"{split}.parquet", row_group_size=90)
        tables = {split: tmp_path / f"{split}.parquet" for split in splits}
        return check_leakage(tables, "sqlite-shards", tmp_path, factory or Here())

    return compare


@pytest.fixture(scope="module")
def with_copies():
    """Training and test of unrelated sequence; the first 200 contigs of test hold 1,000 bases of training at 95 % identity."""
    draw = random.Random(5)
    train = {f"t{i:03}": random_bases(draw, 20_000) for i in range(COPIES)}
    test = {f"h{i:03}": random_bases(draw, 3000) for i in range(2 * COPIES)}
    for i in range(COPIES):
        source, place = draw.randrange(19_000), draw.randrange(2000)
        piece = copy_of(draw, train[f"t{i:03}"][source : source + 1000], reverse=i % 2 == 1)
        test[f"h{i:03}"] = planted(test[f"h{i:03}"], place, piece)
    return {"train": train, "test": test}


def matched_contigs(monkeypatch, check, splits):
    """Return the held-out contigs with a match, and which of training each is like."""
    monkeypatch.setattr(leakage, "WORST", 10_000)
    monkeypatch.setattr("eden_core.leakage.pairs.WORST", 10_000)
    return {(pair.contig, pair.other_contig) for pair in check(splits).worst}


def test_planted_copies_of_either_strand_are_found_and_nothing_else(monkeypatch, check, with_copies):
    found = matched_contigs(monkeypatch, check, with_copies)
    expected = {(f"h{i:03}", f"t{i:03}") for i in range(COPIES)}
    assert found <= expected
    assert len(found) >= 0.99 * COPIES


def test_the_worst_pair_is_named_with_its_regions(check):
    draw = random.Random(1)
    train, test = {"a": random_bases(draw, 30_000), "b": random_bases(draw, 9000)}, {"c": random_bases(draw, 8000)}
    test["c"] = planted(test["c"], 2000, copy_of(draw, train["b"][5000:8000], 0.98, reverse=True))
    test["c"] = planted(test["c"], 6000, copy_of(draw, train["a"][20_000:21_000], 0.95))
    result = check({"train": train, "test": test})
    worst, other = result.worst
    assert (worst.held_out, worst.contig, worst.other, worst.other_contig) == ("test", "c", "train", "b")
    assert (worst.start, worst.end) == pytest.approx((2000, 5000), abs=600)
    assert (worst.other_start, worst.other_end) == pytest.approx((5000, 8000), abs=200)
    assert worst.identity == pytest.approx(0.98, abs=0.01)
    assert (other.other_contig, other.other_start) == ("a", pytest.approx(20_000, abs=100))
    assert result.overlaps[0].matched == pytest.approx(5 + 2, abs=3)
    assert result.into_training == result.overlaps[0].matched / 15


def test_every_pair_of_splits_is_compared(check):
    draw = random.Random(2)
    one, two = random_bases(draw, 3000), random_bases(draw, 3000)
    result = check({"train": {"a": one}, "validation": {"b": two}, "test": {"c": one, "d": two}})
    assert [(overlap.held_out, overlap.other, overlap.matched, overlap.windows) for overlap in result.overlaps] == [
        ("validation", "train", 0, 5),
        ("test", "train", 5, 10),
        ("test", "validation", 5, 10),
    ]


def test_regions_are_compared_and_not_what_lies_between(check):
    draw = random.Random(3)
    whole = random_bases(draw, 20_000)
    whole = planted(whole, 18_000, copy_of(draw, whole[2000:3000]))
    regions = {"train": [("a", 0, 5000)], "test": [("a", 17_500, 2500)]}
    (pair,) = check({"train": {"a": whole}, "test": {"b": "A"}}, regions=regions).worst
    assert (pair.contig, pair.start, pair.end) == ("a", pytest.approx(18_000, abs=600), pytest.approx(19_000, abs=600))
    assert (pair.other_start, pair.other_end) == pytest.approx((2000, 3000), abs=200)
    regions["train"] = [("a", 0, 2000), ("a", 3000, 5000)]
    assert not check({"train": {"a": whole}, "test": {"b": "A"}}, regions=regions).worst


def test_borders_of_tasks_reads_and_pieces_hide_nothing(check, monkeypatch):
    draw = random.Random(4)
    train = random_bases(draw, 60_000)
    test = {f"h{i}": copy_of(draw, train[start : start + 1000]) for i, start in enumerate(range(0, 59_000, 1000))}
    monkeypatch.setattr(leakage, "_TASK", 10_000)
    monkeypatch.setattr("eden_core.splitting.reading.READ", 2500)
    found = matched_contigs(monkeypatch, check, {"train": {"a": train, "b": "ACGT"}, "test": test})
    assert len(found) >= len(test) - 1


def test_repeats_of_short_units_are_no_leakage(check):
    draw = random.Random(6)
    repeats = "CAG" * 400 + "A" * 1000 + "ATTTA" * 300
    splits = {name: {name: random_bases(draw, 3000) + repeats + random_bases(draw, 3000)} for name in ("train", "test")}
    result = check(splits)
    assert not result.worst
    assert result.overlaps[0].unchecked >= 4


def test_sequence_that_is_everywhere_is_found(check):
    """Many near-identical genomes: each k-mer lies in hundreds of bins, and is kept in some of them."""
    draw = random.Random(7)
    genome = random_bases(draw, 3000)
    test = {f"h{i:03}": copy_of(draw, genome, 0.999) for i in range(150)}
    result = check({"train": {"a": genome}, "test": test})
    assert result.overlaps[0].share > 0.99


def test_short_contigs_are_compared(check):
    draw = random.Random(8)
    short = {f"s{i}": random_bases(draw, 300) for i in range(20)}
    train = random_bases(draw, 5000) + "".join(short.values())
    result = check({"train": {"t": train}, "test": short | {"tiny": "ACG", "empty": ""}})
    assert (result.overlaps[0].matched, result.overlaps[0].windows, result.overlaps[0].unchecked) == (20, 20, 2)


def test_processes_change_nothing(check, with_copies):
    local = installed_plugins().executor("local", {"workers": 2})
    assert check(with_copies, factory=local) == check(with_copies)


def test_more_held_out_sequence_than_fits_is_drawn_from(check, monkeypatch):
    draw = random.Random(9)
    bases = random_bases(draw, 200_000)
    monkeypatch.setattr(leakage, "MOST_HELD_OUT", 100_000)
    monkeypatch.setattr(leakage, "_DRAWN", 5000)
    result = check({"train": {"a": bases}, "test": {"b": bases}})
    assert result.drawn == 0.5
    assert 100 < result.overlaps[0].windows == result.overlaps[0].matched < 300


def test_the_folder_of_sketches_goes(check, tmp_path):
    check({"train": {"a": "ACGT" * 300}, "test": {"b": "ACGT" * 300}})
    assert not list(tmp_path.glob(".leakage*"))


def test_one_split_alone(check):
    with pytest.raises(InputError, match="between splits, and there is only train"):
        check({"train": {"a": "ACGT"}})
