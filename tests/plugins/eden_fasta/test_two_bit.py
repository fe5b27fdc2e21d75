import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sequence_files import two_bit_record, write_two_bit

from eden_core import errors
from eden_core.testing.suite import windows_of
from eden_fasta.stores import TwoBitStore

ORDERS, VERSIONS = st.sampled_from("<>"), st.sampled_from([0, 1])
RUNS = st.lists(st.tuples(st.sampled_from(["ACGT", "acgt", "N", "n", "GATTACA"]), st.integers(1, 30)), max_size=200)


def drawn(runs) -> bytes:
    return "".join((letters * count)[: max(count, 1)] for letters, count in runs).encode()


def read(path, *requests) -> list[bytes]:
    with TwoBitStore(str(path)) as store:
        return [row.tobytes() for row in store.read(windows_of(requests))]


@settings(deadline=None)
@given(st.lists(RUNS.map(drawn).filter(bool), min_size=1, max_size=4), ORDERS, VERSIONS, st.data())
def test_windows_of_any_file(tmp_path_factory, sequences, order, version, data):
    named = {f"chr{i}": bases for i, bases in enumerate(sequences)}
    path = write_two_bit(tmp_path_factory.mktemp("2bit") / "x.2bit", named, order, version)
    requests = []
    for name, bases in named.items():
        start = data.draw(st.integers(0, len(bases) - 1))
        requests += [(name, 0, len(bases)), (name, start, data.draw(st.integers(1, len(bases))))]
    assert read(path, *requests) == [named[name][start : start + count] for name, start, count in requests]


@pytest.mark.parametrize("count", [63, 64, 65, 66, 200, 5_000])
def test_blocks_of_a_long_table_are_found(tmp_path, count):
    bases = b"ACgtaNNC" * count
    path = write_two_bit(tmp_path / "x.2bit", {"a": b"T", "chr1": bases})
    places = [*range(40), *(len(bases) - 1 - i for i in range(40)), *range(0, len(bases), max(1, len(bases) // 50))]
    requests = [("chr1", place, length) for place in places for length in (1, 9, 700)]
    assert read(path, *requests) == [bases[start : start + length] for _, start, length in requests]


def test_what_is_listed(tmp_path):
    path = write_two_bit(tmp_path / "hg.2bit", {"chr2": b"ACGTN" * 9, "chr10": b"acg", "empty": b""})
    with TwoBitStore(str(path)) as store:
        assert list(store.samples()) == ["hg"]
        assert [row for batch in store.contigs("hg") for row in batch.to_pydict()["contig_id"]] == ["chr10", "chr2"]
        store.check_shard("hg")


def test_only_what_a_window_needs_is_read(tmp_path):
    bases = np.random.default_rng(1).choice(np.frombuffer(b"ACGT", np.uint8), 4_000_000).tobytes()
    path = write_two_bit(tmp_path / "x.2bit", {"chr1": b"N" * 100 + bases[100:2_000_000] + bases[2_000_000:].lower()})
    with TwoBitStore(str(path)) as store:
        store.read(windows_of([("chr1", 0, 1)]))
        before = bytes_read()
        store.read(windows_of([("chr1", 3_000_000, 8192)]))
        assert bytes_read() - before < 2_300


def bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_repeated_name_is_an_error(tmp_path):
    path = write_two_bit(tmp_path / "x.2bit", {"chr1": b"ACGT", "chr2": b"A"})
    path.write_bytes(path.read_bytes().replace(b"chr2", b"chr1"))
    with pytest.raises(errors.RepeatedIdError, match="'chr1' occurs twice"):
        TwoBitStore(str(path)).fingerprint()


WHOLE = struct.pack("<4I", 0x1A412743, 0, 1, 0) + b"\x04chr1" + struct.pack("<I", 25) + two_bit_record(b"NNacgtACGT", "<")
DAMAGES = {
    "another signature": (WHOLE.replace(WHOLE[:4], b"ACGT", 1), "is no .2bit file"),
    "nothing": (b"", "is no .2bit file"),
    "a later version": (WHOLE[:4] + struct.pack("<I", 2) + WHOLE[8:], "version 2"),
    "a long index": (WHOLE[:8] + struct.pack("<I", 9) + WHOLE[12:], "its index of names"),
    "an empty name": (WHOLE[:16] + b"\0" + WHOLE[17:], "its index of names"),
    "an offset outside": (WHOLE[:21] + struct.pack("<I", 10**6) + WHOLE[25:], "'chr1' does not end within"),
    "a long sequence": (WHOLE[:25] + struct.pack("<I", 2**32 - 1) + WHOLE[29:], "'chr1' does not end within"),
    "many N blocks": (WHOLE[:29] + struct.pack("<I", 2**32 - 1) + WHOLE[33:], "'chr1' does not end within"),
    "the end cut off": (WHOLE[:-1], "'chr1' does not end within"),
}


@pytest.mark.parametrize(("content", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_named(tmp_path, content, message):
    path = tmp_path / "x.2bit"
    path.write_bytes(content)
    with pytest.raises(errors.FormatError, match=rf"x\.2bit.*{message}"):
        TwoBitStore(str(path)).fingerprint()


@settings(deadline=None)
@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_no_byte_makes_it_crash(tmp_path_factory, place, value):
    path = tmp_path_factory.mktemp("2bit") / "x.2bit"
    path.write_bytes(WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :])
    try:
        (row,) = read(path, ("chr1", 0, 10))
    except errors.EdenError:
        return
    assert 0 < len(row) <= 10


def with_blocks(path: Path, starts, sizes) -> Path:
    """Writes a sequence of 100,000 T with N blocks of any kind."""
    numbers = struct.pack(f"<{2 + 2 * len(starts)}I", 100_000, len(starts), *starts, *sizes)
    path.write_bytes(WHOLE[:25] + numbers + bytes(8 + 25_000))
    return path


FIRSTS = np.arange(0, 80_000, 400)
BLOCKS = {
    "nested": (np.r_[0, FIRSTS + 100], np.r_[50_000, np.full(200, 10)]),
    "out of order": (FIRSTS[::-1], np.full(200, 10)),
    "swapped": (np.r_[FIRSTS[:100], FIRSTS[101], FIRSTS[100], FIRSTS[102:]], np.full(200, 10)),
    "outside": (FIRSTS, np.r_[np.full(199, 10), 20_401]),
}


@pytest.mark.parametrize("piece", [1 << 18, 1, 100])
@pytest.mark.parametrize(("starts", "sizes"), BLOCKS.values(), ids=BLOCKS)
def test_blocks_that_bisection_would_miss_are_an_error(tmp_path, monkeypatch, starts, sizes, piece):
    monkeypatch.setattr("eden_fasta.interval_blocks._PIECE", piece)
    path = with_blocks(tmp_path / "x.2bit", starts, sizes)
    with pytest.raises(errors.FormatError, match="N blocks of sequence 'chr1' overlap, are in no order, or lie outside it"):
        TwoBitStore(str(path)).fingerprint()


@pytest.mark.parametrize("size", [0, 10, 400])
def test_blocks_may_touch_and_be_empty(tmp_path, monkeypatch, size):
    monkeypatch.setattr("eden_fasta.interval_blocks._PIECE", 7)
    path = with_blocks(tmp_path / "x.2bit", FIRSTS, np.full(200, size))
    assert read(path, ("chr1", 79_500, 600)) == [(b"N" * size).ljust(400, b"T")[300:] + (b"N" * size).ljust(500, b"T")]


def test_checking_finds_a_field_that_is_not_0(tmp_path):
    path = with_blocks(tmp_path / "x.2bit", [], [])
    content = bytearray(path.read_bytes())
    content[37] = 1
    path.write_bytes(content)
    with pytest.raises(errors.FormatError, match="behind the blocks of sequence 'chr1' is not 0"):
        TwoBitStore(str(path)).check_shard("x")
