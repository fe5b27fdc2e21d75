from itertools import chain

import numpy as np
import pytest

from eden_arrow.id_table import ROW, IdTable, Sample, Shard, samples_bytes
from eden_core.digest_table import HEADER_BYTES, digests_of
from eden_core.digest_table_writing import RowSorter, write_digest_table
from eden_core.errors import FormatError
from eden_core.open_files import OpenFiles

TOLD = samples_bytes([Sample("S1", 0, 0, 5000, 1, 2, 3, "0" * 32)], [Shard("00000.arrow", 5017, packed=True)], 1)


def rows_of(digests) -> np.ndarray:
    rows = np.zeros(len(digests), ROW)
    rows["digest"], rows["check"], rows["offset"] = digests[:, 0], digests[:, 1], np.arange(len(digests))
    return rows


def written(path, digests, rows_in_memory=1000):
    with RowSorter(path.with_suffix(".rows"), IdTable.ROW, rows_in_memory) as rows:
        for some in np.array_split(rows_of(digests), max(1, len(digests) // 300)):
            rows.add(some)
        write_digest_table(path, IdTable, rows, TOLD, lambda two: LookupError(two["offset"].tolist()))
    return path


@pytest.fixture(params=["pread"])
def opened(request):
    tables = []

    def open_table(path):
        tables.append(IdTable(OpenFiles(1, request.param).opened(str(path)), path))
        return tables[-1]

    yield open_table
    for table in tables:
        table.close()


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 5_000])
def test_every_id_is_found_and_no_other(tmp_path, opened, count):
    digests = digests_of(f"id{i}" for i in range(count))
    table = opened(written(tmp_path / "table", digests))
    rows, found = table.find(digests)
    assert found.all()
    assert rows["offset"].tolist() == list(range(count))
    assert not table.find(digests_of(f"other{i}" for i in range(500)))[1].any()
    assert list(tmp_path.iterdir()) == [tmp_path / "table"]


@pytest.mark.parametrize("different", [1, 3, 40])
def test_first_words_that_are_the_same(tmp_path, opened, different):
    digests = digests_of(f"id{i}" for i in range(3000)).copy()
    digests[:, 0] = np.random.default_rng(1).integers(0, 2**64, different, np.uint64)[np.arange(3000) % different]
    table = opened(written(tmp_path / "table", digests))
    some = np.random.default_rng(2).permutation(3000)[:200]
    rows, found = table.find(digests[some])
    assert found.all()
    assert rows["offset"].tolist() == some.tolist()
    strangers = digests[:20] + np.array([0, 1], np.uint64)
    assert not table.find(strangers)[1].any()


def test_the_largest_and_least_words(tmp_path, opened):
    top = 2**64 - 1
    digests = np.array([[0, 0], [0, top], [top, 0], [top, top], [1 << 63, 5]], np.uint64)
    rows, found = opened(written(tmp_path / "table", digests, rows_in_memory=2)).find(digests)
    assert found.all()
    assert rows["offset"].tolist() == list(range(5))


@pytest.mark.parametrize("rows_in_memory", [2, 100, 10_000])
def test_a_repeat_is_an_error(tmp_path, rows_in_memory):
    digests = digests_of(f"id{i % 399}" for i in range(400))
    with pytest.raises(LookupError, match=r"\[(0, 399|399, 0)\]"):
        written(tmp_path / "table", digests, rows_in_memory)


def test_samples_and_shards(tmp_path, opened):
    table = opened(written(tmp_path / "table", digests_of(["a"])))
    assert table.sample(table.number_of("S1")) == Sample("S1", 0, 0, 5000, 1, 2, 3, "0" * 32)
    assert (table.number_of("S0"), table.number_of("S2"), table.sample_names()) == (None, None, ["S1"])
    assert (table.shards, table.next_shard) == ((Shard("00000.arrow", 5017, packed=True),), 1)


@pytest.mark.parametrize("size", [0, 7, 4095, 4096, 5000, -1])
def test_a_table_that_was_cut_short(tmp_path, opened, size):
    path = written(tmp_path / "table", digests_of(f"id{i}" for i in range(100)))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(FormatError, match="table is damaged"):
        opened(path)


def test_a_flipped_bit_is_an_error_and_gives_no_other_place(tmp_path, opened):
    digests = digests_of(f"id{i}" for i in range(300))
    path = written(tmp_path / "table", digests)
    data, rows_end = path.read_bytes(), HEADER_BYTES + 300 * ROW.itemsize
    places = chain(range(44), range(HEADER_BYTES, rows_end, 37), range(rows_end, len(data), 7))
    for place in places:
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        try:
            rows, found = opened(path).find(digests)
        except FormatError as error:
            assert f"{path} is damaged" in str(error)  # noqa: PT017 - a flipped digest hides its row instead
            assert f"remove {path} and import anew" in str(error)  # noqa: PT017
        else:
            assert (place - HEADER_BYTES) % ROW.itemsize < 16
            assert found.sum() == 299
            assert (rows["offset"] == np.arange(300))[found].all()


@pytest.mark.parametrize(
    ("column", "value", "match"),
    [
        ("sample", 1, "sample number 1"),
        ("offset", 5001, "lie outside"),
        ("length", 20004, "lie outside"),
        ("offset", 2**63, "lie"),
    ],
)
def test_a_row_that_lies_outside_its_sample(tmp_path, opened, column, value, match):
    wrong = rows_of(digests_of(["a"]))
    wrong[column] = value
    with RowSorter(tmp_path / "rows", IdTable.ROW) as rows:
        rows.add(wrong)
        write_digest_table(tmp_path / "table", IdTable, rows, TOLD, AssertionError)
    table = opened(tmp_path / "table")
    for look in (lambda: table.find(digests_of(["a"])), lambda: list(table.chunks(10))):
        with pytest.raises(FormatError, match=match):
            look()


def test_a_digest_is_the_same_everywhere():
    of_b2sum = "0c4d231797dcf7abcd526c66e8a74589"  # printf BCR__ECT-SAMPLE1__CT1-1 | b2sum -l 128
    assert digests_of(["BCR__ECT-SAMPLE1__CT1-1"]).astype("<u8").tobytes().hex() == of_b2sum
