import gzip
import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sequence_files import write_fasta

from eden_core import EdenDataset, Tiling, errors
from eden_core.testing.processes import count_open_files
from eden_core.testing.suite import windows_of
from eden_fasta.bgzip import is_bgzip
from eden_fasta.locations import TABLE_SUFFIX
from eden_fasta.stores import FastaStore
from eden_sqlite.index import SqliteIndex

BASES = np.random.default_rng(3).choice(np.frombuffer(b"ACGTacgtNn", np.uint8), 20_000).tobytes()
SEQUENCES = {"NC_1.1": BASES, "chr2": BASES[::-1][:777], "chr3": b"GATTACA"}


@pytest.fixture
def genome(tmp_path) -> Path:
    (tmp_path / "data").mkdir()
    return write_fasta(tmp_path / "data" / "genome.fa", SEQUENCES)


@pytest.fixture
def bgzip(genome):
    """Compresses the genome; the plain file goes."""
    pysam = pytest.importorskip("pysam")
    pysam.tabix_compress(str(genome), f"{genome}.gz")
    genome.unlink()
    return Path(f"{genome}.gz")


def whole(store, names=SEQUENCES):
    return {
        name: row.tobytes() for name, row in zip(names, store.read(windows_of([(n, 0, 10**9) for n in names])), strict=True)
    }


def listed(store, *sample):
    return [(row["contig_id"], row["length"]) for batch in store.contigs(*sample) for row in batch.to_pylist()]


@given(st.lists(st.tuples(st.sampled_from(sorted(SEQUENCES)), st.integers(0, 6), st.integers(1, 9_000)), max_size=9),
       st.integers(1, 300), st.sampled_from([b"\n", b"\r\n"]))  # fmt: skip
def test_windows_of_any_lines(tmp_path_factory, requests, width, end):
    path = write_fasta(tmp_path_factory.mktemp("fasta") / "x.fa", SEQUENCES, width, end)
    with FastaStore(str(path)) as store:
        found = store.read(windows_of(requests))
    assert [row.tobytes() for row in found] == [SEQUENCES[name][start : start + n] for name, start, n in requests]


def test_one_file_serves_every_id(genome):
    with FastaStore(str(genome)) as store:
        assert whole(store) == SEQUENCES
        assert list(store.samples()) == ["genome"]
        assert listed(store, "genome") == sorted((name, len(bases)) for name, bases in SEQUENCES.items())
    assert {path.name for path in genome.parent.iterdir()} == {f"genome.fa{suffix}" for suffix in ("", ".fai", TABLE_SUFFIX)}


def test_samtools_reads_what_was_written(genome):
    pysam = pytest.importorskip("pysam")
    FastaStore(str(genome)).fingerprint()
    with pysam.FastaFile(str(genome)) as file:
        assert {name: file.fetch(name).encode() for name in file.references} == SEQUENCES


def test_an_index_of_samtools_is_used(genome):
    pysam = pytest.importorskip("pysam")
    pysam.faidx(str(genome))
    before = Path(f"{genome}.fai").stat()
    with FastaStore(str(genome)) as store:
        assert whole(store) == SEQUENCES
    assert Path(f"{genome}.fai").stat().st_ino == before.st_ino


def test_bgzip_is_read(bgzip):
    with FastaStore(str(bgzip)) as store:
        assert whole(store) == SEQUENCES
        store.check_shard("genome")
    assert Path(f"{bgzip}.gzi").exists()


def test_an_index_of_bgzip_is_used(bgzip):
    pysam = pytest.importorskip("pysam")
    FastaStore(str(bgzip)).fingerprint()
    indexes = [Path(f"{bgzip}{suffix}") for suffix in (".fai", ".gzi")]
    ours = [index.read_bytes() for index in indexes]
    for index in (*indexes, Path(f"{bgzip}{TABLE_SUFFIX}")):
        index.unlink()
    pysam.faidx(str(bgzip))
    assert ours == [index.read_bytes() for index in indexes]
    before = [index.stat().st_ino for index in indexes]
    assert whole(FastaStore(str(bgzip))) == SEQUENCES
    assert before == [index.stat().st_ino for index in indexes]


@pytest.mark.parametrize("cut", [1, 28, 60, 5_000])
def test_bgzip_that_was_cut_short_is_refused(bgzip, cut):
    bgzip.write_bytes(bgzip.read_bytes()[:-cut])
    with pytest.raises(errors.FormatError, match=r"cut short"):
        whole(FastaStore(str(bgzip)))


def test_bgzip_that_is_damaged_is_refused(bgzip):
    FastaStore(str(bgzip)).fingerprint()
    content = bytearray(bgzip.read_bytes())
    content[5_000] ^= 0x55
    stamp = bgzip.stat()
    bgzip.write_bytes(content)
    os.utime(bgzip, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(errors.FormatError, match="cannot be decompressed"):
        whole(FastaStore(str(bgzip)))


OTHER_BLOCKS = {
    "of a longer file": lambda pairs, size: [(size + 1_000, 5)],
    "behind its end": lambda pairs, size: [(2**63 + 5, 5)],
    "of the empty block at the end": lambda pairs, size: [(size - 28, 5)],
    "of some blocks": lambda pairs, size: pairs[1::2],
    "of the first blocks": lambda pairs, size: pairs[:3],
    "of none": lambda pairs, size: np.zeros((0, 2)),
}


@pytest.mark.parametrize("keep_table", [False, True])
@pytest.mark.parametrize("blocks", OTHER_BLOCKS.values(), ids=OTHER_BLOCKS)
def test_an_index_of_other_blocks_is_made_anew(tmp_path, blocks, keep_table):
    pysam = pytest.importorskip("pysam")
    bases, path = BASES * 20, tmp_path / "x.fa.gz"
    pysam.tabix_compress(str(write_fasta(tmp_path / "x.fa", {"chr1": bases})), str(path))
    FastaStore(str(path)).fingerprint()
    gzi = Path(f"{path}.gzi")
    right = gzi.read_bytes()
    pairs = np.frombuffer(right[8:], "<u8").reshape(-1, 2).tolist()
    wrong = np.array(blocks(pairs, path.stat().st_size), "<u8")
    gzi.write_bytes(np.uint64(len(wrong)).tobytes() + wrong.tobytes())
    if not keep_table:
        Path(f"{path}{TABLE_SUFFIX}").unlink()
    assert whole(FastaStore(str(path)), ["chr1"]) == {"chr1": bases}
    assert keep_table or gzi.read_bytes() == right


def test_without_pysam_the_error_says_what_to_install(bgzip):
    code = (
        "import sys; sys.modules['pysam'] = None\nfrom eden_fasta.stores import FastaStore\n"
        f"try: FastaStore({str(bgzip)!r}).fingerprint()\nexcept Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.startswith("NotSupportedError")
    assert "pip install 'eden-core[fasta]'" in said


def test_plain_gzip_is_refused_with_the_remedy(genome):
    path = Path(f"{genome}.gz")
    path.write_bytes(gzip.compress(genome.read_bytes()))
    assert not is_bgzip(path.read_bytes())
    with pytest.raises(errors.FormatError, match=r"gunzip -c genome\.fa\.gz \| bgzip"):
        FastaStore(str(path)).fingerprint()


def test_a_repeated_id_is_an_error(tmp_path):
    path = tmp_path / "x.fa"
    path.write_bytes(b">a\nACGT\n>b\nA\n>a other\nC\n")
    with pytest.raises(errors.RepeatedIdError, match=r"'a' occurs twice in .*x\.fa"):
        FastaStore(str(path)).fingerprint()
    assert [found.name for found in tmp_path.iterdir() if TABLE_SUFFIX in found.name] == []


def test_an_id_in_two_files_is_an_error(tmp_path):
    for name in ("one", "two"):
        write_fasta(tmp_path / f"{name}.fa", {"chr1": b"ACGT"})
    with pytest.raises(errors.RepeatedIdError, match=r"'chr1' occurs in .*one\.fa and in .*two\.fa"):
        FastaStore(str(tmp_path)).fingerprint()


def test_sequences_without_bases_are_not_listed(tmp_path):
    path = tmp_path / "x.fa"
    path.write_bytes(b">a\nACGT\n>empty\n>b\nA\n>last\n")
    for _ in range(2):  # the second time with an index
        with FastaStore(str(path)) as store:
            assert listed(store) == [("a", 4), ("b", 1)]
            with pytest.raises(errors.SequenceNotFoundError, match="'empty'"):
                store.read(windows_of([("empty", 0, 1)]))
        Path(f"{path}{TABLE_SUFFIX}").unlink()


@pytest.fixture
def places(tmp_path):
    """Three files, and every way to name them."""
    (tmp_path / "data" / "deep").mkdir(parents=True)
    for i, name in enumerate(("one.fa", "two.fna", "deep/three.fasta")):
        write_fasta(tmp_path / "data" / name, {f"chr{i}": BASES[i : i + 500]})
    (tmp_path / "data" / "notes.md").write_text("no FASTA")
    (tmp_path / "files.txt").write_text(f"data/one.fa\ndata/two.fna\n\n{tmp_path}/data/deep/three.fasta\n")
    return {
        "directory": str(tmp_path / "data"),
        "list": str(tmp_path / "files.txt"),
        "pattern": str(tmp_path / "data" / "**" / "*.f*a"),
    }


@pytest.mark.parametrize("way", ["directory", "list", "pattern"])
def test_many_files(places, way, tmp_path, cache):
    wanted = {f"chr{i}": BASES[i : i + 500] for i in range(3)}
    with FastaStore(places[way]) as store:
        assert whole(store, wanted) == wanted
        assert len(list(store.samples())) == 3
    tables = [path for folder in (tmp_path, cache) for path in folder.rglob(f"*{TABLE_SUFFIX}")]
    assert len(set(tables)) == 1


def test_files_of_one_name_are_samples_by_their_folders(tmp_path):
    for folder in ("A-1", "B"):
        (tmp_path / folder).mkdir()
        write_fasta(tmp_path / folder / "genome.fa", {f"chr{folder}": b"ACGT"})
    with FastaStore(str(tmp_path)) as store:
        assert list(store.samples()) == ["A.1.genome", "B.genome"]
        assert listed(store, "B.genome") == [("chrB", 4)]


def test_opening_many_files_looks_at_none_of_them(tmp_path):
    for i in range(40):
        write_fasta(tmp_path / f"S{i}.fa", {f"B__X-S{i}__1": BASES[i : i + 90]})
    FastaStore(str(tmp_path)).fingerprint()
    for i in range(1, 40):
        (tmp_path / f"S{i}.fa").unlink()  # nobody misses them
    with FastaStore(str(tmp_path)) as store:
        assert whole(store, ["B__X-S0__1"]) == {"B__X-S0__1": BASES[:90]}


def test_a_file_that_changed_is_indexed_anew(genome):
    store = FastaStore(str(genome))
    before = store.fingerprint()
    changed = {"new": b"A" * 100, "NC_1.1": BASES[5:] + b"TT"}
    write_fasta(genome, changed, 50)
    for each in (FastaStore(str(genome)), store):
        assert whole(each, changed) == changed
    assert store.fingerprint() != before
    with pytest.raises(errors.SequenceNotFoundError, match="chr3"):
        store.read(windows_of([("chr3", 0, 1)]))


def test_a_file_that_is_added_is_found(tmp_path):
    write_fasta(tmp_path / "a.fa", {"chr1": b"ACGT"})
    store = FastaStore(str(tmp_path))
    assert whole(store, ["chr1"]) == {"chr1": b"ACGT"}
    write_fasta(tmp_path / "b.fa", {"chr2": b"GG"})
    assert whole(store, ["chr2", "chr1"]) == {"chr2": b"GG", "chr1": b"ACGT"}
    assert list(store.samples()) == ["a", "b"]


def test_a_file_that_is_gone_is_named(tmp_path):
    for name in "ab":
        write_fasta(tmp_path / f"{name}.fa", {f"chr{name}": b"ACGT"})
    store = FastaStore(str(tmp_path))
    store.fingerprint()
    (tmp_path / "b.fa").unlink()
    with pytest.raises(errors.SequenceNotFoundError, match="chrb"):
        store.read(windows_of([("chrb", 0, 1)]))


OTHER_INDEXES = {
    "of other lines": "NC_1.1\t20000\t8\t60\t61\nchr2\t777\t20300\t70\t71\nchr3\t7\t21103\t70\t71\n",
    "shifted": "NC_1.1\t20000\t9\t70\t71\nchr2\t777\t20301\t70\t71\nchr3\t7\t21104\t70\t71\n",
    "of other names": None,
    "cut short": "",
    "of one sequence less": "NC_1.1\t20000\t8\t70\t71\n",
    "no index": "\0\0\tnonsense\n",
}


@pytest.mark.parametrize(("text", "way"), [(text, way) for way, text in OTHER_INDEXES.items()], ids=OTHER_INDEXES)
def test_an_index_that_does_not_fit_is_made_anew(genome, text, way):
    FastaStore(str(genome)).fingerprint()
    fai = Path(f"{genome}.fai")
    right = fai.read_text()
    fai.write_text(right.replace("chr2", "chr9") if text is None else text)
    Path(f"{genome}{TABLE_SUFFIX}").unlink()
    with FastaStore(str(genome)) as store:
        assert whole(store) == SEQUENCES
    assert fai.read_text() == right


def test_bases_that_moved_without_a_trace_are_no_bases(genome):
    store = FastaStore(str(genome))
    store.fingerprint()
    stamp, text = genome.stat(), genome.read_bytes()
    genome.write_bytes(text[:5_000] + text[5_001:] + b"A")
    os.utime(genome, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(errors.FormatError, match=r"not as it was indexed.*touch the file"):
        store.read(windows_of([("NC_1.1", 10_000, 500)]))


def test_where_nothing_can_be_written_the_cache_is_used(genome, cache, monkeypatch):
    allowed = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != genome.parent and allowed(path, mode))
    with FastaStore(str(genome)) as store:
        assert whole(store) == SEQUENCES
    assert [path.name for path in genome.parent.iterdir()] == ["genome.fa"]
    assert sorted(path.name.partition("-")[2] for path in cache.iterdir()) == ["genome.fa.eden-ids", "genome.fa.fai"]
    FastaStore(str(genome), cache_dir=str(cache / "other")).fingerprint()
    assert len(list((cache / "other").iterdir())) == 2


def test_where_nothing_can_be_written_at_all_the_error_says_what_to_set(genome, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(errors.ConfigurationError, match="EDEN_CACHE_DIR"):
        FastaStore(str(tmp_path / "data" / "*.fa"), cache_dir=str(tmp_path / "file" / "cache")).fingerprint()


def test_a_fingerprint_tells_content_and_no_place(genome, tmp_path):
    fingerprint = FastaStore(str(genome)).fingerprint()
    (tmp_path / "other").mkdir()
    for number, (name, bases) in enumerate(SEQUENCES.items()):
        write_fasta(tmp_path / "other" / f"{number}.fa", {name: bases}, 33)
    assert FastaStore(str(tmp_path / "other")).fingerprint() == fingerprint
    write_fasta(genome, SEQUENCES | {"chr3": b"GATTAC"})
    assert FastaStore(str(genome)).fingerprint() != fingerprint


def read_in_process(location):
    return whole(FastaStore(location)) == SEQUENCES


def test_processes_may_index_at_once(genome):
    with ProcessPoolExecutor(4, mp_context=get_context("fork")) as processes:
        assert all(processes.map(read_in_process, [str(genome)] * 8))


def test_checking_compares_all_of_a_file_with_its_index(genome):
    store = FastaStore(str(genome))
    store.check_shard("genome")
    stamp, text = genome.stat(), genome.read_bytes()
    genome.write_bytes(text.replace(b">chr2", b">chr9"))
    os.utime(genome, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(errors.FormatError, match=r"not as it was indexed.*'chr9'"):
        store.check_shard("genome")


def test_no_files_are_an_error(tmp_path):
    for location in (tmp_path, tmp_path / "absent.fa", tmp_path / "*.fa"):
        with pytest.raises(errors.ShardNotFoundError, match=str(tmp_path)):
            FastaStore(str(location)).read(windows_of([("chr1", 0, 1)]))


def test_rows_of_a_dataset(genome, tmp_path):
    path = str(tmp_path / "w.db")
    SqliteIndex.build(path, FastaStore(str(genome)).contigs(), Tiling(512, 480))
    options = {"sequence_db_dir": str(genome), "window_db_path": path, "seq_length": 512, "case": "keep", "shuffle": False}
    dataset = EdenDataset("fasta", "sqlite", **options)
    row = dataset[1]["tokens"].numpy()
    assert row[1:511].astype(np.uint8).tobytes() == BASES[480:990]


def test_a_file_that_changed_while_it_is_read_is_closed(genome):
    with FastaStore(str(genome)) as store:
        store.fingerprint()
        before = count_open_files()
        for number in range(3):
            changed = {"chr1": BASES[number : number + 400 + number]}
            write_fasta(genome, changed)
            assert whole(store, changed) == changed
        assert count_open_files() <= before + 1


def test_a_file_that_is_replaced_while_it_is_opened_is_indexed_anew(genome, monkeypatch):
    FastaStore(str(genome)).fingerprint()
    changed, opened = {"chr2": BASES[:900]}, FastaStore.open_file

    def open_late(store, path):
        if not Path(f"{genome}.old").exists():
            genome.rename(f"{genome}.old")
            write_fasta(genome, changed, 50)
        return opened(store, path)

    monkeypatch.setattr(FastaStore, "open_file", open_late)
    store = FastaStore(str(genome))
    store.fingerprint()
    assert whole(store, changed) == changed


def test_what_an_index_lists_without_bases_is_left_out(tmp_path):
    path = tmp_path / "x.fa"
    path.write_bytes(b">empty\n>a\nACGT\n>none\n>b\nA\n>last\n")
    ours = FastaStore(str(path)).fingerprint()
    rows = ("empty\t0\t7\t0\t0", "a\t4\t10\t4\t5", "none\t0\t21\t0\t0", "b\t1\t24\t1\t2", "last\t0\t32\t0\t0")
    Path(f"{path}.fai").write_text("\n".join(rows) + "\n")
    Path(f"{path}{TABLE_SUFFIX}").unlink()
    with FastaStore(str(path)) as store:
        assert (listed(store), store.fingerprint()) == ([("a", 4), ("b", 1)], ours)
    assert "none" in Path(f"{path}.fai").read_text()


def test_an_index_of_other_lines_does_not_fit(tmp_path):
    path = write_fasta(tmp_path / "x.fa", {"a": b"ACGT" * 30 + b"AC"}, 40)
    FastaStore(str(path)).fingerprint()
    path.write_bytes(write_fasta(tmp_path / "y", {"a": b"ACGT" * 30 + b"AC"}, 41).read_bytes())
    os.utime(path, ns=(1, 1))
    assert whole(FastaStore(str(path)), ["a"]) == {"a": b"ACGT" * 30 + b"AC"}


def test_an_id_may_begin_with_a_byte_order_mark(tmp_path):
    path = write_fasta(tmp_path / "x.fa", {"\ufeffa": b"ACGT", "b": b"A"})
    for _ in range(2):  # the second time with an index
        assert whole(FastaStore(str(path)), ["\ufeffa"]) == {"\ufeffa": b"ACGT"}
        Path(f"{path}{TABLE_SUFFIX}").unlink()


LISTS = {
    "a file that is listed twice": (b"x.fa\n./x.fa\n", r"files\.txt lists .*x\.fa twice"),
    "other text": (b"\xe9.fa\n", r"files\.txt is no list of files"),
}


@pytest.mark.parametrize(("content", "message"), LISTS.values(), ids=LISTS)
def test_what_is_wrong_with_a_list_is_said(tmp_path, content, message):
    write_fasta(tmp_path / "x.fa", {"a": b"A"})
    (tmp_path / "files.txt").write_bytes(content)
    with pytest.raises(errors.InputError, match=message):
        FastaStore(str(tmp_path / "files.txt")).fingerprint()
