import errno
import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from eden_arrow.store import ArrowShards
from eden_arrow.two_bits import RUN
from eden_core import EdenDataset, errors
from eden_core.open_files import PlainFile
from eden_core.testing.processes import count_open_files
from eden_core.testing.suite import windows_of
from eden_sqlite.index import SqliteIndex

ONE, TWO = "B__X-S1__one", "B__X-S1__two"
SEQUENCES = {ONE: b"ACGTNNacgt" * 1000, TWO: b"GATTACA", "B__X-S2__one": b"TTTT" * 999}


def read(store, sequence_id, start=0, length=10**9) -> bytes:
    return store.read(windows_of([(sequence_id, start, length)]))[0].tobytes()


def test_pyarrow_reads_the_shards(written, shards):
    written(SEQUENCES)
    with pa.ipc.open_file(shards / "00000.arrow") as file:
        table = file.read_all()
    assert table.schema.types == [pa.string(), pa.large_binary()]
    assert dict(zip(*table.to_pydict().values(), strict=True)) == SEQUENCES


def test_polars_reads_the_shards(written, shards):
    written(SEQUENCES)
    for table in (pl.read_ipc(shards / "00000.arrow"), pl.scan_ipc(shards / "*.arrow").collect()):
        assert dict(table.iter_rows()) == SEQUENCES


def test_packed_shards_say_how_they_are_kept(written, shards):
    written(SEQUENCES, packed=True)
    with pa.ipc.open_file(shards / "00000.arrow") as file:
        table = file.read_all()
    assert table.schema.metadata[b"eden_encoding"] == b"two-bits"
    row = table.to_pylist()[1]
    value = row["nt_packed"]
    assert (row["contig_id"], row["length"], len(value)) == (TWO, 7, 2)
    assert "".join("ACGT"[value[i // 4] >> 2 * (i % 4) & 3] for i in range(7)) == "GATTACA"
    value = table.to_pylist()[0]["nt_packed"][2500:]
    assert np.frombuffer(value, "<u4", 2).tolist() == [0, 2000]
    assert np.frombuffer(value, RUN, 2, 8).tolist() == [(4, 5, ord("N")), (6, 9, 0)]


def test_packed_and_plain_samples_mix(written, shards):
    store = written(SEQUENCES)
    packed = ArrowShards(store.location, packed=True)
    packed.write_shard("S3", [("B__X-S3__a", b"acgtNNRR" * 99)])
    packed.finish()
    whole = SEQUENCES | {"B__X-S3__a": b"acgtNNRR" * 99}
    for some in (store, packed):
        some.close()
        assert [row.tobytes() for row in some.read(windows_of([(i, 0, 10**9) for i in whole]))] == list(whole.values())
    assert {path.name for path in shards.iterdir()} == {"00000.arrow", "00001.arrow", "ids.table"}


def test_a_packed_store_is_a_quarter(written, shards):
    written({ONE: b"ACGT" * 100_000}, packed=True)
    assert (shards / "00000.arrow").stat().st_size < 101_500


def test_long_and_many_sequences_take_several_batches(written, monkeypatch):
    monkeypatch.setattr("eden_arrow.shard_files.BATCH_BYTES", 1000)
    monkeypatch.setattr("eden_arrow.shard_files.BATCH_ROWS", 7)
    sequences = {f"B__X-S1__{i}": b"ACGTN" * (i % 17) + b"A" * (5000 * (i == 40)) + b"C" for i in range(100)}
    for packed in (False, True):
        store = written(sequences, packed=packed)
        assert {i: read(store, i) for i in sequences} == sequences
        store.check_shard("S1")


def test_ids_that_name_no_sample(tmp_path):
    store = ArrowShards(str(tmp_path))
    store.write_shard("S1", [("chr1", b"ACGT"), ("chr2", b"GG")])
    assert read(store, "chr2") == b"GG"
    store.finish()
    assert read(store, "chr1", 1, 2) == b"CG"


def test_a_digest_that_two_ids_share_is_refused(written, monkeypatch):
    for module in ("shard_files", "parts"):
        monkeypatch.setattr(f"eden_arrow.{module}.digests_of", lambda ids: np.zeros((len(list(ids)), 2), np.uint64))
    with pytest.raises(errors.InputError, match=r"'B__X-S1__one' and 'B__X-S1__two' have one digest"):
        written(SEQUENCES)


@pytest.mark.parametrize("packed", [False, True])
def test_repeated_ids(tmp_path, packed):
    store = ArrowShards(str(tmp_path), packed=packed)
    with pytest.raises(errors.RepeatedIdError, match="'B__X-S1__one' occurs more than once"):
        store.write_shard("S1", [(ONE, b"A"), (TWO, b"C"), (ONE, b"G")])
    assert list(tmp_path.iterdir()) == []


def test_an_id_of_two_samples(tmp_path):
    store = ArrowShards(str(tmp_path))
    store.write_shard("S1", [("chr1", b"A"), ("chr2", b"C")])
    store.write_shard("S2", [("chr1", b"G")])
    with pytest.raises(errors.RepeatedIdError, match="'chr1' is in sample 'S1' and in sample 'S2'"):
        store.finish()
    store.write_shard("S2", [("chr3", b"G")])
    store.finish()
    assert read(store, "chr3") == b"G"


@pytest.mark.parametrize("bad", [b"AC\xffT", "AC\u00e9".encode()])
def test_bases_that_are_no_text(tmp_path, bad):
    with pytest.raises(errors.InputError, match="no ASCII letter at 2"):
        ArrowShards(str(tmp_path)).write_shard("S1", [(ONE, bad)])


def test_an_id_that_is_no_utf8(tmp_path):
    with pytest.raises(errors.InputError, match="cannot be written as UTF-8"):
        ArrowShards(str(tmp_path)).write_shard("S1", [("B__X-S1__\udcff", b"A")])


def test_an_empty_sample_is_a_sample(tmp_path):
    store = ArrowShards(str(tmp_path))
    store.write_shard("S1", [])
    store.finish()
    assert (list(store.samples()), list(store.contigs("S1"))) == (["S1"], [])
    store.check_shard("S1")


@pytest.mark.parametrize("options", [{"io": "nfs"}, {"shard_bytes": 0}, {"max_open_files": 0}])
def test_options_out_of_range(tmp_path, options):
    with pytest.raises(errors.ConfigurationError):
        ArrowShards(str(tmp_path), **options)


def test_an_empty_folder(tmp_path):
    store = ArrowShards(str(tmp_path))
    assert list(store.samples()) == []
    with pytest.raises(errors.ShardNotFoundError, match="holds no shards"):
        read(store, ONE)
    store.finish()
    store.remove_shard("S1")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("io", ["mmap", "pread"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_shard_that_was_cut_short(written, shards, io, packed):
    store = written(SEQUENCES, packed=packed, io=io)
    os.truncate(shards / "00000.arrow", 900)
    for look in (lambda: read(store, ONE), lambda: store.check_shard("S1")):
        with pytest.raises(errors.FormatError, match="has 900 bytes instead of"):
            look()
    assert "900 bytes" in store.shard_state("S1").unsafe


@pytest.mark.parametrize("packed", [False, True])
def test_a_shard_that_is_cut_short_while_it_is_read(written, shards, packed):
    store = written(SEQUENCES, packed=packed, io="pread")
    assert read(store, ONE) == SEQUENCES[ONE]
    os.truncate(shards / "00000.arrow", 900)
    with pytest.raises(errors.FormatError, match="cut short since it was opened"):
        read(store, ONE)


def test_a_failing_disk_is_an_error_with_its_number():
    file = PlainFile("/proc/self/mem", os.open("/proc/self/mem", os.O_RDONLY), 1 << 40)  # nothing lies at address 0
    for look in (
        lambda: file.read(0, 10),
        lambda: file.copy(np.array([0]), np.array([10]), np.zeros(10, np.uint8), np.array([0])),
    ):
        with pytest.raises(OSError, match="/proc/self/mem") as caught:
            look()
        assert caught.value.errno == errno.EIO
    file.close()


@pytest.mark.parametrize("packed", [False, True])
def test_a_flipped_bit_is_found(written, shards, packed):
    store = written({ONE: b"ACGT" * 9000}, packed=packed)
    data = bytearray((shards / "00000.arrow").read_bytes())
    data[data.index(b"\xe4" * 99 if packed else b"ACGT" * 99) + 500] ^= 2
    (shards / "00000.arrow").write_bytes(data)
    with pytest.raises(errors.FormatError, match="has the digest"):
        store.check_shard("S1")


def test_another_file_in_place_of_a_shard(written, shards):
    store = written(SEQUENCES)
    path = shards / "00000.arrow"
    path.write_bytes(b"x" * path.stat().st_size)
    with pytest.raises(errors.FormatError, match="no shard that can be read"):
        store.check_shard("S1")


def test_a_missing_shard_is_named(written, shards):
    store = written(SEQUENCES)
    (shards / "00000.arrow").unlink()
    for look in (lambda: read(store, ONE), lambda: store.check_shard("S1")):
        with pytest.raises(errors.ShardNotFoundError, match=r"00000\.arrow is missing, and .*ids\.table names it"):
            look()
    assert "00000.arrow is missing, and" in store.shard_state("S1").unsafe


def test_a_damaged_table_says_what_to_remove_and_that_helps(written, shards):
    store = written(SEQUENCES)
    data = bytearray((shards / "ids.table").read_bytes())
    data[-50] ^= 1
    (shards / "ids.table").write_bytes(data)
    store.close()
    for look in (lambda: read(store, ONE), store.finish, lambda: list(store.samples())):
        with pytest.raises(errors.FormatError, match=f"ids.table is damaged: .* or remove {shards} and import anew"):
            look()
    shutil.rmtree(shards)
    assert read(written(SEQUENCES), ONE) == SEQUENCES[ONE]


def test_the_table_is_checked_too(written, shards):
    store = written(SEQUENCES)
    data = bytearray((shards / "ids.table").read_bytes())
    data[4096] ^= 1
    (shards / "ids.table").write_bytes(data)
    with pytest.raises(errors.FormatError, match="an id is not in the table"):
        [store.check_shard(sample) for sample in ("S1", "S2")]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"packed": "no"}, "packed is 'no'; expected True or False"),
        ({"max_open_files": "7"}, "max_open_files is '7'; expected an integer of 1 or more"),
        ({"shard_bytes": None}, "shard_bytes is None"),
        ({"shard_bytes": 1.5}, "shard_bytes is 1.5"),
    ],
)
def test_options_without_a_meaning(tmp_path, options, message):
    with pytest.raises(errors.ConfigurationError, match=message):
        ArrowShards(str(tmp_path), **options)


def test_open_files_are_bounded(written, shards):
    sequences = {f"B__X-S{n}__1": b"ACGT" * n for n in range(1, 60)}
    store = written(sequences, shard_bytes=1, max_open_files=5)
    assert len(list(shards.glob("*.arrow"))) == 59
    before = count_open_files()
    for _ in range(2):
        assert {i: read(store, i) for i in sequences} == sequences
        assert count_open_files() - before <= 6  # and the table
    store.close()
    assert count_open_files() == before


def test_what_another_process_opened_is_not_used(written):
    store = written(SEQUENCES)
    read(store, ONE)
    child = os.fork()
    if not child:
        before = store._contents
        os._exit(0 if read(store, TWO) == b"GATTACA" and store._contents is not before and before._table.rows == 3 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_pickles_are_small(written):
    store = written({f"B__X-S1__{i}": b"A" for i in range(5000)})
    read(store, "B__X-S1__7")
    assert len(pickle.dumps(store)) < 1000


def test_a_fingerprint_tells_content(written, tmp_path):
    store = written(SEQUENCES, finish=False)
    before = store.fingerprint()
    store.finish()
    assert store.fingerprint() == before
    packed = ArrowShards(str(tmp_path / "other"), packed=True)
    for sample in ("S2", "S1"):
        packed.write_shard(sample, [(i, bases) for i, bases in SEQUENCES.items() if sample in i])
    assert packed.fingerprint() == before
    packed.write_shard("S2", [("B__X-S2__one", b"TTTT" * 998 + b"TTTG")])
    assert packed.fingerprint() != before


def test_few_metadata_calls_before_the_first_read(written, tmp_path):
    store = written({f"B__X-S{n}__1": b"ACGT" * n for n in range(1, 100)}, shard_bytes=1)
    code = (
        "import os; from eden_arrow.store import ArrowShards; from eden_core.testing.suite import windows_of\n"
        f"store, windows = ArrowShards({store.location!r}), windows_of([('B__X-S7__1', 0, 5)])\n"
        "os.path.exists('/before reading'); store.read(windows); os.path.exists('/after reading')"
    )
    log = tmp_path / "strace"
    subprocess.run(["strace", "-f", "-o", log, "-e", "trace=%file,%desc", sys.executable, "-c", code], check=True)
    calls = log.read_text().partition("/before reading")[2].partition("/after reading")[0].splitlines()[1:-1]
    metadata = [
        line for line in calls if store.location in line or "getdents" in line or "fstat" in line or 'stat(3, ""' in line
    ]
    assert 0 < len(metadata) <= 10


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="counts calls as Linux does")
def test_one_call_a_window(written):
    store = written({ONE: b"ACGT" * 100_000}, io="pread")
    windows = windows_of([(ONE, start, 8000) for start in range(0, 320_000, 10_000)])
    store.read(windows)

    def calls() -> int:
        return int(Path("/proc/self/io").read_text().partition("syscr: ")[2].split()[0])

    before = calls()
    own = calls() - before
    before = calls()
    store.read(windows)
    assert calls() - before - own <= len(windows) + 2  # the rows of the table, where its digest lies


@pytest.mark.parametrize("packed", [False, True])
def test_rows_are_those_of_the_other_store(written, small, packed):
    store = written({i: bases.encode() for i, bases in small.sequences.items()}, packed=packed)
    other = EdenDataset(**small.options)
    index = SqliteIndex(str(small.windows))
    dataset = EdenDataset(store, index, seq_length=small.options["seq_length"])
    rows = list(range(len(other)))
    batch, expected = dataset.batch(rows), other.batch(rows)
    assert all(batch[key].equal(expected[key]) for key in expected)
