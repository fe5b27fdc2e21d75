"""Input that cannot be used, through the real commands: exit code 2, one message that says where, and nothing half-written."""

import ctypes
import gzip
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from eden_core.cli import main, precompute

EDEN, PRECOMPUTE = (Path(sys.executable).with_name(name) for name in ("eden", "eden-precompute"))
MAINS = {EDEN: main, PRECOMPUTE: precompute.main}
GOOD = ">a\nACGT\n>b\nGGN\n"
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def run(*argv, cwd, before=None):
    return subprocess.run(list(map(str, argv)), cwd=cwd, capture_output=True, text=True, check=False, preexec_fn=before)


def tree(folder: Path) -> dict[str, bytes | None]:
    """Every file with its bytes, every folder with None."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def message_of(done) -> str:
    """The one message of a command that was refused."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    return checked(done.stderr)


def checked(told: str) -> str:
    assert told.startswith("error: ")
    assert "Traceback" not in told
    return told.removeprefix("error: ")


@pytest.fixture
def refused(tmp_path, monkeypatch, capfd):
    """Run a command, in this process, that must be refused and leave every file as it was."""
    monkeypatch.chdir(tmp_path)

    def refused(command, *arguments) -> str:
        before = tree(tmp_path)
        monkeypatch.setattr(sys, "argv", [command.name, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            MAINS[command]()
        assert ended.value.code == 2
        assert tree(tmp_path) == before
        return checked(capfd.readouterr().err)

    return refused


def write(path: Path, content: str | bytes | dict) -> None:
    if isinstance(content, dict):
        pq.write_table(pa.table(content), path)
    else:
        path.write_bytes(content.encode() if isinstance(content, str) else content)


def noise(size: int) -> bytes:
    return random.Random(1).randbytes(size)


def fasta(contigs: int, length: int, seed: int = 2) -> str:
    rng = random.Random(seed)
    return "".join(f">c{i}\n{''.join(rng.choices('ACGTN', k=length))}\n" for i in range(contigs))


def half(packed: bytes) -> bytes:
    return packed[: len(packed) // 2]


ROWS = '{"record":"a","text":"AC"}\n'
SOURCES = {
    "a binary file": ("x.fa", noise(4000), "x.fa: line 1", "binary file"),
    "a binary file that begins like FASTA": ("x.fa", b">" + noise(4000), "x.fa: line 1", "printable"),
    "no header": ("x.fa", "\nACGT\n", "x.fa: line 2", "'>'"),
    "a header without id": ("x.fa", ">a\nAC\n> b\nAC\n", "x.fa: line 3", "no id"),
    "an id twice": ("x.fa", ">a\nAC\nGT\n>b\nAC\n>a\nGG\n", "x.fa: line 6", "that of line 1"),
    "an empty record": ("x.fa", ">a\nAC\n>b\n>c\nAC\n", "x.fa: line 3", "'b' is empty"),
    "an empty last record": ("x.fa", ">a\nAC\n>b\n", "x.fa: line 3", "'b' is empty"),
    "an empty file": ("x.fa", "", "x.fa", "is empty"),
    "another letter": ("x.fa", ">a\nACGT\nACJT\n", "x.fa: line 3, column 3", "IUPAC"),
    "protein": ("x.fa", ">a\nMKTAYIAKQRQISFVKSHFSRQ\n", "x.fa: line 2", "looks like protein"),
    "truncated gzip": ("x.fa.gz", half(gzip.compress(fasta(40, 500).encode())), "x.fa.gz", "ends too early"),
    "truncated zstd": (
        "x.fa.zst",
        half(pa.compress(noise(9000), "zstd", asbytes=True)),
        "x.fa.zst",
        "ends too early",
    ),
    "invalid JSON": ("x.jsonl", ROWS + '{"record":"b","text":\n', "x.jsonl: line 2", "invalid JSON"),
    "a missing field": ("x.jsonl", ROWS + '{"record":"b","seq":"AC"}\n', "x.jsonl: line 2", "--sequence-field"),
    "a field of another type": ("x.jsonl", ROWS + '{"record":"b","text":5}\n', "x.jsonl: line 2", "is a number"),
    "an id twice in JSON": ("x.jsonl", 2 * ROWS, "x.jsonl: line 2", "that of line 1"),
    "a column of another type": ("x.parquet", {"record": ["a"], "text": [5]}, "x.parquet", "'text' is of type int64"),
    "ids of another type": ("x.parquet", {"record": [1.5], "text": ["AC"]}, "x.parquet", "'record' is of type double"),
    "a missing column": ("x.parquet", {"record": ["a"], "seq": ["AC"]}, "x.parquet", "--sequence-field"),
    "a null sequence": ("x.parquet", {"record": ["a", "b"], "text": ["AC", None]}, "x.parquet: row 2", "null"),
    "an id twice in a table": ("x.parquet", {"record": ["a", "a"], "text": ["AC", "A"]}, "x.parquet: row 2", "that of row 1"),
}


@pytest.mark.parametrize("case", SOURCES)
def test_a_source(tmp_path, case, refused):
    name, content, where, what = SOURCES[case]
    write(tmp_path / name, content)
    message = refused(EDEN, "import", name, "--out", "o")
    assert message.startswith(where)
    assert what in message
    assert message.count("\n") == 1


def test_a_shard_that_is_being_written(tmp_path, refused):
    with closing(sqlite3.connect(tmp_path / "x.sqlite")) as connection:
        connection.execute("CREATE TABLE sequences(contig_id TEXT PRIMARY KEY, nt_sequence TEXT NOT NULL)")
    (tmp_path / "x.sqlite-wal").write_bytes(b"x" * 100)
    assert "x.sqlite-wal holds 100 bytes" in refused(EDEN, "import", "x.sqlite", "--out", "o")


def test_equal_record_ids_in_files_of_different_samples_are_fine(tmp_path):
    write(tmp_path / "x.fa", GOOD)
    write(tmp_path / "y.fa", ">a\nAC\n>X__FASTA-x__a\nAC\n")
    assert run(EDEN, "import", "x.fa", "y.fa", "--out", "o", cwd=tmp_path).returncode == 0
    ids = pq.read_table(tmp_path / "o" / "contigs.parquet")["contig_id"].to_pylist()
    assert ids == ["X__FASTA-x__a", "X__FASTA-x__b", "Y__FASTA-y__X__FASTA-x__a", "Y__FASTA-y__a"]


@pytest.mark.parametrize("sample", ["a/b", "..", "../../etc", "a b", "", "x" * 201])
def test_a_sample_name(tmp_path, sample, refused):
    write(tmp_path / "x.fa", GOOD)
    assert "sample" in refused(EDEN, "import", "x.fa", "--sample", sample, "--out", "o")


MANIFESTS = {
    "two files of one sample": ("path\tsample\nx.fa\ts\ny.fa\ts\n", "x.fa and y.fa both claim the sample 's'"),
    "a sample that leaves its folder": ("path\tsample\nx.fa\t../s\n", "sample '../s'"),
    "a file that is missing": ("path\tsample\nx.fa\ts\nz.fa\tt\n", "m.tsv: row 2: there is no file z.fa"),
    "too many columns": ("path\tsample\nx.fa\ts\nx.fa\ts\tt\n", "Row #3"),
    "a column twice": ("path\tpath\nx.fa\ty.fa\n", "several columns are called 'path'"),
    "no table": (noise(3000), "m.tsv"),
}


@pytest.mark.parametrize("case", MANIFESTS)
def test_a_manifest(tmp_path, case, refused):
    content, what = MANIFESTS[case]
    write(tmp_path / "m.tsv", content)
    for name in ("x.fa", "y.fa"):
        write(tmp_path / name, GOOD)
    message = refused(EDEN, "import", "--manifest", "m.tsv", "--out", "o")
    assert what in message
    assert message.replace("\n", "").isprintable()


def without_override() -> None:
    """What root may do to files of others, and to its own that are locked, ends with the next program."""
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def test_a_file_that_may_not_be_read(tmp_path):
    write(tmp_path / "x.fa", GOOD)
    (tmp_path / "x.fa").chmod(0)
    done = run(EDEN, "import", "x.fa", "--out", "o", cwd=tmp_path, before=without_override)
    assert message_of(done) == "x.fa cannot be read: Permission denied\n"
    assert not (tmp_path / "o").exists()


def test_links_that_lead_nowhere_and_folders(tmp_path):
    (tmp_path / "x.fa").symlink_to("nowhere")
    (tmp_path / "y.fa").mkdir()
    assert (
        message_of(run(EDEN, "import", "x.fa", "--out", "o", cwd=tmp_path))
        == "x.fa cannot be read: No such file or directory\n"
    )
    assert message_of(run(EDEN, "import", "y.fa", "--out", "o", cwd=tmp_path)).startswith("y.fa holds no file")
    assert not (tmp_path / "o").exists()


def test_a_file_that_vanishes(tmp_path):
    os.mkfifo(tmp_path / "a.fa")
    write(tmp_path / "z.fa", GOOD)
    command = [EDEN, "import", "a.fa", "z.fa", "--out", "o", "--workers", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        with (tmp_path / "a.fa").open("w") as pipe:  # opens once the import reads its first file
            (tmp_path / "z.fa").unlink()
            pipe.write(GOOD)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert told.startswith("error: 1 of 2 files cannot be imported:\n  z.fa cannot be read: No such file or directory\n")


def test_one_bad_file_among_good_ones(tmp_path):
    for i in range(6):
        write(tmp_path / f"g{i}.fa", GOOD)
    write(tmp_path / "x.fa", ">a\nAC\nA!\n")
    command = [EDEN, "import", "*.fa", "--out", "o", "--workers", "2"]
    message = message_of(run(*command, cwd=tmp_path))
    assert message.startswith("1 of 7 files cannot be imported:\n  x.fa: line 3, column 2: ")
    assert len(list((tmp_path / "o").glob("*/*.sqlite"))) == 6
    assert not (tmp_path / "o" / "contigs.parquet").exists()
    write(tmp_path / "x.fa", GOOD)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "o").glob("g*/*.sqlite")}
    assert run(*command, cwd=tmp_path).returncode == 0
    assert times == {path: path.stat().st_mtime_ns for path in times}


@pytest.fixture
def imported(tmp_path):
    """A folder with a source and what was imported from it."""
    write(tmp_path / "x.fa", fasta(60, 300))
    assert run(EDEN, "import", "x.fa", "--out", "o", cwd=tmp_path).returncode == 0
    return tmp_path


def test_an_output_with_another_import(imported, refused):
    (imported / "other").mkdir()
    write(imported / "other" / "x.fa", GOOD)
    write(imported / "y.fa", GOOD)
    assert "min_length 0, not 2" in refused(EDEN, "import", "y.fa", "--min-length", 2, "--out", "o")
    assert "other/x.fa claims it too" in refused(EDEN, "import", "other/x.fa", "--out", "o")
    for name in ("contigs.parquet", "sources.parquet", "n_runs.parquet"):
        kept = (imported / "o" / name).read_bytes()
        write(imported / "o" / name, "junk")
        assert f"o/{name}" in refused(EDEN, "import", "y.fa", "--out", "o")
        write(imported / "o" / name, kept)
    (imported / "o" / "sources.parquet").unlink()
    assert "eden import did not write it" in refused(EDEN, "import", "y.fa", "--out", "o")
    assert "cannot be made: File exists" in refused(EDEN, "import", "y.fa", "--out", "x.fa")


def test_an_output_with_another_unfinished_import(tmp_path, refused):
    write(tmp_path / "x.fa", GOOD)
    write(tmp_path / "y.fa", ">\n")
    message_of(run(EDEN, "import", "x.fa", "y.fa", "--out", "o", cwd=tmp_path))
    write(tmp_path / "z.fa", GOOD)
    assert "unfinished import of other files" in refused(EDEN, "import", "z.fa", "--out", "o")
    write(tmp_path / "o" / ".eden-import" / "plan.json", "{")
    assert ".eden-import/plan.json" in refused(EDEN, "import", "x.fa", "--out", "o")
    assert run(EDEN, "import", "x.fa", "--out", "o", "--force", cwd=tmp_path).returncode == 0


def test_prepare(tmp_path, refused):
    write(tmp_path / "x.fa", ">a\nAC\n>b\n")
    write(tmp_path / "y.fa", fasta(60, 300))
    assert refused(EDEN, "prepare", "x.fa", "--out", "o").startswith("x.fa: line 3")
    assert "0" in refused(EDEN, "prepare", "y.fa", "--out", "o", "--stride", "0")
    assert "'nope'" in refused(EDEN, "prepare", "y.fa", "--out", "o", "--index", "nope")
    assert "nope.tsv" in refused(EDEN, "prepare", "y.fa", "--out", "o", "--clusters", "nope.tsv")
    assert "'nope'" in message_of(run(EDEN, "prepare", "y.fa", "--out", "o", "--test-contigs", "nope", cwd=tmp_path))
    assert run(EDEN, "prepare", "y.fa", "--out", "o", cwd=tmp_path).returncode == 0  # what was imported is taken on


def test_split(imported, refused):
    table = pq.read_table(imported / "o" / "contigs.parquet")
    pq.write_table(table.append_column("split", pa.array(["train"] * 59 + ["what"])), imported / "words.parquet")
    content = (imported / "o" / "contigs.parquet").read_bytes()
    write(imported / "broken.parquet", content[:-40])
    refusals = {
        ("broken.parquet",): "broken.parquet is not a Parquet file",
        ("o/contigs.parquet", "--clusters", "nope.tsv"): "nope.tsv: there is no such file",
        ("words.parquet", "--split-from", "split"): "words.parquet: 'what' in column split",
        ("words.parquet", "--split-from", "nope"): "words.parquet lacks the column nope",
        ("o/contigs.parquet", "--test-contigs", "chr8"): "--test-contigs 'chr8' names no contig of o/contigs.parquet",
    }
    for options, what in refusals.items():
        assert what in refused(EDEN, "split", *options, "--out", "s/p")


def test_precompute(imported, refused):
    write(imported / "ids.parquet", {"contig_id": ["a"]})
    write(imported / "none.parquet", {"contig_id": pa.array([], pa.string()), "length": pa.array([], pa.int64())})
    assert "ids.parquet lacks the column length" in refused(PRECOMPUTE, "ids.parquet", "w.db")
    assert "none.parquet has no rows" in refused(PRECOMPUTE, "none.parquet", "w.db")
    assert "none.parquet has no rows" in refused(PRECOMPUTE, "none.parquet", "--out", "p/q")


@pytest.mark.parametrize("command", ["verify", "contigs", "optimize"])
def test_a_folder_that_is_no_store(tmp_path, command, refused):
    (tmp_path / "empty").mkdir()
    for place in ("empty", "nowhere"):
        assert place in refused(EDEN, command, place)


def limit(size: int):
    """Return what keeps a command from writing files of more bytes, as a full disk would."""

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return before


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """Files of many short contigs, and what an undisturbed import makes of them."""
    folder = tmp_path_factory.mktemp("crowded")
    write(folder / "x.fa", fasta(3000, 20))
    write(folder / "y.fa", fasta(300, 400))
    assert run(EDEN, "import", "x.fa", "y.fa", "--out", "undisturbed", cwd=folder).returncode == 0
    return folder


@pytest.mark.parametrize(
    ("size", "what"),
    [(100, "plan.json"), (4096, ".sqlite"), (60_000, ".arrow"), (450_000, ".arrow")],
)
def test_a_full_disk_during_an_import(crowded, tmp_path, size, what):
    command = [EDEN, "import", "x.fa", "y.fa", "--out", tmp_path / "o", "--workers", "1"]
    message = message_of(run(*command, cwd=crowded, before=limit(size)))
    assert what in message
    assert "could not be written" in message
    assert not (tmp_path / "o" / "contigs.parquet").exists()
    assert run(*command, cwd=crowded).returncode == 0
    assert tree(tmp_path / "o") == tree(crowded / "undisturbed")


@pytest.mark.parametrize("size", [10, 3000])
def test_a_full_disk_during_a_split(crowded, tmp_path, size):
    command = [EDEN, "split", "undisturbed/contigs.parquet", "--out", tmp_path / "s"]
    message = message_of(run(*command, cwd=crowded, before=limit(size)))
    assert ".parquet could not be written" in message
    assert message.count("\n") == 1
    assert tree(tmp_path) == {}


def test_a_full_disk_during_a_precompute(crowded, tmp_path):
    command = [PRECOMPUTE, "undisturbed/contigs.parquet", tmp_path / "w.db", "--window-size", "64", "--stride", "48"]
    message = message_of(run(*command, cwd=crowded, before=limit(50_000)))
    assert message.startswith(f"{tmp_path}/w.db could not be written")
    assert tree(tmp_path) == {}


def test_a_disk_that_is_really_full(crowded, tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mounted = run("mount", "-t", "tmpfs", "-o", "size=600k", "none", place, cwd=tmp_path)
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        command = [EDEN, "import", "x.fa", "y.fa", "--out", place / "o", "--workers", "1"]
        assert "could not be written" in message_of(run(*command, cwd=crowded))
        assert not (place / "o" / "contigs.parquet").exists()
        assert run("mount", "-o", "remount,size=8m", place, cwd=tmp_path).returncode == 0
        assert run(*command, cwd=crowded).returncode == 0
        assert tree(place / "o") == tree(crowded / "undisturbed")
    finally:
        run("umount", place, cwd=tmp_path)


def test_control_c_ends_an_import_at_once(tmp_path):
    (tmp_path / "many").mkdir()
    for i in range(40):
        write(tmp_path / "many" / f"s{i}.fa", f">c\n{'ACGTTGCA' * 200_000}\n")
    command = [EDEN, "import", "many", "--out", "o", "--workers", "2"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while len(list(tmp_path.glob("o/*/*.sqlite"))) < 4:  # both workers are at work
            assert process.poll() is None
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        started = time.monotonic()
        _, told = process.communicate(timeout=60)
    assert time.monotonic() - started < 2
    assert (process.returncode, told) == (130, "")
    assert not (tmp_path / "o" / "contigs.parquet").exists()
    assert run(*command, cwd=tmp_path).returncode == 0
