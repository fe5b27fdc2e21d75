import gzip
import io
import subprocess
import sys

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eden_core.errors import InputError
from eden_core.records import decompression
from eden_core.records.decompression import decompressed, read_blocks

DATA = bytes(range(256)) * 40


def zstd(data: bytes) -> bytes:
    return pa.Codec("zstd").compress(data, asbytes=True)


def unpacked(*blocks: bytes) -> bytes:
    return b"".join(decompressed(blocks, "file.fa"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
@given(data=st.lists(st.binary(max_size=80), max_size=5), block=st.integers(1, 50))
def test_members_and_frames_follow_each_other(pack, data, block):
    packed = b"".join(pack(b"x" + part) for part in data)
    blocks = [packed[i : i + block] for i in range(0, len(packed), block)]
    assert unpacked(*blocks) == b"".join(b"x" + part for part in data)


def test_what_grows_a_thousandfold_comes_in_blocks(monkeypatch):
    monkeypatch.setattr(decompression, "_BLOCK_BYTES", 1000)
    for pack in (gzip.compress, zstd):
        blocks = list(decompressed([pack(bytes(100_000))], "file.fa"))
        assert b"".join(blocks) == bytes(100_000)
        assert max(map(len, blocks)) <= 1000


def test_padding_behind_gzip_is_skipped():
    assert unpacked(gzip.compress(b"AC") + bytes(20) + gzip.compress(b"GT\n") + bytes(3)) == b"ACGT\n"


def test_frames_that_are_to_be_skipped_may_stand_between_frames():
    skippable = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    assert unpacked(zstd(b"AC") + skippable + zstd(b"GT")) == b"ACGT"


def test_no_block_is_empty():
    assert list(decompressed([gzip.compress(b""), gzip.compress(b"A"), gzip.compress(b"")], "file.fa")) == [b"A"]


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        pytest.param(gzip.compress(DATA)[:-9], "gzip data ends too early", id="gzip-truncated"),
        pytest.param(gzip.compress(DATA)[:-1], "gzip data ends too early", id="gzip-truncated-trailer"),
        pytest.param(gzip.compress(DATA)[:5], "gzip data ends too early", id="gzip-header-alone"),
        pytest.param(gzip.compress(DATA)[:-8] + bytes(8), "gzip data is damaged", id="gzip-checksum"),
        pytest.param(gzip.compress(DATA) + b"more", "gzip data is damaged", id="gzip-trailing"),
        pytest.param(zstd(DATA)[:-3], "Zstandard data ends too early", id="zstd-truncated"),
        pytest.param(zstd(DATA)[:4], "Zstandard data ends too early", id="zstd-magic-alone"),
        pytest.param(zstd(DATA) + zstd(DATA)[:-3], "Zstandard data ends too early", id="zstd-truncated-second-frame"),
        pytest.param(zstd(DATA) + b"more", "Zstandard data is damaged", id="zstd-trailing"),
        pytest.param(zstd(DATA)[:6] + b"\xff" * 30 + zstd(DATA)[36:], "Zstandard data is damaged", id="zstd-damaged"),
    ],
)
def test_damage_names_the_file(packed, message):
    with pytest.raises(InputError, match=f"file.fa: the {message}"):
        unpacked(packed)


@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_a_read_that_fails_is_no_damage(pack):
    def blocks():
        yield pack(DATA * 100)[:50]
        raise InputError("the disk is gone")

    with pytest.raises(InputError, match="the disk is gone"):
        list(decompressed(blocks(), "file.fa"))


def test_progress_counts_what_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(decompression, "_BLOCK_BYTES", 100)
    (tmp_path / "file").write_bytes(DATA)
    seen = []
    assert b"".join(read_blocks(tmp_path / "file", seen.append)) == DATA
    assert sum(seen) == len(DATA)
    assert max(seen) == 100


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DATA)))
    assert b"".join(read_blocks("-")) == DATA


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match=r"none\.fa cannot be read: No such file"):
        next(read_blocks(tmp_path / "none.fa"))


def test_a_directory(tmp_path):
    with pytest.raises(InputError, match="Is a directory"):
        next(read_blocks(tmp_path))


def test_a_read_error():
    with pytest.raises(InputError, match="/proc/self/mem cannot be read: Input/output error"):
        next(read_blocks("/proc/self/mem"))


def test_a_file_without_permission(tmp_path):
    (tmp_path / "g.fa").touch(mode=0)
    code = (
        "import os, sys; from eden_core.records.decompression import read_blocks; "
        "os.geteuid() or os.seteuid(65534); next(read_blocks(sys.argv[1]))"
    )
    ran = subprocess.run([sys.executable, "-c", code, tmp_path / "g.fa"], capture_output=True, text=True)
    assert f"InputError: {tmp_path / 'g.fa'} cannot be read: Permission denied" in ran.stderr
